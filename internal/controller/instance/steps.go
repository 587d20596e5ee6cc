package instance

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
)

// atOnce and rounds bound how many steps one instance takes in one pass; a life
// needs far fewer.
const (
	atOnce = 20
	rounds = 8
)

// leaves says whether an instance begins to leave now.
func leaves(c *aCase) bool {
	r := c.facts.Record
	begins := c.step.Kind == lifecycle.Cordon || c.step.Kind == lifecycle.LookByID
	return begins && r.Mark != nil && !r.Mark.TakeOut && r.DrainStart.IsZero() && r.ReleaseSent.IsZero()
}

// batch is how many instances one look by id holds; a release call holds half
// as many.
const batch = 100

// gather lets those that begin to leave wait for others, so that they go in full
// calls: until no more came for a moment, and not for long.
func (p *pass) gather() {
	g, all := p.memory, len(p.fresh)
	if all > len(g.gathered) {
		g.grown = p.now
	}
	if len(g.gathered) == 0 {
		g.waiting = p.now
	}
	end, ready := g.grown.Add(10*p.Waits.Gather), all
	if most := g.waiting.Add(50 * p.Waits.Gather); most.Before(end) {
		end = most
	}
	if p.now.Before(end) {
		ready -= all % batch
	}
	p.cases = append(p.cases, p.fresh[:ready]...)
	g.gathered = map[string]struct{}{}
	for _, c := range p.fresh[ready:] {
		c.m.due = end
		g.gathered[c.i.Name] = struct{}{}
	}
	if ready > 0 {
		g.waiting = p.now
	}
}

// carryOut takes every instance as far as it goes now: alone, then what is
// asked of the cloud together, and on with the answers.
func (p *pass) carryOut(ctx context.Context) error {
	var errs []error
	todo := p.cases
	for range rounds {
		if len(todo) == 0 {
			break
		}
		errs = append(errs, p.Each(len(todo), func(n int) error { return p.advance(ctx, todo[n]) }))
		var on []*aCase
		for _, c := range todo {
			if !c.over {
				on = append(on, c)
			}
		}
		errs = append(errs, p.together(ctx, on))
		todo = on
	}
	return errors.Join(errs...)
}

// advance takes one instance on until it waits, ends, or needs an answer of the
// cloud.
func (p *pass) advance(ctx context.Context, c *aCase) error {
	for range atOnce {
		if c.over {
			return nil
		}
		s := lifecycle.Next(c.facts)
		if s.Kind == lifecycle.Release && p.now.Before(c.m.retry) {
			s = lifecycle.Step{Kind: lifecycle.Wait, Until: c.m.retry}
		}
		c.step = s
		switch {
		case s.Kind == lifecycle.Wait:
			c.m.due, c.over = s.Until, true
			return p.write(ctx, c)
		case s.Writes():
			p.apply(c, s)
		case isTogether(s.Kind):
			return nil
		default:
			if err := p.do(ctx, c, s); err != nil {
				c.over = true
				return err
			}
		}
	}
	c.over = true
	return fmt.Errorf("instance %s does not come to rest at step %s", c.i.Name, c.step.Kind)
}

// apply changes the status as a step says; it is written later.
func (p *pass) apply(c *aCase, s lifecycle.Step) {
	st, now := c.status(), metav1.Time{Time: p.now}
	switch s.Kind {
	case lifecycle.WriteSeen:
		st.SeenTime = &metav1.MicroTime{Time: p.now}
	case lifecycle.WriteTagsSure:
		st.TagsSure = true
	case lifecycle.WriteRunning:
		if st.RunningTime == nil {
			st.RunningTime = &now
		}
		if c.shown.PrivateIP != "" {
			st.PrivateIP = c.shown.PrivateIP
		}
	case lifecycle.WriteHooks:
		p.writeHooks(c)
	case lifecycle.MarkInService:
		st.JoinedTime = &now
		if st.RunningTime == nil { // no list has shown it yet, and a machine that joined runs
			st.RunningTime = &now
		}
		st.FailedTime, st.Code, st.Message, st.Solution, st.Step, st.Log, st.Resetting = nil, "", "", "", "", "", false
		if c.i.Spec.CreationType == api.CreatedByUs {
			metrics.JoinSeconds.WithLabelValues(c.i.Spec.Pool).Observe(p.now.Sub(c.facts.JoinBegan()).Seconds())
		}
	case lifecycle.MarkFailed:
		p.fail(c, s)
	case lifecycle.BeginAnew:
		beginAnew(st)
		c.lock = true
	case lifecycle.WriteDrainEnd:
		st.DrainEndTime, c.lock = &now, true
		if c.facts.Drain.Drained {
			st.PodsLeft, st.DrainBlocked = 0, ""
		}
	case lifecycle.WriteDrainStopped:
		c.lock = true
		meta.SetStatusCondition(&st.Conditions, metav1.Condition{Type: api.ConditionDrainStopped, Status: metav1.ConditionTrue,
			Reason: api.ReasonDrainLimit, Message: clip(s.Reason, 1000), ObservedGeneration: c.i.Generation, LastTransitionTime: now})
	case lifecycle.LeaveCordoned:
		st.DrainFor, st.DrainStartTime, st.DrainEndTime, st.PodsLeft, c.lock = "", nil, nil, 0, true
	case lifecycle.ForgetDrain:
		forgetDrain(st)
		c.lock = true
	}
	c.relearn()
	st.LifecycleState, st.NodeState = api.LifecycleState(lifecycle.StateOf(c.facts)), api.NodeState(lifecycle.NodeStateOf(c.facts))
	c.relearn()
}

func forgetDrain(st *api.InstanceStatus) {
	st.DrainFor, st.DrainStartTime, st.DrainEndTime, st.PodsLeft, st.DrainBlocked = "", nil, nil, 0, ""
	meta.RemoveStatusCondition(&st.Conditions, api.ConditionDrainStopped)
}

// beginAnew forgets how an instance left, what it was in the pool before, and
// that its tags were sure: an untag call of its leaving may still land.
func beginAnew(st *api.InstanceStatus) {
	forgetDrain(st)
	st.LifecycleState, st.NodeState, st.UntagSentTime, st.TagsSure, st.Hooks = "", "", nil, false, nil
	st.JoinedTime, st.FailedTime, st.Code, st.Message, st.Solution, st.Step, st.Log, st.Resetting = nil, nil, "", "", "", "", "", false
}

// fail gives an instance up: it did not join, never ran, or vanished before it
// ran.
func (p *pass) fail(c *aCase, s lifecycle.Step) {
	st := c.status()
	st.FailedTime, st.Code, st.Resetting, c.lock = &metav1.Time{Time: p.now}, string(s.Code), s.Code == fault.FailedJoinCluster && c.m.resetting, true
	if s.Code == fault.NoStock {
		st.Message = clip(c.i.Name+" vanished before it ran", 1000)
		return // no machine failed to join
	}
	switch {
	case s.Code == fault.StartInstanceFailed:
		st.Message = clip(fmt.Sprintf("%s never ran: the cloud shows it %s", c.i.Name, shownAs(c.facts.Sweep.Status)), 1000)
	case s.Code == fault.NodeAccessDenied: // it names group, address and port
	case c.m.resetting && !c.facts.Log.Failed:
		st.Message = "stopped at step " + bootstrap.StepMIGReset.Words() + ": it did not end within the join deadline"
	case !c.facts.Log.Failed || st.Message == "":
		st.Message = clip(s.Reason, 1000)
	}
	if s.Hook != "" {
		st.Solution = clip(fault.Lookup(s.Code).Advice(fault.Details{fault.DetailPool: c.i.Spec.Pool, fault.DetailHook: s.Hook}), 1000)
	}
	metrics.JoinFailures.WithLabelValues(c.i.Spec.Pool, string(s.Code)).Inc()
}

// shownAs is a status of the cloud; nothing where no sweep shows it.
func shownAs(s lifecycle.Status) string {
	if s == "" {
		return "not at all"
	}
	return string(s)
}

// do carries out one step that is not of the status alone.
func (p *pass) do(ctx context.Context, c *aCase, s lifecycle.Step) error {
	switch s.Kind {
	case lifecycle.Cordon:
		return p.cordon(ctx, c)
	case lifecycle.Uncordon:
		return p.uncordon(ctx, c)
	case lifecycle.DrainPass:
		return p.drain(ctx, c, s.Until.Sub(p.now))
	case lifecycle.TakeMarkBack:
		return p.takeBack(ctx, c, s)
	case lifecycle.WriteReleaseSent:
		return p.announce(ctx, c)
	case lifecycle.WriteRemoved:
		return p.remove(ctx, c)
	case lifecycle.PutTagsBack:
		return p.tagAgain(ctx, c)
	case lifecycle.DeleteNode:
		return p.deleteNode(ctx, c)
	case lifecycle.DeleteRecord:
		return p.end(ctx, c, s)
	}
	return fmt.Errorf("instance %s: no such step: %s", c.i.Name, s.Kind)
}

// cordon keeps new pods away. The start of the drain is written with the next
// write; until then the Node's own annotation says that it was us.
func (p *pass) cordon(ctx context.Context, c *aCase) error {
	n := &c.facts.Node
	if !n.Cordoned {
		if err := p.Nodes.Cordon(ctx, c.i.Name); err != nil {
			return err
		}
		c.m.cordoned, n.Cordoned, n.CordonedByUs = c.node.UID, true, true
	}
	if r := c.facts.Record; r.State == lifecycle.Removed || r.DrainOn() {
		return nil
	}
	forgetDrain(c.status())
	c.next.DrainStartTime, c.next.DrainFor, c.lock = &metav1.Time{Time: p.now}, c.i.Spec.Release.Activity, true
	c.relearn()
	return nil
}

// uncordon takes our cordon back, and all that was written of the drain.
func (p *pass) uncordon(ctx context.Context, c *aCase) error {
	if c.facts.Node.CordonedByUs {
		if err := p.Nodes.Uncordon(ctx, c.i.Name); err != nil {
			return err
		}
		c.facts.Node.Cordoned = false
	}
	c.m.cordoned, c.facts.Node.CordonedByUs, c.node.Cordoned = "", false, false
	c.m.drain, c.facts.Drain = lifecycle.Drain{}, lifecycle.Drain{}
	if !c.facts.Record.DrainStart.IsZero() {
		forgetDrain(c.status())
		c.lock = true
		c.relearn()
	}
	return nil
}

// drain makes one pass over the pods of a Node, which have so long left.
func (p *pass) drain(ctx context.Context, c *aCase, left time.Duration) error {
	got, err := p.Nodes.Drain(ctx, c.i.Name, left, p.Waits.DrainPass)
	if err != nil {
		return err
	}
	if before := c.facts.Drain.Blocked; left <= 0 && got.Left > 0 && before != "" {
		got.Blocked = before // none was asked for, so nothing else was learnt
	}
	c.m.drain = lifecycle.Drain{Passed: p.now, Drained: got.Drained(), Left: got.Left, Blocked: clip(got.Blocked, 500)}
	c.facts.Drain = c.m.drain
	st := &c.i.Status
	if c.next != nil {
		st = c.next
	}
	if int(st.PodsLeft) != got.Left || st.DrainBlocked != c.m.drain.Blocked {
		c.status().PodsLeft, c.status().DrainBlocked, c.lock = int32(got.Left), c.m.drain.Blocked, true
	}
	return nil
}

// deleteNode deletes the Node of an instance. One that came back under an
// instance that was taken out is told of.
func (p *pass) deleteNode(ctx context.Context, c *aCase) error {
	if err := p.Nodes.Delete(ctx, c.node); err != nil {
		return err
	}
	if r := c.facts.Record; r.State == lifecycle.Removed && r.NodeState == lifecycle.NodeUnknown {
		p.Events.Eventf(c.i, corev1.EventTypeWarning, "NodeCameBack",
			"Node %s came back under an instance that was taken out, and was deleted again; stop its kubelet: systemctl disable --now kubelet", c.i.Name)
	}
	c.m.gone, c.m.cordoned, c.facts.Node = c.node.UID, "", lifecycle.Node{}
	return nil
}

// announce writes, over the very record that was read, that the release call is
// about to be made (rule 11).
func (p *pass) announce(ctx context.Context, c *aCase) error {
	c.status().ReleaseSentTime, c.lock = &metav1.MicroTime{Time: p.now}, true
	c.relearn()
	c.next.LifecycleState = api.LifecycleState(lifecycle.StateOf(c.facts))
	c.relearn()
	return p.write(ctx, c)
}

// remove writes, after a live look at the record, that it was taken out
// (rule 14).
func (p *pass) remove(ctx context.Context, c *aCase) error {
	live := &api.Instance{}
	if err := p.Live.Get(ctx, types.NamespacedName{Name: c.i.Name}, live); err != nil {
		return client.IgnoreNotFound(err)
	}
	if live.ResourceVersion != c.i.ResourceVersion {
		c.over = true // the newer record wakes us
		return nil
	}
	c.status().UntagSentTime, c.lock = &metav1.MicroTime{Time: p.now}, true
	c.next.LifecycleState = api.InstanceRemoved
	c.relearn()
	return p.write(ctx, c)
}

// takeBack takes the mark off an instance that is kept after all; one whose
// leaving was rolled back is protected in the same write, or it would be picked
// again.
func (p *pass) takeBack(ctx context.Context, c *aCase, s lifecycle.Step) error {
	c.over = true
	live := &api.Instance{}
	if err := p.Live.Get(ctx, types.NamespacedName{Name: c.i.Name}, live); err != nil {
		return client.IgnoreNotFound(err)
	}
	if live.Spec.Release == nil || live.UID != c.i.UID || live.Status.ReleaseSentTime != nil {
		return nil
	}
	if live.ResourceVersion != c.i.ResourceVersion {
		return nil // the newer record wakes us
	}
	before := live.DeepCopy()
	live.Spec.Release = nil
	live.Spec.Protected = live.Spec.Protected || s.Protect
	err := p.Cache.Patch(ctx, live, change.Since(before))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take the mark off instance %s: %w", c.i.Name, err)
	}
	c.m.version = live.ResourceVersion
	p.Events.Eventf(p.group, corev1.EventTypeNormal, "InstanceKept", "%s is not released: %s", c.i.Name, s.Reason)
	return nil
}
