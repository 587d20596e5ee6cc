package nodepool

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/watch"
)

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return watch.Run(mgr, watch.Settings{Name: "nodepool", Workers: 4, First: r.Waits.Conflict, Most: r.Waits.RetryMost, Watches: r.Watches()}, r)
}

// Watches makes the reconciler look at a pool when the pool, its group or its
// Delete task changes, when a definition of ours does, and, at the pace of the
// status, when one of its Instances does.
func (r *Reconciler) Watches() []watch.Watch {
	return []watch.Watch{
		{Object: &api.NodePool{}, Handler: watch.Itself()},
		{Object: &api.ScalingGroup{}, Handler: handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
			return named(o.(*api.ScalingGroup).Spec.Pool)
		})},
		{Object: &api.ClusterTask{}, Handler: handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
			if t := o.(*api.ClusterTask); t.Spec.Type == api.TaskDelete {
				return named(t.Spec.Pool)
			}
			return nil
		})},
		{Object: &api.Instance{}, Handler: r.paced()},
		{Object: definition(), Handler: handler.EnqueueRequestsFromMapFunc(r.everyPool), OnlyMetadata: true},
	}
}

func named(pool string) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: pool}}}
}

// everyPool asks for a look at every pool when a definition of ours changes.
func (r *Reconciler) everyPool(ctx context.Context, o client.Object) []reconcile.Request {
	ours := false
	for _, name := range definitions {
		ours = ours || name == o.GetName()
	}
	var list api.NodePoolList
	if !ours || r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy) != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		out = append(out, named(list.Items[i].Name)...)
	}
	return out
}

// paced asks for a look at the pool of an Instance when its status may next be
// written: thousands of changes are one look.
func (r *Reconciler) paced() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(o client.Object, q queue) {
		i, ok := o.(*api.Instance)
		if !ok {
			return
		}
		req := named(i.Spec.Pool)[0]
		q.AddAfter(req, max(r.untilWrite(req.Name, r.Now()), r.Waits.Gather))
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { add(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { add(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { add(e.Object, q) },
	}
}
