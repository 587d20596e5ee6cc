package nodepool

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// SetupWithManager registers the reconciler: it looks at a pool when the pool,
// its group or its Delete task changes, when a definition of ours does, and,
// at the pace of the status, when one of its Instances does.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("nodepool").
		For(&api.NodePool{}).
		Watches(&api.ScalingGroup{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
			return named(o.(*api.ScalingGroup).Spec.Pool)
		})).
		Watches(&api.ClusterTask{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
			if t := o.(*api.ClusterTask); t.Spec.Type == api.TaskDelete {
				return named(t.Spec.Pool)
			}
			return nil
		})).
		Watches(&api.Instance{}, r.paced()).
		Watches(definition(), handler.EnqueueRequestsFromMapFunc(r.everyPool), builder.OnlyMetadata).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4,
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](r.Waits.Conflict, r.Waits.RetryMost)}).
		Complete(r)
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
		q.AddAfter(req, max(r.memory.untilWrite(req.Name, r.Now(), r.Waits.StatusInterval), r.Waits.Gather))
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { add(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { add(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { add(e.Object, q) },
	}
}
