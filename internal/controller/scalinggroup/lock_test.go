package scalinggroup_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// An activity that another leader opens between our look at the activities and
// that at the group has taken its number with it: the next name is free and no
// lock.
func TestTheNextNameIsNoLock(t *testing.T) {
	b := newBench(t, nil)
	one := b.r
	b.restart()
	other, lists := b.r, 0
	b.r = one
	live := interceptor.NewClient(b.WithWatch, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			err := c.List(ctx, list, opts...)
			if _, ok := list.(*api.ScalingActivityList); ok && err == nil && lists == 0 {
				lists++
				b.look() // opens web-a1 and writes its number into the group
			}
			return err
		},
	})
	other.Live = live
	if _, err := other.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "web"}}); err != nil {
		t.Fatal(err)
	}
	if n := b.group().Status.LastActivity; lists != 1 || n != 1 {
		t.Fatalf("the other leader was not in between: %d lists, activity %d", lists, n)
	}
	if n := len(b.activities()); n != 1 {
		t.Fatalf("%d activities are open together", n)
	}
	a := b.carryOut(all)
	// One that was deleted by hand holds up nothing.
	if err := b.Delete(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	b.get(a.Name, a)
	a.Finalizers = nil
	if err := b.Update(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	b.desired(4)
	b.later(time.Minute)
	if next := b.open(); next == nil || next.Name != "web-a2" {
		t.Fatalf("%+v", next)
	}
}
