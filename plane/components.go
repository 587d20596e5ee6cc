package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	cliflag "k8s.io/component-base/cli/flag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	manageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// parse reads arguments into the flag sets of a component.
func parse(sets cliflag.NamedFlagSets, args []string) error {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, f := range sets.FlagSets {
		fs.AddFlagSet(f)
	}
	return fs.Parse(args)
}

// runAPIServer serves until the context ends.
func runAPIServer(ctx context.Context, s *state) error {
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	if err := os.WriteFile(s.path("audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("write audit policy: %w", err)
	}
	args, err := s.apiServerArgs()
	if err != nil {
		return err
	}
	o := apiserveroptions.NewServerRunOptions()
	if err := parse(o.Flags(), args); err != nil {
		return err
	}
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	c, err := o.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := c.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	if err := apiserver.Run(ctx, c); err != nil {
		return fmt.Errorf("run API server: %w", err)
	}
	return nil
}

func (s *state) apiServerArgs() ([]string, error) {
	socket, err := s.socket("etcd")
	if err != nil {
		return nil, err
	}
	k := s.pki.file
	return []string{
		"--etcd-servers=unix://" + socket,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", s.port), "--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + k("apiserver.crt"), "--tls-private-key-file=" + k("apiserver.key"),
		"--client-ca-file=" + k("ca.crt"),
		"--kubelet-client-certificate=" + k("kubelet-client.crt"), "--kubelet-client-key=" + k("kubelet-client.key"),
		"--requestheader-client-ca-file=" + k("front-proxy-ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + k("front-proxy.crt"), "--proxy-client-key-file=" + k("front-proxy.key"),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction,ValidatingAdmissionPolicy,MutatingAdmissionPolicy",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file=" + k("sa.key"), "--service-account-key-file=" + k("sa.key"),
		"--service-account-extend-token-expiration=false",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--audit-policy-file=" + s.path("audit-policy.yaml"), "--audit-log-path=" + s.path("audit", "audit.log"),
		"--audit-log-maxsize=50", "--audit-log-maxbackup=2", "--audit-log-mode=batch",
		"--max-requests-inflight=800", "--max-mutating-requests-inflight=400",
		"--shutdown-delay-duration=0s", "--profiling=false",
	}, nil
}

// auditPolicy keeps people's writes to our kinds with request and answer (of a
// status the request, which says the same). Of all others, those of our
// controller among them, it keeps who did what to which object: what it decided
// stands in the objects. What beats all the time (leases, events, the heartbeat
// of a node, the status of its pods, health checks) and reads of the control
// plane itself are left out.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  resources: [{group: coordination.k8s.io}, {group: "", resources: [events]}, {group: events.k8s.io}]
- level: None
  userGroups: [system:nodes]
  verbs: [get, list, watch, patch, update]
  resources: [{group: "", resources: [nodes/status, pods, pods/status]}]
- level: None
  users: [system:apiserver, system:kube-scheduler, system:kube-controller-manager]
  verbs: [get, list, watch]
- level: None
  userGroups: ["system:serviceaccounts:kube-system"]
  verbs: [get, list, watch]
- level: None
  nonResourceURLs: [/healthz*, /readyz*, /livez*, /openapi*, /api, /api/*, /apis, /apis/*]
- level: Metadata
  userGroups: ["system:serviceaccounts:poolkeeper-system"]
- level: Request
  verbs: [create, update, patch]
  resources: [{group: poolkeeper.io, resources: ["*/status"]}]
- level: RequestResponse
  verbs: [create, update, patch, delete, deletecollection]
  resources: [{group: poolkeeper.io}]
- level: Metadata
`

// controllers are all of upstream's but those that give addresses to nodes,
// or volumes, devices and autoscaling, which no node here has.
var controllers = []string{
	"*", "-node-ipam-controller",
	"-persistentvolume-binder-controller", "-persistentvolume-attach-detach-controller", "-persistentvolume-expander-controller",
	"-ephemeral-volume-controller", "-device-taint-eviction-controller", "-horizontal-pod-autoscaler-controller",
	"-selinux-warning-controller", "-resourceclaim-controller",
}

// runControllerManager runs upstream's controllers until the context ends, each
// under its own service account.
func runControllerManager(ctx context.Context, s *state, grace time.Duration) error {
	o, err := manageroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	sets := o.Flags(manager.KnownControllers(), manager.ControllersDisabledByDefault(), manager.ControllerAliases())
	o.ParsedFlags = &sets
	kubeconfig := s.path("controller-manager.kubeconfig")
	err = parse(sets, []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--leader-elect=false", "--secure-port=0", "--use-service-account-credentials=true",
		"--cluster-signing-cert-file=" + s.pki.file("ca.crt"), "--cluster-signing-key-file=" + s.pki.file("ca.key"),
		"--root-ca-file=" + s.pki.file("ca.crt"), "--service-account-private-key-file=" + s.pki.file("sa.key"),
		"--node-monitor-grace-period=" + grace.String(), "--node-monitor-period=" + min(5*time.Second, grace/4).String(),
		"--kube-api-qps=1000", "--kube-api-burst=2000",
		"--controllers=" + strings.Join(controllers, ","),
		"--concurrent-gc-syncs=10",
	})
	if err != nil {
		return err
	}
	if err := o.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	c, err := o.Config(ctx, manager.KnownControllers(), manager.ControllersDisabledByDefault(), manager.ControllerAliases())
	if err != nil {
		return err
	}
	if err := manager.Run(ctx, c.Complete()); err != nil && ctx.Err() == nil {
		return fmt.Errorf("run controller manager: %w", err)
	}
	return errors.New("the controller manager ended")
}

// runScheduler schedules until the context ends.
func runScheduler(ctx context.Context, s *state) error {
	config := strings.Join([]string{
		"apiVersion: kubescheduler.config.k8s.io/v1", "kind: KubeSchedulerConfiguration",
		"leaderElection: {leaderElect: false}",
		"clientConnection: {kubeconfig: '" + s.path("scheduler.kubeconfig") + "', qps: 500, burst: 1000}", "",
	}, "\n")
	if err := os.WriteFile(s.path("scheduler.yaml"), []byte(config), 0o600); err != nil {
		return fmt.Errorf("write scheduler settings: %w", err)
	}
	o := scheduleroptions.NewOptions()
	kubeconfig := s.path("scheduler.kubeconfig")
	err := parse(*o.Flags, []string{"--config=" + s.path("scheduler.yaml"), "--secure-port=0",
		"--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig})
	if err != nil {
		return err
	}
	if err := o.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	if o.InformerName, err = cache.NewInformerName("kube-scheduler"); err != nil {
		return err
	}
	c, sched, err := scheduler.Setup(ctx, o)
	if err != nil {
		return err
	}
	if err := scheduler.Run(ctx, c, sched); err != nil && ctx.Err() == nil {
		return fmt.Errorf("run scheduler: %w", err)
	}
	return errors.New("the scheduler ended")
}
