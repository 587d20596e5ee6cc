// Package instance looks after every instance of a group: it mirrors what the
// cloud and the node say into the Instance's status, drains and releases those
// that were decided to go, ends the records of those that are gone, carries out
// wishes about their billing, and records those that nobody knows. What comes
// in is the shared picture of the cloud, the records and the Nodes; what is to
// be done about each one package lifecycle decides; what goes out are statuses,
// drains and releases in batches. It never decides how many instances there
// should be, nor which one goes.
package instance

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/poolkeeper/internal/node"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Cloud is what is asked of the cloud about known instances.
type Cloud interface {
	Find(ctx context.Context, ids ...string) ([]cloud.Instance, error)
	Release(ctx context.Context, ids ...string) error
	BootLog(ctx context.Context, id string) ([]byte, error)
	ResourcePools(ctx context.Context, vSwitches, instanceTypes []string, charge ...cloud.ChargeType) ([]cloud.ResourcePool, error)
}

// Reconciler looks after the instances of one group in one pass; the group is
// the key of its queue. All fields but Allowed, Access and OnFreeze must be set.
type Reconciler struct {
	Cache     client.Client
	Live      client.Reader
	Cloud     Cloud
	Tags      cloud.Tags
	Billing   cloud.Billing
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
	// Access tells whether machines in security groups may reach what they need
	// to join; a fault names what they may not.
	Access func(ctx context.Context, groups []string) (*fault.Fault, error)
	// OnFreeze is told of each group whose freeze began, changed or ended. It
	// must return at once.
	OnFreeze func(group string)

	groups groups
	others others
	guard  guard
	lost   lost
	logs   budget
}

// pass is one look at instances of a group: at all of them after a sweep or a
// change of the group, else at those that changed or are due.
type pass struct {
	*Reconciler
	group   *api.ScalingGroup
	memory  *groupMemory
	picture *sweep.Picture
	now     time.Time
	full    bool
	names   []string // where it is not full
	// hold says why nothing may be changed; orphan is true where that is
	// because the group is gone.
	hold     string
	orphan   bool
	freeze   lifecycle.Freeze
	hooks    []lifecycle.HookRule // of the pool
	recorded int
	empty    int
	cases    []*aCase
	fresh    []*aCase // leaving, and nothing was done yet
	scratch  aCase
}

// Reconcile makes one pass over a group.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	picture := r.Sweeper.Latest()
	if picture == nil {
		return ctrl.Result{}, nil // the first sweep wakes us
	}
	p := &pass{Reconciler: r, group: &api.ScalingGroup{}, picture: picture, now: r.Now(), memory: r.groups.of(req.Name)}
	err := r.Cache.Get(ctx, req.NamespacedName, p.group)
	if p.orphan = apierrors.IsNotFound(err); p.orphan {
		p.group.Name = req.Name
	} else if err != nil {
		return ctrl.Result{}, fmt.Errorf("read group %s: %w", req.Name, err)
	}
	p.full, p.names = p.memory.take(picture.Number, p.now)
	ctx = cloud.WithCause(cloud.WithAccount(ctx, p.group.Status.AccountID), "scaling group "+p.group.Name)
	if err := p.run(ctx); err != nil {
		p.memory.touchAll()
		return ctrl.Result{}, err
	}
	return p.again(), nil
}

// run observes, decides and carries out.
func (p *pass) run(ctx context.Context) error {
	p.hold, p.hooks = p.holds(ctx), p.rules()
	if err := p.watch(ctx); err != nil {
		return err
	}
	if err := p.survey(ctx); err != nil {
		return err
	}
	p.reprice(ctx)
	p.gather()
	return errors.Join(p.carryOut(ctx), p.wishes(ctx))
}

// holds says why nothing may be changed now, in cloud or cluster.
func (p *pass) holds(ctx context.Context) string {
	switch {
	case p.orphan:
		return "its scaling group is gone"
	case p.group.Spec.Frozen != "":
		return p.group.Spec.Frozen
	case p.Allowed != nil && p.Allowed(ctx, p.group.Status.AccountID) != nil:
		return "the credentials are of another account, or it is not known whose they are"
	}
	return ""
}

// again is when this group is looked at without an event.
func (p *pass) again() ctrl.Result {
	wake := p.memory.next()
	if wake.IsZero() {
		return ctrl.Result{}
	}
	return ctrl.Result{RequeueAfter: max(wake.Sub(p.Now()), p.Waits.Conflict)}
}
