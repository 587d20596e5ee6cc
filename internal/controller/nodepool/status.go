package nodepool

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
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

// stopped tells of instances that do not run in the cloud.
func stopped(pool *api.NodePool, t *tally) *api.Why {
	w := &api.Why{Sentence: "not running in the cloud: " + some(t.stopped), Next: "they are replaced, as the health check is on"}
	if pool.Spec.HealthCheck != api.HealthCheckECS {
		w.Sentence += "; not replaced, as the health check is off"
		w.Next, w.Solution = "", "start it in the cloud, or have it replaced: poolkeeper pool edit "+pool.Name+" --health-check ECS"
	}
	return w
}

// late tells of machines that join late, and when the first by name is given up.
func late(list []*api.Instance) *api.Why {
	i := list[0]
	w := &api.Why{Sentence: i.Name + " joins late: " + view.JoinStep(i)}
	if n := len(list); n > 1 {
		w.Sentence = fmt.Sprintf("%d machines join late, the first of them %s", n, w.Sentence)
	}
	if end := view.JoinEnd(i); !end.IsZero() {
		w.Next, w.NextTime = "its join is given up", &metav1.Time{Time: end}
	}
	return w
}

// leaving tells of instances that go, and what the drain of one waits for.
func leaving(t *tally, limit time.Duration) *api.Why {
	are := "are"
	if t.counts.Removing == 1 {
		are = "is"
	}
	w := &api.Why{Sentence: fmt.Sprintf("%d %s leaving, as %s decided", t.counts.Removing, are, some(slices.Sorted(maps.Keys(t.activities))))}
	i := t.waiting
	if i == nil {
		return w
	}
	w.Sentence = cut(w.Sentence+"; "+i.Name+" drains and waits for "+i.Status.DrainBlocked, 1024)
	w.Solution = "make room for the pod elsewhere, or let its disruption budget spare one"
	w.Next = "its drain stops, and nothing is released,"
	if i.Spec.Release.Drain == api.DrainBestEffort {
		w.Next = "it goes all the same"
	}
	if s := i.Spec.Release.DrainLimitSeconds; s > 0 {
		limit = time.Duration(s) * time.Second
	}
	end := metav1.NewTime(i.Status.DrainStartTime.Add(limit))
	w.NextTime = &end
	return w
}

// held tells of instances that lifecycle hooks hold on their way in or out, and
// when the first of these hooks is over by itself.
func held(t *tally) *api.Why {
	i := t.held[0]
	h := view.Held(i)
	if len(h) == 0 {
		return &api.Why{Sentence: i.Name + " is held by a lifecycle hook"}
	}
	first, way := h[0], "in"
	if first.Transition == api.WayOut {
		way = "out"
	}
	w := &api.Why{Sentence: fmt.Sprintf("lifecycle hook %s holds %s on its way %s", first.Name, i.Name, way), Next: "its default result, " + string(first.DefaultResult) + ", is taken",
		Solution: "complete it: " + view.HookAct(i.Name, first.Name, "continue")}
	if n := len(t.held); n > 1 {
		w.Sentence += fmt.Sprintf("; %d are held in all", n)
		w.Solution += "; all of them: poolkeeper hook list --pool " + i.Spec.Pool
	}
	until := metav1.NewTime(first.UntilTime.Truncate(time.Second))
	w.NextTime = &until
	return w
}

// undrained tells of leaving instances whose required drain stopped at its
// limit, and when the first of them is tried again.
func undrained(t *tally, held time.Duration) *api.Why {
	i := t.undrained[0]
	c := meta.FindStatusCondition(i.Status.Conditions, api.ConditionDrainStopped)
	w := &api.Why{Code: string(fault.DrainLimit), Sentence: cut(i.Name+" is not released: "+c.Message, 1024), Next: "its drain is tried again",
		Solution: cut(fault.Lookup(fault.DrainLimit).Advice(fault.Details{fault.DetailBlocked: i.Status.DrainBlocked}), 1024)}
	if n := len(t.undrained); n > 1 {
		w.Sentence = cut(fmt.Sprintf("%d are not released, the first of them %s", n, w.Sentence), 1024)
	}
	again := metav1.NewTime(c.LastTransitionTime.Add(held))
	w.NextTime = &again
	return w
}

// codeOnlyKept is the catalogue's code for a pool that stays above its number.
const codeOnlyKept = "ScaleIn.OnlyKeptInstances"

func onlyKept(g *api.ScalingGroup) bool {
	return g != nil && g.Status.Why != nil && g.Status.Why.Code == codeOnlyKept
}

// why names the one reason for which the pool is not as wished: what keeps the
// group from its number first, then settings, then machines that do not join.
func why(pool *api.NodePool, p *passed, t *tally, now time.Time) *api.Why {
	var w, group *api.Why
	if p.group != nil {
		group = p.group.Status.Why
	}
	switch {
	case group != nil && group.Code != "":
		return group.DeepCopy()
	case p.verdict.state == metav1.ConditionFalse:
		w = &api.Why{Code: p.verdict.code, Sentence: cut("the cloud has not what the spec names: "+p.verdict.message, 1024), Solution: "name in the spec what the cloud has"}
	case t.counts.Failed > 0:
		w = &api.Why{Code: t.code(), Sentence: fmt.Sprintf("%d of its machines did not join: %s", t.counts.Failed, some(t.failed)), Solution: "read step and log: poolkeeper why " + t.failed[0]}
	case behind(p.group) && !p.mode.emptying:
		w = &api.Why{Sentence: "the change was passed down, and its scaling group has not looked at it yet", Next: "it decides what to create or release"}
	case group != nil:
		return group.DeepCopy()
	case len(t.late) > 0:
		w = late(t.late)
	case len(t.undrained) > 0:
		w = undrained(t, p.waits.Held)
	case len(t.held) > 0:
		w = held(t)
	case len(t.activities) > 0 && !p.mode.emptying:
		w = leaving(t, p.waits.DrainLimit)
	case len(t.stopped) > 0:
		w = stopped(pool, t)
	case t.counts.Offline > 0:
		w = &api.Why{Sentence: fmt.Sprintf("%d of its nodes are not Ready or gone from the API: %s", t.counts.Offline, some(t.offline)), Solution: "look at their kubelets; an instance whose machine is beyond help: poolkeeper node remove " + t.offline[0] + " --release"}
	default:
		return nil
	}
	w.Short = pool.Spec.ExpectedNodes - t.counts.InService
	since := metav1.NewTime(now.Truncate(time.Second))
	w.SinceTime = &since
	if old := pool.Status.Why; old != nil && old.Code == w.Code && old.SinceTime != nil {
		w.SinceTime = old.SinceTime
	}
	return w
}
