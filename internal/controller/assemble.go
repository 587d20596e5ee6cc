package controller

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller/activity"
	"github.com/poolkeeper/poolkeeper/internal/controller/clustertask"
	"github.com/poolkeeper/poolkeeper/internal/controller/instance"
	"github.com/poolkeeper/poolkeeper/internal/controller/join"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool"
	"github.com/poolkeeper/poolkeeper/internal/controller/scalinggroup"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	identity "github.com/poolkeeper/poolkeeper/internal/join"
	"github.com/poolkeeper/poolkeeper/internal/node"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Parts are what the controllers stand on: all that reaches out of them.
type Parts struct {
	Settings
	// Cache reads from a cache and writes; Live reads from the API server.
	Cache client.Client
	Live  client.Reader
	// Clients write Nodes, ask for evictions and write the cluster ID down.
	Clients     kubernetes.Interface
	Events      record.EventRecorder
	Definitions nodepool.Definitions
	Waits       wait.Settings
	Now         func() time.Time
	// Each runs f for 0 to n-1, several at a time where it may.
	Each func(n int, f func(i int) error) error
	// Report is told of each sweep; nil: nobody is.
	Report func(took time.Duration, err error)
	// Troubles are those that the API server had lately; nil: nobody knows.
	Troubles func() []clustertask.Trouble
	// Written is true once the cluster ID is written down.
	Written bool
}

// Assembly is all controllers over the same parts, before anything runs them.
type Assembly struct {
	Parts
	Pools      *nodepool.Reconciler
	Groups     *scalinggroup.Reconciler
	Activities *activity.Reconciler
	Instances  *instance.Reconciler
	Tasks      *clustertask.Reconciler
	Sweeper    *sweep.Sweeper

	credentials join.Credentials
	owner       atomic.Pointer[string]
	tags        tags
	// first guards Written.
	first sync.Mutex
}

// Assemble puts the controllers together.
func Assemble(p Parts) *Assembly {
	a := &Assembly{Parts: p, credentials: join.Credentials{Client: p.Cache, Live: p.Live, Now: p.Now}}
	// Whose account it is must be known first, also after a restart: joins wait for it.
	allowed := func(ctx context.Context) error { _, err := a.account(ctx); return err }
	a.Sweeper = sweep.New(sweep.Options{Cloud: p.Cloud, ClusterID: p.ClusterID, Waits: p.Waits, Now: p.Now, Allowed: allowed, Report: p.Report})
	requests := &encoder{a}
	a.Groups = &scalinggroup.Reconciler{Cache: p.Cache, Live: p.Live, Market: newMarket(p.Cloud, p.Now, p.Waits.Held), Encoder: requests, Events: p.Events,
		Waits: p.Waits, Now: p.Now, Account: a.account, Guard: a.guard, Ceilings: p.Ceilings}
	a.Instances = &instance.Reconciler{Cache: p.Cache, Live: p.Live, Cloud: p.Cloud, Tags: p.Cloud, Billing: p.Cloud,
		Nodes: node.Cluster{Cache: p.Cache, Clients: p.Clients}, Sweeper: a.Sweeper, Events: p.Events, ClusterID: p.ClusterID, Region: p.Region,
		Waits: p.Waits, Now: p.Now, Each: p.Each, Allowed: p.Cloud.Allow, OnFreeze: a.Groups.Poke, Access: a.access}
	a.Pools = &nodepool.Reconciler{Client: p.Cache, Live: p.Live, Now: p.Now, Waits: p.Waits, Events: p.Events,
		Check: checker{p.Cloud}, Definitions: p.Definitions, Credentials: a.credentials}
	a.Activities = &activity.Reconciler{Cache: p.Cache, Live: p.Live, Cloud: p.Cloud, Tags: p.Cloud, Sweeper: a.Sweeper, ClusterID: p.ClusterID,
		Waits: p.Waits, Now: p.Now, Each: p.Each, Allowed: p.Cloud.Allow,
		Pause: func(n int) time.Duration { return fault.Backoff(p.Waits.Retry, p.Waits.RetryMost, n, 0.5) }}
	a.Tasks = &clustertask.Reconciler{Client: p.Cache, Live: p.Live, Now: p.Now, Waits: p.Waits, Events: p.Events, Look: looker{p.Cloud, p.ClusterID}, Offer: requests.offer, Troubles: p.Troubles}
	return a
}

// Joins decides about the certificate requests of machines, by the region's
// certificates of instance identities.
func (w *Assembly) Joins(trust identity.Trust) *join.Reconciler {
	return &join.Reconciler{Client: w.Cache, Now: w.Now, Waits: w.Waits, Events: w.Events, Trust: trust, Account: w.knownAccount, Region: w.Region,
		Seeker: w, Replacer: w.credentials}
}

// Seek looks for an instance that a machine says it is.
func (w *Assembly) Seek(string) { w.Sweeper.Soon() }

// account asks whose credentials we have, once for each access key.
func (w *Assembly) account(ctx context.Context) (string, error) {
	if p := w.owner.Load(); p != nil {
		if err := w.Cloud.Allow(ctx, *p); fault.CodeOf(err) != fault.AccountChanged {
			return *p, err
		}
	}
	id, err := w.Cloud.ID(ctx)
	if err != nil {
		return "", err
	}
	w.owner.Store(&id)
	return id, nil
}

// knownAccount is the account, empty while it cannot be asked for. It asks
// itself: after a restart nobody else does, for the groups have it written down.
func (w *Assembly) knownAccount() string {
	id, err := w.account(context.Background())
	if err != nil {
		return ""
	}
	return id
}

// guard says what only the picture of the cloud tells of a group: nothing is
// decided before it was read. Instances of unknown origin have records, and the
// planner looks at those itself (rule 18).
func (w *Assembly) guard(g *api.ScalingGroup) scalinggroup.Guarded {
	if w.Sweeper.Latest() == nil {
		return scalinggroup.Guarded{Unread: true, Frozen: "the cloud was not read yet"}
	}
	why, err := w.anotherLife(context.Background(), g.Spec.Pool, w.poolNames)
	if err != nil {
		why = "the cluster ID could not be written down: " + err.Error()
	}
	out := scalinggroup.Guarded{Frozen: why, NoRelease: w.Instances.NoRelease(g.Name), Missing: w.Instances.Missing(g.Name)}
	out.Tagged, out.Others = w.tags.ofPool(w.Sweeper.Latest(), w.ClusterID, g.Spec.Pool)
	for _, l := range w.Instances.LostOf(g.Name) {
		out.Lost = append(out.Lost, scalinggroup.Lost{At: l.At, Name: l.Name, Text: l.Text})
	}
	return out
}

// access tells whether machines in security groups may reach the API server.
func (w *Assembly) access(ctx context.Context, groups []string) (*fault.Fault, error) {
	server, _, err := w.nodeEndpoint(ctx)
	if err != nil {
		return nil, err
	}
	return cloud.NodesReach(ctx, w.Cloud, groups, server)
}

// nodeEndpoint is the API server as nodes reach it.
func (w *Assembly) nodeEndpoint(ctx context.Context) (string, []byte, error) {
	if w.NodeAPIServer != "" && len(w.NodeCA) > 0 {
		return w.NodeAPIServer, w.NodeCA, nil
	}
	m := &corev1.ConfigMap{}
	err := w.Live.Get(ctx, types.NamespacedName{Namespace: metav1.NamespacePublic, Name: "cluster-info"}, m)
	if err != nil {
		return "", nil, &fault.Fault{Code: fault.QueryEndpoints, Message: err.Error()}
	}
	return clusterInfo(m.Data["kubeconfig"])
}
