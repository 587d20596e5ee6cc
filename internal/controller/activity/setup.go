package activity

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/watch"
)

// SetupWithManager registers the reconciler. One look at what no activity looks
// after is asked for at the start.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	tidy := source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		q.Add(Tidy)
		return nil
	})
	return watch.Run(mgr, watch.Settings{Name: "activity", Workers: 4, First: r.Waits.Conflict, Most: r.Waits.RetryMost,
		Watches: r.Watches(), Sources: []source.Source{tidy}}, r)
}

// Watches makes the reconciler look at activities, and at groups whose wish
// changes: an open activity may have to stop, or to go on.
func (r *Reconciler) Watches() []watch.Watch {
	return []watch.Watch{
		{Object: &api.ScalingActivity{}, Handler: watch.Itself()},
		{Object: &api.ScalingGroup{}, Handler: handler.EnqueueRequestsFromMapFunc(r.openOf), Predicates: []predicate.Predicate{predicate.GenerationChangedPredicate{}}},
	}
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
