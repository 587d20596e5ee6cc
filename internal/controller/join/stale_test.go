package join

import (
	"context"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// An account that cannot be asked for a second time makes nothing a forgery.
func TestTheAccountIsAskedForOnce(t *testing.T) {
	b := newBench(t)
	b.record("i-1", nil)
	asked := 0
	b.r.Account = func() string {
		if asked++; asked > 1 {
			return ""
		}
		return account
	}
	b.file(aMachine(t, "i-1").files(t, b.region, "web", "r1"))
	if got := b.answer("r1"); got != "Approved" {
		t.Fatalf("answer: %q", got)
	}
}

// A cache that stands still shows an instance with its key that was taken out
// since: nothing is approved, and it is asked less and less often.
func TestAKeyThatStandsIsNotBelievedOfTheCache(t *testing.T) {
	b := newBench(t)
	m := aMachine(t, "i-1")
	b.record("i-1", func(i *api.Instance) { i.Spec.JoinKey = m.hash(t) })
	stale, out := b.instance("i-1"), b.instance("i-1")
	out.Status.LifecycleState = api.InstanceRemoved
	if err := b.Status().Update(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	b.r.Client = interceptor.NewClient(b.WithWatch, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if i, ok := o.(*api.Instance); ok {
				stale.DeepCopyInto(i)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	b.file(m.files(t, b.region, "web", "r1"))
	first := b.last.RequeueAfter
	b.look("r1")
	if got := b.answer("r1"); got != "" || first <= 0 || b.last.RequeueAfter <= first {
		t.Fatalf("answer: %q, looked at again after %v and %v", got, first, b.last.RequeueAfter)
	}
	b.r.Client = b.WithWatch
	b.look("r1")
	if got := b.answer("r1"); got != "Denied" {
		t.Fatalf("answer: %q", got)
	}
}
