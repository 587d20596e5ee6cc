package instance

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
)

// leave drains, then releases or takes out what was decided to go.
func (p *pass) leave(ctx context.Context) error {
	if p.group.Spec.Frozen != "" {
		return nil
	}
	if p.Allowed != nil && p.Allowed(ctx, p.group.Status.AccountID) != nil {
		return nil
	}
	drain := p.which(func(c *aCase) bool { return c.do.drain })
	err := p.Each(len(drain), func(n int) error { return p.drain(ctx, drain[n]) })
	release := p.which(func(c *aCase) bool { return c.do.release })
	out := p.which(func(c *aCase) bool { return c.do.takeOut })
	return errors.Join(err, p.release(ctx, release), p.takeOut(ctx, out))
}

// drain makes one pass over one node, and ends the drain when it is through or
// at its limit.
func (p *pass) drain(ctx context.Context, c *aCase) error {
	mark := c.i.Spec.Release
	before := c.i.Status.DeepCopy()
	s := &c.i.Status
	if s.DrainStartTime == nil {
		s.DrainStartTime = &metav1.Time{Time: p.now}
	}
	if err := p.Nodes.Cordon(ctx, c.i.Name); err != nil {
		return fmt.Errorf("cordon node %s: %w", c.i.Name, err)
	}
	got, err := p.Nodes.Drain(ctx, c.i.Name)
	if err != nil {
		return fmt.Errorf("drain node %s: %w", c.i.Name, err)
	}
	limit := p.Waits.DrainLimit
	if mark.DrainLimitSeconds > 0 {
		limit = seconds(mark.DrainLimitSeconds)
	}
	s.PodsLeft, s.DrainBlocked = int32(got.Left), clip(got.Blocked, 500)
	over := p.now.Sub(s.DrainStartTime.Time) >= limit
	if got.Drained() {
		s.DrainBlocked = ""
	}
	if got.Drained() || (over && mark.Drain == api.DrainBestEffort) {
		s.DrainEndTime = &metav1.Time{Time: p.now}
		c.do.drain, c.do.release, c.do.takeOut = false, !mark.TakeOut, mark.TakeOut
	}
	if c.do.release && s.DrainEndTime != nil {
		return nil // written together with the time of the release
	}
	if before.PodsLeft == s.PodsLeft && before.DrainBlocked == s.DrainBlocked && before.DrainStartTime != nil && s.DrainEndTime == nil {
		return nil
	}
	return ignoreConflict(p.Cache.Status().Update(ctx, c.i))
}

// release looks at the instances by their IDs, writes that the call is about to
// be made, and makes it (rules 11 and 12), in batches.
func (p *pass) release(ctx context.Context, cases []*aCase) error {
	if len(cases) == 0 {
		return nil
	}
	found, err := p.find(ctx, cases)
	if err != nil {
		return err
	}
	sure := make([]bool, len(cases))
	err = p.Each(len(cases), func(n int) error {
		var err error
		sure[n], err = p.announce(ctx, cases[n], found)
		return err
	})
	var ids []string
	var going []*aCase
	for n, c := range cases {
		if sure[n] {
			going = append(going, c)
			if _, ok := found[c.i.Name]; ok {
				ids = append(ids, c.i.Name)
			}
		}
	}
	if len(ids) > 0 {
		if e := p.Cloud.Release(ctx, ids...); e != nil {
			p.wakeAt(p.now.Add(p.Waits.Retry))
			return errors.Join(err, fmt.Errorf("release instances of %s: %w", p.group.Name, e))
		}
		metrics.InstancesReleased.WithLabelValues(p.group.Spec.Pool).Add(float64(len(ids)))
		p.Sweeper.Soon()
	}
	return errors.Join(err, p.Each(len(going), func(n int) error {
		if going[n].node == nil {
			return nil
		}
		return p.Nodes.Delete(ctx, *going[n].node)
	}))
}

// announce writes releaseSentTime under the resource version; an instance that
// became a kept one keeps, and its mark is taken back.
func (p *pass) announce(ctx context.Context, c *aCase, found map[string]cloud.Instance) (bool, error) {
	if c.i.Status.ReleaseSentTime != nil {
		return true, nil
	}
	if f, ok := found[c.i.Name]; ok {
		if why := p.keptNow(c.i, f); why != "" {
			return false, p.takeBack(ctx, c.i, why)
		}
	}
	t := metav1.NewMicroTime(p.Now())
	c.i.Status.ReleaseSentTime = &t
	c.i.Status.LifecycleState = api.InstanceRemoving
	c.i.Status.Summary = sentence(c.i)
	if err := p.Cache.Status().Update(ctx, c.i); err != nil {
		return false, ignoreConflict(err)
	}
	return true, nil
}

// keptNow says why the cloud shows an instance as one that may not be released.
func (p *pass) keptNow(i *api.Instance, f cloud.Instance) string {
	switch {
	case f.ChargeType == cloud.Subscription:
		return "subscription"
	case f.ReleaseProtected:
		return "release-protected"
	case f.Tags[cloud.TagCluster] != p.ClusterID:
		return "without our tags"
	case i.Spec.Protected && i.Spec.Release.Task == "":
		return "protected"
	case i.Spec.Standby && i.Spec.Release.Task == "":
		return "standby"
	}
	return ""
}

// takeBack takes the mark off an instance that is kept after all.
func (p *pass) takeBack(ctx context.Context, i *api.Instance, why string) error {
	live := &api.Instance{}
	if err := p.Live.Get(ctx, types.NamespacedName{Name: i.Name}, live); err != nil {
		return client.IgnoreNotFound(err)
	}
	if live.Spec.Release == nil || live.Status.ReleaseSentTime != nil {
		return nil
	}
	live.Spec.Release = nil
	p.Events.Eventf(p.group, "Normal", "InstanceKept", "%s is not released: %s", i.Name, why)
	if err := ignoreConflict(p.Cache.Update(ctx, live)); err != nil {
		return err
	}
	return p.Nodes.Uncordon(ctx, i.Name)
}

// takeOut takes instances out of the group without releasing them: the record
// says so first, then the Node goes, then our tags (rule 14).
func (p *pass) takeOut(ctx context.Context, cases []*aCase) error {
	return p.Each(len(cases), func(n int) error {
		i := cases[n].i
		t := metav1.NewMicroTime(p.Now())
		i.Status.UntagSentTime = &t
		i.Status.LifecycleState = api.InstanceRemoved
		i.Status.Summary = sentence(i)
		if err := p.Cache.Status().Update(ctx, i); err != nil {
			return ignoreConflict(err)
		}
		if cases[n].node != nil {
			if err := p.Nodes.Delete(ctx, *cases[n].node); err != nil {
				return fmt.Errorf("delete node %s: %w", i.Name, err)
			}
		}
		return p.untag(ctx, i.Name)
	})
}

func (p *pass) untag(ctx context.Context, id string) error {
	if err := p.Tags.Untag(ctx, cloud.TagKeys(), id); err != nil {
		return fmt.Errorf("take our tags off %s: %w", id, err)
	}
	return nil
}

// dropRecord ends the record of an instance: the object goes, its finalizer
// with it.
func (p *pass) dropRecord(ctx context.Context, i *api.Instance) error {
	if err := client.IgnoreNotFound(p.Cache.Delete(ctx, i)); err != nil {
		return fmt.Errorf("delete record of %s: %w", i.Name, err)
	}
	patch := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"test","path":"/metadata/finalizers/0","value":"`+api.Finalizer+`"},{"op":"remove","path":"/metadata/finalizers/0"}]`))
	err := p.Cache.Patch(ctx, &api.Instance{ObjectMeta: metav1.ObjectMeta{Name: i.Name}}, patch)
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) {
		return nil
	}
	return err
}

func ignoreConflict(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// uncordon takes our cordon off the nodes of instances that were called back.
func (p *pass) uncordon(ctx context.Context) error {
	back := p.which(func(c *aCase) bool { return c.i.Spec.Release == nil && c.node != nil && c.node.Cordoned })
	return p.Each(len(back), func(n int) error { return p.Nodes.Uncordon(ctx, back[n].i.Name) })
}
