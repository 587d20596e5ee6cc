package v1alpha1_test

import (
	"context"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/config"
)

// definitions reads the five definitions as they are shipped.
func definitions(t testing.TB) map[string]*apiextensions.CustomResourceDefinition {
	t.Helper()
	names, err := fs.Glob(config.FS, "crd/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*apiextensions.CustomResourceDefinition{}
	for _, name := range names {
		b, err := config.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var v1 apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(b, &v1); err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
		apiextensionsv1.SetDefaults_CustomResourceDefinition(&v1)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&v1.Spec)
		var in apiextensions.CustomResourceDefinition
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&v1, &in, nil); err != nil {
			t.Fatalf("convert %s: %v", name, err)
		}
		out[in.Spec.Names.Kind] = &in
	}
	return out
}

// schemaOf returns the schema of the one version of a definition.
func schemaOf(d *apiextensions.CustomResourceDefinition) *apiextensions.JSONSchemaProps {
	if d.Spec.Validation != nil {
		return d.Spec.Validation.OpenAPIV3Schema
	}
	return d.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// The API server accepts each definition: structure, defaults, list types, and
// the cost of every CEL rule.
func TestDefinitionsPassTheAPIServersValidation(t *testing.T) {
	ds := definitions(t)
	var kinds []string
	for kind, d := range ds {
		kinds = append(kinds, kind)
		d.Status.StoredVersions = []string{"v1alpha1"}
		for _, err := range validation.ValidateCustomResourceDefinition(context.Background(), d) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	sort.Strings(kinds)
	want := []string{"ClusterTask", "Instance", "NodePool", "ScalingActivity", "ScalingGroup"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

// Every field says what it is; every string, list and map has a bound, so that
// no object grows beyond what the API server stores and CEL can be costed.
func TestFieldsAreDocumentedAndBounded(t *testing.T) {
	for kind, d := range definitions(t) {
		s, err := structuralschema.NewStructural(schemaOf(d))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		for _, part := range []string{"spec", "status"} {
			p := s.Properties[part]
			walkSchema(kind+"."+part, &p, func(path string, s *structuralschema.Structural) {
				for _, problem := range fieldProblems(path, s) {
					t.Errorf("%s: %s", path, problem)
				}
			})
		}
	}
}

// walkSchema calls visit for a schema and all below it.
func walkSchema(path string, s *structuralschema.Structural, visit func(string, *structuralschema.Structural)) {
	visit(path, s)
	if s.Items != nil {
		walkSchema(path+"[]", s.Items, visit)
	}
	for name := range s.Properties {
		p := s.Properties[name]
		walkSchema(path+"."+name, &p, visit)
	}
}

// fieldProblems says what a field lacks.
func fieldProblems(path string, s *structuralschema.Structural) []string {
	var out []string
	if s.Description == "" && !strings.HasSuffix(path, "[]") {
		out = append(out, "has no description for kubectl explain")
	}
	v := s.ValueValidation
	if v == nil {
		v = &structuralschema.ValueValidation{}
	}
	switch s.Type {
	case "string":
		// The strings of a taint are of Kubernetes' own type; the rules on
		// the list bound them.
		if v.MaxLength == nil && v.Enum == nil && v.Format == "" && !strings.Contains(path, "taints[]") {
			out = append(out, "is a string without maxLength, enum or format")
		}
	case "array":
		if v.MaxItems == nil {
			out = append(out, "is a list without maxItems")
		}
		if s.XListType == nil {
			out = append(out, "is a list without a list type")
		}
	case "object":
		if s.AdditionalProperties != nil && v.MaxProperties == nil {
			out = append(out, "is a map without maxProperties")
		}
	}
	if strings.Contains(s.Description, "\n\n\n") {
		out = append(out, "has a description with holes")
	}
	for _, r := range s.XValidations {
		if r.Message == "" {
			out = append(out, fmt.Sprintf("has a rule without a message: %s", r.Rule))
		}
	}
	return out
}

// People look at the same columns in the order they ask: is it as wished, how
// many, why not.
func TestPrinterColumnsAndNames(t *testing.T) {
	want := map[string]string{
		"NodePool":        "nodepools pkp: Status Expected In Service Joining Failed Strength Summary Age",
		"ScalingGroup":    "scalinggroups pkg: Pool Desired Counted Stable Coming Strength Summary Age",
		"ScalingActivity": "scalingactivities asa: Group State Cause Summary Age",
		"Instance":        "instances pki: Pool State Node Zone Type Summary Age",
		"ClusterTask":     "clustertasks pkt: Title State Code Progress Age",
	}
	got := map[string]string{}
	for kind, d := range definitions(t) {
		cols := d.Spec.AdditionalPrinterColumns
		if cols == nil {
			cols = d.Spec.Versions[0].AdditionalPrinterColumns
		}
		line := d.Spec.Names.Plural + " " + strings.Join(d.Spec.Names.ShortNames, ",") + ":"
		for _, c := range cols {
			if c.Priority == 0 {
				line += " " + c.Name
			}
		}
		got[kind] = line
		if d.Spec.Scope != apiextensions.ClusterScoped {
			t.Errorf("%s is not cluster-scoped", kind)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}
