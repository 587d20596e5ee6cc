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
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller/decode"
	"github.com/poolkeeper/poolkeeper/internal/controller/join"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool"
	identity "github.com/poolkeeper/poolkeeper/internal/join"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/node"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Provider is all that the controllers ask of a cloud.
type Provider interface {
	cloud.Cloud
	cloud.Encoder
	cloud.Tags
	cloud.Account
	cloud.Billing
	Checks
}

// Checks are all that tells what the cloud would make of settings.
type Checks interface {
	cloud.Checks
	cloud.Trials
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
	// Ceilings of the whole installation; nil for none.
	Ceilings *api.Ceilings
	// Clock is what the controllers read. Default time.Now.
	Clock func() time.Time
	// Factor divides every wait.
	Factor float64
	// MetricsAddress and HealthAddress; "0" for none.
	MetricsAddress, HealthAddress string
	// MetricsCertDir holds tls.crt and tls.key for metrics beyond loopback.
	MetricsCertDir string
	// ProfileAddress serves Go's profiles; "0" or empty for none.
	ProfileAddress string
	// Workers is how many writes may be under way at once. Default 16.
	Workers int
}

// Run runs all controllers until the context ends.
func Run(ctx context.Context, s Settings) error {
	trust, err := identity.NewTrust(s.Identity)
	if err != nil {
		return err
	}
	server := &apiServer{}
	mgr, p, err := prepare(ctx, s, server)
	if err != nil {
		return err
	}
	a := Assemble(p)
	for _, r := range []interface{ SetupWithManager(ctrl.Manager) error }{a.Pools, a.Groups, a.Activities, a.Instances, a.Tasks, a.Joins(trust)} {
		if err := r.SetupWithManager(mgr); err != nil {
			return fmt.Errorf("set up controllers: %w", err)
		}
	}
	a.Sweeper.OnSweep(func() {
		for _, group := range a.OthersChanged() {
			a.Groups.Poke(group)
		}
	})
	server.changed = a.Tasks.Poke
	if err := errors.Join(mgr.Add(a.Sweeper), mgr.Add(server.watch), serveHealth(mgr, s.HealthAddress, func() error {
		return errors.Join(server.away(), unread(a.Sweeper))
	})); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(api.AddToScheme(s))
	return s
}

// prepare makes a manager, and of it the parts that the controllers stand on.
func prepare(ctx context.Context, s Settings, server *apiServer) (ctrl.Manager, Parts, error) {
	p := Parts{Settings: s, Waits: wait.Defaults().Divided(s.Factor), Now: s.Clock, Each: each(s.Workers)}
	if p.Now == nil {
		p.Now = time.Now
	}
	config := rest.CopyConfig(s.Kube)
	config.QPS, config.Burst = -1, -1 // the API server's own fairness bounds us
	config.DisableCompression = true  // they stand near each other: packing answers costs both more than the bytes
	if err := server.observe(config, p.Waits); err != nil {
		return nil, p, err
	}
	p.Troubles = server.troubles
	plain := rest.CopyConfig(config)
	plain.ContentType = "application/vnd.kubernetes.protobuf"
	plain.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	var err error
	if p.Clients, err = kubernetes.NewForConfig(plain); err != nil {
		return nil, p, fmt.Errorf("set up client: %w", err)
	}
	if p.ClusterID, p.Written, err = clusterID(ctx, p.Clients, s.ClusterID, s.NewCluster); err != nil {
		return nil, p, err
	}
	strip := cache.TransformStripManagedFields()
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme(), NewCache: decode.NewCache, MapperProvider: newMapper,
		Metrics: metricsAt(s.MetricsAddress, s.MetricsCertDir), PprofBindAddress: s.ProfileAddress,
		Cache: cache.Options{DefaultTransform: strip, ByObject: map[client.Object]cache.ByObject{
			&corev1.Node{}: {Transform: node.Trim},
			&certificatesv1.CertificateSigningRequest{}: {Transform: join.Trim},
		}},
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: Uncached()}},
	})
	if err != nil {
		return nil, p, fmt.Errorf("set up manager: %w", err)
	}
	server.log = mgr.GetLogger()
	metrics.Register(runtimemetrics.Registry, func() []metrics.Pool { return poolFacts(mgr.GetClient()) })
	p.Report = func(took time.Duration, err error) {
		metrics.SweepSeconds.Observe(took.Seconds())
		if err != nil {
			metrics.SweepErrors.Inc()
			mgr.GetLogger().Error(err, "sweep of the cloud failed")
		}
	}
	p.Cache, p.Live = mgr.GetClient(), mgr.GetAPIReader()
	p.Definitions = nodepool.CRDs{Cache: p.Cache, Live: p.Live}
	//lint:ignore SA1019 the newer recorder has no events on cluster-scoped objects in default
	p.Events = mgr.GetEventRecorderFor("poolkeeper")
	return mgr, p, nil
}

// Uncached are the kinds that no cache holds.
func Uncached() []client.Object {
	return []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.Namespace{}, &corev1.ServiceAccount{}, &corev1.Pod{}}
}

// each returns a function that runs f for 0 to n-1, so many at a time, and
// joins the errors.
func each(workers int) func(n int, f func(i int) error) error {
	if workers <= 0 {
		workers = 16
	}
	return func(n int, f func(i int) error) error {
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
}

// ReadFile reads a file that may be left out.
func ReadFile(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	return os.ReadFile(path)
}
