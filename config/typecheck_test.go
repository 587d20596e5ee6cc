package config_test

import (
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/poolkeeper/poolkeeper/config/configtest"
)

// The expressions of the policies fit the types that they speak of: the check
// that a controller manager writes into their status finds nothing.
func TestPoliciesFitTheTypes(t *testing.T) {
	s := configtest.Shared(t)
	active(t, s)
	httpClient, err := rest.HTTPClientFor(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(s.Config, httpClient)
	if err != nil {
		t.Fatal(err)
	}
	checker := &validating.TypeChecker{
		SchemaResolver: &resolver.ClientDiscoveryResolver{Discovery: discovery.NewDiscoveryClientForConfigOrDie(s.Config)},
		RestMapper:     mapper,
	}
	objects, err := configtest.Objects("policy")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, o := range objects {
		if o.GetKind() != "ValidatingAdmissionPolicy" {
			continue
		}
		p := &admissionregistrationv1.ValidatingAdmissionPolicy{}
		if err := s.Client(t).Get(t.Context(), client.ObjectKeyFromObject(o), p); err != nil {
			t.Fatal(err)
		}
		checked++
		for _, w := range checker.Check(p) {
			t.Errorf("%s %s: %s", p.Name, w.FieldRef, w.Warning)
		}
	}
	if checked != 7 {
		t.Errorf("checked %d policies, want 7", checked)
	}
	// The checker does find what is wrong.
	wrong := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(objects[0].Object, wrong); err != nil {
		t.Fatal(err)
	}
	wrong.Spec.Validations[0].Expression = "oldObject.spec.noSuchField"
	if len(checker.Check(wrong)) == 0 {
		t.Error("an expression about a field that does not exist passes")
	}
}
