package nodepool

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// why names the one reason for which the pool is not as wished: what keeps the
// group from its number first, then settings, then machines that do not join.
// Nil: it is as wished, or only waits for machines to join. What comes next is
// the group's to say where the reason itself does not.
func why(pool *api.NodePool, p *passed, t *tally, now time.Time) *api.Why {
	var group *api.Why
	if p.group != nil {
		group = p.group.Status.Why
	}
	if group != nil && group.Code != "" {
		return group.DeepCopy()
	}
	w := reason(pool, p, t)
	if off := t.counts.Instances != pool.Spec.ExpectedNodes; group == nil && off && !p.mode.emptying {
		group = unlooked(pool, t)
	} else if w == nil && group != nil {
		return group.DeepCopy()
	}
	switch {
	case w == nil && group == nil:
		return nil
	case w == nil:
		w = group
	case w.Next == "" && w.NextTime == nil && group != nil:
		w.Next, w.NextTime = group.Next, group.NextTime.DeepCopy()
	}
	w.Short = pool.Spec.ExpectedNodes - t.counts.InService
	since := metav1.NewTime(now.Truncate(time.Second))
	w.SinceTime = &since
	if old := pool.Status.Why; old != nil && old.Code == w.Code && old.SinceTime != nil {
		w.SinceTime = old.SinceTime
	}
	return w
}

// unlooked is why a pool is not at its number of which its scaling group says
// that it is.
func unlooked(pool *api.NodePool, t *tally) *api.Why {
	if t.counts.Instances+t.counts.Uncertain == pool.Spec.ExpectedNodes {
		return &api.Why{Sentence: fmt.Sprintf("a call whose answer was lost may have made %d of its instances", t.counts.Uncertain), Next: "the cloud is searched for them by tag"}
	}
	return &api.Why{Sentence: "its instances changed, and its scaling group has not looked at that yet", Next: passedDown}
}

// passedDown is what comes next where the scaling group has to look.
const passedDown = "it decides what to create or release"

// reason is why the pool is not as wished, where the group has no code for it;
// nil where only the group may know.
func reason(pool *api.NodePool, p *passed, t *tally) *api.Why {
	failed := t.counts.Failed > 0 && t.counts.InService < pool.Spec.ExpectedNodes // else they are only kept to look at
	switch {
	case p.group == nil && p.mode.frozen != "":
		return &api.Why{Sentence: p.mode.frozen, Next: "it begins when the definition is there again"}
	case p.verdict.state == metav1.ConditionFalse:
		return &api.Why{Code: p.verdict.code, Sentence: cut("the cloud has not what the spec names: "+p.verdict.message, 1024),
			Solution: cut(p.verdict.solution, 1024), Next: "an edit is tried at once; without one, the cloud is asked again", NextTime: due(p.verdict.again)}
	case p.group == nil:
		return unchecked(p)
	case failed && fault.OfHook(fault.Code(t.code())):
		return &api.Why{Code: t.code(), Sentence: "a lifecycle hook gave up " + some(t.failed), Next: "they are released, and others are created",
			Solution: cut(cmp.Or(t.helps[t.code()], fault.Lookup(fault.Code(t.code())).Advice(fault.Details{fault.DetailPool: pool.Name})), 1024)}
	case len(t.paid) > 0:
		one := t.paid[0]
		return &api.Why{Code: t.code(), Sentence: fmt.Sprintf("%d of its subscriptions did not join and are not replaced by themselves: %s", len(t.paid), some(t.paid)),
			Solution: fmt.Sprintf("read step and log: poolkeeper why %s; then let it join again: poolkeeper node rejoin %s, or have it replaced: poolkeeper node remove %s --keep-expected", one, one, one)}
	case failed:
		return &api.Why{Code: t.code(), Sentence: fmt.Sprintf("%d of its machines did not join: %s", t.counts.Failed, some(t.failed)), Solution: "read step and log: poolkeeper why " + t.failed[0]}
	case behind(p.group) && !p.mode.emptying:
		return &api.Why{Sentence: "the change was passed down, and its scaling group has not looked at it yet", Next: passedDown}
	case p.group.Status.Why != nil:
		return nil
	case len(t.late) > 0:
		return late(t.late)
	case len(t.undrained) > 0 && p.mode.emptying:
		return undrained(t, p.waits.DrainPass)
	case len(t.undrained) > 0:
		return undrained(t, p.waits.Held)
	case len(t.held) > 0:
		return held(t)
	case len(t.activities) > 0 && (!p.mode.emptying || t.waiting != nil):
		return leaving(t, p.waits.DrainLimit)
	case len(t.stopped) > 0:
		return stopped(p, t)
	case t.counts.Offline > 0:
		return &api.Why{Sentence: fmt.Sprintf("not Ready, or gone from the API: %s", some(t.offline)), Solution: "look at their kubelets; an instance whose machine is beyond help: poolkeeper node remove " + t.offline[0] + " --release"}
	}
	return nil
}

// unchecked tells of settings that nobody could look at yet, so that there is no
// scaling group.
func unchecked(p *passed) *api.Why {
	w := &api.Why{Sentence: "its settings were not looked at yet", Next: "the cloud is asked whether it has what the spec names", NextTime: due(p.verdict.again)}
	if p.verdict.message != "" {
		w.Sentence = cut(p.verdict.message, 1024)
	}
	return w
}

// due is when something is tried next; nil where that is not known.
func due(at time.Time) *metav1.Time {
	if at.IsZero() {
		return nil
	}
	t := metav1.NewTime(at.Truncate(time.Second))
	return &t
}

// stopped tells of instances that do not run in the cloud. What the group says
// of the health check holds.
func stopped(p *passed, t *tally) *api.Why {
	pool, check := p.pool, p.pool.Spec.HealthCheck
	if p.group != nil {
		check = p.group.Spec.HealthCheck
	}
	w := &api.Why{Sentence: "not running in the cloud: " + some(t.stopped), Next: "they are replaced, as the health check is on"}
	if check != api.HealthCheckECS {
		w.Sentence += "; not replaced, as the health check is off"
		w.Next, w.Solution = "", "start it in the cloud, or have it replaced: poolkeeper pool edit "+pool.Name+" --health-check ECS"
	}
	return w
}

// late tells of machines that join late, and when the first by name is given up.
func late(list []*api.Instance) *api.Why {
	i := list[0]
	w := &api.Why{Sentence: i.Name + " joins late: " + view.JoinStep(i), Next: "it is waited for"}
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
	w := &api.Why{Sentence: fmt.Sprintf("%d %s leaving, as %s decided", t.counts.Removing, are, some(slices.Sorted(maps.Keys(t.activities)))), Next: "each goes once it is drained"}
	i := t.waiting
	if i == nil {
		return w
	}
	w.Sentence = cut(w.Sentence+"; "+i.Name+" drains and waits for "+i.Status.DrainBlocked, 1024)
	w.Solution = "make room for the pod elsewhere, or let its disruption budget spare one"
	w.Next = "its drain stops, and nothing is released"
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
	w.NextTime = due(first.UntilTime.Time)
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
