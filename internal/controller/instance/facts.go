package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/instancerecord"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/poolkeeper/internal/node"
)

// aCase is one instance in a pass.
type aCase struct {
	i     *api.Instance // what it points to belongs to the cache
	m     *memory
	shown cloud.Instance // by the newest sweep, where facts say Present
	node  node.Node      // where facts say Exists
	other string         // a Node of another name with its provider ID
	facts lifecycle.Facts
	step  lifecycle.Step
	price cloud.Price // of one that was converted; zero where it was not asked for
	// next is the status to write, a copy; nil where nothing changed. lock is
	// true where it is written only over the very record that was read.
	next *api.InstanceStatus
	lock bool
	// begun are hooks that begin to hold it, to be told of once that is written.
	begun []lifecycle.Hook
	// over is true where nothing more is done in this pass.
	over bool
}

// survey looks at each instance of the pass and keeps those about which
// something is to be done.
func (p *pass) survey(ctx context.Context) error {
	if !p.full {
		for _, name := range p.names {
			i := &api.Instance{}
			err := p.Cache.Get(ctx, types.NamespacedName{Name: name}, i, client.UnsafeDisableDeepCopy)
			if apierrors.IsNotFound(err) {
				delete(p.memory.instances, name)
				continue
			}
			if err != nil {
				return fmt.Errorf("read instance %s: %w", name, err)
			}
			if err := p.consider(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}
	var list api.InstanceList
	err := p.Cache.List(ctx, &list, client.MatchingLabels{api.LabelGroup: p.group.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("list instances of %s: %w", p.group.Name, err)
	}
	for n := range list.Items {
		if err := p.consider(ctx, &list.Items[n]); err != nil {
			return err
		}
	}
	p.memory.forget()
	if p.orphan && len(list.Items) == 0 {
		p.groups.drop(p.group.Name)
	}
	return nil
}

// consider asks what is to be done about one instance. Most often nothing is,
// and nothing is allocated.
func (p *pass) consider(ctx context.Context, i *api.Instance) error {
	if i.Spec.Group != p.group.Name {
		return nil
	}
	m := p.memory.of(i, p.Now) // not when the pass began: a call may have held it up since
	m.due = time.Time{}
	if m.ended || m.behind(i) {
		return nil // the cache will tell
	}
	c := &p.scratch
	*c = aCase{i: i, m: m}
	if err := p.learn(ctx, c); err != nil {
		return err
	}
	c.step = lifecycle.Next(c.facts)
	if c.step.Kind == lifecycle.Wait && !p.outdated(c) && !wishing(i) {
		m.due = c.step.Until
		return nil
	}
	kept := *c
	if leaves(&kept) {
		p.fresh = append(p.fresh, &kept)
	} else {
		p.cases = append(p.cases, &kept)
	}
	return nil
}

// learn collects the facts of one instance, without a call.
func (p *pass) learn(ctx context.Context, c *aCase) error {
	f := &c.facts
	f.Now, f.Waits, f.Freeze, f.Hold, f.LastRelease = p.now, p.Waits, p.freeze, p.hold, c.m.released
	f.PoolGoes = !p.orphan && p.group.Spec.Emptying
	if p.orphan && c.i.Spec.CreationType == api.CreatedUnknown {
		f.Hold = "" // it waits for no group: a person lets it go, or the cloud does
	}
	f.Hooks, f.Answers = p.hooks, answersOf(c.i)
	f.Log, f.Drain = c.m.log, c.m.drain
	if f.Drain.Passed.IsZero() {
		f.Drain.Blocked = c.i.Status.DrainBlocked
	}
	recordOf(f, c.i, &c.i.Status, c.m.first)
	f.Remembered = slices.Contains(p.group.Status.FailedInstances, c.i.Name)
	p.sweep(c)
	if c.m.provider == "" {
		c.m.provider = p.Region + "." + c.i.Name
	}
	c.other = p.others.of(c.m.provider)
	n, ok, err := p.Nodes.Find(ctx, c.i.Name, c.m.provider)
	switch {
	case errors.Is(err, node.ErrForeign):
		f.Node = lifecycle.Node{Exists: true, Foreign: true}
	case err != nil:
		return err
	case ok && (c.m.gone == "" || n.UID != c.m.gone):
		c.node = n
		if n.Cordoned {
			c.m.cordoned = "" // the cache has it
		}
		ours := n.Cordoned || (c.m.cordoned != "" && n.UID == c.m.cordoned && !n.Unschedulable)
		f.Node = lifecycle.Node{Exists: true, Ready: n.Ready, Cordoned: n.Unschedulable || ours, CordonedByUs: ours}
	}
	return nil
}

// sweep is what complete sweeps showed of one instance.
func (p *pass) sweep(c *aCase) {
	s := &c.facts.Sweep
	s.Began, s.Recorded, s.Empty = p.picture.Began, p.recorded, p.empty
	if c.shown, s.Present = p.picture.Instances[c.i.Name]; !s.Present {
		s.Missed = p.Sweeper.Misses(c.i.Name, c.m.first)
		return
	}
	s.Shown = p.shown(&c.shown)
	s.Untagged, s.Stopped = p.picture.Untagged[c.i.Name], p.picture.Idle[c.i.Name]
	if !c.m.untagged.IsZero() && !p.picture.Began.After(c.m.untagged) {
		s.Ours = false // it is from before our tags were taken off
	}
}

func (p *pass) shown(c *cloud.Instance) lifecycle.Shown {
	return lifecycle.Shown{Ours: c.Tags[cloud.TagCluster] == p.ClusterID, Status: lifecycle.Status(c.Status), Address: c.PrivateIP,
		Subscription: c.ChargeType == cloud.Subscription, ReleaseProtected: c.ReleaseProtected}
}

// recordOf is what was written about an instance. The API server's clock is not
// ours: created is when this process first saw the record.
func recordOf(f *lifecycle.Facts, i *api.Instance, s *api.InstanceStatus, created time.Time) {
	f.Record = lifecycle.Record{
		Origin: lifecycle.Origin(i.Spec.CreationType), Created: created,
		Seen: micro(s.SeenTime), Running: at(s.RunningTime), Joined: at(s.JoinedTime), Failed: at(s.FailedTime), Rejoin: at(i.Spec.RejoinTime),
		JoinDeadline: seconds(i.Spec.JoinDeadlineSeconds), Address: s.PrivateIP, TagsSure: s.TagsSure,
		Hooks: hooksOf(s), Protected: i.Spec.Protected, Standby: i.Spec.Standby, HeldBy: i.Spec.HeldBy,
		DrainFor: s.DrainFor, DrainStart: at(s.DrainStartTime), DrainEnd: at(s.DrainEndTime), ReleaseSent: micro(s.ReleaseSentTime),
		DrainStopped: meta.IsStatusConditionTrue(s.Conditions, api.ConditionDrainStopped), Disown: i.Spec.Disown,
		NeverRan: instancerecord.NeverRan(s),
		Expiry:   at(s.ExpiryTime), Recalled: s.RecallTime != nil, State: lifecycle.State(s.LifecycleState), NodeState: lifecycle.NodeState(s.NodeState),
	}
	if again := at(i.Spec.RejoinTime); i.Spec.CreationType == api.CreatedAttached && again.After(created) {
		f.Record.Created = again // its record may be older than that it was brought in
	}
	if m := i.Spec.Release; m != nil {
		f.Record.Mark = &lifecycle.Mark{Activity: m.Activity, Time: m.Time.Time, TakeOut: m.TakeOut, Task: m.Task, Drain: lifecycle.DrainMode(m.Drain),
			Limit: seconds(m.DrainLimitSeconds), NotBefore: at(m.NotBeforeTime), Emptying: m.Emptying, ManageAttached: m.ManageAttached}
	}
}

func at(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

func micro(t *metav1.MicroTime) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

// status is the copy that this pass changes.
func (c *aCase) status() *api.InstanceStatus {
	if c.next == nil {
		c.next = c.i.Status.DeepCopy()
	}
	return c.next
}

// relearn takes what is to be written for written.
func (c *aCase) relearn() {
	s := &c.i.Status
	if c.next != nil {
		s = c.next
	}
	recordOf(&c.facts, c.i, s, c.m.first)
}
