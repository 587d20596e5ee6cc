package instance

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
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
	"github.com/poolkeeper/poolkeeper/internal/node"
)

// SetupWithManager registers the reconciler and its Adopter, which sweeps wake.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	swept := make(chan event.TypedGenericEvent[struct{}], 1)
	adopt := make(chan event.TypedGenericEvent[struct{}], 1)
	r.Sweeper.OnSweep(func() { poke(swept); poke(adopt) })
	err := watch.Run(mgr, watch.Settings{Name: "instance", Workers: 4, First: r.Waits.Conflict, Most: r.Waits.RetryMost, Watches: r.Watches(),
		Sources: []source.Source{source.TypedChannel(swept, handler.TypedEnqueueRequestsFromMapFunc(
			func(ctx context.Context, _ struct{}) []reconcile.Request { return r.Swept(ctx) }))}}, r)
	if err != nil {
		return err
	}
	return watch.Run(mgr, watch.Settings{Name: "adopt", Workers: 1, First: r.Waits.Conflict, Most: r.Waits.RetryMost,
		Sources: []source.Source{source.TypedChannel(adopt, handler.TypedEnqueueRequestsFromMapFunc(
			func(context.Context, struct{}) []reconcile.Request { return []reconcile.Request{Region} }))}}, &Adopter{Reconciler: r})
}

// Region is the one key of the Adopter.
var Region = reconcile.Request{NamespacedName: types.NamespacedName{Name: "region"}}

// Watches makes the reconciler look at Instances, Nodes and groups. Events of
// one group within the gathering time become one pass.
func (r *Reconciler) Watches() []watch.Watch {
	return []watch.Watch{
		{Object: &api.Instance{}, Handler: r.gather(func(o client.Object) string { return o.(*api.Instance).Spec.Group })},
		{Object: &corev1.Node{}, Handler: r.nodes(), Predicates: []predicate.Predicate{matters()}},
		{Object: &api.ScalingGroup{}, Handler: r.changed(), Predicates: []predicate.Predicate{predicate.GenerationChangedPredicate{}}},
	}
}

// matters lets through what changes what is known of a Node: that it is there,
// whether it is Ready, cordoned, and whose it is. Heartbeats do not.
func matters() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Node)
		after, also := e.ObjectNew.(*corev1.Node)
		if !ok || !also {
			return true
		}
		a, b := node.From(before), node.From(after)
		return a.UID != b.UID || a.Ready != b.Ready || a.Unschedulable != b.Unschedulable || a.Cordoned != b.Cordoned || a.ProviderID != b.ProviderID
	}}
}

// changed makes a full pass of a group whose spec changed.
func (r *Reconciler) changed() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		r.groups.of(o.GetName()).touchAll()
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: o.GetName()}}}
	})
}

func poke(c chan event.TypedGenericEvent[struct{}]) {
	select {
	case c <- event.TypedGenericEvent[struct{}]{}:
	default:
	}
}

// gather remembers what changed and enqueues its group a moment later, so that
// many events make one pass.
func (r *Reconciler) gather(group func(client.Object) string) handler.EventHandler {
	add := func(o client.Object, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if g := group(o); g != "" {
			r.groups.of(g).touch(o.GetName())
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
func (r *Reconciler) groupOfNode(o client.Object) string { return r.groupOf(o.GetName()) }

// groupOf is the group of an Instance; empty where there is none.
func (r *Reconciler) groupOf(name string) string {
	i := &api.Instance{}
	if err := r.Cache.Get(context.Background(), types.NamespacedName{Name: name}, i, client.UnsafeDisableDeepCopy); err != nil {
		return ""
	}
	return i.Spec.Group
}

// Swept asks for a look at every group after a sweep, also at one that is gone
// and has instances yet.
func (r *Reconciler) Swept(ctx context.Context) []reconcile.Request {
	var list api.ScalingGroupList
	if err := r.Cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	names := r.groups.names()
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	out := make([]reconcile.Request, 0, len(names))
	for _, name := range names {
		out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	}
	return out
}
