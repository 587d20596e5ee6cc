package instance

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// vanished ends the records of instances that two complete sweeps and a look
// by id do not show (rules 12 and 16).
func (p *pass) vanished(ctx context.Context) error {
	suspects := p.which(func(c *aCase) bool { return c.do.gone })
	if len(suspects) == 0 || p.massGone(suspects) {
		return nil
	}
	found, err := p.find(ctx, suspects)
	if err != nil {
		return err
	}
	return p.Each(len(suspects), func(n int) error {
		c := suspects[n]
		if _, still := found[c.i.Name]; still {
			return nil
		}
		if c.i.Spec.Release == nil {
			p.tellGone(c.i)
		}
		if c.node != nil {
			if err := p.Nodes.Delete(ctx, *c.node); err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("delete node %s: %w", c.i.Name, err)
			}
		}
		return p.dropRecord(ctx, c.i)
	})
}

// tellGone says what became of an instance that nobody of ours released.
func (p *pass) tellGone(i *api.Instance) {
	if i.Status.RunningTime == nil {
		p.Events.Eventf(p.group, corev1.EventTypeWarning, "InstanceNeverRan", "%s vanished before it ran: no stock of %s in %s", i.Name, i.Spec.Placement.InstanceType, i.Spec.Placement.Zone)
		return
	}
	p.Events.Eventf(p.group, corev1.EventTypeWarning, "InstanceGone",
		"%s was released outside poolkeeper; a replacement is created. To remove a node and lower the number, use: poolkeeper node remove %s", i.Name, i.Name)
}

// massGone is the guard against mass disappearance (I6): more than a fifth of
// the group, and more than three, that nobody decided to release.
func (p *pass) massGone(suspects []*aCase) bool {
	unwanted := 0
	for _, c := range suspects {
		if c.i.Spec.Release == nil && c.i.Status.RunningTime != nil {
			unwanted++
		}
	}
	if unwanted <= max(3, len(p.cases)/5) {
		return false
	}
	oldest := 0
	for _, c := range suspects {
		oldest = max(oldest, c.facts.misses)
	}
	return oldest < 5 // two sweeps to suspect, three more to believe it of so many
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }
