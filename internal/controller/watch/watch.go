// Package watch says which changes wake a controller, apart from who delivers
// them: a manager's caches, or a simulation, one change at a time. In come the
// kinds of objects with their handlers, out goes a controller that a manager
// runs. It decides nothing.
package watch

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Watch is one kind of objects whose changes wake a controller.
type Watch struct {
	// Object names the kind.
	Object client.Object
	// Handler says whom a change wakes.
	Handler handler.EventHandler
	// Predicates let through what matters; none: everything.
	Predicates []predicate.Predicate
	// OnlyMetadata of the objects is read.
	OnlyMetadata bool
}

// Itself wakes a controller for the changed object.
func Itself() handler.EventHandler { return &handler.EnqueueRequestForObject{} }

// Settings of a controller.
type Settings struct {
	Name string
	// Workers is how many keys are worked on at once.
	Workers int
	// First and Most bound the pause before a key is tried again that failed.
	First, Most time.Duration
	// Ranked says that the watches give keys a priority. Keys of equal rank go
	// through the cheaper queue.
	Ranked bool
	// Watches and Sources wake it.
	Watches []Watch
	Sources []source.Source
}

// Run has a manager run a reconciler as a controller.
func Run(mgr ctrl.Manager, s Settings, r reconcile.Reconciler) error {
	b := ctrl.NewControllerManagedBy(mgr).Named(s.Name)
	for _, w := range s.Watches {
		opts := []builder.WatchesOption{builder.WithPredicates(w.Predicates...)}
		if w.OnlyMetadata {
			opts = append(opts, builder.OnlyMetadata)
		}
		b = b.Watches(w.Object, w.Handler, opts...)
	}
	for _, from := range s.Sources {
		b = b.WatchesRawSource(from)
	}
	return b.WithOptions(controller.Options{MaxConcurrentReconciles: s.Workers, UsePriorityQueue: &s.Ranked,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](s.First, s.Most)}).Complete(r)
}

// Change is one change of an object; Old is nil where it is new.
type Change struct {
	Old, New client.Object
	Deleted  bool
}

// Tell tells a watch of one change of an object of its kind.
func (w Watch) Tell(ctx context.Context, c Change, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	pass := func(ask func(predicate.Predicate) bool) bool {
		for _, p := range w.Predicates {
			if !ask(p) {
				return false
			}
		}
		return true
	}
	switch {
	case c.Deleted:
		e := event.DeleteEvent{Object: c.New}
		if pass(func(p predicate.Predicate) bool { return p.Delete(e) }) {
			w.Handler.Delete(ctx, e, q)
		}
	case c.Old == nil:
		e := event.CreateEvent{Object: c.New}
		if pass(func(p predicate.Predicate) bool { return p.Create(e) }) {
			w.Handler.Create(ctx, e, q)
		}
	default:
		e := event.UpdateEvent{ObjectOld: c.Old, ObjectNew: c.New}
		if pass(func(p predicate.Predicate) bool { return p.Update(e) }) {
			w.Handler.Update(ctx, e, q)
		}
	}
}
