package v1alpha1_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	crvalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// judge validates objects of one kind as the API server does.
type judge struct {
	structural *structuralschema.Structural
	schema     crvalidation.SchemaValidator
	rules      *cel.Validator
}

func newJudge(t *testing.T, d *apiextensions.CustomResourceDefinition) judge {
	t.Helper()
	s, err := structuralschema.NewStructural(schemaOf(d))
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := crvalidation.NewSchemaValidator(schemaOf(d))
	if err != nil {
		t.Fatal(err)
	}
	return judge{structural: s, schema: v, rules: cel.NewValidator(s, true, celconfig.PerCallLimit)}
}

// errors of writing obj, over old where there is one.
func (j judge) errors(obj, old map[string]any) []string {
	defaulting.Default(obj, j.structural)
	var errs field.ErrorList
	var before any
	if old == nil {
		errs = crvalidation.ValidateCustomResource(nil, obj, j.schema)
	} else {
		defaulting.Default(old, j.structural)
		before = old
		errs = crvalidation.ValidateCustomResourceUpdate(nil, obj, old, j.schema)
	}
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, j.structural, obj)...)
	if !slices.ContainsFunc(errs, blocksRules) {
		celErrs, _ := j.rules.Validate(context.Background(), nil, j.structural, obj, before, celconfig.RuntimeCELCostBudget)
		errs = append(errs, celErrs...)
	}
	var out []string
	for _, e := range errs {
		detail := e.Detail
		if detail == "" {
			detail = e.Type.String()
		}
		out = append(out, strings.TrimPrefix(fmt.Sprintf("%s: %s", e.Field, detail), "<nil>: "))
	}
	sort.Strings(out)
	return out
}

// blocksRules says whether the API server stops before the CEL rules.
func blocksRules(e *field.Error) bool {
	switch e.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
		return true
	}
	return false
}

// Each rule accepts and refuses. A case is a merge patch onto the smallest
// object of its kind; an update has the old object's patch first.
func TestRules(t *testing.T) {
	base := map[string]json.RawMessage{}
	b, err := os.ReadFile("testdata/smallest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &base); err != nil {
		t.Fatal(err)
	}
	judges, unseen := map[string]judge{}, map[string]bool{}
	for kind, d := range definitions(t) {
		judges[kind] = newJudge(t, d)
		walkSchema(kind, judges[kind].structural, func(path string, s *structuralschema.Structural) {
			for _, r := range s.XValidations {
				unseen[kind+" "+r.Message] = true
			}
		})
	}
	datadriven.RunTest(t, "testdata/rules.txt", func(t *testing.T, d *datadriven.TestData) string {
		kind := d.CmdArgs[0].Key
		var old map[string]any
		input := d.Input
		if d.Cmd == "update" {
			before, after, _ := strings.Cut(d.Input, "---\n")
			old, input = patched(t, base[kind], before), after
		}
		errs := judges[kind].errors(patched(t, base[kind], input), old)
		for k := range unseen {
			_, message, _ := strings.Cut(k, " ")
			if strings.HasPrefix(k, kind+" ") && strings.Contains(strings.Join(errs, "\n"), message) {
				delete(unseen, k)
			}
		}
		if len(errs) == 0 {
			return "accepted\n"
		}
		return strings.Join(errs, "\n") + "\n"
	})
	for k := range unseen {
		// A group holds copies of what the pool was accepted with; its rules
		// are the same schema, seen refusing on the pool.
		if !strings.HasPrefix(k, "ScalingGroup ") || unseen["NodePool "+strings.TrimPrefix(k, "ScalingGroup ")] {
			t.Errorf("no case is refused by the rule of %s", k)
		}
	}
}

// patched returns base with a merge patch, written in YAML, on it.
func patched(t *testing.T, base []byte, patch string) map[string]any {
	t.Helper()
	var object, change map[string]any
	if err := yaml.Unmarshal(base, &object); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(patch), &change); err != nil {
		t.Fatalf("read patch: %v\n%s", err, patch)
	}
	return integers(merged(object, change)).(map[string]any)
}

// merged is a merge patch: null takes a field away, objects merge, all else
// replaces.
func merged(object, change map[string]any) map[string]any {
	if object == nil {
		object = map[string]any{}
	}
	for k, v := range change {
		if sub, ok := v.(map[string]any); ok {
			below, _ := object[k].(map[string]any)
			object[k] = merged(below, sub)
		} else if v == nil {
			delete(object, k)
		} else {
			object[k] = v
		}
	}
	return object
}

// integers turns whole floats into int64, as the API server's decoder does.
func integers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = integers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = integers(v[i])
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}
