// Package scalinggroup opens the next scaling activity of a group, if one is
// due. In come the group, its activities and its Instances; out come one
// immutable activity with its exact requests, marks taken back, and the
// group's status with what it remembers of refusals and failed joins. It holds
// no policy (package scaling does), calls no cloud but through Market and
// Encoder, and has never heard of Nodes.
package scalinggroup

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Market knows the outlook of resource pools.
type Market interface {
	// Outlook returns what the cloud says of each instance type in each vSwitch
	// for each charge type. Refused is true where something was refused: then,
	// and where a resource pool cannot be had, it tells what could be instead.
	Outlook(ctx context.Context, s *api.LaunchSettings, charges []api.ChargeType, refused bool) (Outlook, error)
}

// Outlook is what the cloud says of the settings of a group.
type Outlook struct {
	// Pools in the order of vSwitches, then types, then charge types.
	Pools   []api.ResourcePoolStatus
	Image   *api.ImageStatus
	Misfits []api.Misfit
	Fits    []api.ZoneFits
}

// Encoder writes candidates down as exact requests.
type Encoder interface {
	// Encode returns the content of the Secret: the key of each candidate's
	// request, and the user data that they share. The expiry is that of the
	// join credential in it.
	Encode(ctx context.Context, g *api.ScalingGroup, candidates []scaling.Candidate) (data map[string][]byte, keys []string, expiry time.Time, err error)
}

// Guarded is what only the picture of the cloud tells of a group.
type Guarded struct {
	// Frozen says why it may neither create nor release; empty where it may.
	Frozen string
	// NoRelease says why it may not release or replace while creating goes on
	// (mass disappearance); empty where it may.
	NoRelease string
	// Missing are the instances whose absence stops it, in order.
	Missing []string
	// Unread is true until the cloud was read for the first time.
	Unread bool
	// Others names instances of another installation for a pool of this name,
	// which are left alone; empty where there are none.
	Others string
	// Tagged are the instances of the newest sweep that carry our cluster ID and
	// the name of the pool. They are shared and never changed.
	Tagged []Tagged
	// Lost are the instances that left the group by nobody of ours, in order.
	Lost []Lost
}

// Tagged is one instance that carries our tags, and the activity that these name.
type Tagged struct {
	Name        string
	ActivityUID string
}

// Lost is one instance that left by nobody of ours, and what became of it.
type Lost struct {
	At   time.Time
	Name string
	// Text says it, with the name in it.
	Text string
}

// Reconciler opens activities.
type Reconciler struct {
	Cache   client.Client
	Live    client.Reader
	Market  Market
	Encoder Encoder
	Events  record.EventRecorder
	Waits   wait.Settings
	Now     func() time.Time
	// Account is the account that our credentials are of.
	Account func(ctx context.Context) (string, error)
	// Guard looks at the picture of the cloud.
	Guard func(g *api.ScalingGroup) Guarded
	// Ceilings are those of the whole installation; nil for none.
	Ceilings *api.Ceilings

	// deciding is held by the one group that decides under them.
	deciding    sync.Mutex
	forgettable forgettable
	pokes       chan event.TypedGenericEvent[string]
}

// Reconcile opens the next scaling activity of one group, if one is due.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var g *group
	var d scaling.Decision
	for n, from := range []client.Reader{r.Cache, r.Live} { // decide on the cache, confirm on the API server
		var err error
		if g, err = r.observe(ctx, from, req.Name); err != nil {
			return ctrl.Result{}, err
		}
		if g == nil {
			r.forgettable.forget(req.Name)
			return ctrl.Result{}, nil
		}
		if g.tooEarly() || g.g.Edited() { // what somebody edited is put back first
			return ctrl.Result{RequeueAfter: r.Waits.SweepSoon}, nil
		}
		g.live = n > 0
		g.learn(ctx, n == 0)
		if d, err = g.decide(ctx, from); err != nil {
			return ctrl.Result{}, err
		}
		if d.Empty() {
			return r.rest(ctx, g, d)
		}
		if n == 0 && d.Create > 0 && r.Ceilings != nil {
			if !r.deciding.TryLock() { // what another group decides now is not there to be read yet
				return ctrl.Result{RequeueAfter: r.Waits.Conflict}, nil
			}
			defer r.deciding.Unlock()
		}
	}
	if late, err := g.listIsLate(ctx); late || err != nil {
		return ctrl.Result{RequeueAfter: r.Waits.Conflict}, err
	}
	return r.act(ctx, g, d)
}

// rest reports, and where nothing is under way makes room for new history.
func (r *Reconciler) rest(ctx context.Context, g *group, d scaling.Decision) (ctrl.Result, error) {
	again, err := r.report(ctx, g, d)
	if err != nil || g.open() != nil || g.freeze.Text != "" {
		return again, err
	}
	more, err := r.prune(ctx, g)
	if more {
		again.RequeueAfter = min(again.RequeueAfter, r.Waits.StatusInterval)
	}
	return again, err
}
