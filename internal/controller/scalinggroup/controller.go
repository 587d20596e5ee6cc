// Package scalinggroup opens the next scaling activity of a group, if one is
// due. In come the group, its activities and its Instances; out come one
// immutable activity with its exact requests, marks taken back, and the
// group's status. It holds no policy (package scaling does), calls no cloud
// but through Market and Encoder, and has never heard of Nodes.
package scalinggroup

import (
	"context"
	"time"

	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Market knows the outlook of resource pools.
type Market interface {
	// Pools returns what the cloud says of each instance type in each vSwitch
	// for each charge type, in this order.
	Pools(ctx context.Context, s *api.LaunchSettings, charges []api.ChargeType) ([]api.ResourcePoolStatus, error)
}

// Encoder writes candidates down as exact requests.
type Encoder interface {
	// Encode returns the content of the Secret: one key for each candidate's
	// request, and the user data that they share. The expiry is that of the
	// join credential in it.
	Encode(ctx context.Context, g *api.ScalingGroup, candidates []scaling.Candidate) (data map[string][]byte, keys []string, expiry time.Time, err error)
}

// Reconciler opens activities.
type Reconciler struct {
	Cache   client.Client
	Live    client.Reader
	Market  Market
	Encoder Encoder
	Events  record.EventRecorder
	Waits   wait.Settings
	// FaultWaits says how long a refusal is remembered.
	FaultWaits fault.Waits
	Now        func() time.Time
	// Account is the account that our credentials are of.
	Account func(ctx context.Context) (string, error)
	// Guard says why a group may neither create nor release; empty where it
	// may (instances of unknown origin, another cluster's, mass disappearance).
	Guard func(g *api.ScalingGroup) string
}

// Reconcile opens the next scaling activity of one group, if one is due.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var g *group
	var d scaling.Decision
	for n, from := range []client.Reader{r.Cache, r.Live} { // decide on the cache, confirm on the API server
		var err error
		if g, err = r.observe(ctx, from, req.Name); g == nil || err != nil {
			return ctrl.Result{}, err
		}
		if n == 0 {
			if err := r.prepare(ctx, g); err != nil {
				return ctrl.Result{}, err
			}
		}
		if d = scaling.Plan(g.snapshot(r.Now())); d.Empty() {
			return r.report(ctx, g, d)
		}
	}
	return r.act(ctx, g, d)
}

// prepare writes down what a decision depends on and the group does not know
// yet: whose account it uses, and the outlook of its resource pools.
func (r *Reconciler) prepare(ctx context.Context, g *group) error {
	before := g.g.DeepCopy()
	if g.g.Status.AccountID == "" {
		id, err := r.Account(ctx)
		if err != nil {
			return nil // nothing is sent without it; the report says why
		}
		g.g.Status.AccountID = id
	}
	r.outlook(ctx, g)
	r.rememberJoins(g)
	if g.g.Spec.ResumeCount > g.g.Status.ResumedCount {
		g.g.Status.ResumedCount = g.g.Spec.ResumeCount
		g.g.Status.ResumedTime = nowTime(r.Now())
	}
	return r.writeStatus(ctx, before, g.g)
}
