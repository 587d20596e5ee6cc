package scenario

import (
	_ "embed" // the default is part of the program
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

//go:embed default.yaml
var defaultYAML []byte

// Default returns the built-in region.
func Default() Scenario {
	s, err := Read(nil)
	if err != nil {
		panic("the built-in scenario is broken: " + err.Error())
	}
	return s
}

// Read reads a scenario file over the default. Unknown keys are refused with
// their path, all of them at once.
func Read(file []byte) (Scenario, error) {
	base, err := object(defaultYAML)
	if err != nil {
		return Scenario{}, err
	}
	over, err := object(file)
	if err != nil {
		return Scenario{}, err
	}
	merged, err := json.Marshal(merge(base, over))
	if err != nil {
		return Scenario{}, fmt.Errorf("merge scenario: %w", err)
	}
	s, err := decode(merged)
	if err != nil {
		return Scenario{}, err
	}
	return s, s.Check()
}

func object(text []byte) (map[string]any, error) {
	b, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	v := map[string]any{}
	if string(b) == "null" {
		return v, nil
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, errors.New("read scenario: it is not an object; write keys such as `stock:`")
	}
	return v, nil
}

func merge(base, over map[string]any) map[string]any {
	for k, v := range over {
		b, isObject := base[k].(map[string]any)
		if o, ok := v.(map[string]any); ok && isObject {
			v = merge(b, o)
		}
		base[k] = v
	}
	return base
}

func decode(b []byte) (Scenario, error) {
	var s Scenario
	strict, err := kjson.UnmarshalStrict(b, &s)
	if err != nil {
		return Scenario{}, fmt.Errorf("read scenario: %w", err)
	}
	if len(strict) > 0 {
		var all []string
		for _, e := range strict {
			all = append(all, e.Error())
		}
		return Scenario{}, fmt.Errorf("read scenario: %s", strings.Join(all, "; "))
	}
	return s, nil
}
