package nodepool

import (
	"cmp"
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// report writes the pool's status where it changed, not more often than the
// interval allows: the first change at once, the rest by a later look.
func (r *Reconciler) report(ctx context.Context, p *passed) (ctrl.Result, error) {
	now := r.Now()
	r.memory.of(p.pool.Name, func(k *remembered) { // the status may be written by a later look
		k.task = cmp.Or(p.task, k.task)
		p.task = k.task
	})
	if left := max(r.untilWrite(p.pool.Name, now), r.untilLooked(p, now)); left > 0 && !r.mustSay(p) {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	list, err := r.instances(ctx, r.Client, p.pool.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	r.memory.of(p.pool.Name, func(k *remembered) { k.size = len(list) })
	r.warnHealthCheck(p)
	pool := p.pool.DeepCopy()
	p.waits = r.Waits
	ending := fill(pool, p, list, now, r.Waits.ExpiryWarning)
	r.warnSubscriptions(p, ending)
	metrics.Bills.Tell(pool.Name, billed(pool.Status.Price, r.Now))
	if !equality.Semantic.DeepEqual(pool.Status, p.pool.Status) {
		r.memory.of(pool.Name, func(k *remembered) { k.written = now })
		if err := r.Client.Status().Update(ctx, pool); err != nil {
			return r.soon(err)
		}
	}
	return ctrl.Result{RequeueAfter: r.lookAgain(p, now)}, nil
}

// mustSay is true for what may not wait: which healthCheck was passed down
// decides what is passed down next.
func (r *Reconciler) mustSay(p *passed) bool {
	return p.group != nil && p.pool.Status.HealthCheckPassed != p.pool.Spec.HealthCheck
}

// untilLooked is how long to wait for the group to look at what was passed down,
// so that the first status of a change says already what the group does about
// it. Its own status wakes us sooner.
func (r *Reconciler) untilLooked(p *passed, now time.Time) time.Duration {
	news := p.pool.Status.ObservedGeneration < p.pool.Generation
	if !news || !behind(p.group) || p.mode != (mode{}) || p.verdict.state != metav1.ConditionTrue {
		return 0
	}
	return r.memory.untilLooked(p.pool.Name, p.group.Generation, now, r.Waits.StatusInterval)
}

// behind is true of a group that has not looked at its newest spec.
func behind(g *api.ScalingGroup) bool {
	return g != nil && g.Status.ObservedGeneration < g.Generation
}

// lookAgain is when the pool is looked at though nothing changed.
func (r *Reconciler) lookAgain(p *passed, now time.Time) time.Duration {
	d := r.Waits.SettingsCheck
	if p.mode.emptying || p.mode.blocked != "" || p.mode.frozen != "" {
		d = r.Waits.SettingsRetry
	}
	if !p.verdict.again.IsZero() && p.verdict.again.After(now) {
		d = min(d, p.verdict.again.Sub(now))
	}
	if p.drain.again.After(now) {
		d = min(d, p.drain.again.Sub(now))
	}
	return max(d, time.Millisecond)
}

// fill writes the whole status of a pool from one look.
// It returns the subscriptions that end within the time of the warning.
func fill(pool *api.NodePool, p *passed, list []*api.Instance, now time.Time, warning time.Duration) []ending {
	st := &pool.Status
	t := count(p, list)
	st.ObservedGeneration = pool.Generation
	st.Counts, st.Price, st.Nodes = t.counts, settled(st.Price, t.price, now), t.counts.InService
	st.Selector = api.LabelPool + "=" + pool.Name
	if p.task != "" {
		st.Task = p.task
	}
	if p.group != nil {
		st.ScalingGroup, st.Strength, st.StrengthScore = p.group.Name, p.group.Status.Strength, p.group.Status.StrengthScore
		st.HealthCheckPassed = pool.Spec.HealthCheck
	}
	st.Why = why(pool, p, &t, now)
	conditions(pool, p, &t, now)
	soon := t.ending(now, warning)
	subscriptionsEnding(pool, soon, now)
	st.State = state(pool, p, &t)
	st.Word = view.PoolWord(&pool.Spec, st)
	st.Summary = view.PoolSentence(pool, now)
	return soon
}

// state is the one word for machines.
func state(pool *api.NodePool, p *passed, t *tally) api.PoolState {
	missing := pool.Spec.ExpectedNodes - t.counts.Instances - t.counts.Uncertain
	resting := meta.IsStatusConditionTrue(pool.Status.Conditions, api.ConditionHeld) ||
		meta.IsStatusConditionTrue(pool.Status.Conditions, api.ConditionFrozen)
	switch {
	case p.mode.emptying:
		return api.PoolDeleting
	case p.group == nil, behind(p.group) && t.counts.Removing == 0:
		return api.PoolUpdating
	case missing > 0 && !resting:
		return api.PoolScaling
	case t.counts.Removing > 0, missing < 0 && !resting && !onlyKept(p.group):
		return api.PoolRemoving
	}
	return api.PoolActive
}
