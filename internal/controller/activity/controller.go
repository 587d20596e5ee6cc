// Package activity carries out scaling activities: it marks and attaches the
// instances that an activity names, and asks the cloud for new ones piece by
// piece, each written down before it is sent. What comes in is the activity's
// immutable spec and the cloud's answers; what goes out are calls under a
// fixed token, Instance objects, and the activity's status. It never decides
// how many or which: that is the scaling group's, and it never touches a Node.
package activity

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Cloud is what an activity asks of the cloud.
type Cloud interface {
	Create(ctx context.Context, r cloud.Request) ([]string, error)
	Find(ctx context.Context, ids ...string) ([]cloud.Instance, error)
}

// Reconciler carries out the activities of all groups, one step after another.
type Reconciler struct {
	// Cache reads from the informers, Live from the API server.
	Cache client.Client
	Live  client.Reader
	Cloud Cloud
	// Tags puts our tags on instances that are brought in.
	Tags      cloud.Tags
	Sweeper   *sweep.Sweeper
	ClusterID string
	Waits     wait.Settings
	Now       func() time.Time
	// Each runs f for 0 to n-1, several at a time where it may, and returns
	// all errors joined.
	Each func(n int, f func(i int) error) error
	// Allowed refuses mutations with credentials of another account than the
	// group's (rule 19).
	Allowed func(ctx context.Context, account string) error
	// Pause returns how long to wait before send number n+1 of one piece.
	Pause func(sends int) time.Duration
}

// run is one activity being carried out. The activity is replaced by what the
// API server answered at each write, so that every step sees the one before.
type run struct {
	*Reconciler
	a     *api.ScalingActivity
	group *api.ScalingGroup
}

// Reconcile takes one activity as far as it goes now.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	a := &api.ScalingActivity{}
	if err := r.Cache.Get(ctx, req.NamespacedName, a); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	w := &run{Reconciler: r, a: a.DeepCopy()}
	if w.a.Status.Done {
		return w.afterwards(ctx)
	}
	again, err := w.carryOut(ctx)
	if apierrors.IsConflict(err) { // somebody else wrote: look again with what they wrote
		return ctrl.Result{RequeueAfter: r.Waits.Conflict}, nil
	}
	return ctrl.Result{RequeueAfter: again}, err
}

// carryOut does what the activity names, then asks for what it may create. It
// returns when to look again; zero means that an event will tell.
func (w *run) carryOut(ctx context.Context) (time.Duration, error) {
	w.group = &api.ScalingGroup{}
	err := w.Live.Get(ctx, types.NamespacedName{Name: w.a.Spec.Group}, w.group)
	if apierrors.IsNotFound(err) || (err == nil && string(w.group.UID) != w.a.Spec.GroupUID) {
		return 0, w.finish(ctx, "its scaling group is gone")
	}
	if err != nil {
		return 0, fmt.Errorf("read group of %s: %w", w.a.Name, err)
	}
	if w.group.Spec.Frozen != "" {
		return w.Waits.Held, nil
	}
	if w.Allowed != nil {
		if err := w.Allowed(ctx, w.group.Status.AccountID); err != nil {
			return w.Waits.Retry, nil
		}
	}
	ctx = cloud.WithAccount(ctx, w.group.Status.AccountID)
	w.Sweeper.Busy(w.Now().Add(w.Waits.BusyAfter))
	if err := w.named(ctx); err != nil {
		return 0, err
	}
	return w.pieces(ctx)
}

// afterwards settles what an ended activity left uncertain, and removes the
// Secret once nothing of it may be sent any more.
func (w *run) afterwards(ctx context.Context) (ctrl.Result, error) {
	if ref := w.a.Spec.Requests; ref != nil {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: api.SystemNamespace, Name: ref.Secret}}
		if _, ok := w.a.Annotations[annotationSecretGone]; !ok {
			if err := client.IgnoreNotFound(w.Cache.Delete(ctx, s)); err != nil {
				return ctrl.Result{}, fmt.Errorf("delete requests of %s: %w", w.a.Name, err)
			}
			if err := w.noteSecretGone(ctx); err != nil {
				return ctrl.Result{}, client.IgnoreNotFound(err)
			}
		}
	}
	if w.uncertain() == 0 {
		return ctrl.Result{}, nil
	}
	err := w.settle(ctx)
	if apierrors.IsConflict(err) {
		err = nil
	}
	return ctrl.Result{RequeueAfter: w.Waits.Sweep}, err
}

// annotationSecretGone says that the Secret of an ended activity was deleted,
// so that a restarted controller does not ask again for each of them.
const annotationSecretGone = "poolkeeper.io/requests-deleted"

func (w *run) noteSecretGone(ctx context.Context) error {
	before := w.a.DeepCopy()
	if w.a.Annotations == nil {
		w.a.Annotations = map[string]string{}
	}
	w.a.Annotations[annotationSecretGone] = "true"
	return w.Cache.Patch(ctx, w.a, client.MergeFrom(before))
}

// write stores the status under the resource version that was read.
func (w *run) write(ctx context.Context) error {
	w.a.Status.Summary = summary(w.a)
	w.a.Status.Created = created(w.a)
	if err := w.Cache.Status().Update(ctx, w.a); err != nil {
		return fmt.Errorf("write status of %s: %w", w.a.Name, err)
	}
	return nil
}
