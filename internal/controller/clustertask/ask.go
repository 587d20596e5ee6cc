package clustertask

import (
	"context"
	"fmt"
	"sort"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	words "github.com/poolkeeper/poolkeeper/internal/view"
)

// ask is a request that goes down as a count: the task raises an annotation of
// the pool, its controller copies it into the group's spec, and the group says
// which count it has honoured.
type ask struct {
	annotation string
	asked      func(*api.ScalingGroup) int64
	honoured   func(*api.ScalingGroup) int64
	// done is the progress of a task that was honoured.
	done string
}

// asks are the requests by the type of their task.
var asks = map[api.TaskType]ask{
	api.TaskResume: {
		annotation: api.AnnotationResumeCount, done: "what was held is tried at once",
		asked:    func(g *api.ScalingGroup) int64 { return g.Spec.ResumeCount },
		honoured: func(g *api.ScalingGroup) int64 { return g.Status.ResumedCount },
	},
	api.TaskRebalance: {
		annotation: api.AnnotationRebalanceCount, done: "the zones are evened out",
		asked:    func(g *api.ScalingGroup) int64 { return g.Spec.RebalanceCount },
		honoured: func(g *api.ScalingGroup) int64 { return g.Status.RebalancedCount },
	},
	api.TaskThaw: {
		annotation: api.AnnotationThawCount, done: "the freeze of releases has ended",
		asked:    func(g *api.ScalingGroup) int64 { return g.Spec.ThawCount },
		honoured: func(g *api.ScalingGroup) int64 { return g.Status.ThawedCount },
	},
}

// count asks the pool once for what the type of the task says, and ends when
// the group has honoured it.
func (w *work) count(ctx context.Context, a ask) (time.Duration, error) {
	pool, err := w.pool(ctx, w.Live)
	if err != nil {
		return 0, err
	}
	if err := w.refresh(ctx); err != nil {
		return 0, err
	}
	group, err := w.group(ctx, w.Live)
	if err != nil {
		return 0, err
	}
	st := &w.t.Status
	switch {
	case ended(w.t):
		return w.Waits.Conflict, nil
	case pool == nil || !pool.DeletionTimestamp.IsZero():
		w.end(api.TaskCanceled, "", "the node pool is gone or being deleted")
	case w.t.Spec.Cancel && st.Wave == 0:
		w.end(api.TaskCanceled, "", "canceled before anything was asked for")
	case st.Wave == 0 && w.t.Spec.Type == api.TaskResume && !w.outOfTime() && a.open(pool, group):
		st.Progress = "another request to resume is under way" // the group knows what the newest one speaks of
		return w.pace(ctx, w.Waits.Retry)
	case st.Wave == 0:
		if rejected, err := w.reject(ctx, pool, group); err != nil || rejected {
			return 0, err
		}
		return w.raise(ctx, pool, group, a)
	case group != nil && a.honoured(group) >= int64(st.Target):
		if st.Progress, err = w.honoured(ctx, group, a.done); err != nil {
			return 0, err
		}
		w.end(api.TaskSuccess, "", "")
	case w.t.Spec.Cancel:
		w.end(api.TaskCanceled, "", "canceled: the task is no longer followed; what it asked for goes on")
	case w.outOfTime():
		w.unanswered(group)
	default:
		st.Progress = w.waitsFor(group)
		return w.pace(ctx, w.Waits.Retry)
	}
	return 0, w.write(ctx)
}

// open says whether an earlier request was not honoured yet.
func (a ask) open(pool *api.NodePool, group *api.ScalingGroup) bool {
	said, _ := api.Asked(pool.Annotations[a.annotation])
	return group != nil && max(said, a.asked(group)) > a.honoured(group)
}

// raise raises the pool's count of such requests by one. A crash before the
// status says so raises it twice, which does it once more and no worse.
func (w *work) raise(ctx context.Context, pool *api.NodePool, group *api.ScalingGroup, a ask) (time.Duration, error) {
	n := int64(0)
	if group != nil {
		n = a.asked(group)
	}
	said, _ := api.Asked(pool.Annotations[a.annotation])
	n = max(n, said) + 1
	before := pool.DeepCopy()
	if pool.Annotations == nil {
		pool.Annotations = map[string]string{}
	}
	pool.Annotations[a.annotation] = api.AskedFor(n, w.t.Spec.Candidate)
	if err := w.Client.Patch(ctx, pool, change.Since(before)); err != nil {
		return 0, fmt.Errorf("ask node pool %s for task %s: %w", pool.Name, w.t.Name, err)
	}
	st := &w.t.Status
	st.Wave, st.Target, st.Progress = 1, int32(n), "asked"
	return w.Waits.Retry, w.write(ctx)
}

// reject ends a request that cannot be carried out: to resume a candidate that
// is not held; a rebalance beside an open activity or another rebalance, or
// where zones are not balanced at all. Nothing is half done.
func (w *work) reject(ctx context.Context, pool *api.NodePool, group *api.ScalingGroup) (bool, error) {
	if candidate := w.t.Spec.Candidate; candidate != "" && group != nil {
		if why := words.NotHeld(group, candidate, w.now); why != "" {
			w.end(api.TaskFailed, "", why+". Nothing was changed")
			return true, w.write(ctx)
		}
	}
	if w.t.Spec.Type != api.TaskRebalance {
		return false, nil
	}
	running, err := w.running(ctx, group)
	switch {
	case err != nil:
		return false, err
	case pool.Spec.ScalingPolicy.Type != api.PolicyDistributionBalancing:
		w.end(api.TaskFailed, "", fmt.Sprintf("the scaling policy of %s is %s: only a pool with DistributionBalancing keeps its zones even. Nothing was changed", pool.Name, pool.Spec.ScalingPolicy.Type))
	case running != "":
		code := fault.ScalingActivityInProgress
		e := fault.Lookup(code)
		w.t.Status.Causes = []api.TaskCause{{Code: string(code), Cause: e.Cause,
			Solution: cut(e.Advice(fault.Details{fault.DetailRunning: running}), 2048), Count: 1}}
		w.end(api.TaskFailed, string(code), fmt.Sprintf("%s. Nothing was changed; ask again when it has ended", running))
	default:
		return false, nil
	}
	return true, w.write(ctx)
}

// running says what a rebalance may not run beside, and since when; empty for
// nothing. Everything is read live.
func (w *work) running(ctx context.Context, group *api.ScalingGroup) (string, error) {
	var list api.ScalingActivityList
	if err := w.Live.List(ctx, &list); err != nil {
		return "", fmt.Errorf("list activities of %s: %w", w.t.Spec.Pool, err)
	}
	sort.Slice(list.Items, func(a, b int) bool { return list.Items[a].Spec.Number > list.Items[b].Spec.Number })
	for i := range list.Items {
		a := &list.Items[i]
		if a.Spec.Pool != w.t.Spec.Pool || a.Status.Done || (group != nil && a.Spec.GroupUID != string(group.UID)) {
			continue
		}
		since := ""
		if a.Status.StartTime != nil {
			since = " since " + a.Status.StartTime.UTC().Format(timeForm)
		}
		return fmt.Sprintf("activity %s (%s) is running%s", a.Name, a.Spec.Cause, since), nil
	}
	tasks, err := w.tasks(ctx, w.Live)
	if err != nil {
		return "", err
	}
	for _, t := range tasks {
		if t.Spec.Type == api.TaskRebalance && t.Name != w.t.Name && t.Status.State == api.TaskRunning && t.Status.Wave > 0 && t.Status.StartTime != nil {
			return fmt.Sprintf("task %s (%s) is running since %s", t.Name, t.Spec.Title, t.Status.StartTime.UTC().Format(timeForm)), nil
		}
	}
	return "", nil
}

const timeForm = "2006-01-02 15:04:05 UTC"

// waitsFor is the progress of what was asked for and not honoured yet.
func (w *work) waitsFor(group *api.ScalingGroup) string {
	switch {
	case group == nil:
		return "asked; the pool has no scaling group yet"
	case w.t.Spec.Type == api.TaskRebalance && group.Status.Why != nil:
		return cut("zones differ by "+some(int(group.Status.Imbalance), "instance")+"; "+group.Status.Why.Sentence, 512)
	case w.t.Spec.Type == api.TaskRebalance:
		return "zones differ by " + some(int(group.Status.Imbalance), "instance")
	}
	return "asked"
}

// unanswered ends a task whose time is over, with what stood in the way.
func (w *work) unanswered(group *api.ScalingGroup) {
	code, text := "", "the scaling group did not answer in time"
	if group != nil && group.Status.Why != nil {
		code, text = group.Status.Why.Code, text+": "+group.Status.Why.Sentence
	}
	w.end(api.TaskFailed, code, text)
}

func some(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
