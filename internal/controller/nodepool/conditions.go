package nodepool

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// conditions writes every condition of a pool.
func conditions(pool *api.NodePool, p *passed, t *tally, now time.Time) {
	set := func(c metav1.Condition) {
		c.ObservedGeneration = pool.Generation
		c.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
		c.Message = cut(c.Message, 1024)
		meta.SetStatusCondition(&pool.Status.Conditions, c)
	}
	set(valid(p))
	fromGroup(pool, p, set)
	set(atExpectedNumber(pool, p, t))
	set(nodesJoined(pool, t))
	drainCondition(pool, p, set)
	if p.mode.blocked != "" {
		set(metav1.Condition{Type: api.ConditionDeletionBlocked, Status: metav1.ConditionTrue, Reason: p.mode.reason, Message: p.mode.blocked})
	} else {
		meta.RemoveStatusCondition(&pool.Status.Conditions, api.ConditionDeletionBlocked)
	}
}

func valid(p *passed) metav1.Condition {
	c := metav1.Condition{Type: api.ConditionValid, Status: p.verdict.state, Reason: p.verdict.reason, Message: p.verdict.message}
	switch {
	case c.Status == "":
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, reasonNotChecked, "the settings were not looked at yet"
	case c.Status == metav1.ConditionTrue:
		c.Reason, c.Message = api.ReasonChecked, "the cloud has all that the spec names"
		if g := groupSays(p, api.ConditionValid); g != nil && g.Status == metav1.ConditionFalse {
			c.Status, c.Reason, c.Message = g.Status, g.Reason, g.Message // it cannot be written down as a request
		}
	}
	return c
}

// groupSays is a condition of the group; nil where there is none.
func groupSays(p *passed, typ string) *metav1.Condition {
	if p.group == nil {
		return nil
	}
	return meta.FindStatusCondition(p.group.Status.Conditions, typ)
}

// fromGroup takes over what only the group knows.
func fromGroup(pool *api.NodePool, p *passed, set func(metav1.Condition)) {
	for _, typ := range []string{api.ConditionHeld, api.ConditionFrozen, api.ConditionBalanced, api.ConditionUnknownInstances, api.ConditionAccountMatches} {
		have := groupSays(p, typ)
		switch {
		case typ == api.ConditionFrozen && p.mode.frozen != "":
			set(metav1.Condition{Type: typ, Status: metav1.ConditionTrue, Reason: api.ReasonDefinitionDeleted, Message: p.mode.frozen})
		case have != nil:
			set(metav1.Condition{Type: typ, Status: have.Status, Reason: have.Reason, Message: have.Message})
		case typ == api.ConditionHeld || typ == api.ConditionFrozen:
			set(metav1.Condition{Type: typ, Status: metav1.ConditionFalse, Reason: api.ReasonAsExpected})
		default:
			meta.RemoveStatusCondition(&pool.Status.Conditions, typ)
		}
	}
}

func atExpectedNumber(pool *api.NodePool, p *passed, t *tally) metav1.Condition {
	want, have := pool.Spec.ExpectedNodes, t.counts.Instances
	c := metav1.Condition{Type: api.ConditionAtExpectedNumber, Status: metav1.ConditionFalse,
		Message: fmt.Sprintf("%d of %d instances", have, want)}
	switch {
	case p.group == nil:
		c.Reason = api.ReasonWaiting
	case have == want && t.counts.Uncertain == 0:
		c.Status, c.Reason = metav1.ConditionTrue, api.ReasonAsExpected
	case have > want && onlyKept(p.group):
		c.Reason = api.ReasonOnlyKept
	case have < want && p.group.Status.Why != nil && fault.IsCeiling(fault.Code(p.group.Status.Why.Code)):
		c.Reason = api.ReasonCeiling
	case meta.IsStatusConditionTrue(pool.Status.Conditions, api.ConditionHeld):
		c.Reason = api.ReasonHeld
	case have > want:
		c.Reason = api.ReasonScalingIn
	default:
		c.Reason = api.ReasonScalingOut
	}
	if t.counts.Uncertain > 0 {
		c.Message += fmt.Sprintf(", %d more uncertain", t.counts.Uncertain)
	}
	if w := pool.Status.Why; w != nil && c.Status != metav1.ConditionTrue {
		c.Message += ": " + view.WhyCause(w)
	}
	return c
}

func nodesJoined(pool *api.NodePool, t *tally) metav1.Condition {
	want, have := pool.Spec.ExpectedNodes, t.counts.InService
	c := metav1.Condition{Type: api.ConditionNodesJoined, Status: metav1.ConditionFalse,
		Message: fmt.Sprintf("%d of %d nodes in service", have, want)}
	switch {
	case have == want:
		c.Status, c.Reason = metav1.ConditionTrue, api.ReasonAsExpected
		if t.counts.Failed > 0 {
			c.Message += fmt.Sprintf("; %s%s", view.KeptToLookAt, some(t.failed))
		}
	case t.counts.Failed > 0:
		c.Reason, c.Message = api.ReasonJoinFailed, c.Message+fmt.Sprintf("; failed to join: %s", some(t.failed))
	case t.counts.Offline > 0:
		c.Reason, c.Message = api.ReasonNotReady, c.Message+fmt.Sprintf("; not Ready: %s", some(t.offline))
	case t.counts.Joining > 0:
		c.Reason, c.Message = api.ReasonJoining, c.Message+fmt.Sprintf("; %d joining", t.counts.Joining)
	default:
		c.Reason = api.ReasonWaiting
	}
	return c
}
