package instance

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// mirrors says whether what the cloud shows is kept in the status: from when it
// was written that it runs until its release, for as long as it is ours.
func mirrors(c *aCase) bool {
	r, s := c.facts.Record, c.facts.Sweep
	return s.Present && s.Ours && !r.Running.IsZero() && r.ReleaseSent.IsZero() && r.State != lifecycle.Removed
}

// outdated says whether the status shows other than the cloud does, or a
// condition is to change.
func (p *pass) outdated(c *aCase) bool {
	st := &c.i.Status
	if c.i.DeletionTimestamp != nil && c.facts.Record.State != lifecycle.Removed && !meta.IsStatusConditionTrue(st.Conditions, api.ConditionDeletionBlocked) {
		return true
	}
	if foreign(c, st) != (st.Message == foreignNode) || !says(st, api.ConditionSchedulingDisabled, cordonedNode(c)) || !says(st, api.ConditionOtherNode, otherNode(c)) {
		return true
	}
	if !mirrors(c) {
		return false
	}
	return p.retold(c) || st.CloudStatus != string(c.shown.Status) || st.ChargeType != api.ChargeType(c.shown.ChargeType) ||
		st.ReleaseProtected != c.shown.ReleaseProtected || (st.RecallTime != nil) != recalled(&c.shown) || !sameExpiry(st.ExpiryTime, &c.shown)
}

// recalled says whether the cloud gave a spot instance notice that it takes it
// back.
func recalled(c *cloud.Instance) bool {
	return c.ChargeType == cloud.Spot && slices.Contains(c.OperationLocks, "Recycling")
}

func sameExpiry(t *metav1.Time, c *cloud.Instance) bool {
	if c.ChargeType != cloud.Subscription || c.ExpiredTime.IsZero() {
		return t == nil
	}
	return t != nil && t.Unix() == c.ExpiredTime.Unix()
}

// mirror takes over what the cloud shows, and says it in one sentence.
func (p *pass) mirror(c *aCase) {
	st := c.status()
	if mirrors(c) {
		p.reckon(c, st)
		st.CloudStatus, st.ChargeType, st.ReleaseProtected = string(c.shown.Status), api.ChargeType(c.shown.ChargeType), c.shown.ReleaseProtected
		if is := recalled(&c.shown); !is {
			st.RecallTime = nil
		} else if st.RecallTime == nil {
			st.RecallTime = &metav1.Time{Time: p.now}
		}
		st.ExpiryTime = nil
		if c.shown.ChargeType == cloud.Subscription && !c.shown.ExpiredTime.IsZero() {
			st.ExpiryTime = &metav1.Time{Time: c.shown.ExpiredTime}
		}
	}
	if c.i.DeletionTimestamp != nil && st.LifecycleState != api.InstanceRemoved {
		meta.SetStatusCondition(&st.Conditions, metav1.Condition{Type: api.ConditionDeletionBlocked, Status: metav1.ConditionTrue, Reason: api.ReasonInUse,
			Message:            "an Instance is not deleted by hand: it stays counted until it is released or taken out; use: poolkeeper node remove " + c.i.Name,
			ObservedGeneration: c.i.Generation, LastTransitionTime: metav1.Time{Time: p.now}})
	}
	if is := foreign(c, st); is {
		st.Message = foreignNode
	} else if st.Message == foreignNode {
		st.Message = ""
	}
	p.say(c, st, api.ConditionSchedulingDisabled, api.ReasonCordoned, cordonedNode(c))
	p.say(c, st, api.ConditionOtherNode, api.ReasonProviderIDTaken, otherNode(c))
	st.Summary = sentence(c.i, st)
}

// foreignNode is said of an instance in whose place another machine's Node stands.
const foreignNode = "a Node of its name is there with another provider ID, or none: it is not its Node, and is not touched; the instance still counts"

// foreign says whether that is so.
func foreign(c *aCase, st *api.InstanceStatus) bool {
	return c.facts.Node.Foreign && st.NodeState == api.NodeUnknown
}

// write writes the status where it changed. Where somebody else wrote first,
// nothing more is done: the newer record wakes us.
func (p *pass) write(ctx context.Context, c *aCase) error {
	if c.next == nil && !p.outdated(c) {
		return nil
	}
	p.mirror(c)
	next := c.next
	c.next = nil
	if equality.Semantic.DeepEqual(*next, c.i.Status) {
		return nil
	}
	version, err := p.patchStatus(ctx, c, next)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		c.over = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("write status of instance %s: %w", c.i.Name, err)
	}
	c.m.version = version
	c.i.ResourceVersion, c.i.Status, c.lock = version, *next, false
	p.tellHooks(c)
	c.relearn()
	return nil
}

// patchStatus sends what changed, and returns the version that came of it.
func (p *pass) patchStatus(ctx context.Context, c *aCase, next *api.InstanceStatus) (string, error) {
	before := &api.Instance{ObjectMeta: metav1.ObjectMeta{Name: c.i.Name, ResourceVersion: c.i.ResourceVersion}, Status: c.i.Status}
	patch := client.MergeFrom(before)
	if c.lock || c.i.Spec.Release != nil {
		patch = client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	}
	changes, err := patch.Data(&api.Instance{ObjectMeta: before.ObjectMeta, Status: *next})
	if err != nil {
		return "", err
	}
	answer := answerOf(c.i.Name)
	err = p.Cache.Status().Patch(ctx, answer, client.RawPatch(patch.Type(), changes))
	return answer.ResourceVersion, err
}

// answerOf takes the answer to a patch of an Instance without its spec and
// status, which the server then need not send nor we read.
func answerOf(name string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: api.GroupVersion.String(), Kind: "Instance"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}
}

// sentence is one sentence about an instance.
func sentence(i *api.Instance, s *api.InstanceStatus) string {
	switch {
	case s.LifecycleState == api.InstanceRemoved:
		return "taken out, not released; it goes on costing until it is released by hand"
	case i.Spec.CreationType == api.CreatedUnknown:
		return "of unknown origin: not counted and never released; poolkeeper instance adopt takes it in, disown lets it go"
	case i.Spec.Release != nil && s.ReleaseSentTime != nil:
		return "released"
	case meta.IsStatusConditionTrue(s.Conditions, api.ConditionDrainStopped):
		return clip(meta.FindStatusCondition(s.Conditions, api.ConditionDrainStopped).Message, 500)
	case i.Spec.Release != nil && s.DrainBlocked != "":
		return clip("draining: "+s.DrainBlocked, 500)
	case heldBy(i, s) != "":
		return clip(heldBy(i, s), 500)
	case i.Spec.Release != nil:
		return clip("to be released: "+i.Spec.Release.Reason, 500)
	case s.NodeState == api.NodeFailed && s.Code == string(fault.StartInstanceFailed):
		return clip(s.Message, 500)
	case s.Code != "" && fault.OfHook(fault.Code(s.Code)):
		return clip(s.Message, 500)
	case s.NodeState == api.NodeFailed:
		return clip("failed to join: "+s.Message, 500)
	case s.NodeState == api.NodeUnknown && s.Message == foreignNode:
		return foreignNode
	case s.NodeState == api.NodeUnknown:
		return "its Node is gone from the API; the instance still counts. Clean up: poolkeeper node remove " + i.Name
	case s.NodeState == api.NodeJoining && s.Step != "":
		return "joining, at step " + bootstrap.Step(s.Step).Words()
	}
	return beside(s)
}

// beside is what else there is to say of its Node.
func beside(s *api.InstanceStatus) string {
	var parts []string
	if s.RecallTime != nil {
		parts = append(parts, lifecycle.RecallNotice)
	}
	for _, kind := range []string{api.ConditionSchedulingDisabled, api.ConditionOtherNode} {
		if c := meta.FindStatusCondition(s.Conditions, kind); c != nil {
			parts = append(parts, c.Message)
		}
	}
	return clip(strings.Join(parts, "; "), 500)
}

// clip cuts a text to n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// tail is the end of a text, at most n bytes.
func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[len(s)-n:], "")
}
