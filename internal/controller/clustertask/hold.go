package clustertask

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
)

// prepare makes the next instances ready for a wave: each is looked at by its
// id, and one that goes out is held. It returns those that are ready, at most
// one wave of them, and whether others have to be waited for.
func (w *work) prepare(ctx context.Context, pool *api.NodePool) (ready []string, wait bool, err error) {
	ids := w.open()
	if len(ids) == 0 {
		return nil, false, nil
	}
	seen, err := w.Look.Look(ctx, ids...)
	if err != nil {
		return nil, true, nil // waited for; the next look asks again
	}
	room := w.room(pool)
	for _, id := range ids {
		if len(ready) >= w.size() || len(pool.Spec.Transfers)+len(ready) >= 500 {
			return ready, true, nil
		}
		s, there := seen[id]
		ok, later, err := w.fit(ctx, pool, id, s, there)
		if err != nil {
			return nil, false, err
		}
		if !ok {
			wait = wait || later
			continue
		}
		if len(ready) >= room {
			w.noRoom(pool, id)
			continue
		}
		ready = append(ready, id)
	}
	return ready, wait, nil
}

// open are the instances of the task that no wave has had yet.
func (w *work) open() []string {
	var out []string
	for _, i := range w.t.Status.Instances {
		if i.State == api.TaskInstanceWaiting || i.State == api.TaskInstanceHeld {
			out = append(out, i.Instance)
		}
	}
	return out
}

// room is by how much the number may change without leaving its bounds.
func (w *work) room(pool *api.NodePool) int {
	switch {
	case w.t.Spec.Type == api.TaskAttach:
		return int(pool.Spec.MaxNodes - pool.Spec.ExpectedNodes)
	case w.t.Spec.KeepExpected:
		return 500
	}
	return int(pool.Spec.ExpectedNodes - pool.Spec.MinNodes)
}

// noRoom leaves an instance out because the number has reached its bound.
func (w *work) noRoom(pool *api.NodePool, id string) {
	if w.t.Spec.Type == api.TaskAttach {
		w.set(id, api.TaskInstanceLeftOut, fmt.Sprintf("the pool expects %d of at most %d nodes: raise maxNodes first", pool.Spec.ExpectedNodes, pool.Spec.MaxNodes))
		return
	}
	w.set(id, api.TaskInstanceLeftOut, fmt.Sprintf("the pool expects %d and at least %d nodes: lower minNodes first, or keep the expected number, so that it is replaced", pool.Spec.ExpectedNodes, pool.Spec.MinNodes))
}

// fit says whether one instance can be in the next wave; later is true where
// that has to be waited for.
func (w *work) fit(ctx context.Context, pool *api.NodePool, id string, s Seen, there bool) (ok, later bool, err error) {
	for _, t := range pool.Spec.Transfers {
		if t.Instance == id { // still listed by another task, or by an earlier one
			w.set(id, api.TaskInstanceWaiting, "another task has it on its way")
			return false, true, nil
		}
	}
	i, err := w.record(ctx, w.Live, id)
	if err != nil {
		return false, false, err
	}
	if w.t.Spec.Type == api.TaskAttach {
		return w.fitIn(id, i, s, there)
	}
	return w.hold(ctx, id, i, s, there)
}

// fitIn says whether an instance may be brought in.
func (w *work) fitIn(id string, i *api.Instance, s Seen, there bool) (ok, later bool, err error) {
	switch {
	case !there:
		w.set(id, api.TaskInstanceFailed, "the cloud has no instance of this id in the region")
	case i != nil && i.Spec.Pool != w.t.Spec.Pool && i.Status.LifecycleState != api.InstanceRemoved:
		w.set(id, api.TaskInstanceLeftOut, "it belongs to node pool "+i.Spec.Pool+": remove it there first")
	case i != nil && i.Spec.CreationType == api.CreatedUnknown && i.Status.LifecycleState != api.InstanceRemoved:
		w.set(id, api.TaskInstanceLeftOut, "it carries our tags and nobody knows why: poolkeeper instance adopt "+id)
	case i != nil && i.Spec.Release != nil && i.Status.LifecycleState != api.InstanceRemoved:
		w.set(id, api.TaskInstanceWaiting, "it is still on its way out")
		return false, true, nil
	case i != nil && i.Status.LifecycleState != api.InstanceRemoved:
		w.set(id, api.TaskInstanceLeftOut, "it is in the pool already")
	case s.Ours && s.Pool != "" && s.Pool != w.t.Spec.Pool:
		w.set(id, api.TaskInstanceLeftOut, "its tags name node pool "+s.Pool)
	default:
		return true, false, nil
	}
	return false, false, nil
}

// hold writes the task into the record of an instance that goes out, under its
// resource version, only where it is counted and nobody else holds it.
func (w *work) hold(ctx context.Context, id string, i *api.Instance, s Seen, there bool) (ok, later bool, err error) {
	uid := string(w.t.UID)
	switch {
	case i == nil:
		w.set(id, api.TaskInstanceLeftOut, "there is no record of it: it is gone, or never was of this cluster")
	case i.Spec.Pool != w.t.Spec.Pool:
		w.set(id, api.TaskInstanceLeftOut, "it belongs to node pool "+i.Spec.Pool)
	case i.Status.LifecycleState == api.InstanceRemoved:
		w.set(id, api.TaskInstanceLeftOut, "it is taken out already: poolkeeper node forget "+id+" ends its record")
	case i.Spec.CreationType == api.CreatedUnknown:
		w.set(id, api.TaskInstanceLeftOut, "nobody knows whose it is: poolkeeper instance adopt or disown "+id)
	case calledBack(i):
		w.set(id, api.TaskInstanceWaiting, "an earlier removal of it is being taken back")
		return false, true, nil
	case i.Spec.Release != nil:
		w.set(id, api.TaskInstanceLeftOut, "it is already decided to go: "+i.Spec.Release.Reason)
	case i.Spec.HeldBy != "" && i.Spec.HeldBy != uid:
		w.set(id, api.TaskInstanceLeftOut, "another task holds it")
	case !there || !s.Ours:
		w.set(id, api.TaskInstanceWaiting, "the cloud does not show it with our tags: it is waited for until that is sure")
		return false, true, nil
	case i.Spec.HeldBy == uid:
		w.set(id, api.TaskInstanceHeld, "")
		return true, false, nil
	default:
		before := i.DeepCopy()
		i.Spec.HeldBy = uid
		if err := w.Client.Patch(ctx, i, change.Since(before)); apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return false, true, nil
		} else if err != nil {
			return false, false, fmt.Errorf("hold instance %s for task %s: %w", id, w.t.Name, err)
		}
		w.set(id, api.TaskInstanceHeld, "")
		if w.drain() != api.DrainOff && i.Status.NodeState == api.NodeUnknown {
			w.event("", id+": nothing to drain, its Node object is gone")
		}
		return true, false, nil
	}
	return false, false, nil
}

// calledBack is true of an instance that a task named and that no entry names
// any more: its mark is about to be taken off. Entries are looked at before.
func calledBack(i *api.Instance) bool {
	return i.Spec.Release != nil && i.Spec.Release.Task != "" && i.Status.ReleaseSentTime == nil
}

// heldLate is true where the cache shows an instance held by a task that has
// ended: a leader that was overtaken held it after that, and nothing but this look
// would ever let it go.
func (w *work) heldLate(ctx context.Context) (bool, error) {
	if !w.holds() {
		return false, nil
	}
	for _, r := range w.t.Status.Instances {
		i, err := w.record(ctx, w.Client, r.Instance)
		if err != nil {
			return false, err
		}
		if i != nil && i.Spec.HeldBy == string(w.t.UID) {
			return true, nil
		}
	}
	return false, nil
}

// unhold lets everything go that the task holds, once no entry names it.
func (w *work) unhold(ctx context.Context) error {
	for _, r := range w.t.Status.Instances {
		i, err := w.record(ctx, w.Live, r.Instance)
		if err != nil {
			return err
		}
		if i == nil || i.Spec.HeldBy != string(w.t.UID) {
			continue
		}
		before := i.DeepCopy()
		i.Spec.HeldBy = ""
		if err := w.Client.Patch(ctx, i, change.Since(before)); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("let instance %s go: %w", i.Name, err)
		}
	}
	return nil
}
