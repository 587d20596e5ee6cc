package controller

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// slowly finds a kind from the second time on.
type slowly struct {
	meta.RESTMapper
	asked int
}

func (s *slowly) RESTMapping(k schema.GroupKind, v ...string) (*meta.RESTMapping, error) {
	if s.asked++; s.asked == 1 {
		return nil, errors.New("the API server is away")
	}
	return &meta.RESTMapping{Resource: api.GroupVersion.WithResource("instances"), GroupVersionKind: k.WithVersion(v[0])}, nil
}

func TestWhatWasFoundIsRemembered(t *testing.T) {
	usual := &slowly{}
	m, kind := &mapper{RESTMapper: usual}, api.GroupVersion.WithKind("Instance")
	if _, err := m.RESTMapping(kind.GroupKind(), kind.Version); err == nil {
		t.Fatal("a failure was not told")
	}
	for range 3 {
		got, err := m.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil || got.Resource.Resource != "instances" {
			t.Fatalf("%v %v", got, err)
		}
	}
	if usual.asked != 2 {
		t.Errorf("looked for %d times, want twice: once in vain, once found", usual.asked)
	}
	other, err := m.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "v1")
	if err != nil || other.GroupVersionKind.Kind != "Deployment" {
		t.Errorf("another kind: %v %v", other, err)
	}
}
