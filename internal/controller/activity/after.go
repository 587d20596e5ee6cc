package activity

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
)

// annotationSecretGone says that the Secret of an ended activity was deleted,
// so that a restarted controller does not ask again for each of them.
const annotationSecretGone = "poolkeeper.io/requests-deleted"

// afterwards removes the Secret of an ended activity, settles what it left
// uncertain, and then lets its record go, which is history from there on.
func (w *run) afterwards(ctx context.Context) (time.Duration, error) {
	if ref := w.a.Spec.Requests; ref != nil && w.a.Annotations[annotationSecretGone] == "" {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: api.SystemNamespace, Name: ref.Secret}}
		if err := client.IgnoreNotFound(w.Cache.Delete(ctx, s)); err != nil {
			return 0, fmt.Errorf("delete requests of %s: %w", w.a.Name, err)
		}
		if err := w.note(ctx, func() { metav1.SetMetaDataAnnotation(&w.a.ObjectMeta, annotationSecretGone, "true") }); err != nil {
			return 0, err
		}
	}
	if w.uncertain() > 0 {
		return w.settle(ctx)
	}
	if !controllerutil.ContainsFinalizer(w.a, api.Finalizer) {
		return 0, nil
	}
	return 0, w.note(ctx, func() {})
}

// note writes a change of the metadata; a record with nothing uncertain loses
// its finalizer with it.
func (w *run) note(ctx context.Context, say func()) error {
	before := w.a.DeepCopy()
	say()
	if w.uncertain() == 0 {
		controllerutil.RemoveFinalizer(w.a, api.Finalizer)
	}
	err := w.Cache.Patch(ctx, w.a, change.Since(before))
	return wrap("note the end of", w.a.Name, client.IgnoreNotFound(err))
}

// Tidy is the key that asks for a look at what no single activity looks after. No
// activity has a namespace, so none has this name.
var Tidy = ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "poolkeeper", Name: "tidy"}}

// memory may be forgotten at a restart: since when a Secret was seen that no
// activity names, on our own clock.
type memory struct {
	mu      sync.Mutex
	orphans map[types.UID]time.Time
}

// since returns when a Secret was first seen without an activity, and drops
// those that are not seen any more.
func (m *memory) since(now time.Time, seen map[types.UID]bool) map[types.UID]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make(map[types.UID]time.Time, len(seen))
	for uid := range seen {
		next[uid] = now
		if at, ok := m.orphans[uid]; ok {
			next[uid] = at
		}
	}
	m.orphans = next
	return next
}

// tidy deletes Secrets that no activity names, and activities that are old.
func (r *Reconciler) tidy(ctx context.Context) (ctrl.Result, error) {
	if err := r.orphans(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.history(ctx); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: max(r.Waits.SecretGrace/4, r.Waits.Conflict)}, nil
}

// orphans deletes the Secrets with requests that no activity has named for the
// grace time, each after a live look (rule 9). Only metadata is listed.
func (r *Reconciler) orphans(ctx context.Context) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := r.Live.List(ctx, list, client.InNamespace(api.SystemNamespace), client.HasLabels{api.LabelActivity}); err != nil {
		return fmt.Errorf("list request secrets: %w", err)
	}
	seen := map[types.UID]bool{}
	for i := range list.Items {
		named, err := r.names(ctx, r.Cache, &list.Items[i])
		if err != nil {
			return err
		}
		if !named {
			seen[list.Items[i].UID] = true
		}
	}
	now := r.Now()
	since := r.memory.since(now, seen)
	for i := range list.Items {
		s := &list.Items[i]
		if at, ok := since[s.UID]; !ok || now.Sub(written(s, at)) < r.Waits.SecretGrace {
			continue
		}
		if named, err := r.names(ctx, r.Live, s); err != nil {
			return err
		} else if named {
			continue
		}
		gone := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
		err := r.Cache.Delete(ctx, gone, client.Preconditions{UID: &s.UID})
		if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return fmt.Errorf("delete requests that no activity names, %s: %w", s.Name, err)
		}
	}
	return nil
}

// written is when a Secret was written on our own clock, which a restart does
// not forget; where it does not say so, when it was first seen.
func written(s *metav1.PartialObjectMetadata, seen time.Time) time.Time {
	at, err := time.Parse(time.RFC3339Nano, s.Annotations[api.AnnotationWrittenTime])
	if err != nil || at.After(seen) {
		return seen
	}
	return at
}

// names says whether the activity that a Secret was written for names it.
func (r *Reconciler) names(ctx context.Context, from client.Reader, s *metav1.PartialObjectMetadata) (bool, error) {
	a := &api.ScalingActivity{}
	err := from.Get(ctx, types.NamespacedName{Name: s.Labels[api.LabelActivity]}, a)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read activity of request secret %s: %w", s.Name, err)
	}
	return a.Spec.Requests != nil && a.Spec.Requests.Secret == s.Name, nil
}

// How many ended activities of a group are kept: the newest historyLeast
// however old they are, and never more than historyMost.
const (
	historyLeast = 200
	historyMost  = 2000
)

// history deletes old activities of every group, never the newest one, whose
// name is the lock, and never one with an uncertain piece (rule 9).
func (r *Reconciler) history(ctx context.Context) error {
	var list api.ScalingActivityList
	if err := r.Cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list activities: %w", err)
	}
	groups := map[string][]*api.ScalingActivity{}
	for i := range list.Items {
		a := &list.Items[i]
		groups[a.Spec.GroupUID] = append(groups[a.Spec.GroupUID], a)
	}
	for _, of := range groups {
		slices.SortFunc(of, func(a, b *api.ScalingActivity) int { return cmp.Compare(b.Spec.Number, a.Spec.Number) })
		for n, a := range of {
			if n == 0 || !r.old(a, n) {
				continue
			}
			uid := a.UID
			if err := client.IgnoreNotFound(r.Cache.Delete(ctx, a.DeepCopy(), client.Preconditions{UID: &uid})); err != nil {
				return fmt.Errorf("delete activity %s: %w", a.Name, err)
			}
		}
	}
	return nil
}

// old says whether an activity, the n-th newest of its group from 0, may go.
func (r *Reconciler) old(a *api.ScalingActivity, n int) bool {
	s := &a.Status
	if !s.Done || s.EndTime == nil || slices.ContainsFunc(s.Pieces, func(p api.Piece) bool { return p.State != api.PieceResolved }) {
		return false
	}
	return n >= historyMost || n >= historyLeast && r.Now().Sub(s.EndTime.Time) >= r.Waits.History
}
