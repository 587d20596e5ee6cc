package clustertask

import (
	"context"
	"fmt"
	"sort"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
)

// The stages of a Delete task.
const (
	stageRelease = "Release"
	stageSettle  = "Settle"
	stageTidy    = "Tidy"
)

// deletePool follows the deletion of a pool: it names what is kept and goes on
// running, lets instances of unknown origin go, and says how long pieces stay
// uncertain.
func (w *work) deletePool(ctx context.Context) (time.Duration, error) {
	pool, err := w.pool(ctx, w.Client)
	if err == nil && pool == nil {
		pool, err = w.pool(ctx, w.Live)
	}
	if err != nil {
		return 0, err
	}
	if pool == nil {
		return 0, w.deleted(ctx)
	}
	list, err := w.records(ctx)
	if err != nil {
		return 0, err
	}
	group, err := w.group(ctx, w.Client)
	if err != nil {
		return 0, err
	}
	left, err := w.kept(ctx, list, group != nil && group.Spec.Emptying)
	if err != nil {
		return 0, err
	}
	until, err := w.uncertainUntil(ctx)
	if err != nil {
		return 0, err
	}
	w.deleteProgress(pool, left, until)
	return w.pace(ctx, w.Waits.Retry)
}

// deleted ends the task: the pool is gone.
func (w *work) deleted(ctx context.Context) error {
	for _, s := range []string{stageRelease, stageSettle, stageTidy} {
		w.stage(s, api.TaskSuccess)
	}
	w.t.Status.Progress = "nothing is left of the pool"
	if n := len(w.t.Status.Instances); n > 0 {
		goes := "go"
		if n == 1 {
			goes = "goes"
		}
		w.t.Status.Progress = fmt.Sprintf("nothing is left of the pool; %s %s on running and costing, without our tags", some(n, "kept instance"), goes)
	}
	w.end(api.TaskSuccess, "", "")
	return w.write(ctx)
}

// kept names each instance that is not released, and notes where our tags are
// off. It returns how many records have still to go by themselves.
func (w *work) kept(ctx context.Context, list []*api.Instance, emptying bool) (int, error) {
	sort.Slice(list, func(a, b int) bool { return list[a].Name < list[b].Name })
	left, alive := 0, map[string]bool{}
	var removed []string
	for _, i := range list {
		alive[i.Name] = true
		switch {
		case i.Status.LifecycleState == api.InstanceRemoved:
			if w.result(i.Name).State != api.TaskInstanceSuccess {
				removed = append(removed, i.Name)
			}
		case emptying && i.Spec.CreationType == api.CreatedUnknown && !i.Spec.Disown:
			if err := w.disown(ctx, i.DeepCopy()); err != nil {
				return 0, err
			}
			left++
		default:
			left++
		}
		if i.Status.LifecycleState == api.InstanceRemoved || i.Spec.CreationType == api.CreatedUnknown || (i.Spec.Release != nil && i.Spec.Release.TakeOut) {
			w.name(i, alive)
		}
	}
	if len(removed) == 0 {
		return left, nil
	}
	seen, err := w.Look.Look(ctx, removed...)
	if err != nil {
		return left, nil // the next look tells
	}
	for _, id := range removed {
		if s, there := seen[id]; !there || !s.Ours {
			w.result(id).State = api.TaskInstanceSuccess
		}
	}
	return left, nil
}

// name puts an instance among the results of the task. Where there is no room
// the names of those whose records are gone move into the events.
func (w *work) name(i *api.Instance, alive map[string]bool) {
	if w.result(i.Name).Instance != "" {
		return
	}
	st := &w.t.Status
	if len(st.Instances) >= 500 {
		keep, text := st.Instances[:0:0], "kept, without our tags:"
		for _, r := range st.Instances {
			if r.State == api.TaskInstanceSuccess && !alive[r.Instance] && len(text) < 980 {
				text += " " + r.Instance
			} else {
				keep = append(keep, r)
			}
		}
		if len(keep) >= 500 {
			return
		}
		st.Instances = keep
		w.event("", text)
	}
	st.Instances = append(st.Instances, api.TaskInstance{Instance: i.Name, State: api.TaskInstanceRunning, Message: whyKept(i)})
}

// whyKept says why an instance is not released, and what is to be done.
func whyKept(i *api.Instance) string {
	why := ""
	switch {
	case i.Spec.CreationType == api.CreatedUnknown:
		why = "of unknown origin"
	case i.Status.ChargeType == api.ChargeSubscription:
		why = "a subscription"
	case i.Spec.CreationType == api.CreatedAttached:
		why = "brought in by hand"
	case i.Status.ReleaseProtected:
		why = "protected from release in the cloud"
	case i.Spec.Protected:
		why = "protected"
	case i.Spec.Standby:
		why = "on standby"
	default:
		why = "taken out"
	}
	return why + ": not released, it goes on running and costing until it is released by hand in the cloud's console"
}

// result is the result of one instance; a throw-away one where it has none.
func (w *work) result(id string) *api.TaskInstance {
	for i := range w.t.Status.Instances {
		if w.t.Status.Instances[i].Instance == id {
			return &w.t.Status.Instances[i]
		}
	}
	return &api.TaskInstance{}
}

// disown asks for our tags to be taken off an instance of unknown origin.
func (w *work) disown(ctx context.Context, i *api.Instance) error {
	before := i.DeepCopy()
	i.Spec.Disown = true
	err := w.Client.Patch(ctx, i, change.Since(before))
	if err == nil || apierrors.IsConflict(err) {
		return nil // the newer record is looked at next
	}
	return fmt.Errorf("disown instance %s: %w", i.Name, err)
}

// uncertainUntil is when the last uncertain piece may be settled. Zero: none is.
func (w *work) uncertainUntil(ctx context.Context) (time.Time, error) {
	list, err := w.activities(ctx)
	if err != nil {
		return time.Time{}, err
	}
	var until time.Time
	for _, a := range list {
		for i := range a.Status.Pieces {
			p := &a.Status.Pieces[i]
			if !p.Unsure() || p.FirstSendTime == nil {
				continue
			}
			at := p.FirstSendTime.Add(w.Waits.SendWindow + w.Waits.SignatureLife + 2*w.Waits.Visibility)
			if at.After(until) {
				until = at
			}
		}
	}
	return until, nil
}

func (w *work) deleteProgress(pool *api.NodePool, left int, until time.Time) {
	st := &w.t.Status
	blocked := ""
	for _, c := range pool.Status.Conditions {
		if c.Type == api.ConditionDeletionBlocked && c.Status == "True" {
			blocked = c.Message
		}
	}
	w.stage(stageRelease, over(left == 0))
	st.Counts.Wanted = max(st.Counts.Wanted, int32(left))
	st.Counts.Released = st.Counts.Wanted - int32(left)
	switch {
	case blocked != "":
		st.Progress = cut("held: "+blocked, 512)
	case left > 0:
		st.Progress = fmt.Sprintf("%d of %d gone", st.Counts.Released, st.Counts.Wanted)
	case !until.IsZero():
		w.stage(stageSettle, api.TaskRunning)
		st.Progress = fmt.Sprintf("waits for calls whose answers were lost: what they may have made is looked for by its tags, not before %s", until.UTC().Format("2006-01-02 15:04:05 UTC"))
	default:
		w.stage(stageSettle, api.TaskSuccess)
		w.stage(stageTidy, api.TaskRunning)
		st.Progress = "nothing is left in the cloud; the records go"
	}
}
