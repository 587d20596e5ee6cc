package nodepool

import (
	"context"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
)

// RequestsNamespace is where the Secrets with exact requests are.
const RequestsNamespace = "poolkeeper-system"

// cleanUp ends what a pool has left once nothing of it is in the cloud any
// more: Instances, activities with their Secrets, the group, what admits its
// machines, and last the finalizer. Its tasks stay. Each step is read live,
// and the next begins only when nothing of the one before is left. True: the
// pool is gone.
func (r *Reconciler) cleanUp(ctx context.Context, p *passed) (bool, error) {
	if err := r.makeDeleteTask(ctx, p.pool); err != nil {
		return false, err
	}
	settled, err := r.settled(ctx, p)
	if err != nil || !settled {
		return false, err
	}
	for _, step := range []func(context.Context, *passed) (bool, error){r.endInstances, r.endActivities, r.endGroup} {
		if over, err := step(ctx, p); err != nil || !over {
			return false, err
		}
	}
	if r.Credentials != nil {
		if err := r.Credentials.Remove(ctx, p.pool.Name); err != nil {
			return false, fmt.Errorf("remove join credential of %s: %w", p.pool.Name, err)
		}
	}
	if err := r.letGo(ctx, p.pool.DeepCopy()); err != nil {
		return false, err
	}
	logf.FromContext(ctx).Info("the pool is gone", "pool", p.pool.Name)
	return true, nil
}

// settled is true when the group sends nothing more, no piece is uncertain
// and every record left is Removed.
func (r *Reconciler) settled(ctx context.Context, p *passed) (bool, error) {
	if p.group == nil {
		return true, nil
	}
	if s := p.group.Status; s.Counted > 0 || s.Uncertain > 0 || s.OpenActivity != "" || s.ObservedGeneration < p.group.Generation {
		return false, nil // by the cache: not worth a live read yet
	}
	g := &api.ScalingGroup{}
	if err := r.Live.Get(ctx, types.NamespacedName{Name: p.group.Name}, g); err != nil {
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	}
	if !g.Spec.Emptying || g.Status.ObservedGeneration < g.Generation || g.Status.OpenActivity != "" || g.Status.Uncertain > 0 {
		return false, nil
	}
	activities, err := r.activities(ctx, g.Name)
	if err != nil {
		return false, err
	}
	for i := range activities {
		if open(&activities[i]) {
			return false, nil
		}
	}
	list, err := r.instances(ctx, r.Live, p.pool.Name)
	if err != nil {
		return false, err
	}
	for _, i := range list {
		if i.Status.LifecycleState != api.InstanceRemoved {
			return false, nil
		}
	}
	return true, nil
}

// open is true of an activity that may send or may have made something.
func open(a *api.ScalingActivity) bool {
	for i := range a.Status.Pieces {
		if a.Status.Pieces[i].State != api.PieceResolved {
			return true
		}
	}
	return !a.Status.Done
}

func (r *Reconciler) activities(ctx context.Context, group string) ([]api.ScalingActivity, error) {
	var list api.ScalingActivityList
	if err := r.Live.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list activities of %s: %w", group, err)
	}
	var out []api.ScalingActivity
	for i := range list.Items {
		if list.Items[i].Spec.Group == group {
			out = append(out, list.Items[i])
		}
	}
	return out, nil
}

// endInstances deletes the records of what was kept, once the task has named
// each with its tags off, so that nobody has to look for them.
func (r *Reconciler) endInstances(ctx context.Context, p *passed) (bool, error) {
	list, err := r.instances(ctx, r.Live, p.pool.Name)
	if err != nil || len(list) == 0 {
		return err == nil, err
	}
	t := &api.ClusterTask{}
	if err := r.Live.Get(ctx, types.NamespacedName{Name: DeleteTaskName(p.pool)}, t); err != nil {
		return false, fmt.Errorf("read task %s: %w", DeleteTaskName(p.pool), err)
	}
	named := map[string]bool{}
	for _, i := range t.Status.Instances {
		named[i.Instance] = i.State == api.TaskInstanceSuccess // it runs on without our tags
	}
	left := false
	for _, i := range list {
		if i.Status.LifecycleState != api.InstanceRemoved || !named[i.Name] {
			left = true
			continue
		}
		if err := r.end(ctx, i.DeepCopy()); err != nil {
			return false, err
		}
	}
	return !left, nil
}

// endActivities deletes the activities of the group, each after its Secret.
func (r *Reconciler) endActivities(ctx context.Context, p *passed) (bool, error) {
	if p.group == nil {
		return true, nil
	}
	list, err := r.activities(ctx, p.group.Name)
	if err != nil {
		return false, err
	}
	for i := range list {
		if ref := list[i].Spec.Requests; ref != nil && ref.Secret != "" {
			s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: RequestsNamespace, Name: ref.Secret}}
			if err := r.Client.Delete(ctx, s); client.IgnoreNotFound(err) != nil {
				return false, fmt.Errorf("delete requests of %s: %w", list[i].Name, err)
			}
		}
		if err := r.end(ctx, &list[i]); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (r *Reconciler) endGroup(ctx context.Context, p *passed) (bool, error) {
	g := &api.ScalingGroup{}
	err := r.Live.Get(ctx, types.NamespacedName{Name: p.pool.Name}, g)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read scaling group %s: %w", p.pool.Name, err)
	}
	if g.Spec.PoolUID != string(p.pool.UID) {
		return true, nil // it is another pool's by now
	}
	return true, r.end(ctx, g)
}

// end deletes an object and lets it go.
func (r *Reconciler) end(ctx context.Context, obj client.Object) error {
	uid := obj.GetUID()
	err := r.Client.Delete(ctx, obj, client.Preconditions{UID: &uid})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %s: %w", obj.GetName(), err)
	}
	if err != nil {
		return nil
	}
	fresh, ok := reflect.New(reflect.TypeOf(obj).Elem()).Interface().(client.Object)
	if !ok {
		return fmt.Errorf("read %s anew: it is no object", obj.GetName())
	}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(obj), fresh); err != nil {
		return client.IgnoreNotFound(err)
	}
	return r.letGo(ctx, fresh)
}

// letGo takes our finalizer off.
func (r *Reconciler) letGo(ctx context.Context, obj client.Object) error {
	base, ok := obj.DeepCopyObject().(client.Object)
	if !ok || !controllerutil.RemoveFinalizer(obj, api.Finalizer) {
		return nil
	}
	err := r.Client.Patch(ctx, obj, change.Since(base))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("let %s go: %w", obj.GetName(), err)
	}
	return nil
}
