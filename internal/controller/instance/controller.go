// Package instance looks after every instance of a group: it mirrors what the
// cloud and the node say into the Instance's status, drains and releases those
// that were decided to go, finds those that vanished, and records those that
// nobody knows. What comes in is the shared picture of the cloud, the records
// and the Nodes; what goes out are statuses, drains and releases in batches.
// It never decides how many instances there should be.
package instance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/node"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Cloud is what is asked of the cloud about known instances.
type Cloud interface {
	Find(ctx context.Context, ids ...string) ([]cloud.Instance, error)
	Release(ctx context.Context, ids ...string) error
	BootLog(ctx context.Context, id string) ([]byte, error)
}

// Reconciler looks after all instances of one group in one pass; the group is
// the key of its queue.
type Reconciler struct {
	Cache     client.Client
	Live      client.Reader
	Cloud     Cloud
	Tags      cloud.Tags
	Nodes     node.Nodes
	Sweeper   *sweep.Sweeper
	Events    record.EventRecorder
	ClusterID string
	Region    string
	Waits     wait.Settings
	Now       func() time.Time
	// Each runs f for 0 to n-1, several at a time where it may.
	Each func(n int, f func(i int) error) error
	// Allowed refuses mutations with credentials of another account.
	Allowed func(ctx context.Context, account string) error
}

// pass is one look at all instances of a group.
type pass struct {
	*Reconciler
	group   *api.ScalingGroup
	picture *sweep.Picture
	now     time.Time
	cases   []*aCase
	wake    time.Time
}

// aCase is one instance in a pass.
type aCase struct {
	i     *api.Instance // a copy of our own
	seen  *cloud.Instance
	node  *node.Node
	facts facts
	do    step
}

// Reconcile makes one pass over a group.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	p := &pass{Reconciler: r, picture: r.Sweeper.Latest(), now: r.Now()}
	if p.picture == nil {
		return ctrl.Result{}, nil // the first sweep wakes us
	}
	g := &api.ScalingGroup{}
	if err := r.Cache.Get(ctx, req.NamespacedName, g); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	p.group = g
	if err := p.observe(ctx); err != nil {
		return ctrl.Result{}, err
	}
	ctx = cloud.WithAccount(ctx, g.Status.AccountID)
	err := errors.Join(p.mirror(ctx), p.leave(ctx), p.vanished(ctx), p.uncordon(ctx))
	return p.again(), err
}

// observe collects what is known of each instance, without a call per one.
func (p *pass) observe(ctx context.Context) error {
	var list api.InstanceList
	err := p.Cache.List(ctx, &list, client.MatchingLabels{api.LabelGroup: p.group.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("list instances of %s: %w", p.group.Name, err)
	}
	for n := range list.Items {
		c := &aCase{i: &list.Items[n]}
		if s, ok := p.picture.Instances[c.i.Name]; ok {
			c.seen = &s
		}
		// A Node of that name with another provider ID is not the instance's.
		if found, ok, err := p.Nodes.Find(ctx, c.i.Name, p.Region+"."+c.i.Name); err == nil && ok {
			c.node = &found
		}
		c.facts = p.facts(c)
		c.do = next(c.facts)
		p.wakeAt(c.do.again)
		p.cases = append(p.cases, c)
	}
	return nil
}

func (p *pass) wakeAt(t time.Time) {
	if !t.IsZero() && (p.wake.IsZero() || t.Before(p.wake)) {
		p.wake = t
	}
}

// again is when this group is looked at without an event.
func (p *pass) again() ctrl.Result {
	if p.wake.IsZero() {
		return ctrl.Result{}
	}
	return ctrl.Result{RequeueAfter: max(p.wake.Sub(p.Now()), p.Waits.Conflict)}
}

// which are the cases for which something holds.
func (p *pass) which(is func(*aCase) bool) []*aCase {
	var out []*aCase
	for _, c := range p.cases {
		if is(c) {
			out = append(out, c)
		}
	}
	return out
}

// find looks at instances by their IDs, a hundred in a call.
func (p *pass) find(ctx context.Context, cases []*aCase) (map[string]cloud.Instance, error) {
	ids := make([]string, len(cases))
	for n, c := range cases {
		ids[n] = c.i.Name
	}
	found := map[string]cloud.Instance{}
	if len(ids) == 0 {
		return found, nil
	}
	list, err := p.Cloud.Find(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("look at instances of %s by id: %w", p.group.Name, err)
	}
	for _, c := range list {
		found[c.ID] = c
	}
	return found, nil
}
