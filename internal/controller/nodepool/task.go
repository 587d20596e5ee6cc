package nodepool

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// ScaleTaskName is the name of the task that follows a changed expected
// number of a pool.
func ScaleTaskName(pool *api.NodePool) string {
	return fmt.Sprintf("%s-g%d", taskPrefix(pool), pool.Generation)
}

// DeleteTaskName is the name of the task that follows a pool's deletion.
func DeleteTaskName(pool *api.NodePool) string { return taskPrefix(pool) + "-delete" }

func taskPrefix(pool *api.NodePool) string {
	uid := strings.ReplaceAll(string(pool.UID), "-", "")
	return pool.Name + "-" + uid[:min(6, len(uid))]
}

// makeScaleTask makes the task of a changed number, once.
func (r *Reconciler) makeScaleTask(ctx context.Context, p *passed, want *api.ScalingGroupSpec) error {
	from := int32(0)
	if p.group != nil {
		from = p.group.Spec.DesiredCapacity
		if p.group.Spec.PoolUID == string(p.pool.UID) && p.group.Spec.PoolGeneration == p.pool.Generation {
			return nil // what differs is not the pool's doing
		}
	}
	to := want.DesiredCapacity
	if from == to || explained(p.group, want) {
		return nil
	}
	t := r.newTask(p.pool, ScaleTaskName(p.pool), api.TaskScale)
	t.Spec.Title = fmt.Sprintf("Scale %s %d -> %d", p.pool.Name, from, to)
	t.Spec.From, t.Spec.To = from, to
	t.Spec.AskedBy = askedBy(p.pool)
	t.Spec.DeadlineSeconds = int32(r.Waits.TaskDeadline.Seconds())
	if d := p.pool.Spec.TaskDeadlineSeconds; d != nil {
		t.Spec.DeadlineSeconds = *d
	}
	p.task, p.change = t.Name, fmt.Sprintf("%d -> %d by %s", from, to, t.Spec.AskedBy)
	if t.Spec.AskedBy == throughScale {
		p.change = fmt.Sprintf("%d -> %d %s", from, to, throughScale)
	}
	return r.makeTask(ctx, t)
}

// makeDeleteTask makes the task of a pool's deletion, once.
func (r *Reconciler) makeDeleteTask(ctx context.Context, pool *api.NodePool) error {
	t := r.newTask(pool, DeleteTaskName(pool), api.TaskDelete)
	t.Spec.Title = "Delete " + pool.Name
	t.Spec.AskedBy = "whoever deleted the node pool (no name recorded)"
	return r.makeTask(ctx, t)
}

func (r *Reconciler) newTask(pool *api.NodePool, name string, typ api.TaskType) *api.ClusterTask {
	return &api.ClusterTask{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{api.LabelPool: pool.Name}},
		Spec:       api.ClusterTaskSpec{Type: typ, Pool: pool.Name, PoolUID: string(pool.UID), PoolGeneration: pool.Generation},
	}
}

func (r *Reconciler) makeTask(ctx context.Context, t *api.ClusterTask) error {
	if err := r.Client.Create(ctx, t); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create task %s: %w", t.Name, err)
	}
	return nil
}

// explained is true where the entries that came or went account for the whole
// change of the number: then a task of theirs tells about it.
func explained(g *api.ScalingGroup, want *api.ScalingGroupSpec) bool {
	if g == nil {
		return false
	}
	low, high := int32(0), int32(0)
	had, has := byInstance(g.Spec.Transfers), byInstance(want.Transfers)
	for id, t := range has {
		if old, ok := had[id]; ok && old == t {
			continue
		}
		if t.Direction == api.TransferOut {
			low--
		} else {
			high++
		}
	}
	for id, t := range had {
		if now, ok := has[id]; ok && now == t {
			continue
		}
		if t.Direction == api.TransferOut {
			high++
		} else {
			low--
		}
	}
	change := want.DesiredCapacity - g.Spec.DesiredCapacity
	return low <= change && change <= high
}

func byInstance(list []api.Transfer) map[string]api.Transfer {
	out := make(map[string]api.Transfer, len(list))
	for _, t := range list {
		out[t.Instance] = t
	}
	return out
}

// throughScale is who asked where nothing says more.
const throughScale = "through scale (no name recorded)"

// askedBy says who asked for the newest generation, as far as the stamp of the
// admission policy or, where there is none, the field manager knows.
func askedBy(pool *api.NodePool) string {
	who, stamped := pool.Annotations[api.AnnotationAskedBy]
	at, err := strconv.ParseInt(pool.Annotations[api.AnnotationAskedAt], 10, 64)
	switch {
	case stamped && err == nil && at+1 == pool.Generation && who != "":
		return cut(who, 256)
	case stamped:
		return throughScale
	}
	for _, f := range pool.ManagedFields {
		if f.FieldsV1 == nil || f.Subresource == "scale" || !strings.Contains(f.FieldsV1.String(), `"f:expectedNodes"`) {
			continue
		}
		return cut("field manager "+f.Manager, 256)
	}
	return throughScale
}
