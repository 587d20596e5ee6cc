// Package controller wires the controllers together: one manager, one sweep of
// the cloud, one client under the controller's own identity. In come settings
// and the interfaces of a cloud, out comes a running controller. It holds no
// decision of its own.
package controller

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

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
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/node"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Provider is all that the controllers ask of a cloud.
type Provider interface {
	cloud.Cloud
	cloud.Encoder
	cloud.Tags
	cloud.Account
	cloud.Billing
	cloud.Checks
}

// Settings of a controller.
type Settings struct {
	Kube  *rest.Config
	Cloud Provider
	// Region of the cloud, as it stands in provider IDs.
	Region string
	// ClusterID is written into every tag; empty: the UID of kube-system.
	ClusterID string
	// NewCluster begins anew where the cloud holds instances that another
	// cluster ID left there.
	NewCluster bool
	// Identity holds the region's certificates of instance identities, PEM.
	Identity []byte
	// NodeAPIServer is the URL of the API server as nodes reach it; empty: of
	// kube-public/cluster-info. NodeCA is its certificate authority, PEM.
	NodeAPIServer string
	NodeCA        []byte
	// NodeLease is how long a Node's lease lasts.
	NodeLease time.Duration
	// Factor divides every wait.
	Factor float64
	// MetricsAddress and HealthAddress; "0" for none.
	MetricsAddress, HealthAddress string
	// ProfileAddress serves Go's profiles; "0" or empty for none.
	ProfileAddress string
	// Workers is how many writes may be under way at once. Default 16.
	Workers int
}

// Run runs all controllers until the context ends.
func Run(ctx context.Context, s Settings) error {
	w, err := prepare(ctx, s)
	if err != nil {
		return err
	}
	mgr := w.mgr
	trust, err := identity.NewTrust(s.Identity)
	if err != nil {
		return err
	}
	c, live, events := mgr.GetClient(), mgr.GetAPIReader(), mgr.GetEventRecorderFor("poolkeeper") //nolint:staticcheck // the newer recorder has no events on cluster-scoped objects in default
	credentials := join.Credentials{Client: c, Live: live, Now: time.Now}
	each := w.each
	groups := &scalinggroup.Reconciler{Cache: c, Live: live, Market: market{s.Cloud}, Encoder: &encoder{wiring: w, credentials: credentials}, Events: events,
		Waits: w.waits, Now: time.Now, Account: w.account, Guard: w.guard}
	w.instances = &instance.Reconciler{Cache: c, Live: live, Cloud: s.Cloud, Tags: s.Cloud, Billing: s.Cloud, Nodes: node.Cluster{Cache: c, Clients: w.kube}, Sweeper: w.sweeper,
		Events: events, ClusterID: w.clusterID, Region: s.Region, Waits: w.waits, Now: time.Now, Each: each, Allowed: s.Cloud.Allow, OnFreeze: groups.Poke, Access: w.access}
	setups := []interface{ SetupWithManager(ctrl.Manager) error }{
		&nodepool.Reconciler{Client: c, Live: live, Now: time.Now, Waits: w.waits, Events: events,
			Check: checker{s.Cloud}, Definitions: nodepool.CRDs{Cache: c, Live: live}, Credentials: credentials},
		groups,
		&activity.Reconciler{Cache: c, Live: live, Cloud: s.Cloud, Tags: s.Cloud, Sweeper: w.sweeper, ClusterID: w.clusterID,
			Waits: w.waits, Now: time.Now, Each: each, Allowed: s.Cloud.Allow,
			Pause: func(n int) time.Duration { return fault.Backoff(w.waits.Retry, w.waits.RetryMost, n, 0.5) }},
		w.instances,
		&clustertask.Reconciler{Client: c, Live: live, Now: time.Now, Waits: w.waits, Events: events, Look: looker{s.Cloud, w.clusterID}},
		&join.Reconciler{Client: c, Now: time.Now, Waits: w.waits, Events: events, Trust: trust, Account: w.knownAccount, Region: s.Region,
			Seeker: w, Replacer: credentials},
	}
	for _, r := range setups {
		if err := r.SetupWithManager(mgr); err != nil {
			return fmt.Errorf("set up controllers: %w", err)
		}
	}
	if err := mgr.Add(w.sweeper); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// wiring is what the controllers share.
type wiring struct {
	Settings
	mgr       ctrl.Manager
	kube      kubernetes.Interface
	waits     wait.Settings
	clusterID string
	sweeper   *sweep.Sweeper
	instances *instance.Reconciler
	owner     atomic.Pointer[string]
	// written is true once the cluster ID is written down; first guards it.
	first   sync.Mutex
	written bool
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(api.AddToScheme(s))
	return s
}

func prepare(ctx context.Context, s Settings) (*wiring, error) {
	w := &wiring{Settings: s, waits: wait.Defaults().Divided(s.Factor)}
	w.Kube = rest.CopyConfig(s.Kube)
	w.Kube.QPS, w.Kube.Burst = -1, -1 // the API server's own fairness bounds us
	w.Kube.DisableCompression = true  // they stand near each other: packing answers costs both more than the bytes
	plain := rest.CopyConfig(w.Kube)
	plain.ContentType = "application/vnd.kubernetes.protobuf"
	plain.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	var err error
	if w.kube, err = kubernetes.NewForConfig(plain); err != nil {
		return nil, fmt.Errorf("set up client: %w", err)
	}
	if w.clusterID, w.written, err = clusterID(ctx, w.kube, s.ClusterID, s.NewCluster); err != nil {
		return nil, err
	}
	strip := cache.TransformStripManagedFields()
	w.mgr, err = ctrl.NewManager(w.Kube, ctrl.Options{
		Scheme:  scheme(),
		Metrics: metricsserver.Options{BindAddress: s.MetricsAddress}, HealthProbeBindAddress: s.HealthAddress, PprofBindAddress: s.ProfileAddress,
		Cache: cache.Options{DefaultTransform: strip, ByObject: map[client.Object]cache.ByObject{
			&corev1.Node{}: {Transform: node.Trim},
			&certificatesv1.CertificateSigningRequest{}: {Transform: join.Trim},
		}},
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.Namespace{}, &corev1.ServiceAccount{}, &corev1.Pod{}}}},
	})
	if err != nil {
		return nil, fmt.Errorf("set up manager: %w", err)
	}
	metrics.Register(runtimemetrics.Registry)
	w.sweeper = sweep.New(sweep.Options{Cloud: s.Cloud, ClusterID: w.clusterID, Waits: w.waits, Now: time.Now,
		// Whose account it is must be known first, also after a restart: joins wait for it.
		Allowed: func(ctx context.Context) error { _, err := w.account(ctx); return err },
		Report: func(took time.Duration, err error) {
			metrics.SweepSeconds.Observe(took.Seconds())
			if err != nil {
				metrics.SweepErrors.Inc()
				w.mgr.GetLogger().Error(err, "sweep of the cloud failed")
			}
		}})
	return w, errors.Join(w.mgr.AddHealthzCheck("alive", healthz.Ping), w.mgr.AddReadyzCheck("swept", func(*httpRequest) error {
		if w.sweeper.Latest() == nil {
			return errors.Join(errors.New("the cloud was not read yet"), w.sweeper.Err())
		}
		return nil
	}))
}

// each runs f for 0 to n-1, several at a time, and joins the errors.
func (w *wiring) each(n int, f func(i int) error) error {
	workers := w.Workers
	if workers <= 0 {
		workers = 16
	}
	errs := make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = f(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Seek looks for an instance that a machine says it is.
func (w *wiring) Seek(string) { w.sweeper.Soon() }

// account asks whose credentials we have, once.
func (w *wiring) account(ctx context.Context) (string, error) {
	if p := w.owner.Load(); p != nil {
		return *p, nil
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
func (w *wiring) knownAccount() string {
	id, err := w.account(context.Background())
	if err != nil {
		return ""
	}
	return id
}

// guard says what only the picture of the cloud tells of a group: nothing is
// decided before it was read. Instances of unknown origin have records, and the
// planner looks at those itself (rule 18).
func (w *wiring) guard(g *api.ScalingGroup) scalinggroup.Guarded {
	if w.sweeper.Latest() == nil {
		return scalinggroup.Guarded{Unread: true, Frozen: "the cloud was not read yet"}
	}
	why, err := w.anotherLife(context.Background(), g.Spec.Pool, w.poolNames)
	if err != nil {
		why = "the cluster ID could not be written down: " + err.Error()
	}
	out := scalinggroup.Guarded{Frozen: why, NoRelease: w.instances.NoRelease(g.Name)}
	for _, l := range w.instances.LostOf(g.Name) {
		out.Lost = append(out.Lost, scalinggroup.Lost{At: l.At, Text: l.Text})
	}
	return out
}

// nodeEndpoint is the API server as nodes reach it.
func (w *wiring) nodeEndpoint(ctx context.Context) (string, []byte, error) {
	if w.NodeAPIServer != "" && len(w.NodeCA) > 0 {
		return w.NodeAPIServer, w.NodeCA, nil
	}
	m := &corev1.ConfigMap{}
	err := w.mgr.GetAPIReader().Get(ctx, types.NamespacedName{Namespace: metav1.NamespacePublic, Name: "cluster-info"}, m)
	if err != nil {
		return "", nil, &fault.Fault{Code: fault.QueryEndpoints, Message: err.Error()}
	}
	return clusterInfo(m.Data["kubeconfig"])
}

// access tells whether machines in security groups may reach the API server.
func (w *wiring) access(ctx context.Context, groups []string) (*fault.Fault, error) {
	server, _, err := w.nodeEndpoint(ctx)
	if err != nil {
		return nil, err
	}
	return cloud.NodesReach(ctx, w.Cloud, groups, server)
}

// ReadFile reads a file that may be left out.
func ReadFile(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	return os.ReadFile(path)
}
