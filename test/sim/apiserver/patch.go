package apiserver

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
)

// patch applies a patch to the newest version of an object. Only a patch that
// names a resource version can meet a conflict.
func (s *Server) patch(sh *shelf, namespace, name string, kind types.PatchType, data []byte, part string) (*stored, error) {
	old, err := sh.find(namespace, name)
	if err != nil {
		return nil, err
	}
	raw := cloneMap(old.raw)
	switch kind {
	case types.MergePatchType:
		var p map[string]any
		if err := json.Unmarshal(data, &p); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		raw = merge(raw, p)
	case types.JSONPatchType:
		if err := operations(raw, data); err != nil {
			return nil, unprocessable(err)
		}
	default:
		return nil, apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "patch", sh.resource(), name, string(kind)+" is not modelled", 0, true)
	}
	if text(metaOf(raw), "name") != name {
		return nil, apierrors.NewBadRequest("the name of the object does not match the name on the URL")
	}
	return s.update(sh, raw, part)
}

// unprocessable is the answer to a JSON patch that cannot be applied.
func unprocessable(err error) error {
	e := apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
	e.ErrStatus.Message = err.Error()
	return e
}

// merge is a JSON merge patch.
func merge(to, p map[string]any) map[string]any {
	if to == nil {
		to = map[string]any{}
	}
	for k, v := range p {
		switch v := v.(type) {
		case nil:
			delete(to, k)
		case map[string]any:
			under, _ := to[k].(map[string]any)
			to[k] = merge(under, v)
		default:
			to[k] = v
		}
	}
	return to
}

// operation is one line of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// operations applies a JSON patch of tests, removals, additions and
// replacements to an object.
func operations(raw map[string]any, data []byte) error {
	var list []operation
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	for _, o := range list {
		if err := o.apply(raw); err != nil {
			return err
		}
	}
	return nil
}

func (o operation) apply(raw map[string]any) error {
	steps := strings.Split(strings.TrimPrefix(o.Path, "/"), "/")
	for n, s := range steps {
		steps[n] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	}
	var at any = raw
	var set func(any)
	for _, s := range steps[:len(steps)-1] {
		next, put, ok := child(at, s)
		if !ok {
			return fmt.Errorf("%s operation: path %s does not exist", o.Op, o.Path)
		}
		at, set = next, put
	}
	last := steps[len(steps)-1]
	value, put, there := child(at, last)
	switch {
	case o.Op == "test" && there && reflect.DeepEqual(value, o.Value):
	case o.Op == "test":
		return fmt.Errorf("testing value %s failed", o.Path)
	case o.Op == "remove" && there:
		removeChild(at, last, set)
	case (o.Op == "replace" && there) || (o.Op == "add" && put != nil):
		put(o.Value)
	default:
		return fmt.Errorf("%s operation does not apply: %s", o.Op, o.Path)
	}
	return nil
}

// child finds one member of an object or a list, and how to set it.
func child(at any, name string) (value any, set func(any), there bool) {
	switch at := at.(type) {
	case map[string]any:
		value, there = at[name]
		return value, func(v any) { at[name] = v }, there
	case []any:
		n, err := strconv.Atoi(name)
		if err != nil || n < 0 || n >= len(at) {
			return nil, nil, false
		}
		return at[n], func(v any) { at[n] = v }, true
	}
	return nil, nil, false
}

// removeChild takes a member out; set replaces the list that holds it.
func removeChild(at any, name string, set func(any)) {
	switch at := at.(type) {
	case map[string]any:
		delete(at, name)
	case []any:
		n, _ := strconv.Atoi(name)
		set(append(append([]any{}, at[:n]...), at[n+1:]...))
	}
}
