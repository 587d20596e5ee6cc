package clustertask

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
)

// each does to every named instance what the task says, each by itself: one
// that cannot be dealt with is left out, and the task says why.
func (w *work) each(ctx context.Context) (time.Duration, error) {
	if w.t.Spec.All {
		if err := w.nameUnknown(ctx); err != nil {
			return 0, err
		}
	}
	if w.t.Spec.Cancel {
		w.rest(api.TaskInstanceLeftOut, "canceled")
	}
	over, pending := false, false
	for _, r := range append([]api.TaskInstance(nil), w.t.Status.Instances...) {
		if r.State != api.TaskInstanceWaiting && r.State != api.TaskInstanceRunning {
			continue
		}
		err := w.next(ctx, r)
		if err != nil && !apierrors.IsConflict(err) {
			return 0, err
		}
		s := w.result(r.Instance).State
		pending = pending || s == api.TaskInstanceWaiting || s == api.TaskInstanceRunning
		over = over || s != r.State
	}
	w.t.Status.Progress = w.tally()
	switch {
	case pending && !w.outOfTime() && over:
		return w.Waits.Retry, w.write(ctx) // what was done is told: the record that tells it may be gone at the next look
	case pending && !w.outOfTime():
		return w.pace(ctx, w.Waits.Retry)
	}
	for i := range w.t.Status.Instances {
		if r := &w.t.Status.Instances[i]; r.State == api.TaskInstanceWaiting || r.State == api.TaskInstanceRunning {
			r.State, r.Message = api.TaskInstanceFailed, "not done in time"
		}
	}
	return 0, w.conclude(ctx)
}

// next deals with one instance by its record, which is read live where that is
// about to be changed.
func (w *work) next(ctx context.Context, r api.TaskInstance) error {
	from := client.Reader(w.Live)
	if w.wishes() && r.State == api.TaskInstanceRunning {
		from = w.Client
	}
	i, err := w.record(ctx, from, r.Instance)
	if err != nil {
		return err
	}
	return w.one(ctx, r.Instance, i)
}

// outOfTime is true where the task has run as long as it may.
func (w *work) outOfTime() bool {
	limit := w.Waits.TaskDeadline
	if s := w.t.Spec.DeadlineSeconds; s > 0 {
		limit = time.Duration(s) * time.Second
	}
	return w.now.Sub(w.t.Status.StartTime.Time) >= limit
}

// nameUnknown names every instance of unknown origin of the pool.
func (w *work) nameUnknown(ctx context.Context) error {
	list, err := w.records(ctx)
	if err != nil {
		return err
	}
	for _, i := range list {
		if i.Spec.CreationType == api.CreatedUnknown && i.Status.LifecycleState != api.InstanceRemoved &&
			w.result(i.Name).Instance == "" && len(w.t.Status.Instances) < 500 {
			w.set(i.Name, api.TaskInstanceWaiting, "")
		}
	}
	return nil
}

// one deals with one instance.
func (w *work) one(ctx context.Context, id string, i *api.Instance) error {
	gone := w.t.Spec.Type == api.TaskForget || w.t.Spec.Type == api.TaskDisown
	switch {
	case i == nil && gone && w.result(id).State == api.TaskInstanceRunning:
		w.set(id, api.TaskInstanceSuccess, "")
		return nil
	case i == nil:
		w.set(id, api.TaskInstanceLeftOut, "there is no record of it")
		return nil
	case i.Spec.Pool != w.t.Spec.Pool:
		w.set(id, api.TaskInstanceLeftOut, "it belongs to node pool "+i.Spec.Pool)
		return nil
	}
	switch w.t.Spec.Type {
	case api.TaskRejoin:
		return w.rejoin(ctx, id, i)
	case api.TaskForget:
		return w.forget(ctx, id, i)
	case api.TaskAdopt:
		return w.adopt(ctx, id, i)
	case api.TaskConvert, api.TaskRenew:
		return w.wish(ctx, id, i)
	}
	return w.letDisown(ctx, id, i)
}

// rejoin lets an instance join with another key, once for each task, and waits
// until it has.
func (w *work) rejoin(ctx context.Context, id string, i *api.Instance) error {
	switch {
	case i.Spec.Release != nil || i.Status.LifecycleState == api.InstanceRemoved || i.Spec.CreationType == api.CreatedUnknown:
		w.set(id, api.TaskInstanceLeftOut, "it is leaving, was taken out or is of unknown origin")
		return nil
	case i.Spec.RejoinTime == nil || i.Spec.RejoinTime.Before(w.t.Status.StartTime):
		before := i.DeepCopy()
		i.LetRejoin(w.now, w.t.Status.StartTime)
		if err := w.Client.Patch(ctx, i, change.Since(before)); err != nil {
			return fmt.Errorf("let instance %s join again: %w", id, err)
		}
		w.set(id, api.TaskInstanceRunning, w.mayRejoin())
	case i.Spec.JoinKey != "" && i.Status.NodeState == api.NodeReady:
		w.set(id, api.TaskInstanceSuccess, "")
	case w.now.Sub(i.Spec.RejoinTime.Time) > w.joinDeadline(i):
		w.set(id, api.TaskInstanceFailed, "it did not join again within its join deadline")
	default:
		w.set(id, api.TaskInstanceRunning, w.mayRejoin())
	}
	return nil
}

func (w *work) mayRejoin() string {
	return "it may join with a new key until its join deadline: type on the machine, as root, what is printed by: poolkeeper node join-command " + w.t.Spec.Pool
}

func (w *work) joinDeadline(i *api.Instance) time.Duration {
	if s := i.Spec.JoinDeadlineSeconds; s > 0 {
		return time.Duration(s) * time.Second
	}
	return w.Waits.JoinDeadline
}

// forget ends the record of an instance that was taken out, once the cloud
// shows it without our tags or not at all.
func (w *work) forget(ctx context.Context, id string, i *api.Instance) error {
	if i.Status.LifecycleState != api.InstanceRemoved {
		w.set(id, api.TaskInstanceLeftOut, "it is in the pool: poolkeeper node remove "+id+" takes it out")
		return nil
	}
	seen, err := w.Look.Look(ctx, id)
	if err != nil || seen[id].Ours {
		w.set(id, api.TaskInstanceRunning, "our tags are not off yet")
		return nil
	}
	w.set(id, api.TaskInstanceRunning, "")
	uid := i.UID
	if err := client.IgnoreNotFound(w.Client.Delete(ctx, i, client.Preconditions{UID: &uid})); err != nil {
		return fmt.Errorf("delete record of %s: %w", id, err)
	}
	if i, err = w.record(ctx, w.Live, id); err != nil {
		return err
	}
	before := i.DeepCopy()
	if i != nil && controllerutil.RemoveFinalizer(i, api.Finalizer) {
		if err := w.Client.Patch(ctx, i, change.Since(before)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("let record of %s go: %w", id, err)
		}
	}
	w.set(id, api.TaskInstanceSuccess, "")
	return nil
}

// adopt counts an instance of unknown origin as the pool's own from now on.
func (w *work) adopt(ctx context.Context, id string, i *api.Instance) error {
	g, err := w.group(ctx, w.Live)
	if err != nil {
		return err
	}
	switch {
	case i.Spec.CreationType != api.CreatedUnknown && w.result(id).State == api.TaskInstanceRunning:
		w.set(id, api.TaskInstanceSuccess, "counted as the pool's own")
	case i.Spec.CreationType != api.CreatedUnknown:
		w.set(id, api.TaskInstanceLeftOut, "its origin is known: it is in the pool already")
	case i.Spec.Disown || i.Status.LifecycleState == api.InstanceRemoved:
		w.set(id, api.TaskInstanceLeftOut, "it was disowned")
	case g == nil:
		w.set(id, api.TaskInstanceLeftOut, "the pool has no scaling group")
	default:
		seen, err := w.Look.Look(ctx, id)
		if err != nil || !seen[id].Ours {
			w.set(id, api.TaskInstanceWaiting, "the cloud does not show it with our tags")
			return nil
		}
		before := i.DeepCopy()
		i.Spec.CreationType, i.Spec.Group, i.Spec.GroupUID = api.CreatedByUs, g.Name, string(g.UID)
		w.set(id, api.TaskInstanceRunning, "")
		if err := w.Client.Patch(ctx, i, change.Since(before)); err != nil {
			return fmt.Errorf("adopt instance %s: %w", id, err)
		}
		w.set(id, api.TaskInstanceSuccess, "counted as the pool's own; the expected number is unchanged")
	}
	return nil
}

// letDisown asks for our tags to be taken off an instance of unknown origin,
// and waits until they are.
func (w *work) letDisown(ctx context.Context, id string, i *api.Instance) error {
	if i.Spec.CreationType != api.CreatedUnknown {
		w.set(id, api.TaskInstanceLeftOut, "its origin is known: poolkeeper node remove "+id+" takes it out")
		return nil
	}
	if !i.Spec.Disown {
		w.set(id, api.TaskInstanceRunning, "our tags are being taken off")
		return w.disown(ctx, i)
	}
	w.set(id, api.TaskInstanceRunning, "our tags are being taken off")
	if i.Status.LifecycleState != api.InstanceRemoved {
		return nil
	}
	if seen, err := w.Look.Look(ctx, id); err == nil && !seen[id].Ours {
		w.set(id, api.TaskInstanceSuccess, "it is no longer ours and runs on")
	}
	return nil
}
