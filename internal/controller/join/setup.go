package join

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/watch"
)

// share is how many undecided requests of one pool are looked at before those
// of the others.
const share = 8

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return watch.Run(mgr, watch.Settings{Name: "join", Workers: 8, Ranked: true, First: r.Waits.Conflict, Most: r.Waits.RetryMost, Watches: r.Watches()}, r)
}

// Watches makes the reconciler look at a request of a join credential when it is
// filed, and again when the Instance that it waits for appears.
func (r *Reconciler) Watches() []watch.Watch {
	ours := predicate.NewPredicateFuncs(func(o client.Object) bool {
		csr, ok := o.(*certificatesv1.CertificateSigningRequest)
		if !ok {
			return false
		}
		_, filed := poolOf(csr)
		return filed
	})
	return []watch.Watch{
		{Object: &certificatesv1.CertificateSigningRequest{}, Handler: r.inTurn(), Predicates: []predicate.Predicate{ours}},
		{Object: &api.Instance{}, Handler: handler.EnqueueRequestsFromMapFunc(r.waitsFor)},
	}
}

// inTurn queues requests so that pools take turns: the more of a pool's requests
// are undecided, the further back goes its next one. Whoever floods with the
// join credential of one pool delays a join of another by at most share
// requests, and those that are in progress.
func (r *Reconciler) inTurn() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(o client.Object, q queue, first int) {
		item := reconcile.Request{NamespacedName: types.NamespacedName{Name: o.GetName()}}
		csr, ok := o.(*certificatesv1.CertificateSigningRequest)
		fair, can := q.(priorityqueue.PriorityQueue[reconcile.Request])
		if !ok || !can {
			q.Add(item)
			return
		}
		priority := first
		if pool, ours := poolOf(csr); ours && !decided(csr) {
			priority -= r.memory.enter(pool, csr.Name) / share
		}
		fair.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, item)
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if e.IsInInitialList {
				add(e.Object, q, handler.LowPriority)
			} else {
				add(e.Object, q, 0)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if csr, ok := e.ObjectNew.(*certificatesv1.CertificateSigningRequest); ok && decided(csr) {
				r.memory.forget(csr.Name)
				return
			}
			add(e.ObjectNew, q, 0)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			r.memory.forget(e.Object.GetName())
		},
	}
}

// waitsFor names the request that waits for an Instance, if one does.
func (r *Reconciler) waitsFor(_ context.Context, o client.Object) []reconcile.Request {
	if name := r.memory.waitingFor(o.GetName()); name != "" {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: name}}}
	}
	return nil
}

// Trim keeps of a certificate request only what is still needed: all of one
// that waits for a decision of ours, and names and conditions of any other. It
// suits as a transform of a cache; other objects pass.
func Trim(obj any) (any, error) {
	csr, ok := obj.(*certificatesv1.CertificateSigningRequest)
	if !ok {
		return obj, nil
	}
	csr.ManagedFields = nil
	if _, ours := poolOf(csr); ours && !decided(csr) {
		return csr, nil
	}
	slim := &certificatesv1.CertificateSigningRequest{}
	slim.Name, slim.UID, slim.ResourceVersion = csr.Name, csr.UID, csr.ResourceVersion
	slim.CreationTimestamp, slim.DeletionTimestamp = csr.CreationTimestamp, csr.DeletionTimestamp
	slim.Spec.Username, slim.Spec.SignerName = csr.Spec.Username, csr.Spec.SignerName
	for _, c := range csr.Status.Conditions {
		slim.Status.Conditions = append(slim.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: c.Type, Status: c.Status})
	}
	if len(csr.Status.Certificate) > 0 {
		slim.Status.Certificate = []byte{0}
	}
	return slim, nil
}
