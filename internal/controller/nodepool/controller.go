// Package nodepool passes a node pool's wish down to its scaling group and
// reports upwards what became of it. In come NodePools, their ScalingGroups
// and Instances, and through the interface Check what the cloud says about
// the settings; out go the group's spec, one Scale or Delete task for each
// request, and the pool's status. It never reads Nodes or the cloud, decides
// nothing about which instances come or go, and writes no Instance but to end
// the records of a pool that is gone.
package nodepool

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/change"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Check says what is wrong with launch settings, as only the cloud can know.
type Check interface {
	// Check returns each setting that the cloud has not, in the order of the
	// spec; none: all is valid. An error means that it is not known.
	Check(ctx context.Context, pool string, s *api.LaunchSettings) ([]Wrong, error)
	// Drain returns why nodes cannot be drained: what drains lacks its role, or
	// that cannot be read; nil where they can. An error means that it is not
	// known.
	Drain(ctx context.Context) (*fault.Fault, error)
}

// Wrong is one setting that the cloud has not.
type Wrong struct {
	// Code is the code of the failure catalogue.
	Code fault.Code
	// Field is the path in the pool's spec, Value what stands there.
	Field, Value string
	// Exists is what exists instead. At most ten are shown.
	Exists []string
}

// Definitions says whether the definition of a kind of ours is going.
type Definitions interface {
	// Deleting returns the name of a definition that is being deleted or is
	// gone; empty for none. Live asks the API server, not a cache.
	Deleting(ctx context.Context, live bool) (string, error)
}

// Credentials ends what lets machines of a pool file join requests.
type Credentials interface {
	// Remove deletes all that admits requests of a pool's machines.
	Remove(ctx context.Context, pool string) error
}

// Reconciler carries the wishes of node pools to their scaling groups. All
// fields but Credentials must be set before SetupWithManager.
type Reconciler struct {
	// Client reads from the cache and writes; Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// Now is the clock.
	Now func() time.Time
	// Waits are the times of the specification.
	Waits wait.Settings
	// Events tells people what happened.
	Events record.EventRecorder
	// Check asks the cloud about settings.
	Check Check
	// Definitions knows the definitions of our kinds.
	Definitions Definitions
	// Credentials ends the join credentials of a pool that is gone.
	Credentials Credentials

	memory memory
}

// Reconcile looks after one pool: its group first, its status after it.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	pool := &api.NodePool{}
	if err := r.Client.Get(ctx, req.NamespacedName, pool); err != nil {
		if apierrors.IsNotFound(err) {
			r.memory.forget(req.Name)
			metrics.Bills.Tell(req.Name, nil)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("read node pool %s: %w", req.Name, err)
	}
	if pool.DeletionTimestamp.IsZero() {
		if err := r.hold(ctx, pool); err != nil {
			return r.soon(err)
		}
	} else if !controllerutil.ContainsFinalizer(pool, api.Finalizer) {
		return ctrl.Result{}, nil
	}
	p, err := r.passDown(ctx, req.Name)
	if err != nil || p == nil {
		return r.soon(err)
	}
	if p.mode.emptying {
		gone, err := r.cleanUp(ctx, p)
		if err != nil || gone {
			return r.soon(err)
		}
	}
	return r.report(ctx, p)
}

// hold puts our finalizer on a pool that has none.
func (r *Reconciler) hold(ctx context.Context, pool *api.NodePool) error {
	if controllerutil.ContainsFinalizer(pool, api.Finalizer) {
		return nil
	}
	base := pool.DeepCopy()
	controllerutil.AddFinalizer(pool, api.Finalizer)
	if err := r.Client.Patch(ctx, pool, change.Since(base)); err != nil {
		return fmt.Errorf("hold node pool %s: %w", pool.Name, err)
	}
	return nil
}

// soon turns a lost race into another look, and everything else into an error.
func (r *Reconciler) soon(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return ctrl.Result{RequeueAfter: r.Waits.Conflict}, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(err)
}
