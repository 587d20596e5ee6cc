package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud/alicloud"
	"github.com/poolkeeper/poolkeeper/internal/controller"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
)

// controllerFlags are what the flags hold beside Settings.
type controllerFlags struct {
	controller.Settings
	kubeconfig, endpoint, identity, ca, vpc string
	clock                                   string
	ceilings                                api.Ceilings
}

// newControllerCommand returns the subcommand that runs the controllers. Each
// flag falls back to an environment variable POOLKEEPER_ and its name.
func newControllerCommand(version string) *cobra.Command {
	var f controllerFlags
	c := &cobra.Command{Use: "controller", Short: "Run the controllers", Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			ctrl.SetLogger(newLogger())
			if err := f.open(version); err != nil {
				return err
			}
			roomyHeap(48 << 20)
			return controller.Run(ctrl.SetupSignalHandler(), f.Settings)
		}}
	fs := c.Flags()
	fs.StringVar(&f.kubeconfig, "kubeconfig", env("KUBECONFIG", ""), "kubeconfig of the controller's own identity; empty: the one of its pod")
	fs.StringVar(&f.endpoint, "cloud-endpoint", env("CLOUD_ENDPOINT", ""), "URL that replaces the vendor's endpoints")
	fs.StringVar(&f.vpc, "vpc-id", env("VPC_ID", ""), "VPC that is swept; empty: the whole region")
	fs.StringVar(&f.Region, "region", env("REGION", os.Getenv("ALIBABA_CLOUD_REGION_ID")), "region of the cloud")
	fs.StringVar(&f.ClusterID, "cluster-id", env("CLUSTER_ID", ""), "ID of this cluster in the cloud's tags; empty: the UID of kube-system")
	fs.BoolVar(&f.NewCluster, "new-cluster", env("NEW_CLUSTER", "") == "true", "begin with a new cluster ID although the cloud holds instances of our pools' names with another one; they are left alone")
	fs.StringVar(&f.identity, "identity-certificate", env("IDENTITY_CERTIFICATE", ""), "file with the region's certificates of instance identities")
	fs.StringVar(&f.NodeAPIServer, "node-api-server", env("NODE_API_SERVER", ""), "URL of the API server as nodes reach it; empty: of kube-public/cluster-info")
	fs.StringVar(&f.ca, "node-api-server-ca", env("NODE_API_SERVER_CA", ""), "file with its certificate authority")
	fs.DurationVar(&f.NodeLease, "node-lease-duration", 40*time.Second, "how long the lease of a Node lasts")
	fs.StringVar(&f.MetricsAddress, "metrics-bind-address", env("METRICS_BIND_ADDRESS", "127.0.0.1:8080"), "address of the metrics; 0: none; beyond loopback over TLS and with a token")
	fs.StringVar(&f.MetricsCertDir, "metrics-cert-dir", env("METRICS_CERT_DIR", ""), "directory with tls.crt and tls.key for metrics beyond loopback; empty: a certificate of its own")
	fs.StringVar(&f.HealthAddress, "health-probe-bind-address", env("HEALTH_PROBE_BIND_ADDRESS", "127.0.0.1:8081"), "address of /healthz and /readyz")
	fs.StringVar(&f.ProfileAddress, "pprof-bind-address", env("PPROF_BIND_ADDRESS", "0"), "loopback address of Go's profiles under /debug/pprof; 0: none")
	ceilingFlags(fs, &f.ceilings, env)
	fs.IntVar(&f.Workers, "workers", 16, "writes under way at once")
	factor, _ := strconv.ParseFloat(env("TIME_FACTOR", "1"), 64)
	fs.Float64Var(&f.Factor, "time-factor", factor, "divide every wait by this, for tests")
	_ = fs.MarkHidden("time-factor")
	fs.StringVar(&f.clock, "clock-offset-file", env("CLOCK_OFFSET_FILE", ""), "file that says by how much the clock is off, as in -2s, for tests")
	_ = fs.MarkHidden("clock-offset-file")
	return c
}

// open reads what the flags name.
func (f *controllerFlags) open(version string) (err error) {
	if err := loopback(f.ProfileAddress); err != nil {
		return fmt.Errorf("--pprof-bind-address %s: %w", f.ProfileAddress, err)
	}
	if f.clock != "" {
		f.Clock = offsetClock(f.clock)
	}
	if f.Ceilings, err = checkCeilings(f.ceilings); err != nil {
		return err
	}
	if f.Kube, err = clientcmd.BuildConfigFromFlags("", f.kubeconfig); err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	f.Kube.UserAgent = "poolkeeper-controller/" + version
	if f.Identity, err = controller.ReadFile(f.identity); err != nil {
		return fmt.Errorf("read identity certificate: %w", err)
	}
	if f.NodeCA, err = controller.ReadFile(f.ca); err != nil {
		return fmt.Errorf("read CA of the API server: %w", err)
	}
	o := alicloud.Options{Region: f.Region, Endpoint: f.endpoint, Version: version,
		AccessKeyID: os.Getenv("ALIBABA_CLOUD_ACCESS_KEY_ID"), AccessKeySecret: os.Getenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
		SecurityToken: os.Getenv("ALIBABA_CLOUD_SECURITY_TOKEN"),
		Observe: func(operation string, _ time.Duration, code string) {
			metrics.CloudCalls.WithLabelValues(operation, code).Inc()
		}, Audit: audit}
	if f.vpc != "" {
		o.VPCs = []string{f.vpc}
	}
	f.Cloud, err = alicloud.New(o)
	return err
}

// audit writes one line into the log for each call that may have changed
// something in the cloud. Who asked stands in the cause, as far as the cluster
// can know it.
func audit(m alicloud.Mutation) {
	ctrl.Log.WithName("audit").Info("asked the cloud", "action", m.Action, "what", m.What, "cause", m.Cause, "accessKeyID", m.AccessKeyID,
		"result", m.Result, "code", m.Code, "requestID", m.RequestID, "created", m.Created)
}

// loopback refuses an address that others can reach; "0" is none.
func loopback(address string) error {
	if address == "0" || address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return errors.New("profiles hold names and are served on loopback only, as in 127.0.0.1:6060")
	}
	return nil
}

func env(name, otherwise string) string {
	if v := os.Getenv("POOLKEEPER_" + name); v != "" {
		return v
	}
	return otherwise
}
