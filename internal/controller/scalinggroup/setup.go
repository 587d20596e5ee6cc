package scalinggroup

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/watch"
)

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.pokes = make(chan event.TypedGenericEvent[string], pokesHeld)
	poked := source.TypedChannel(r.pokes, handler.TypedEnqueueRequestsFromMapFunc(
		func(_ context.Context, group string) []reconcile.Request {
			return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: group}}}
		}))
	return watch.Run(mgr, watch.Settings{Name: "scalinggroup", Workers: 4, First: r.Waits.Conflict, Most: r.Waits.RetryMost,
		Watches: r.Watches(), Sources: []source.Source{poked}}, r)
}

// Watches makes the reconciler look at groups, their activities and their
// instances. What this controller writes itself does not wake it; events of one
// group are gathered into one pass, those of its instances for longer, since a
// large group has many.
func (r *Reconciler) Watches() []watch.Watch {
	return []watch.Watch{
		{Object: &api.ScalingGroup{}, Handler: watch.Itself(), Predicates: []predicate.Predicate{predicate.GenerationChangedPredicate{}}},
		{Object: &api.ScalingActivity{}, Handler: gathered(func(string) time.Duration { return r.Waits.Gather }, func(o client.Object) string {
			a, ok := o.(*api.ScalingActivity)
			if !ok {
				return ""
			}
			return a.Spec.Group
		})},
		{Object: &api.Instance{}, Handler: gathered(func(name string) time.Duration { return r.Waits.Summary(r.forgettable.size(name)) }, func(o client.Object) string {
			i, ok := o.(*api.Instance)
			if !ok {
				return ""
			}
			return i.Spec.Group
		})},
	}
}

// pokesHeld is how many pokes may wait: one for each group of a large region.
const pokesHeld = 1024

// Poke makes a group look again at what its guard says. It returns at once; a
// poke too many is dropped, and the group looks again by itself later.
func (r *Reconciler) Poke(group string) {
	select {
	case r.pokes <- event.TypedGenericEvent[string]{Object: group}:
	default:
	}
}

// gathered wakes the group of an object a while after the first event.
func gathered(after func(group string) time.Duration, groupOf func(client.Object) string) handler.EventHandler {
	add := func(o client.Object, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if name := groupOf(o); name != "" {
			q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}, after(name))
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			add(e.Object, q)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			add(e.ObjectNew, q)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			add(e.Object, q)
		},
	}
}
