package controller

import (
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// mapper remembers under which resource each kind was found. The client of bare
// metadata asks at each call, and the usual one searches all that it knows anew.
type mapper struct {
	meta.RESTMapper
	found sync.Map // schema.GroupVersionKind: *meta.RESTMapping
}

// newMapper makes a mapper for a manager.
func newMapper(c *rest.Config, h *http.Client) (meta.RESTMapper, error) {
	usual, err := apiutil.NewDynamicRESTMapper(c, h)
	if err != nil {
		return nil, err
	}
	return &mapper{RESTMapper: usual}, nil
}

// RESTMapping implements [meta.RESTMapper].
func (m *mapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	if len(versions) != 1 {
		return m.RESTMapper.RESTMapping(kind, versions...)
	}
	key := kind.WithVersion(versions[0])
	if known, ok := m.found.Load(key); ok {
		return known.(*meta.RESTMapping), nil
	}
	found, err := m.RESTMapper.RESTMapping(kind, versions...)
	if err == nil {
		m.found.Store(key, found)
	}
	return found, err
}
