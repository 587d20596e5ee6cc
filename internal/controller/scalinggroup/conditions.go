package scalinggroup

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// conditions writes every condition of the group.
func (g *group) conditions(d scaling.Decision, w scaling.Why) {
	g.atDesired(d)
	g.held(d, w)
	g.conditionFrozen()
	g.balanced(d)
	g.unknown()
	g.trouble()
}

// set writes one condition.
func (g *group) set(kind string, is bool, reason, message string) {
	meta.SetStatusCondition(&g.g.Status.Conditions, metav1.Condition{Type: kind, Status: truth(is), Reason: reason, Message: clip(message, 1000),
		ObservedGeneration: g.g.Generation, LastTransitionTime: second(g.now)})
}

func (g *group) unset(kind string) { meta.RemoveStatusCondition(&g.g.Status.Conditions, kind) }

// reasonOf is the reason of a condition; empty where there is none.
func reasonOf(list []metav1.Condition, kind string) string {
	if c := meta.FindStatusCondition(list, kind); c != nil {
		return c.Reason
	}
	return ""
}

func (g *group) atDesired(d scaling.Decision) {
	s := &g.g.Status
	if s.Why == nil {
		g.set(api.ConditionAtDesiredCapacity, true, api.ReasonAsExpected, s.Summary)
		return
	}
	reason := api.ReasonWaiting
	switch {
	case s.Why.Code == string(fault.OnlyKeptInstances):
		reason = api.ReasonOnlyKept
	case fault.IsCeiling(fault.Code(s.Why.Code)):
		reason = api.ReasonCeiling
	case len(d.Blocked) > 0 && d.Empty():
	case d.Counted > int(g.g.Spec.DesiredCapacity):
		reason = api.ReasonScalingIn
	case d.Counted < int(g.g.Spec.DesiredCapacity):
		reason = api.ReasonScalingOut
	}
	g.set(api.ConditionAtDesiredCapacity, d.Counted == int(g.g.Spec.DesiredCapacity) && len(d.Blocked) == 0, reason, s.Summary)
}

// held says what is only tried now and then. While such a try is under way it
// stays so.
func (g *group) held(d scaling.Decision, w scaling.Why) {
	if w.Held {
		text, resume := g.heldWords(w), "poolkeeper pool resume "+g.g.Spec.Pool
		switch {
		case w.OnWord:
			text += ": " + resume + " has machines replaced"
		case w.Next.IsZero():
			text += "; tried once every " + span(g.Waits.Held) + ", or at once by " + resume
		default:
			text += "; tried once every " + span(g.Waits.Held) + ", next at " + w.Next.UTC().Format(time.TimeOnly+" UTC") + ", or at once by " + resume
		}
		g.set(api.ConditionHeld, true, api.ReasonHeld, text)
		return
	}
	if g.open() != nil && d.Missing > 0 && reasonOf(g.before.Conditions, api.ConditionHeld) == api.ReasonHeld {
		for _, r := range g.g.Status.Refusals {
			if int(r.Count) >= scaling.HoldAfter {
				return
			}
		}
	}
	g.set(api.ConditionHeld, false, api.ReasonAsExpected, "")
}

func (g *group) conditionFrozen() {
	many, tooMany := scaling.UnknownMany(g.s)
	switch {
	case g.freeze.Text != "":
		g.set(api.ConditionFrozen, true, g.freeze.Reason, g.freeze.Text)
	case tooMany:
		g.set(api.ConditionFrozen, true, api.ReasonUnknownInstances, fault.InPool(many.Text+": "+many.Edit, g.g.Spec.Pool))
	case g.thawed:
		g.set(api.ConditionFrozen, false, api.ReasonThawed, "a person ended the freeze: "+g.guarded.NoRelease)
	case g.s.NoRelease != "":
		g.set(api.ConditionFrozen, true, api.ReasonMassDisappearance, g.s.NoRelease)
	default:
		g.set(api.ConditionFrozen, false, api.ReasonAsExpected, "")
	}
}

// balanced says whether zones are even, where they are to be; what ended a
// rebalance stays readable until the zones change.
func (g *group) balanced(d scaling.Decision) {
	st, n := &g.g.Status, d.Imbalance
	wished := g.g.Spec.ScalingPolicy.Type == api.PolicyDistributionBalancing
	pending := g.s.Rebalance && d.RebalanceEnd == ""
	switch {
	case d.RebalanceEnd != "" && (n > 1 || !wished):
		g.set(api.ConditionBalanced, false, api.ReasonCannotRebalance, d.RebalanceEnd)
	case !pending && n == int(g.before.Imbalance) && reasonOf(st.Conditions, api.ConditionBalanced) == api.ReasonCannotRebalance && (n > 1 || !wished):
	case !wished:
		g.unset(api.ConditionBalanced)
	case n <= 1:
		g.set(api.ConditionBalanced, true, api.ReasonAsExpected, "zones are even within one instance")
	case pending:
		text := "zones differ by " + some(n, "instance") + ", and a rebalance is under way"
		if len(d.Blocked) > 0 {
			text += ": " + d.Blocked[0].Text
		}
		g.set(api.ConditionBalanced, false, api.ReasonRebalancing, text)
	default:
		g.set(api.ConditionBalanced, false, api.ReasonUnbalanced,
			"zones differ by "+some(n, "instance")+"; to even them out: poolkeeper pool rebalance "+g.g.Spec.Pool)
	}
}

// unknown names instances that carry our tags and that no decision explains, and
// those of another installation for a pool of this name.
func (g *group) unknown() {
	var names []string
	for _, i := range g.s.Instances {
		if i.Unknown && !i.Removed {
			names = append(names, i.Name)
		}
	}
	others := g.guarded.Others
	switch {
	case len(names) > 0:
		text := fault.List(sorted(names)) + ": not counted and never released until a person says poolkeeper instance adopt, or poolkeeper instance disown"
		if others != "" {
			text += "; " + others
		}
		g.set(api.ConditionUnknownInstances, true, api.ReasonUnknownInstances, text)
	case others != "":
		g.set(api.ConditionUnknownInstances, true, api.ReasonOtherCluster, others)
	default:
		g.unset(api.ConditionUnknownInstances)
	}
}

// trouble says what people have to mend: another account's credentials,
// requests that cannot be written down, a deletion that nobody may ask for.
func (g *group) trouble() {
	if g.freeze.Code == fault.AccountChanged {
		g.set(api.ConditionAccountMatches, false, api.ReasonOtherAccount, g.freeze.Text)
	} else {
		g.unset(api.ConditionAccountMatches)
	}
	if s := g.kept.stuckNow(g); s != nil && s.reason.Code == fault.RequestInvalid {
		g.set(api.ConditionValid, false, api.ReasonRequestInvalid, s.reason.Text)
	} else {
		g.unset(api.ConditionValid)
	}
	if g.g.DeletionTimestamp != nil && !g.g.Spec.Emptying {
		g.set(api.ConditionDeletionBlocked, true, api.ReasonProtected,
			"a scaling group goes with its node pool only; it works on as before. To delete the pool: poolkeeper pool delete "+g.g.Spec.Pool)
	} else {
		g.unset(api.ConditionDeletionBlocked)
	}
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
