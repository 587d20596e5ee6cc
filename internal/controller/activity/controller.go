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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
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

	memory memory
}

// run is one activity being carried out. The activity is replaced by what the
// API server answered at each write, so that every step sees the one before.
type run struct {
	*Reconciler
	a     *api.ScalingActivity
	group *api.ScalingGroup
	// requests is the content of the activity's Secret, once it was read.
	requests map[string][]byte
}

// Reconcile takes one activity as far as it goes now.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if req == Tidy {
		return r.tidy(ctx)
	}
	a := &api.ScalingActivity{}
	if err := r.Cache.Get(ctx, req.NamespacedName, a); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	w := &run{Reconciler: r, a: a.DeepCopy()}
	carry := w.carryOut
	if w.a.Status.Done {
		carry = w.afterwards
	}
	again, err := carry(ctx)
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
		return 0, w.finish(ctx, "", "its scaling group is gone")
	}
	if err != nil {
		return 0, fmt.Errorf("read group of %s: %w", w.a.Name, err)
	}
	if w.group.Spec.Frozen != "" {
		return w.stop(ctx, w.Waits.RetryMost, "", "the group is frozen: "+w.group.Spec.Frozen)
	}
	if w.Allowed != nil {
		if err := w.Allowed(ctx, w.group.Status.AccountID); err != nil {
			f := faultOf(err)
			return w.stop(ctx, 5*w.Waits.Retry, string(f.Code), f.Message)
		}
	}
	ctx = cloud.WithCause(cloud.WithAccount(ctx, w.group.Status.AccountID), "activity "+w.a.Name+": "+w.a.Spec.Cause)
	w.Sweeper.Busy(w.Now().Add(w.Waits.BusyAfter))
	if again, err := w.named(ctx); again > 0 || err != nil {
		return again, err
	}
	return w.pieces(ctx)
}

// stop does nothing for now and says why. A piece whose time is over meanwhile
// is uncertain all the same: it is never sent again.
func (w *run) stop(ctx context.Context, again time.Duration, code, why string) (time.Duration, error) {
	if p := w.open(); p != nil {
		left, ok := w.sendable(p)
		if !ok {
			w.giveUp(p, tooLate)
			return 0, w.finish(ctx, code, why)
		}
		again = min(again, left)
	}
	if s := &w.a.Status; s.Code != code || s.Message != clip(why, maxText) {
		w.begin()
		s.Code, s.Message = code, clip(why, maxText)
		return again, w.write(ctx)
	}
	return again, nil
}

// begin notes that the activity was first carried on.
func (w *run) begin() {
	if s := &w.a.Status; s.State == "" {
		s.State, s.StartTime = api.ActivityInProgress, stamp(w.Now())
	}
}

// faultOf is the fault that an error carries; one without is no answer.
func faultOf(err error) *fault.Fault {
	if f := fault.Of(err); f != nil {
		return f
	}
	return fault.New(fault.CloudNoAnswer, err.Error())
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
