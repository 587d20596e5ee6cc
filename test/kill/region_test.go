package kill

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/config/configtest"
	"github.com/poolkeeper/poolkeeper/internal/local/process"
)

const (
	// factor divides every wait of the three processes, but the join deadline,
	// which covers restarts of a control plane.
	factor       = "20"
	joinDeadline = 300 // seconds
	// patience is how long the pool may take to be as wished, kills included.
	patience = 90 * time.Second
	// probeTime bounds one look whether a server is ready.
	probeTime = 5 * time.Second
	regionID  = "cn-local"
	poolName  = "kill"
	// low and high are the numbers between which the pool scales. Three pieces
	// of two instances lie between them, for the pool is balanced over three
	// zones.
	low, high = 2, 8
)

// region is the three processes, the proxies between them, and the books that
// the test keeps.
type region struct {
	dir                      string
	plane, cloud, controller *program
	toPlane, toCloud         *proxy
	gate                     *gate
	books                    *books
	admin                    client.WithWatch
	planeURL, cloudURL       string
	controlToken             string
	ca                       []byte
	// patience is how long the pool may take to be as wished.
	patience time.Duration
	// controllerPath is the program of the controller, and apply puts its manifests
	// into the cluster.
	controllerPath string
	apply          func(context.Context) error
}

// startRegion starts the three processes; before is called when the region has
// its directory.
func startRegion(t *testing.T, before ...func(*region)) *region {
	t.Helper()
	bin := programs(t)
	dir, err := os.MkdirTemp("", "kill-")
	if err != nil {
		t.Fatal(err)
	}
	r := &region{dir: dir, gate: &gate{}, books: newBooks(), patience: patience, controllerPath: filepath.Join(bin, "poolkeeper")}
	t.Cleanup(func() { r.end(t) })
	for _, f := range before {
		f(r)
	}
	port, err := process.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	plane, cloud := fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)
	r.planeURL, r.cloudURL = "https://"+plane, "http://"+cloud
	r.plane = newProgram(t, dir, "plane", nil, filepath.Join(bin, "poolkeeper-plane"), "--dir", dir, "--port", strconv.Itoa(port), "--node-monitor-grace-period", "65s")
	r.cloud = newProgram(t, dir, "cloud", nil, filepath.Join(bin, "poolkeeper"), "local", "cloud", "--dir", r.path("cloud"),
		"--listen", cloud, "--region", regionID, "--max-nodes", "500", "--api-server", plane, "--time-factor", factor, "--clock-offset-file", r.clock(theCloud))
	ctx := t.Context()
	r.await(ctx, t, "control plane", r.planeReady)
	r.await(ctx, t, "local cloud", r.cloudReady)
	r.prepare(ctx, t)
	r.startController(t)
	return r
}

// programs returns the folder with what `make build` makes.
func programs(t *testing.T) string {
	t.Helper()
	bin, err := configtest.Assets()
	for _, name := range []string{"poolkeeper", "poolkeeper-plane"} {
		if err == nil {
			_, err = os.Stat(filepath.Join(bin, name))
		}
	}
	if err != nil {
		t.Fatalf("%v\nThis test needs the three programs of a local region: type `make test`, or `make build` and then go test ./test/kill/", err)
	}
	return bin
}

func (r *region) path(elem ...string) string {
	return filepath.Join(append([]string{r.dir}, elem...)...)
}

// clock is the file that says by how much the clock of a process is off.
func (r *region) clock(of victim) string { return r.path(fmt.Sprintf("clock-%d", of)) }

func (r *region) await(ctx context.Context, t *testing.T, what string, ready func(context.Context) error) {
	t.Helper()
	missing := until(ctx, patience, func(ctx context.Context) string {
		if err := ready(ctx); err != nil {
			return err.Error()
		}
		return ""
	})
	if missing != "" {
		t.Fatalf("%s is not ready: %s", what, missing)
	}
}

func (r *region) planeReady(ctx context.Context) error {
	ca, err := os.ReadFile(r.path("ca.crt"))
	if err != nil {
		return err
	}
	r.ca = ca
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	return process.Ask(ctx, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}, r.planeURL+"/readyz")
}

func (r *region) cloudReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	return process.Ask(ctx, &http.Transport{DisableKeepAlives: true}, r.cloudURL+"/_local/healthz")
}

// prepare puts the manifests into the cluster and opens the administrator's
// client, which does not pass the proxy.
func (r *region) prepare(ctx context.Context, t *testing.T) {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", r.path("admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS = -1
	cfg.Timeout = 20 * time.Second
	if r.admin, err = client.NewWithWatch(cfg, client.Options{Scheme: configtest.Scheme()}); err != nil {
		t.Fatal(err)
	}
	applying, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if r.apply == nil {
		r.apply = (&configtest.Server{Config: cfg}).Apply
	}
	if err := r.apply(applying); err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(r.path("cloud", "control-token"))
	if err != nil {
		t.Fatal(err)
	}
	r.controlToken = string(token)
}

// startController starts the controller under its own identity, with the two
// proxies in the place of the API server and the cloud.
func (r *region) startController(t *testing.T) {
	t.Helper()
	var err error
	if r.toPlane, err = newProxy(r.gate, r.planeURL, r.ca, nil, nil); err != nil {
		t.Fatal(err)
	}
	if r.toCloud, err = newProxy(r.gate, r.cloudURL, nil, r.books.asked, r.books.answer); err != nil {
		t.Fatal(err)
	}
	server, ca := r.toPlane.serve(t, true)
	endpoint, _ := r.toCloud.serve(t, false)
	var key struct{ AccessKeyID, AccessKeySecret string }
	text, err := os.ReadFile(r.path("cloud", "credentials.json"))
	if err == nil {
		err = json.Unmarshal(text, &key)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.controller = newProgram(t, r.dir, "controller",
		[]string{"ALIBABA_CLOUD_ACCESS_KEY_ID=" + key.AccessKeyID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + key.AccessKeySecret},
		r.controllerPath, "controller", "--kubeconfig", r.kubeconfig(t, server, ca), "--cloud-endpoint", endpoint, "--region", regionID,
		"--identity-certificate", r.path("cloud", "identity.crt"), "--node-api-server", r.planeURL, "--node-api-server-ca", r.path("ca.crt"),
		"--metrics-bind-address", "0", "--health-probe-bind-address", "0", "--node-lease-duration", "52s", "--time-factor", factor, "--clock-offset-file", r.clock(theController))
}

// kubeconfig is that of the controller's service account.
func (r *region) kubeconfig(t *testing.T, server string, ca []byte) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: config.Namespace, Name: config.ControllerAccount}}
	token := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(12 * 3600))}}
	if err := r.admin.SubResource("token").Create(t.Context(), account, token); err != nil {
		t.Fatal(err)
	}
	c := clientcmdapi.NewConfig()
	c.Clusters["kill"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	c.AuthInfos["controller"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	c.Contexts["kill"] = &clientcmdapi.Context{Cluster: "kill", AuthInfo: "controller", Namespace: config.Namespace}
	c.CurrentContext = "kill"
	file := r.path("controller.kubeconfig")
	if err := clientcmd.WriteToFile(*c, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// createPool makes the pool that all steps scale.
func (r *region) createPool(t *testing.T) {
	t.Helper()
	pool := &api.NodePool{ObjectMeta: metav1.ObjectMeta{Name: poolName}, Spec: api.NodePoolSpec{
		MaxNodes: 200, JoinDeadlineSeconds: ptr.To(int32(joinDeadline)),
		ScalingPolicy:  api.ScalingPolicy{Type: api.PolicyDistributionBalancing},
		LaunchSettings: api.LaunchSettings{VSwitches: []string{"vsw-a", "vsw-b", "vsw-c"}, InstanceTypes: []string{"ecs.g7.xlarge"}, ImageID: "aliyun_3_x64_20G_local.vhd", SecurityGroups: []string{"sg-local"}},
	}}
	r.await(t.Context(), t, "admission of pools", func(ctx context.Context) error { // it knows a new kind after some seconds
		return client.IgnoreAlreadyExists(r.admin.Create(ctx, pool))
	})
}

// scale sets the expected number, again and again while the control plane is
// away.
func (r *region) scale(ctx context.Context, n int32) error {
	missing := until(ctx, patience, func(ctx context.Context) string {
		patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"expectedNodes":%d}}`, n))
		if err := r.admin.Patch(ctx, &api.NodePool{ObjectMeta: metav1.ObjectMeta{Name: poolName}}, patch); err != nil {
			return err.Error()
		}
		return ""
	})
	if missing != "" {
		return fmt.Errorf("scale to %d: %s", n, missing)
	}
	return nil
}

// end removes the region's directory; one that failed stays to be looked at.
func (r *region) end(t *testing.T) {
	if t.Failed() {
		t.Logf("logs and state of the region: %s", r.dir)
		return
	}
	_ = os.RemoveAll(r.dir)
}
