package instance

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// facts of one case at this moment.
func (p *pass) facts(c *aCase) facts {
	f := facts{now: p.now, waits: p.Waits, i: c.i, seen: c.seen, node: c.node}
	f.ours = c.seen != nil && c.seen.Tags[cloud.TagCluster] == p.ClusterID
	if c.seen == nil {
		f.misses = p.Sweeper.Misses(c.i.Name, c.i.CreationTimestamp.Time)
		if p.picture.Ours == 0 && len(p.cases) > 0 && p.Sweeper.EmptyInARow() < 10 {
			f.misses = 0 // an empty list is believed only after ten in a row
		}
	}
	return f
}

// mirror writes what cloud and node say into the statuses that changed.
func (p *pass) mirror(ctx context.Context) error {
	found, err := p.find(ctx, p.which(func(c *aCase) bool { return c.do.lookByID && !c.do.gone }))
	if err != nil {
		return err
	}
	p.takenOut(ctx, found)
	changed := make([]*api.Instance, 0, len(p.cases))
	for _, c := range p.cases {
		_, byID := found[c.i.Name]
		next := c.i.DeepCopy()
		p.fill(next, c, byID)
		if c.do.readLog || (next.Status.NodeState == api.NodeFailed && next.Status.Log == "") {
			p.readLog(ctx, next)
		}
		if !reflect.DeepEqual(next.Status, c.i.Status) {
			changed = append(changed, next)
		}
		c.i = next
	}
	return p.Each(len(changed), func(n int) error {
		err := p.Cache.Status().Update(ctx, changed[n])
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return nil // the newer object wakes us
		}
		if err != nil {
			return fmt.Errorf("write status of instance %s: %w", changed[n].Name, err)
		}
		return nil
	})
}

// fill sets the status of one instance from what is known now.
func (p *pass) fill(i *api.Instance, c *aCase, byID bool) {
	s := &i.Status
	if byID && s.SeenTime == nil {
		t := metav1.NewMicroTime(p.now)
		s.SeenTime = &t
	}
	if s.LifecycleState == api.InstanceRemoved {
		return
	}
	cloudStatus := cloud.Status(s.CloudStatus)
	if c.seen != nil {
		cloudStatus = c.seen.Status
		s.ChargeType = api.ChargeType(c.seen.ChargeType)
		s.ReleaseProtected = c.seen.ReleaseProtected
		if cloudStatus == cloud.Running {
			s.PrivateIP = c.seen.PrivateIP
			if s.RunningTime == nil {
				s.RunningTime = &metav1.Time{Time: p.now}
			}
		}
		if !c.seen.ExpiredTime.IsZero() && s.ChargeType == api.ChargeSubscription {
			s.ExpiryTime = &metav1.Time{Time: c.seen.ExpiredTime}
		}
	}
	s.CloudStatus = string(cloudStatus)
	if c.node != nil && c.node.Ready && s.JoinedTime == nil {
		s.JoinedTime = &metav1.Time{Time: p.now}
		s.FailedTime, s.Code, s.Message, s.Step, s.Log = nil, "", "", "", ""
	}
	if s.JoinedTime == nil && s.FailedTime == nil && i.Spec.Release == nil && i.Spec.CreationType == api.CreatedByUs && overdue(c.facts) {
		p.failed(i, "the join deadline passed")
	}
	s.LifecycleState = lifecycleState(i, cloudStatus, s.JoinedTime != nil)
	s.NodeState = nodeState(i, c.node)
	s.Summary = sentence(i)
}

// failed gives an instance up: it did not join, or never ran.
func (p *pass) failed(i *api.Instance, why string) {
	i.Status.FailedTime = &metav1.Time{Time: p.now}
	i.Status.Code = string(fault.FailedJoinCluster)
	if i.Status.RunningTime == nil {
		i.Status.Code = string(fault.StartInstanceFailed)
		why = "it never ran"
	}
	i.Status.Message = why
}

// readLog reads the serial console of a late machine: which step it is at, and
// whether it says itself that it failed.
func (p *pass) readLog(ctx context.Context, i *api.Instance) {
	raw, err := p.Cloud.BootLog(ctx, i.Name)
	if err != nil {
		return // the next look tries again
	}
	r := bootstrap.ParseLog(raw)
	i.Status.Step = clip(string(r.At()), 64)
	if r.Failed {
		i.Status.Log = tail(string(bootstrap.Redact(r.Excerpt)), 4096)
		if i.Status.FailedTime == nil && i.Status.JoinedTime == nil {
			p.failed(i, "it says itself that it failed")
		}
		i.Status.Message = clip(fmt.Sprintf("stopped at step %s, exit code %d: %s", r.Last.Step, r.Last.Exit, r.Last.Detail), 1000)
		i.Status.NodeState = nodeState(i, nil)
		i.Status.Summary = sentence(i)
	}
}

// takenOut drops the records of instances that lost our tags to somebody else
// (rule 17).
func (p *pass) takenOut(ctx context.Context, found map[string]cloud.Instance) {
	for _, c := range p.which(func(c *aCase) bool { return c.do.taken }) {
		f, ok := found[c.i.Name]
		if !ok || f.Tags[cloud.TagCluster] != "" || p.picture.Ours == 0 {
			continue
		}
		if c.i.Spec.CreationType == api.CreatedAttached && !c.i.Status.TagsSure {
			continue
		}
		p.Events.Eventf(p.group, corev1.EventTypeWarning, "InstanceTakenOut",
			"%s was taken out of the group by someone else: it is left alone and replaced; to take a node out and lower the number, use: poolkeeper node remove %s", c.i.Name, c.i.Name)
		_ = p.dropRecord(ctx, c.i)
	}
}

// sentence is one sentence about an instance.
func sentence(i *api.Instance) string {
	s := i.Status
	switch {
	case s.LifecycleState == api.InstanceRemoved:
		return "taken out, not released; it goes on costing until it is released by hand"
	case i.Spec.Release != nil && s.DrainBlocked != "":
		return clip("draining: "+s.DrainBlocked, 500)
	case i.Spec.Release != nil && s.ReleaseSentTime != nil:
		return "released"
	case i.Spec.Release != nil:
		return clip("to be released: "+i.Spec.Release.Reason, 500)
	case s.NodeState == api.NodeFailed:
		return clip("failed to join: "+s.Message, 500)
	case s.NodeState == api.NodeUnknown:
		return "its Node is gone from the API; the instance still counts. Clean up: poolkeeper node remove " + i.Name
	case s.NodeState == api.NodeJoining && s.Step != "":
		return "joining, at step " + s.Step
	}
	return ""
}

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
