package activity

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// SetupWithManager watches activities, and groups whose wish changes: an open
// activity may have to stop, or to go on. One look at what no activity looks
// after is asked for at the start.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("activity").
		For(&api.ScalingActivity{}).
		Watches(&api.ScalingGroup{}, handler.EnqueueRequestsFromMapFunc(r.openOf), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			q.Add(tidyRequest)
			return nil
		})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4,
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](r.Waits.Conflict, r.Waits.RetryMost)}).
		Complete(r)
}

// openOf names the activities of a group that may still send.
func (r *Reconciler) openOf(ctx context.Context, o client.Object) []reconcile.Request {
	var list api.ScalingActivityList
	if r.Cache.List(ctx, &list, client.MatchingLabels{api.LabelGroup: o.GetName()}, client.UnsafeDisableDeepCopy) != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if !list.Items[i].Status.Done {
			out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Name: list.Items[i].Name}})
		}
	}
	return out
}
