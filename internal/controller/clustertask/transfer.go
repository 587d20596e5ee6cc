package clustertask

import (
	"context"
	"fmt"
	"slices"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
)

// transfer takes instances out of a pool, or brings them in, by name: each is
// held, then waves of entries go into the pool together with its number, and
// leave it again once the status says that the wave is done (activity.md 13).
// The pool is read first and the task after it, both live.
func (w *work) transfer(ctx context.Context) (time.Duration, error) {
	pool, err := w.pool(ctx, w.Live)
	if err != nil {
		return 0, err
	}
	if err := w.refresh(ctx); err != nil {
		return 0, err
	}
	if ended(w.t) {
		return w.Waits.Conflict, nil
	}
	if pool == nil || (!pool.DeletionTimestamp.IsZero() && pool.Spec.DeletionProtection != nil && !*pool.Spec.DeletionProtection) {
		w.rest(api.TaskInstanceLeftOut, "the node pool is being deleted or gone")
		w.end(api.TaskCanceled, "", "the node pool is being deleted or gone")
		return 0, w.finish(ctx)
	}
	mine, st := w.entries(pool), &w.t.Status
	if len(mine) == 0 && st.Wave > 0 && !st.WaveDone {
		// The wave may have been written after this pool was read.
		if pool, err = w.pool(ctx, w.Live); err != nil || pool == nil {
			return w.Waits.Conflict, err
		}
		mine = w.entries(pool)
	}
	switch {
	case len(mine) > 0 && st.WaveDone && subset(mine, st.WaveInstances):
		return w.Waits.Conflict, w.takeEntries(ctx, pool, mine, false)
	case len(mine) > 0 && (st.Wave == 0 || st.WaveDone):
		return w.Waits.Conflict, w.noteWave(ctx, pool, mine)
	case st.Wave > 0 && !st.WaveDone:
		return w.followWave(ctx, pool, mine)
	}
	return w.nextWave(ctx, pool)
}

// entries are the task's own entries in the pool.
func (w *work) entries(pool *api.NodePool) []string {
	var out []string
	for _, t := range pool.Spec.Transfers {
		if t.Task == string(w.t.UID) {
			out = append(out, t.Instance)
		}
	}
	slices.Sort(out)
	return out
}

func subset(small, big []string) bool {
	for _, s := range small {
		if !slices.Contains(big, s) {
			return false
		}
	}
	return true
}

// stops says why no further wave is begun; empty: one may be.
func (w *work) stops() string {
	if w.t.Spec.Cancel || !w.t.DeletionTimestamp.IsZero() {
		return "canceled"
	}
	if s := w.t.Spec.DeadlineSeconds; s > 0 && w.now.Sub(w.t.Status.StartTime.Time) >= time.Duration(s)*time.Second {
		return "out of time"
	}
	if w.t.Spec.Type == api.TaskRemove {
		for _, i := range w.t.Status.Instances {
			if i.State == api.TaskInstanceFailed {
				return "an earlier one failed"
			}
		}
	}
	return ""
}

// nextWave holds what is next and writes it into the pool, or ends the task.
func (w *work) nextWave(ctx context.Context, pool *api.NodePool) (time.Duration, error) {
	if why := w.stops(); why != "" {
		w.rest(api.TaskInstanceLeftOut, "not begun: "+why)
		return 0, w.conclude(ctx)
	}
	ready, wait, err := w.prepare(ctx, pool)
	if err != nil {
		return 0, err
	}
	if len(ready) > 0 {
		// Who is held is written before the pool changes, so that people see it.
		if err := w.write(ctx); err != nil {
			return 0, err
		}
		return w.Waits.Conflict, w.apply(ctx, pool, ready)
	}
	if wait {
		w.t.Status.Progress = w.tally()
		return w.pace(ctx, w.Waits.Retry)
	}
	return 0, w.conclude(ctx)
}

// size is how many instances one wave has.
func (w *work) size() int {
	if w.t.Spec.Type == api.TaskAttach {
		return 500
	}
	return max(1, int(w.t.Spec.Concurrency))
}

// apply writes one wave: entries and number, in one update of the pool under
// the resource version that was read before the task.
func (w *work) apply(ctx context.Context, pool *api.NodePool, ids []string) error {
	in, before, old := w.t.Spec.Type == api.TaskAttach, pool.Spec.ExpectedNodes, pool.DeepCopy()
	for _, id := range ids {
		t := api.Transfer{Instance: id, Task: string(w.t.UID), Direction: api.TransferIn}
		if !in {
			t.Direction, t.Release = api.TransferOut, w.t.Spec.Release
			t.Drain, t.DrainLimitSeconds = w.drain(), w.t.Spec.DrainLimitSeconds
		}
		pool.Spec.Transfers = append(pool.Spec.Transfers, t)
		switch {
		case in:
			pool.Spec.ExpectedNodes++
		case !w.t.Spec.KeepExpected:
			pool.Spec.ExpectedNodes--
		}
	}
	if err := w.Client.Patch(ctx, pool, change.Since(old)); err != nil {
		return fmt.Errorf("write transfers of task %s into node pool %s: %w", w.t.Name, pool.Name, err)
	}
	w.event("", fmt.Sprintf("wave %d: %s; expected number %d -> %d", w.t.Status.Wave+1, names(ids), before, pool.Spec.ExpectedNodes))
	return w.noteWave(ctx, pool, ids)
}

// drain is the mode of the task; what is removed by name is drained for sure
// unless the task says otherwise.
func (w *work) drain() api.DrainMode {
	if w.t.Spec.Drain == "" {
		return api.DrainRequired
	}
	return w.t.Spec.Drain
}

// noteWave writes into the status which wave the pool carries.
func (w *work) noteWave(ctx context.Context, pool *api.NodePool, ids []string) error {
	st := &w.t.Status
	st.Wave++
	st.WaveInstances, st.WaveDone, st.WaveGeneration = ids, false, pool.Generation
	st.Target = pool.Spec.ExpectedNodes
	for _, id := range ids {
		w.set(id, api.TaskInstanceRunning, "")
	}
	w.stage(fmt.Sprintf("Wave %d", st.Wave), api.TaskRunning)
	w.trimStages()
	st.Progress = w.tally()
	return w.write(ctx)
}

// trimStages keeps the newest stages: a task may have hundreds of waves.
func (w *work) trimStages() {
	if n := len(w.t.Status.Stages); n > 16 {
		w.t.Status.Stages = w.t.Status.Stages[n-16:]
	}
}

// takeEntries takes entries out of the pool in one update. Back gives their
// share of the number back too, unless somebody has set it anew since.
func (w *work) takeEntries(ctx context.Context, pool *api.NodePool, ids []string, back bool) error {
	old := pool.DeepCopy()
	if back {
		anew, err := w.setAnew(ctx)
		if err != nil {
			return err
		}
		share := int32(len(ids))
		switch {
		case anew, w.t.Spec.KeepExpected && w.t.Spec.Type == api.TaskRemove:
		case w.t.Spec.Type == api.TaskAttach:
			pool.Spec.ExpectedNodes = max(pool.Spec.ExpectedNodes-share, pool.Spec.MinNodes)
		default:
			pool.Spec.ExpectedNodes = min(pool.Spec.ExpectedNodes+share, pool.Spec.MaxNodes)
		}
	}
	pool.Spec.Transfers = slices.DeleteFunc(pool.Spec.Transfers, func(t api.Transfer) bool {
		return t.Task == string(w.t.UID) && slices.Contains(ids, t.Instance)
	})
	if err := w.Client.Patch(ctx, pool, change.Since(old)); err != nil {
		return fmt.Errorf("take transfers of task %s out of node pool %s: %w", w.t.Name, pool.Name, err)
	}
	return nil
}

// setAnew is true where somebody has set the number since the wave was
// written: that number stands as it is.
func (w *work) setAnew(ctx context.Context) (bool, error) {
	list, err := w.tasks(ctx, w.Live)
	if err != nil {
		return false, err
	}
	for _, t := range list {
		if t.Spec.Type == api.TaskScale && t.Spec.PoolGeneration > w.t.Status.WaveGeneration && (w.t.Spec.PoolUID == "" || t.Spec.PoolUID == w.t.Spec.PoolUID) {
			return true, nil
		}
	}
	return false, nil
}

// set writes the result of one instance.
func (w *work) set(id, state, message string) {
	r := w.result(id)
	if r.Instance == "" {
		w.t.Status.Instances = append(w.t.Status.Instances, api.TaskInstance{Instance: id})
		r = w.result(id)
	}
	r.State, r.Message = state, cut(message, 512)
}

// rest gives every instance that was not begun one result.
func (w *work) rest(state, message string) {
	for i := range w.t.Status.Instances {
		if r := &w.t.Status.Instances[i]; r.State == api.TaskInstanceWaiting || r.State == api.TaskInstanceHeld {
			r.State, r.Message = state, message
		}
	}
}

// tally is the progress in words.
func (w *work) tally() string {
	n := map[string]int{}
	for _, i := range w.t.Status.Instances {
		n[i.State]++
	}
	what := "done"
	switch w.t.Spec.Type {
	case api.TaskRemove:
		what = "removed"
	case api.TaskAttach:
		what = "brought in"
	}
	s := fmt.Sprintf("%d of %d %s", n[api.TaskInstanceSuccess], len(w.t.Status.Instances), what)
	if n[api.TaskInstanceFailed] > 0 {
		s += fmt.Sprintf(", %d failed", n[api.TaskInstanceFailed])
	}
	if n[api.TaskInstanceLeftOut] > 0 {
		s += fmt.Sprintf(", %d left out", n[api.TaskInstanceLeftOut])
	}
	return s
}

func names(ids []string) string {
	if len(ids) <= 10 {
		return fmt.Sprint(ids)
	}
	return fmt.Sprintf("%v and %d more", ids[:10], len(ids)-10)
}

// conclude ends the task by the results of its instances.
func (w *work) conclude(ctx context.Context) error {
	n := map[string]int{}
	first := ""
	for _, i := range w.t.Status.Instances {
		n[i.State]++
		if first == "" && (i.State == api.TaskInstanceFailed || i.State == api.TaskInstanceLeftOut) {
			first = i.Instance + ": " + i.Message
		}
	}
	w.t.Status.Progress = w.tally()
	switch {
	case w.t.Spec.Cancel || !w.t.DeletionTimestamp.IsZero():
		w.end(api.TaskCanceled, "", "canceled; "+w.t.Status.Progress)
	case n[api.TaskInstanceFailed] > 0 || n[api.TaskInstanceSuccess] == 0 && n[api.TaskInstanceLeftOut] > 0:
		code := ""
		if len(w.t.Status.Causes) > 0 {
			code = w.t.Status.Causes[0].Code
		}
		w.end(api.TaskFailed, code, cut(first, 2048))
	default:
		w.end(api.TaskSuccess, "", "")
	}
	return w.finish(ctx)
}

// finish writes the end; what is held is let go by the look after it.
func (w *work) finish(ctx context.Context) error { return w.write(ctx) }
