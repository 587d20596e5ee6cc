package clustertask

import (
	"context"
	"fmt"
	"strconv"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// resume asks the pool once to try at once what is held, and ends when the
// group has.
func (w *work) resume(ctx context.Context) (time.Duration, error) {
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
	case pool == nil:
		w.end(api.TaskCanceled, "", "the node pool is gone")
	case st.Wave == 0:
		return w.askToResume(ctx, pool, group)
	case group != nil && group.Status.ResumedCount >= int64(st.Target):
		st.Progress = "what was held is tried at once"
		w.end(api.TaskSuccess, "", "")
	case w.outOfTime():
		w.end(api.TaskFailed, "", "the scaling group did not answer in time")
	default:
		return w.pace(ctx, w.Waits.Retry)
	}
	return 0, w.write(ctx)
}

// askToResume raises the pool's count of such requests by one. A crash before
// the status says so raises it twice, which tries once more and no worse.
func (w *work) askToResume(ctx context.Context, pool *api.NodePool, group *api.ScalingGroup) (time.Duration, error) {
	n := int64(0)
	if group != nil {
		n = group.Spec.ResumeCount
	}
	if said, err := strconv.ParseInt(pool.Annotations[api.AnnotationResumeCount], 10, 64); err == nil {
		n = max(n, said)
	}
	n++
	if pool.Annotations == nil {
		pool.Annotations = map[string]string{}
	}
	pool.Annotations[api.AnnotationResumeCount] = strconv.FormatInt(n, 10)
	if err := w.Client.Update(ctx, pool); err != nil {
		return 0, fmt.Errorf("ask node pool %s to resume: %w", pool.Name, err)
	}
	st := &w.t.Status
	st.Wave, st.Target, st.Progress = 1, int32(n), "asked"
	return w.Waits.Retry, w.write(ctx)
}
