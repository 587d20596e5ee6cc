package clustertask

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	words "github.com/poolkeeper/poolkeeper/internal/view"
)

// The stages of a scale task.
const (
	stageDecide = "Decide"
	stageCreate = "Create"
	stageJoin   = "Join"
	stageRemove = "Remove"
)

// view is what a scale task sees: what the pool reports, and the group's wish.
type view struct {
	pool  *api.NodePool
	group *api.ScalingGroup
	newer *api.ClusterTask
}

// scale follows a changed expected number until it is reached, replaced by a
// newer one, or out of time. The wish itself goes on.
func (w *work) scale(ctx context.Context) (time.Duration, error) {
	v, err := w.see(ctx, w.Client)
	if err != nil {
		return 0, err
	}
	if w.overtaken(v) {
		return 0, w.write(ctx)
	}
	if !w.passedDown(v) {
		w.stage(stageDecide, api.TaskRunning)
		w.t.Status.Progress = "accepted, work not yet begun"
		return w.deadline(ctx, v)
	}
	// The number or its end is about to be told: no newer request may be
	// hidden by a cache that lags.
	if v.group.Spec.DesiredCapacity != w.t.Status.Target || reached(v, w.t) {
		if v, err = w.see(ctx, w.Live); err != nil {
			return 0, err
		}
		if w.overtaken(v) || !w.passedDown(v) {
			return w.Waits.StatusInterval, w.write(ctx)
		}
		w.follow(v.group.Spec.DesiredCapacity)
	}
	w.progress(v)
	if err := errors.Join(w.late(ctx, v), w.causes(ctx, v)); err != nil {
		return 0, err
	}
	if reached(v, w.t) {
		w.end(api.TaskSuccess, "", "")
		return 0, w.write(ctx)
	}
	if onlyKept(v, w.t.Status.Target) {
		why := v.group.Status.Why
		w.end(api.TaskFailed, why.Code, why.Sentence)
		return 0, w.write(ctx)
	}
	return w.deadline(ctx, v)
}

// onlyKept is true when all that may go is gone, and what is left is never
// picked: pool and group count the same, so that both speak of one moment.
func onlyKept(v *view, target int32) bool {
	why, c := v.group.Status.Why, v.pool.Status.Counts
	return why != nil && why.Code == string(fault.OnlyKeptInstances) && c.Instances > target && c.Removing == 0 && c.Instances == v.group.Status.Counted
}

// see reads the group first and the pool after it.
func (w *work) see(ctx context.Context, from client.Reader) (*view, error) {
	v := &view{}
	var err error
	if v.group, err = w.group(ctx, from); err != nil {
		return nil, err
	}
	if v.pool, err = w.pool(ctx, from); err != nil {
		return nil, err
	}
	list, err := w.tasks(ctx, from)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		if t.Spec.Type == api.TaskScale && t.Spec.PoolUID == w.t.Spec.PoolUID && t.Spec.PoolGeneration > w.t.Spec.PoolGeneration &&
			(v.newer == nil || t.Spec.PoolGeneration > v.newer.Spec.PoolGeneration) {
			v.newer = t
		}
	}
	return v, nil
}

// overtaken ends the task where its number is no longer the wish.
func (w *work) overtaken(v *view) bool {
	switch n := v.newer; {
	case v.pool == nil:
		w.end(api.TaskCanceled, "", "the node pool is gone")
	case n != nil:
		w.end(api.TaskCanceled, "", fmt.Sprintf("superseded by %s: a newer request (%d -> %d, asked by %s)", n.Name, n.Spec.From, n.Spec.To, n.Spec.AskedBy))
	case v.group != nil && v.group.Spec.Emptying:
		w.end(api.TaskCanceled, "", "the node pool is being deleted")
	case w.t.Spec.Cancel:
		w.end(api.TaskCanceled, "", "canceled: the task is no longer followed; the expected number stands, and can be set anew")
	default:
		return false
	}
	return true
}

// passedDown is true once the group has the pool's number of this task and the
// pool's status speaks of it.
func (w *work) passedDown(v *view) bool {
	gen := w.t.Spec.PoolGeneration
	return v.pool != nil && v.group != nil && v.group.Spec.PoolGeneration >= gen && v.pool.Status.ObservedGeneration >= gen &&
		v.group.Status.ObservedGeneration >= v.group.Generation
}

// follow moves the target with transfers: what a task takes out or brings in
// by name changes the number and makes no scale task of its own.
func (w *work) follow(desired int32) {
	if st := &w.t.Status; st.Target != desired {
		w.event("", fmt.Sprintf("the expected number moved from %d to %d with instances that were taken out or brought in by name", st.Target, desired))
		st.Target = desired
	}
}

// reached is true when the instances number as wished and each has joined, or,
// on the way down, every one too many is gone.
func reached(v *view, t *api.ClusterTask) bool {
	c := v.pool.Status.Counts
	if v.pool.Status.ObservedGeneration < v.group.Spec.PoolGeneration || v.group.Spec.DesiredCapacity != t.Status.Target {
		return false
	}
	if c.Instances != t.Status.Target || c.Uncertain > 0 {
		return false
	}
	if t.Spec.To < t.Spec.From {
		return c.Removing == 0
	}
	return c.Joining == 0 && failedCounted(c) == 0
}

// failedCounted is how many of the failed are still counted, and not merely
// kept to look at.
func failedCounted(c api.PoolCounts) int32 {
	return min(c.Failed, max(c.Instances-c.InService-c.Joining-c.Offline-c.Standby, 0))
}

// progress tells stages and counts.
func (w *work) progress(v *view) {
	st, c := &w.t.Status, v.pool.Status.Counts
	w.stage(stageDecide, api.TaskSuccess)
	from := w.t.Spec.From
	if w.t.Spec.To < from && c.Instances < st.Target {
		from = 0 // lowered while fewer were there: what is told is what comes
	} else if w.t.Spec.To < from {
		wanted := max(w.t.Spec.From-st.Target, 0)
		left := max(c.Instances+c.Removing-st.Target, 0)
		st.Counts = api.TaskCounts{Wanted: wanted, Released: max(wanted-left, 0)}
		st.Progress = fmt.Sprintf("%d of %d released", st.Counts.Released, wanted)
		w.stage(stageRemove, over(left == 0))
		return
	}
	wanted := max(st.Target-from, 0)
	missing := max(st.Target-c.Instances, 0)
	open := missing + c.Joining + failedCounted(c)
	st.Counts = api.TaskCounts{Wanted: wanted, Created: max(wanted-missing, 0), Joined: max(wanted-open, 0), Failed: c.Failed}
	st.Progress = fmt.Sprintf("%d of %d created, %d joined", st.Counts.Created, wanted, st.Counts.Joined)
	if c.Failed > 0 {
		st.Progress += fmt.Sprintf(", %d failed to join", c.Failed)
	}
	if c.PendingWait > 0 {
		st.Progress += fmt.Sprintf(", %d in pending wait", c.PendingWait)
	}
	if c.Uncertain > 0 {
		st.Progress += fmt.Sprintf(", %d unsure", c.Uncertain)
	}
	if why := v.pool.Status.Why; why != nil && missing > 0 {
		if next := words.WhyNext(why, words.Clock{Now: w.now, Zone: time.UTC}); next != "" {
			st.Progress += nextMark + next
		}
	}
	w.stage(stageCreate, over(missing == 0 && c.Uncertain == 0))
	w.stage(stageJoin, over(open == 0))
}

// nextMark stands between what came and what is tried next.
const nextMark = "; next: "

func over(yes bool) api.TaskState {
	if yes {
		return api.TaskSuccess
	}
	return api.TaskRunning
}

// deadline ends a task that is out of time, or says when it will be.
func (w *work) deadline(ctx context.Context, v *view) (time.Duration, error) {
	limit := w.Waits.TaskDeadline
	if s := w.t.Spec.DeadlineSeconds; s > 0 {
		limit = time.Duration(s) * time.Second
	}
	left := w.t.Status.StartTime.Add(limit).Sub(w.now)
	if left > 0 {
		return w.pace(ctx, left)
	}
	code := fault.WaitForDesiredSizeTimeout
	if w.t.Status.Counts.Created > 0 && w.t.Status.Counts.Created < w.t.Status.Counts.Wanted {
		code = fault.PartialSuccess
	}
	message, _, _ := strings.Cut(w.t.Status.Progress, nextMark)
	for n, c := range w.t.Status.Causes {
		if n == 0 {
			message += "; stopped by " + c.Code
		} else {
			message += ", " + c.Code
		}
	}
	if v.pool != nil && v.pool.Status.Why != nil && len(w.t.Status.Causes) == 0 {
		message += "; " + v.pool.Status.Why.Sentence
	}
	w.end(api.TaskFailed, string(code), message+". The task has ended; the pool goes on trying")
	return 0, w.write(ctx)
}

// eventReached is the code of the event that tells a success after the end.
const eventReached = "ReachedLater"

// later tells that the number of a task that ran out of time was reached after
// all. It returns true while that may still come.
func (w *work) later(ctx context.Context) (bool, error) {
	e := w.t.Status.Error
	if w.t.Spec.Type != api.TaskScale || w.t.Status.State != api.TaskFailed || e == nil {
		return false, nil
	}
	for _, ev := range w.t.Status.Events {
		if ev.Code == eventReached {
			return false, nil
		}
	}
	v, err := w.see(ctx, w.Client)
	if err != nil || v.pool == nil || v.group == nil || v.newer != nil || v.group.Spec.Emptying {
		return false, err
	}
	if v.group.Spec.DesiredCapacity != w.t.Status.Target || !w.passedDown(v) || !reached(v, w.t) {
		return true, nil
	}
	text := fmt.Sprintf("the expected number %d was reached after the task had ended", w.t.Status.Target)
	w.event(eventReached, text)
	if err := w.write(ctx); err != nil {
		return true, err
	}
	w.Events.Event(w.t, corev1.EventTypeNormal, eventReached, text)
	return false, nil
}
