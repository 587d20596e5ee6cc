package up

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/poolkeeper/poolkeeper/config"
)

// planeOptions are those of a region with a real control plane.
func planeOptions(t *testing.T) Options {
	t.Helper()
	o := fakeOptions(t.TempDir(), freePorts(t))
	o.Plane = filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "poolkeeper-plane")
	if _, err := os.Stat(o.Plane); err != nil {
		t.Fatalf("this test needs the control plane: type `make test`, or `make build` and KUBEBUILDER_ASSETS=$PWD/bin go test ./internal/local/up/")
	}
	delete(o.programs, planeName)
	o.prepare = nil
	o.Manifests = Manifests{
		Files: config.FS, Folders: config.Folders, Samples: config.Samples, Stamp: config.Stamp,
		Namespace: config.Namespace, Account: config.ControllerAccount,
	}
	return o
}

func connect(t *testing.T, file string) (*rest.Config, *kubernetes.Clientset) {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	k, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, k
}

func TestRealControlPlane(t *testing.T) {
	ctx := context.Background()
	o := planeOptions(t)
	r := startRegion(t, o)
	r.await(t)
	admin, k := connect(t, filepath.Join(o.Dir, "admin.kubeconfig"))
	pools := dynamic.NewForConfigOrDie(admin).Resource(schema.GroupVersionResource{Group: "poolkeeper.io", Version: "v1alpha1", Resource: "nodepools"})
	if _, err := pools.Get(ctx, "demo", metav1.GetOptions{}); err != nil {
		t.Fatalf("the sample is missing: %v", err)
	}
	if m, err := k.CoreV1().ConfigMaps("kube-public").Get(ctx, "cluster-info", metav1.GetOptions{}); err != nil || !strings.Contains(m.Data["kubeconfig"], "https://"+r.region().apiServer()) {
		t.Errorf("cluster-info: %v, %v", m, err)
	}
	checkController(ctx, t, o.Dir)
	checkTroubles(ctx, t, o.Dir, k)

	before := childOf(t, o.Dir, planeName).PID
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the control plane is ready again", func() bool {
		c := childOf(t, o.Dir, planeName)
		return c.PID != before && c.Ready
	})
	until(t, "the pool is there after a kill", func() bool {
		_, err := pools.Get(ctx, "demo", metav1.GetOptions{})
		return err == nil
	})
	// A person who deletes the sample does not get it back.
	if err := pools.Delete(ctx, "demo", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.stop(t)
	second := startRegion(t, o)
	second.await(t)
	if _, err := pools.Get(ctx, "demo", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the deleted sample: %v", err)
	}
	if info, err := os.Stat(filepath.Join(o.Dir, "audit", "audit.log")); err != nil || info.Size() == 0 {
		t.Errorf("audit log: %v, %v", info, err)
	}
}

func (r *runningRegion) region() Region { return Region{PortBase: r.port} }

// checkController finds out that the controller is its service account, with
// the rights of the manifests and no more.
func checkController(ctx context.Context, t *testing.T, dir string) {
	t.Helper()
	_, k := connect(t, filepath.Join(dir, "controller", "kubeconfig"))
	who, err := k.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil || who.Status.UserInfo.Username != config.ControllerUser {
		t.Fatalf("the controller is %v, %v", who, err)
	}
	cases := map[string]struct {
		group, resource, verb string
		want                  bool
	}{
		"its own kinds":     {"poolkeeper.io", "instances", "create", true},
		"no pools made":     {"poolkeeper.io", "nodepools", "create", false},
		"no bindings":       {"rbac.authorization.k8s.io", "clusterrolebindings", "create", false},
		"no secrets around": {"", "secrets", "list", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{Group: c.group, Resource: c.resource, Verb: c.verb}}}
			got, err := k.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
			if err != nil || got.Status.Allowed != c.want {
				t.Errorf("%s %s: allowed %v, %v; want %v", c.verb, c.resource, got.Status.Allowed, err, c.want)
			}
		})
	}
	if info, err := os.Stat(filepath.Join(dir, "controller", "token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("token: %v, %v", info, err)
	}
}

// The one binary is upstream's etcd and kube-apiserver by their names, which is
// all that envtest needs.
func TestEnvtestRunsOnTheSameBinary(t *testing.T) {
	planeOptions(t)
	env := &envtest.Environment{}
	cfg, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	}()
	k, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := k.Discovery().ServerVersion(); err != nil || !strings.HasPrefix(v.GitVersion, "v1.37.") {
		t.Errorf("version %v, %v", v, err)
	}
}
