package clustertask

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// pool reads the task's pool. Nil: it is gone, or another one has its name.
func (w *work) pool(ctx context.Context, from client.Reader) (*api.NodePool, error) {
	p := &api.NodePool{}
	err := from.Get(ctx, types.NamespacedName{Name: w.t.Spec.Pool}, p)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read node pool %s: %w", w.t.Spec.Pool, err)
	}
	if w.t.Spec.PoolUID != "" && w.t.Spec.PoolUID != string(p.UID) {
		return nil, nil
	}
	return p, nil
}

// refresh reads the task anew.
func (w *work) refresh(ctx context.Context) error {
	t := &api.ClusterTask{}
	if err := w.Live.Get(ctx, types.NamespacedName{Name: w.t.Name}, t); err != nil {
		return fmt.Errorf("read task %s: %w", w.t.Name, err)
	}
	w.t, w.was = t, *t.Status.DeepCopy()
	return nil
}

// group reads the group of the task's pool. Nil: there is none.
func (w *work) group(ctx context.Context, from client.Reader) (*api.ScalingGroup, error) {
	g := &api.ScalingGroup{}
	err := from.Get(ctx, types.NamespacedName{Name: w.t.Spec.Pool}, g)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read scaling group %s: %w", w.t.Spec.Pool, err)
	}
	return g, nil
}

// record reads the record of an instance. Nil: there is none.
func (w *work) record(ctx context.Context, from client.Reader, id string) (*api.Instance, error) {
	i := &api.Instance{}
	err := from.Get(ctx, types.NamespacedName{Name: id}, i)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read instance %s: %w", id, err)
	}
	return i, nil
}

// records lists the records of the pool from the cache. They are shared and
// must not be changed.
func (w *work) records(ctx context.Context) ([]*api.Instance, error) {
	var list api.InstanceList
	if err := w.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list instances of %s: %w", w.t.Spec.Pool, err)
	}
	var out []*api.Instance
	for i := range list.Items {
		if list.Items[i].Spec.Pool == w.t.Spec.Pool {
			out = append(out, &list.Items[i])
		}
	}
	return out, nil
}

// activities lists the activities of the pool's group from the cache. They are
// shared and must not be changed.
func (w *work) activities(ctx context.Context) ([]*api.ScalingActivity, error) {
	var list api.ScalingActivityList
	if err := w.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list activities of %s: %w", w.t.Spec.Pool, err)
	}
	var out []*api.ScalingActivity
	for i := range list.Items {
		if list.Items[i].Spec.Pool == w.t.Spec.Pool {
			out = append(out, &list.Items[i])
		}
	}
	return out, nil
}

// tasks lists the tasks of the pool. Those of the cache are shared and must
// not be changed.
func (w *work) tasks(ctx context.Context, from client.Reader) ([]*api.ClusterTask, error) {
	var list api.ClusterTaskList
	if err := from.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list tasks of %s: %w", w.t.Spec.Pool, err)
	}
	var out []*api.ClusterTask
	for i := range list.Items {
		if list.Items[i].Spec.Pool == w.t.Spec.Pool {
			out = append(out, &list.Items[i])
		}
	}
	return out, nil
}
