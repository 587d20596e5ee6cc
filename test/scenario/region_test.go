package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/server"
	"github.com/poolkeeper/poolkeeper/internal/local/process"
	"github.com/poolkeeper/poolkeeper/internal/local/up"
)

// factor divides every wait of the region: 5 minutes of the specification are
// 5 seconds here.
const factor = "60"

// world is a local region that transcripts share.
type world struct {
	dir, bin string
	env      []string
	kube     client.Client
	cluster  string // its cluster ID
	cloud    struct{ address, token string }
}

// starts is held while a region starts.
var starts sync.Mutex

// newWorld starts a local region, which ends with the test.
func newWorld(t *testing.T) *world {
	t.Helper()
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := filepath.Abs("../../config")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"poolkeeper", "poolkeeper-plane", "kubectl"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Fatalf("bin/%s is missing: `make build` first (the first time it takes minutes)", name)
		}
	}
	w := &world{dir: t.TempDir(), bin: bin}
	w.env = []string{"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + w.dir, "POOLKEEPER_TIME=utc", "LC_ALL=C", "CONFIG=" + manifests,
		"POOLKEEPER_LOCAL_DIR=" + filepath.Join(w.dir, "region")}
	t.Cleanup(func() {
		if out, err := w.shell(context.Background(), "poolkeeper local down"); err != nil {
			t.Errorf("local down: %v\n%s", err, out)
		}
		w.keepLogs(t)
	})
	starts.Lock() // ports are free until they are listened on
	defer starts.Unlock()
	ports, err := process.FreePorts(up.Ports)
	if err != nil {
		t.Fatal(err)
	}
	start := fmt.Sprintf("poolkeeper local up --detach --time-factor %s --port-base %d", factor, ports)
	if out, err := w.shell(t.Context(), start); err != nil {
		t.Fatalf("%s: %v\n%s", start, err, out)
	}
	w.readEnv(t)
	w.connect(t)
	if out, err := w.shell(t.Context(), "kubectl delete nodepool demo"); err != nil {
		t.Fatalf("delete the sample: %v\n%s", err, out)
	}
	return w
}

// keepLogs copies the region's logs to a directory below where SCENARIO_LOGS says.
func (w *world) keepLogs(t *testing.T) {
	if to := os.Getenv("SCENARIO_LOGS"); to != "" {
		if err := os.CopyFS(filepath.Join(to, filepath.Base(w.dir)), os.DirFS(filepath.Join(w.dir, "region", "logs"))); err != nil {
			t.Log(err)
		}
	}
}

var export = regexp.MustCompile(`(?m)^export (\w+)=(.*)$`)

// readEnv takes over what `local env` exports, but PATH.
func (w *world) readEnv(t *testing.T) {
	t.Helper()
	out, err := w.shell(t.Context(), "poolkeeper local env")
	if err != nil {
		t.Fatalf("local env: %v\n%s", err, out)
	}
	for _, m := range export.FindAllStringSubmatch(out, -1) {
		if m[1] != "PATH" {
			w.env = append(w.env, m[1]+"="+strings.Trim(m[2], `"'`))
		}
	}
}

// connect makes the client that the waits and the invariants read with.
func (w *world) connect(t *testing.T) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(w.dir, "region", "admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1 // the waits end by themselves
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	if w.kube, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	system := &corev1.Namespace{}
	if err := w.kube.Get(t.Context(), client.ObjectKey{Name: "kube-system"}, system); err != nil {
		t.Fatal(err)
	}
	w.cluster = string(system.UID)
	for name, to := range map[string]*string{server.AddressFile: &w.cloud.address, server.TokenFile: &w.cloud.token} {
		b, err := os.ReadFile(filepath.Join(w.dir, "region", "cloud", name))
		if err != nil {
			t.Fatal(err)
		}
		*to = strings.TrimSpace(string(b))
	}
}

// shell runs one line as a person's shell does. What goes to stderr is marked
// with "! "; it comes after what goes to stdout.
func (w *world) shell(ctx context.Context, line string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	c := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", line)
	c.Env, c.Dir = w.env, w.dir
	c.WaitDelay = time.Second
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	var out, errs strings.Builder
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	text := out.String()
	for _, l := range strings.SplitAfter(errs.String(), "\n") {
		if l != "" {
			text += "! " + l
		}
	}
	return text, err
}

// instances are what the local cloud has, as its console would show it.
func (w *world) instances(ctx context.Context) ([]region.Summary, error) {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.cloud.address+"/_local/instances", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+w.cloud.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var all []region.Summary
	if err := json.NewDecoder(answer.Body).Decode(&all); err != nil {
		return nil, fmt.Errorf("read instances of local cloud: %w", err)
	}
	return all, nil
}
