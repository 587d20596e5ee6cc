// Package configtest gives tests a real API server with poolkeeper's manifests
// applied: the definitions, rights, policies and queues exactly as they are
// shipped. In comes nothing but the binary that `make test` builds; out come
// clients under any identity and kubectl. No other control plane component
// runs, so nothing is garbage-collected, signed or scheduled. It never skips a
// test: without the binary the test fails with the command to type.
package configtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/config"
)

// Patience is how long a test waits for the API server to take notice of what
// was written, before it fails.
const Patience = time.Minute

// Server is an API server with the manifests applied.
type Server struct {
	// Config is the administrator's.
	Config *rest.Config

	env    *envtest.Environment
	assets string
}

var shared struct {
	sync.Mutex
	server *Server
}

// Shared returns the one server of this test process, started at first use.
// The package's TestMain calls Main, which stops it.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := start()
		if err != nil {
			t.Fatal(err)
		}
		shared.server = s
	}
	return shared.server
}

// Main runs the tests of a package and stops the shared server.
func Main(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// Own starts a server for one test, which may break what others rely on.
func Own(t testing.TB) *Server {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.env.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	return s
}

// Assets returns the folder with etcd, kube-apiserver and kubectl: the one that
// KUBEBUILDER_ASSETS names, else bin of this repository.
func Assets() (string, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		root, err := os.Getwd()
		if err != nil {
			return "", err
		}
		for !exists(filepath.Join(root, "go.mod")) && root != filepath.Dir(root) {
			root = filepath.Dir(root)
		}
		dir = filepath.Join(root, "bin")
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		if !exists(filepath.Join(dir, name)) {
			return "", fmt.Errorf("this test needs %s in %s; type: make test", name, dir)
		}
	}
	return dir, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func start() (*Server, error) {
	dir, err := Assets()
	if err != nil {
		return nil, err
	}
	env := &envtest.Environment{BinaryAssetsDirectory: dir, ControlPlaneStartTimeout: 2 * Patience, ControlPlaneStopTimeout: Patience}
	cfg, err := env.Start()
	if err != nil {
		return nil, fmt.Errorf("start the API server: %w", err)
	}
	cfg.QPS, cfg.Burst = -1, 0
	log.SetLogger(logr.Discard())
	s := &Server{Config: cfg, env: env, assets: dir}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := s.Apply(ctx); err != nil {
		return nil, errors.Join(err, env.Stop())
	}
	return s, nil
}

// Apply applies every manifest but the samples, in order, as often as needed
// until the API server knows the kinds and namespaces that they need.
func (s *Server) Apply(ctx context.Context) error {
	c, err := client.New(s.Config, client.Options{Scheme: Scheme()})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	for _, folder := range config.Folders {
		objects, err := Objects(folder)
		if err != nil {
			return err
		}
		for _, o := range objects {
			if err := applyOne(ctx, c, o); err != nil {
				return fmt.Errorf("apply %s %s of %s: %w", o.GetKind(), o.GetName(), folder, err)
			}
		}
	}
	return errors.Join(served(ctx, c), s.discovered(ctx))
}

// discovered waits until whoever asks the API server what it serves is told of
// all our kinds: kubectl and clients find them there, and under load it comes
// after the kinds themselves.
func (s *Server) discovered(ctx context.Context) error {
	definitions, err := Objects("crd")
	if err != nil {
		return err
	}
	d, err := discovery.NewDiscoveryClientForConfig(s.Config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	missing := ""
	err = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		_, lists, _ := d.ServerGroupsAndResources()
		told := map[string]bool{}
		for _, l := range lists {
			for _, r := range l.APIResources {
				told[l.GroupVersion+" "+r.Name] = true
			}
		}
		missing = ""
		for _, o := range definitions {
			plural, _, _ := unstructured.NestedString(o.Object, "spec", "names", "plural")
			for _, name := range []string{plural, plural + "/status"} {
				if !told[v1alpha1.GroupVersion.String()+" "+name] {
					missing = name
				}
			}
		}
		return missing == "", nil
	})
	if err != nil {
		return fmt.Errorf("find %s among what is served: %w", missing, err)
	}
	return nil
}

// served waits until pools can be written: the kinds are served, and the policy
// that stamps who asked knows their schema.
func served(ctx context.Context, c client.Client) error {
	samples, err := Objects(config.Samples)
	if err != nil {
		return err
	}
	var last error
	if err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		tried := samples[0].DeepCopy()
		if last = c.Create(ctx, tried, client.DryRunAll); last == nil && tried.GetAnnotations()[config.Stamp] == "" {
			last = errors.New("no policy acts on it")
		}
		return last == nil, nil
	}); err != nil {
		return fmt.Errorf("create a pool as a trial: %w", errors.Join(err, last))
	}
	return nil
}

func applyOne(ctx context.Context, c client.Client, o *unstructured.Unstructured) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		last = c.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), client.FieldOwner("poolkeeper"), client.ForceOwnership)
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}

// Objects reads the manifests of one folder in the order of their application.
func Objects(folder string) ([]*unstructured.Unstructured, error) {
	names, err := fs.Glob(config.FS, folder+"/*.yaml")
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, name := range names {
		b, err := config.FS.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		d := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(b), 4096)
		for {
			o := &unstructured.Unstructured{}
			if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("decode %s: %w", name, err)
			}
			if len(o.Object) > 0 {
				out = append(out, o)
			}
		}
	}
	return out, nil
}

// Scheme knows the built-in kinds and ours.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
}

// Client acts as the administrator.
func (s *Server) Client(t testing.TB) client.Client {
	t.Helper()
	return s.clientFor(t, s.Config)
}

// As acts as somebody else.
func (s *Server) As(t testing.TB, user string, groups ...string) client.Client {
	t.Helper()
	return s.clientFor(t, s.ConfigAs(user, groups...))
}

// ConfigAs is the client configuration of somebody else.
func (s *Server) ConfigAs(user string, groups ...string) *rest.Config {
	cfg := rest.CopyConfig(s.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	return cfg
}

func (s *Server) clientFor(t testing.TB, cfg *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(cfg, client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	return c
}

// Kubectl runs kubectl as the administrator and returns what it printed.
func (s *Server) Kubectl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, s.env.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(s.assets, "kubectl"), append([]string{"--kubeconfig", path}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Eventually calls try until it returns nil, and fails the test with its last
// error when that takes longer than Patience.
func Eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, Patience, true, func(context.Context) (bool, error) {
		last = try()
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, last)
	}
}
