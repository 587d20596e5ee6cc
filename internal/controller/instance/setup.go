package instance

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// SetupWithManager watches Instances, Nodes and sweeps. Events of one group
// within the gathering time become one pass.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	swept := make(chan event.TypedGenericEvent[struct{}], 1)
	adopt := make(chan event.TypedGenericEvent[struct{}], 1)
	r.Sweeper.OnSweep(func() { poke(swept); poke(adopt) })
	err := ctrl.NewControllerManagedBy(mgr).Named("instance").
		Watches(&api.Instance{}, r.gather(func(o client.Object) string { return o.(*api.Instance).Spec.Group })).
		Watches(&corev1.Node{}, r.gather(r.groupOfNode)).
		WatchesRawSource(source.TypedChannel(swept, r.allGroups())).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4,
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](r.Waits.Conflict, r.Waits.RetryMost)}).
		Complete(r)
	if err != nil {
		return err
	}
	a := &Adopter{Reconciler: r, firstSeen: map[string]time.Time{}}
	return ctrl.NewControllerManagedBy(mgr).Named("adopt").
		WatchesRawSource(source.TypedChannel(adopt, handler.TypedEnqueueRequestsFromMapFunc(
			func(context.Context, struct{}) []reconcile.Request {
				return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: "region"}}}
			}))).
		Complete(a)
}

func poke(c chan event.TypedGenericEvent[struct{}]) {
	select {
	case c <- event.TypedGenericEvent[struct{}]{}:
	default:
	}
}

// gather enqueues a group a moment after an event, so that many make one pass.
func (r *Reconciler) gather(group func(client.Object) string) handler.EventHandler {
	add := func(o client.Object, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if g := group(o); g != "" {
			q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: g}}, r.Waits.Gather)
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

// groupOfNode is the group of the Instance that a Node is named after.
func (r *Reconciler) groupOfNode(o client.Object) string {
	i := &api.Instance{}
	if err := r.Cache.Get(context.Background(), types.NamespacedName{Name: o.GetName()}, i, client.UnsafeDisableDeepCopy); err != nil {
		return ""
	}
	return i.Spec.Group
}

// allGroups enqueues every group.
func (r *Reconciler) allGroups() handler.TypedEventHandler[struct{}, reconcile.Request] {
	return handler.TypedEnqueueRequestsFromMapFunc(func(ctx context.Context, _ struct{}) []reconcile.Request {
		var list api.ScalingGroupList
		if err := r.Cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
			return nil
		}
		out := make([]reconcile.Request, 0, len(list.Items))
		for i := range list.Items {
			out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Name: list.Items[i].Name}})
		}
		return out
	})
}
