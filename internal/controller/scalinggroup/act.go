package scalinggroup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// The most names of each kind that one activity takes; the rest is decided anew
// when it has ended.
const (
	maxRelease = 2000
	maxNamed   = 500
)

// act calls marked instances back, or opens the activity that was decided.
func (r *Reconciler) act(ctx context.Context, g *group, d scaling.Decision) (ctrl.Result, error) {
	if len(d.CallBack) > 0 {
		return ctrl.Result{RequeueAfter: r.Waits.Gather}, r.callBack(ctx, g, d.CallBack)
	}
	if g.before.AccountID == "" { // nothing is sent before it stands there (rule 19)
		if err := r.write(ctx, g); err != nil {
			return r.overtaken(err)
		}
	}
	a := r.decided(g, d)
	if err := r.requests(ctx, g, a, d); err != nil {
		return r.cannotWrite(ctx, g, d, err)
	}
	err := r.Cache.Create(ctx, a)
	if apierrors.IsAlreadyExists(err) {
		return r.nameTaken(ctx, g, a, d)
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("open activity %s: %w", a.Name, err)
	}
	g.kept.stuck, g.kept.vanished = nil, nil
	if d.Create > 0 {
		g.kept.replaced = g.now
	}
	logf.FromContext(ctx).Info("opened activity", "group", g.g.Name, "activity", a.Name, "cause", d.Cause,
		"create", d.Create, "release", len(d.Release), "takeOut", len(d.TakeOut), "bringIn", len(d.BringIn))
	g.activities = append(g.activities, *a)
	return r.report(ctx, g, d)
}

// callBack takes the marks off instances that stay after all, each under the
// resource version that the live look read and only where no release call was
// about to be made then (rule 10).
func (r *Reconciler) callBack(ctx context.Context, g *group, names []string) error {
	back := map[string]bool{}
	for _, n := range names {
		back[n] = true
	}
	var errs []error
	for n := range g.instances {
		i := &g.instances[n]
		if !back[i.Name] || i.Spec.Release == nil || i.Status.ReleaseSentTime != nil {
			continue
		}
		before := i
		i = i.DeepCopy()
		i.Spec.Release = nil
		if err := r.Cache.Patch(ctx, i, change.Since(before)); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("call instance %s back: %w", i.Name, err))
		}
	}
	logf.FromContext(ctx).Info("called instances back", "group", g.g.Name, "instances", len(names))
	return errors.Join(errs...)
}

// decided is the activity of a decision. Its requests are still to be written.
func (r *Reconciler) decided(g *group, d scaling.Decision) *api.ScalingActivity {
	number := max(g.g.Status.LastActivity, g.newest()) + 1
	spec := &g.g.Spec
	return &api.ScalingActivity{
		ObjectMeta: metav1.ObjectMeta{
			Name: activityName(g.g.Name, number), Finalizers: []string{api.Finalizer},
			Labels: map[string]string{api.LabelPool: spec.Pool, api.LabelGroup: g.g.Name},
		},
		Spec: api.ScalingActivitySpec{
			Group: g.g.Name, GroupUID: string(g.g.UID), Pool: spec.Pool, Number: number, Cause: clip(d.Cause, 1000),
			Before: int32(d.Counted + g.s.Uncertain), Wanted: spec.DesiredCapacity, Create: int32(d.Create), Surge: int32(d.Surge),
			Policy: spec.ScalingPolicy.Type, StrictBalance: spec.ScalingPolicy.StrictBalance,
			SettingsGeneration: spec.SettingsGeneration, JoinDeadlineSeconds: max(int32(JoinDeadline(spec, r.Waits)/time.Second), 1),
			Emptying: spec.Emptying, ManageAttached: spec.ManageAttached,
			Release: g.leaving(first(d.Release, maxRelease)), TakeOut: g.leaving(first(d.TakeOut, maxNamed)), BringIn: first(d.BringIn, maxNamed),
		},
	}
}

func first[T any](list []T, n int) []T { return list[:min(len(list), n)] }

// JoinDeadline is how long a new machine of a group may take from running to
// Node Ready.
func JoinDeadline(s *api.ScalingGroupSpec, w wait.Settings) time.Duration {
	if s.JoinDeadlineSeconds != nil {
		return time.Duration(*s.JoinDeadlineSeconds) * time.Second
	}
	for _, t := range s.InstanceTypes {
		if strings.Contains(t, ".ebmgn") {
			return w.JoinDeadlineGPU
		}
	}
	return w.JoinDeadline
}

// leaving are chosen instances with the drain that was decided for each.
func (g *group) leaving(chosen []scaling.Chosen) []api.Leaving {
	byName := map[string]api.Transfer{}
	for _, t := range g.g.Spec.Transfers {
		byName[t.Instance] = t
	}
	var out []api.Leaving
	for _, c := range chosen {
		l := api.Leaving{Instance: c.Name, Reason: clip(c.Why, 250), Task: c.Task, Drain: g.g.Spec.Drain.Mode}
		if g.g.Spec.Drain.LimitSeconds != nil {
			l.DrainLimitSeconds = *g.g.Spec.Drain.LimitSeconds
		}
		if t, ok := byName[c.Name]; ok && c.Task != "" {
			l.Drain, l.DrainLimitSeconds = t.Drain, t.DrainLimitSeconds
		} else if g.g.Spec.Undrained != "" && l.Drain == api.DrainBestEffort {
			l.Drain, l.Reason = api.DrainOff, clip(c.Why+"; not drained, as what drains nodes lacks its role", 250)
		}
		if !c.NotBefore.IsZero() {
			l.NotBeforeTime = nowTime(c.NotBefore)
		}
		out = append(out, l)
	}
	return out
}

// nameTaken starts over where somebody else of this group decided first. An
// activity of another group under the name that this one wants is told to
// people: nobody can decide until it is gone.
func (r *Reconciler) nameTaken(ctx context.Context, g *group, a *api.ScalingActivity, d scaling.Decision) (ctrl.Result, error) {
	there := &api.ScalingActivity{}
	if err := r.Live.Get(ctx, types.NamespacedName{Name: a.Name}, there); err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("read activity %s: %w", a.Name, err)
	}
	if there.Spec.GroupUID == a.Spec.GroupUID || there.Spec.GroupUID == "" {
		return ctrl.Result{RequeueAfter: r.Waits.Conflict}, nil
	}
	text := fmt.Sprintf("activity %s belongs to another group of this name (UID %s): kubectl delete scalingactivity %s", a.Name, there.Spec.GroupUID, a.Name)
	r.Events.Event(g.g, corev1.EventTypeWarning, "ActivityNameTaken", text)
	g.stop(scaling.Reason{Text: text}, r.Waits.SettingsRetry, true)
	return r.report(ctx, g, g.pause(d))
}

// stop puts what was tried off for a while.
func (g *group) stop(why scaling.Reason, d time.Duration, all bool) {
	s := &stuck{reason: why, all: all, until: g.now.Add(d), generation: g.g.Spec.SettingsGeneration, resume: g.g.Spec.ResumeCount}
	s.reason.Since, s.reason.Count = g.now, 1
	if old := g.kept.stuck; old != nil && old.reason.Code == why.Code && old.generation == s.generation && old.resume == s.resume {
		s.reason.Since, s.reason.Count = old.reason.Since, old.reason.Count+1
	}
	g.kept.stuck = s
}
