package clustertask

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/watch"
)

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.pokes = make(chan event.TypedGenericEvent[string], pokesHeld)
	poked := source.TypedChannel(r.pokes, handler.TypedEnqueueRequestsFromMapFunc(
		func(_ context.Context, task string) []reconcile.Request {
			return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: task}}}
		}))
	return watch.Run(mgr, watch.Settings{Name: "clustertask", Workers: 4, First: r.Waits.Conflict, Most: r.Waits.RetryMost,
		Watches: r.Watches(), Sources: []source.Source{poked}}, r)
}

// Watches makes the reconciler look at a task when the task changes, and, at
// the pace of its status, when the pool, the group or an Instance of an open
// task does. A new task of a pool wakes the open ones.
func (r *Reconciler) Watches() []watch.Watch {
	return []watch.Watch{
		{Object: &api.ClusterTask{}, Handler: watch.Itself()},
		{Object: &api.ClusterTask{}, Handler: r.wakes(true, func(o client.Object) string {
			if t := o.(*api.ClusterTask); !ended(t) {
				return t.Spec.Pool
			}
			return ""
		})},
		{Object: &api.NodePool{}, Handler: r.wakes(true, client.Object.GetName)},
		{Object: &api.ScalingGroup{}, Handler: r.wakes(false, func(o client.Object) string { return o.(*api.ScalingGroup).Spec.Pool })},
		{Object: &api.Instance{}, Handler: r.wakes(false, func(o client.Object) string { return o.(*api.Instance).Spec.Pool })},
	}
}

// wakes asks for a look at the open tasks of a pool, at once or when their
// status may next be written.
func (r *Reconciler) wakes(atOnce bool, pool func(client.Object) string) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(o client.Object, q queue) {
		p := pool(o)
		if p == "" {
			return
		}
		for _, name := range r.memory.of(p) {
			if _, task := o.(*api.ClusterTask); task && name == o.GetName() {
				continue // its own events come by themselves
			}
			req := reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
			if atOnce {
				q.Add(req)
				continue
			}
			q.AddAfter(req, max(r.memory.untilWrite(name, r.Now(), r.Waits.StatusInterval), r.Waits.Gather))
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { add(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { add(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { add(e.Object, q) },
	}
}
