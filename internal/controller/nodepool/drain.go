package nodepool

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// drainVerdict is what is known of the drain of a pool's nodes. The zero value
// is that of a pool that drains none.
type drainVerdict struct {
	state      metav1.ConditionStatus
	reason     string
	message    string
	role       string // where it is false: what is known of the role
	generation int64
	again      time.Time
}

// undrained is what the group is told: why its nodes cannot be drained. What
// could not be asked leaves it as it was.
func (v drainVerdict) undrained(before string) string {
	switch v.state {
	case metav1.ConditionFalse:
		return v.role
	case metav1.ConditionUnknown:
		return before
	}
	return ""
}

// drains says whether nodes can be drained as the pool wishes. The cloud is
// asked before a new pool or a changed one is passed down, and then by
// schedule; a restart alone asks nothing anew. It never holds anything up.
func (r *Reconciler) drains(ctx context.Context, p *passed) drainVerdict {
	spec := &p.pool.Spec
	if spec.Drain.Mode == api.DrainOff || spec.Drain.Mode == "" || p.mode.emptying || p.mode.frozen != "" {
		r.memory.of(p.pool.Name, func(k *remembered) { k.drain = nil })
		return drainVerdict{}
	}
	now := r.Now()
	var known *drainVerdict
	r.memory.of(p.pool.Name, func(k *remembered) { known = k.drain })
	if known != nil && known.generation == p.pool.Generation && now.Before(known.again) {
		return *known
	}
	v := drainVerdict{state: metav1.ConditionTrue, reason: api.ReasonChecked, message: drainReady, again: now.Add(r.Waits.SettingsCheck)}
	if known != nil || !drainedAlready(p.pool) {
		v = r.askDrain(ctx, spec.Drain.Mode, now)
	}
	v.generation = p.pool.Generation
	r.memory.of(p.pool.Name, func(k *remembered) { k.drain = &v })
	return v
}

const drainReady = "what drains nodes has its role"

// drainedAlready is true where the status says so of this very spec.
func drainedAlready(pool *api.NodePool) bool {
	c := meta.FindStatusCondition(pool.Status.Conditions, api.ConditionDrainReady)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == pool.Generation
}

// askDrain asks the cloud.
func (r *Reconciler) askDrain(ctx context.Context, mode api.DrainMode, now time.Time) drainVerdict {
	f, err := r.Check.Drain(ctx)
	switch {
	case err != nil:
		return drainVerdict{state: metav1.ConditionUnknown, reason: reasonUnreachable, again: now.Add(r.Waits.SettingsRetry),
			message: cut("the cloud could not be asked about the role of the drain; asked again soon: "+err.Error(), 1024)}
	case f == nil:
		return drainVerdict{state: metav1.ConditionTrue, reason: api.ReasonChecked, message: drainReady, again: now.Add(r.Waits.SettingsCheck)}
	}
	v := drainVerdict{state: metav1.ConditionFalse, reason: api.ReasonDrainRoleMissing, again: now.Add(r.Waits.SettingsRetry)}
	if v.role = fault.DrainRoleState(f); v.role == fault.DrainRoleNotRead {
		v.reason = api.ReasonDrainRoleUnread
	}
	v.message = view.Undrained(mode, f)
	return v
}

// drainCondition shows it, where the pool drains its nodes.
func drainCondition(pool *api.NodePool, p *passed, set func(metav1.Condition)) {
	if p.drain.state == "" {
		meta.RemoveStatusCondition(&pool.Status.Conditions, api.ConditionDrainReady)
		return
	}
	set(metav1.Condition{Type: api.ConditionDrainReady, Status: p.drain.state, Reason: p.drain.reason, Message: p.drain.message})
}
