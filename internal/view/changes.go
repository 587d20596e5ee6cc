package view

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// mostChanged is the most that is shown of one changed value. Unit: bytes.
const mostChanged = 200

// SpecChanges names each field that differs between two specs, with its value
// before and after, one line each. The text of scripts is not shown.
func SpecChanges(before, after *v1alpha1.NodePoolSpec) string {
	old, cur := fieldsOf(before), fieldsOf(after)
	var names []string
	for name := range old {
		names = append(names, name)
	}
	for name := range cur {
		if _, ok := old[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		if reflect.DeepEqual(old[name], cur[name]) {
			continue
		}
		if name == "userData" {
			b.WriteString("  userData: changed\n")
			continue
		}
		was, is := fieldText(old[name]), fieldText(cur[name])
		if name == "lifecycleHooks" {
			was, is = hooksText(before.LifecycleHooks), hooksText(after.LifecycleHooks)
		}
		fmt.Fprintf(&b, "  %s: %s -> %s\n", name, was, is)
	}
	return b.String()
}

// hooksText is lifecycle hooks as pool edit takes them.
func hooksText(list []v1alpha1.LifecycleHook) string {
	var parts []string
	for i := range list {
		h := &list[i]
		way := "in"
		if h.Transition == v1alpha1.WayOut {
			way = "out"
		}
		timeout := Duration(time.Duration(h.TimeoutSeconds()) * time.Second)
		parts = append(parts, fmt.Sprintf("%s=%s,timeout=%s,default=%s", h.Name, way, timeout, strings.ToLower(orDefault(string(h.DefaultResult), string(v1alpha1.HookContinue)))))
	}
	return orDefault(strings.Join(parts, " "), "none")
}

// fieldsOf is a spec as its fields.
func fieldsOf(s *v1alpha1.NodePoolSpec) map[string]any {
	m := map[string]any{}
	if b, err := json.Marshal(s); err == nil {
		_ = json.Unmarshal(b, &m)
	}
	return m
}

// fieldText is a value on one line.
func fieldText(v any) string {
	if v == nil {
		return "none"
	}
	if list, ok := v.([]any); ok {
		var parts []string
		for _, x := range list {
			parts = append(parts, fieldText(x))
		}
		return clip(strings.Join(parts, ", "), mostChanged)
	}
	if s, ok := v.(string); ok {
		return clip(OneLine(s), mostChanged)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return clip(OneLine(string(b)), mostChanged)
}
