package config_test

import (
	"os"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/config/configtest"
)

// The manifest of the controller runs the image as the one user it is made for,
// on a file system that it cannot write to, under the account whose rights are
// shipped; its namespace lets nothing less in.
func TestTheDeploymentIsRestricted(t *testing.T) {
	text, err := os.ReadFile("deploy/controller.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	if err := yaml.UnmarshalStrict(text, &d); err != nil {
		t.Fatal(err)
	}
	s := configtest.Shared(t)
	admin := s.Client(t)
	accepted(t, "the deployment", admin.Create(t.Context(), d.DeepCopy(), client.DryRunAll))
	spec := d.Spec.Template.Spec
	pod := func(change func(*corev1.PodSpec)) error {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: "probe"}, Spec: *spec.DeepCopy()}
		change(&p.Spec)
		return admin.Create(t.Context(), p, client.DryRunAll)
	}
	accepted(t, "its pod", pod(func(*corev1.PodSpec) {}))
	refused(t, "as root", pod(func(p *corev1.PodSpec) { p.SecurityContext.RunAsUser = ptr(int64(0)) }), "restricted")
	refused(t, "with capabilities", pod(func(p *corev1.PodSpec) { p.Containers[0].SecurityContext.Capabilities = nil }), "restricted")
	c := spec.Containers[0]
	if u := spec.SecurityContext; *u.RunAsUser != 65532 || *u.RunAsGroup != 65532 || !*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation {
		t.Errorf("%+v, %+v", spec.SecurityContext, c.SecurityContext)
	}
	if d.Namespace != config.Namespace || spec.ServiceAccountName != config.ControllerAccount || len(c.Command) > 0 || c.Args[0] != "controller" {
		t.Errorf("it runs %v %v as %s/%s", c.Command, c.Args, d.Namespace, spec.ServiceAccountName)
	}
	for _, e := range c.Env {
		if strings.Contains(e.Name, "SECRET") && e.Value != "" {
			t.Errorf("a secret in plain text: %s", e.Name)
		}
	}
}
