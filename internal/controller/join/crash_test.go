package join

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// An approval that is cut off before or after either of its writes, or that
// meets a newer record, is brought to its end by the next look: the key that
// stands is the one that is let in.
func TestApprovalThatIsCutOff(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "instances"}, "i-1", errors.New("newer"))
	for name, tc := range map[string]struct {
		at    int
		after bool
		err   error
	}{
		"before the key":             {1, false, errors.New("killed")},
		"after the key":              {1, true, errors.New("killed")},
		"a newer record":             {1, false, conflict},
		"before the approval":        {2, false, errors.New("killed")},
		"after the approval":         {2, true, errors.New("killed")},
		"a newer request":            {2, false, conflict},
		"answer of the key was lost": {1, true, apierrors.NewTimeoutError("lost", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			m := aMachine(t, "i-1")
			b.record("i-1", nil)
			n := 0
			hit := func(do func() error) error {
				if n++; n != tc.at {
					return do()
				}
				if tc.after {
					if err := do(); err != nil {
						return err
					}
				}
				return tc.err
			}
			b.r.Client = interceptor.NewClient(b.WithWatch, interceptor.Funcs{
				Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
					return hit(func() error { return c.Patch(ctx, o, p, opts...) })
				},
				SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
					return hit(func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
				},
			})
			if err := b.Create(b.Context(), m.files(t, b.region, "web", "r1")); err != nil {
				t.Fatal(err)
			}
			again := func() (ctrl.Result, error) {
				return b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "r1"}})
			}
			res, err := again()
			if err == nil && res.RequeueAfter == 0 {
				t.Fatal("nobody looks again")
			}
			b.r.memory = memory{} // another process
			if _, err := again(); err != nil {
				t.Fatal(err)
			}
			if b.answer("r1") != "Approved" || b.instance("i-1").Spec.JoinKey != m.hash(t) {
				t.Fatalf("%q, key %q", b.answer("r1"), b.instance("i-1").Spec.JoinKey)
			}
			b.file(aMachine(t, "i-1").files(t, b.region, "web", "r2"))
			if b.answer("r2") != "Denied" || b.instance("i-1").Spec.JoinKey != m.hash(t) {
				t.Fatalf("another key: %q", b.answer("r2"))
			}
		})
	}
}

// A record that appears right when its request is put aside is not missed.
func TestRecordThatAppearsMeanwhileIsNotMissed(t *testing.T) {
	b := newBench(t)
	looks := 0
	b.r.Client = interceptor.NewClient(b.WithWatch, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, key, o, opts...)
			if _, ok := o.(*api.Instance); ok {
				if looks++; looks == 1 {
					b.record("i-new", nil)
					if b.r.waitsFor(ctx, b.instance("i-new")) != nil {
						t.Error("the request was put aside already")
					}
				}
			}
			return err
		},
	})
	b.file(aMachine(t, "i-new").files(t, b.region, "web", "r1"))
	if b.last.RequeueAfter <= 0 || b.last.RequeueAfter > time.Second {
		t.Fatalf("looked at again after %v", b.last.RequeueAfter)
	}
	b.look("r1")
	if got := b.answer("r1"); got != "Approved" {
		t.Fatalf("answer: %q", got)
	}
}

// What was told is dropped once a minute, not looked through for each instance.
func TestMemoryOfDenialsStaysSmall(t *testing.T) {
	m := memory{}
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for n := range 5000 {
		if !m.mayTell(fmt.Sprint("i-", n), now.Add(time.Duration(n)*time.Second)) {
			t.Fatalf("instance %d was not told", n)
		}
		if len(m.told) > 2*60+1 {
			t.Fatalf("%d are kept", len(m.told))
		}
	}
}

// A node that joins costs reads from the cache only: of its request and its
// record, once each, however often other Instances change.
func TestReadsOfAJoin(t *testing.T) {
	b := newBench(t)
	m := aMachine(t, "i-1")
	b.record("i-1", nil)
	reads, lists := map[string]int{}, 0
	b.r.Client = interceptor.NewClient(b.WithWatch, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			reads[fmt.Sprintf("%T", o)]++
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			lists++
			return c.List(ctx, l, opts...)
		},
	})
	b.file(m.files(t, b.region, "web", "r1"))
	for range 100 {
		if got := b.r.waitsFor(t.Context(), b.instance("i-1")); got != nil {
			t.Fatalf("an Instance that nobody waits for wakes %v", got)
		}
	}
	if b.answer("r1") != "Approved" || lists != 0 || reads["*v1alpha1.Instance"] != 1 || reads[fmt.Sprintf("%T", &certificatesv1.CertificateSigningRequest{})] != 1 {
		t.Fatalf("%q, %d lists, %v", b.answer("r1"), lists, reads)
	}
}
