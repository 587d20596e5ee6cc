// Package apitest gives tests of controllers an API server in memory that
// keeps what they rely on: UIDs, generations that rise with each change of a
// spec, resource versions and finalizers. In come objects that are there from
// the start, out goes a client. It knows no rule of validation or admission.
package apitest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// Clock is a clock that only a test moves. The zero value is not ready.
type Clock struct{ T time.Time }

// NewClock returns a clock at a fixed time.
func NewClock() *Clock { return &Clock{T: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)} }

// Now is the time.
func (c *Clock) Now() time.Time { return c.T }

// Pass lets time pass.
func (c *Clock) Pass(d time.Duration) { c.T = c.T.Add(d) }

// Scheme knows our kinds and those of Kubernetes that controllers read or write:
// the fake client walks all of its kinds at each write.
func Scheme(t testing.TB) *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{api.AddToScheme, corev1.AddToScheme, certificatesv1.AddToScheme, coordinationv1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Watch is told of each write before it is carried out: its verb (create,
// update, patch, delete, or the name of a subresource) and the object. An
// error refuses the write.
type Watch func(verb string, obj client.Object) error

// server is what the writes of one test go through.
type server struct {
	watch  Watch
	serial atomic.Int64
}

// New returns a client of a fresh API server with these objects. The watch may
// be nil.
func New(t testing.TB, watch Watch, objs ...client.Object) client.WithWatch {
	s := &server{watch: watch}
	if watch == nil {
		s.watch = func(string, client.Object) error { return nil }
	}
	for _, o := range objs {
		s.prepare(o)
	}
	return fake.NewClientBuilder().WithScheme(Scheme(t)).WithObjects(objs...).
		WithStatusSubresource(&api.NodePool{}, &api.ScalingGroup{}, &api.ScalingActivity{}, &api.Instance{}, &api.ClusterTask{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: s.create, Update: s.update, Patch: s.patch, Delete: s.remove, SubResourceUpdate: s.updateSub,
		}).Build()
}

// prepare gives a new object what an API server gives it.
func (s *server) prepare(o client.Object) {
	if o.GetUID() == "" {
		n := s.serial.Add(1)
		o.SetUID(types.UID(fmt.Sprintf("%08x-0000-0000-0000-%012d", n*0x10203, n)))
	}
	if o.GetGeneration() == 0 {
		o.SetGeneration(1)
	}
}

func (s *server) create(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	s.prepare(o)
	if err := s.watch("create", o); err != nil {
		return err
	}
	return c.Create(ctx, o, opts...)
}

// update raises the generation where the spec changes.
func (s *server) update(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
	if err := s.watch("update", o); err != nil {
		return err
	}
	old, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("update %s: it is no object", o.GetName())
	}
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), old); err != nil {
		return err
	}
	o.SetGeneration(old.GetGeneration())
	if spec(o) != spec(old) {
		o.SetGeneration(old.GetGeneration() + 1)
	}
	return c.Update(ctx, o, opts...)
}

func (s *server) patch(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	if err := s.watch("patch", o); err != nil {
		return err
	}
	return c.Patch(ctx, o, p, opts...)
}

func (s *server) remove(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
	if err := s.watch("delete", o); err != nil {
		return err
	}
	return c.Delete(ctx, o, opts...)
}

func (s *server) updateSub(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
	if err := s.watch(sub, o); err != nil {
		return err
	}
	return c.SubResource(sub).Update(ctx, o, opts...)
}

// spec is the spec of an object as text.
func spec(o client.Object) string {
	raw, err := json.Marshal(o)
	if err != nil {
		return err.Error()
	}
	var parts struct {
		Spec json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return err.Error()
	}
	return string(parts.Spec)
}
