package apiserver

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Kind is what the server knows of a kind.
type Kind struct {
	// Resource is its plural, as errors name it.
	Resource string
	// Namespaced kinds live in a namespace.
	Namespaced bool
	// Custom kinds count generations, keep status apart from the rest also when
	// they are created, and are only updated under a resource version.
	Custom bool
	// Frozen says whether everything but metadata and status of an object may
	// never change again.
	Frozen func(object map[string]any) bool
	// Newer is a field of spec and status that a definition of the next version
	// has and no client of this one knows; empty: none.
	Newer string
	// Fixed kinds keep their spec, whatever an update says of it.
	Fixed bool
	// Refuse says why a change is refused; nil: none is.
	Refuse func(old, next map[string]any) *field.Error
}

// Options of a Server.
type Options struct {
	Scheme *runtime.Scheme
	Kinds  map[schema.GroupVersionKind]Kind
	Now    func() time.Time
	// Random makes UIDs and generated names.
	Random *rand.Rand
	// OnChange is told of each change when it has happened.
	OnChange func(Event)
}

// Server is the one store. Its zero value is not ready: use New.
type Server struct {
	Options
	version int64
	kinds   map[schema.GroupVersionKind]*shelf
}

// shelf holds the objects of one kind, and all that ever happened to them.
type shelf struct {
	Kind
	gvk     schema.GroupVersionKind
	objects map[key]*stored
	log     []Event
}

type key struct{ namespace, name string }

// stored is one version of an object. It is never changed.
type stored struct {
	raw    map[string]any
	object client.Object
}

// Event is one change of one object. Old is nil where it was created, New is
// its last version where it was deleted.
type Event struct {
	Kind     schema.GroupVersionKind
	Version  int64
	Time     time.Time
	Old, New client.Object
	Deleted  bool
}

// New returns an empty server.
func New(o Options) *Server {
	s := &Server{Options: o, kinds: map[schema.GroupVersionKind]*shelf{}, version: 1000}
	for gvk, k := range o.Kinds {
		s.kinds[gvk] = &shelf{Kind: k, gvk: gvk, objects: map[key]*stored{}}
	}
	return s
}

// Version is the newest resource version.
func (s *Server) Version() int64 { return s.version }

// Objects are all objects of a kind, in the order of their names. They are
// shared and must not be changed.
func (s *Server) Objects(gvk schema.GroupVersionKind) []client.Object {
	return s.kinds[gvk].sorted()
}

func (sh *shelf) sorted() []client.Object {
	out := make([]client.Object, 0, len(sh.objects))
	for _, o := range sh.objects {
		out = append(out, o.object)
	}
	sortByName(out)
	return out
}

func sortByName(list []client.Object) {
	slices.SortFunc(list, func(a, b client.Object) int {
		if c := strings.Compare(a.GetNamespace(), b.GetNamespace()); c != 0 {
			return c
		}
		return strings.Compare(a.GetName(), b.GetName())
	})
}

// shelfOf finds the shelf of an object's kind.
func (s *Server) shelfOf(gvk schema.GroupVersionKind) (*shelf, error) {
	sh := s.kinds[gvk]
	if sh == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, "")
	}
	return sh, nil
}

func (sh *shelf) resource() schema.GroupResource {
	return schema.GroupResource{Group: sh.gvk.Group, Resource: sh.Resource}
}

func (sh *shelf) notFound(name string) error { return apierrors.NewNotFound(sh.resource(), name) }

func (sh *shelf) conflict(name, why string) error {
	return apierrors.NewConflict(sh.resource(), name, fmt.Errorf("%s", why))
}

func (sh *shelf) key(namespace, name string) key {
	if !sh.Namespaced {
		namespace = ""
	}
	return key{namespace, name}
}

// find returns an object or the error of its absence.
func (sh *shelf) find(namespace, name string) (*stored, error) {
	o := sh.objects[sh.key(namespace, name)]
	if o == nil {
		return nil, sh.notFound(name)
	}
	return o, nil
}

// put makes what was decoded the stored version of an object.
func (s *Server) put(sh *shelf, o *stored) *stored {
	s.version++
	o.object.SetResourceVersion(strconv.FormatInt(s.version, 10))
	metaOf(o.raw)["resourceVersion"] = o.object.GetResourceVersion()
	at := sh.key(o.object.GetNamespace(), o.object.GetName())
	e := Event{Kind: sh.gvk, Version: s.version, Time: s.Now(), New: o.object}
	if old := sh.objects[at]; old != nil {
		e.Old = old.object
	}
	sh.objects[at] = o
	s.tell(sh, e)
	return o
}

// drop ends an object; its last version is raw.
func (s *Server) drop(sh *shelf, old *stored, raw map[string]any) error {
	s.version++
	metaOf(raw)["resourceVersion"] = strconv.FormatInt(s.version, 10)
	last, err := s.decode(sh.gvk, raw)
	if err != nil {
		return err
	}
	delete(sh.objects, sh.key(old.object.GetNamespace(), old.object.GetName()))
	s.tell(sh, Event{Kind: sh.gvk, Version: s.version, Time: s.Now(), Old: old.object, New: last.object, Deleted: true})
	return nil
}

func (s *Server) tell(sh *shelf, e Event) {
	sh.log = append(sh.log, e)
	if s.OnChange != nil {
		s.OnChange(e)
	}
}

// decode turns the wire form into a typed object and back, so that what is
// stored is what the wire can carry: whole seconds, no empty fields.
func (s *Server) decode(gvk schema.GroupVersionKind, raw map[string]any) (*stored, error) {
	o, err := s.Scheme.New(gvk)
	if err != nil {
		return nil, err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, o); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	typed, ok := o.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%s is no object", gvk.Kind)
	}
	typed.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	clean, err := encode(typed)
	if err != nil {
		return nil, err
	}
	s.keepNewer(gvk, raw, clean)
	return &stored{raw: clean, object: typed}, nil
}

// keepNewer keeps the field that only a newer client knows.
func (s *Server) keepNewer(gvk schema.GroupVersionKind, raw, clean map[string]any) {
	sh := s.kinds[gvk]
	if sh == nil || sh.Newer == "" {
		return
	}
	for _, part := range []string{"spec", "status"} {
		from, _ := raw[part].(map[string]any)
		v, there := from[sh.Newer]
		if !there {
			continue
		}
		to, ok := clean[part].(map[string]any)
		if !ok {
			to = map[string]any{}
			clean[part] = to
		}
		to[sh.Newer] = v
	}
}

// Newer is what a newer client wrote into the spec of an object; empty: nothing.
func (s *Server) Newer(gvk schema.GroupVersionKind, name string) string {
	sh := s.kinds[gvk]
	o := sh.objects[sh.key("", name)]
	if o == nil {
		return ""
	}
	return specText(o.raw, sh.Newer)
}

// encode is the wire form of an object.
func encode(o any) (map[string]any, error) {
	raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	if m, ok := raw["metadata"].(map[string]any); ok && m["creationTimestamp"] == nil {
		delete(m, "creationTimestamp")
	}
	delete(raw, "kind")
	delete(raw, "apiVersion")
	return raw, nil
}

// copyInto makes the object that a caller holds what is stored.
func copyInto(to, from client.Object) error {
	v, w := reflect.ValueOf(to), reflect.ValueOf(from.DeepCopyObject())
	if v.Type() != w.Type() {
		return fmt.Errorf("read %s: a %T was asked for, a %T is stored", from.GetName(), to, from)
	}
	v.Elem().Set(w.Elem())
	return nil
}

func metaOf(raw map[string]any) map[string]any {
	m, ok := raw["metadata"].(map[string]any)
	if !ok {
		m = map[string]any{}
		raw["metadata"] = m
	}
	return m
}

func text(m map[string]any, field string) string {
	s, _ := m[field].(string)
	return s
}

// clone copies a wire form.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = clone(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for n, e := range v {
			out[n] = clone(e)
		}
		return out
	}
	return v
}

func cloneMap(m map[string]any) map[string]any {
	out, _ := clone(m).(map[string]any)
	return out
}

const alphabet = "bcdfghjklmnpqrstvwxz2456789"

func (s *Server) suffix() string {
	b := make([]byte, 5)
	for n := range b {
		b[n] = alphabet[s.Random.IntN(len(alphabet))]
	}
	return string(b)
}

func (s *Server) uid() string {
	a, b := s.Random.Uint64(), s.Random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}
