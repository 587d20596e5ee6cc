package up

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// trouble asks a region for a trouble of its API server for a while.
func trouble(t *testing.T, dir, kind string, span time.Duration) {
	t.Helper()
	asked := Trouble{}
	if kind != "" {
		asked = Trouble{Kind: kind, Until: time.Now().Add(span).UTC().Round(time.Millisecond)}
	}
	out := &output{}
	if err := SetTrouble(t.Context(), dir, asked, out); err != nil {
		t.Fatal(err)
	}
	if want := asked.String() + "\n"; out.String() != want {
		t.Errorf("it says %q, want %q", out, want)
	}
}

// stateOf is the letter of the kernel for what a process does: T is stopped.
func stateOf(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return after[:1]
}

func TestAPIServerIsAwayForAWhile(t *testing.T) {
	r := startRegion(t, fakeOptions(t.TempDir(), freePorts(t)))
	r.await(t)
	pid := childOf(t, r.dir, planeName).PID
	trouble(t, r.dir, Away, time.Hour)
	if s := stateOf(t, pid); s != "T" {
		t.Errorf("the control plane is in state %s, want T", s)
	}
	if s, err := ReadStatus(t.Context(), r.dir); err != nil || s.Ready || s.Trouble == nil || s.Trouble.Kind != Away {
		t.Errorf("status %+v, %v", s, err)
	}
	trouble(t, r.dir, "", 0)
	if s := stateOf(t, pid); s == "T" {
		t.Error("the control plane is still stopped")
	}
	trouble(t, r.dir, Away, 300*time.Millisecond)
	until(t, "it ends by itself", func() bool { return stateOf(t, pid) != "T" })
	trouble(t, r.dir, Away, time.Hour)
	began := time.Now()
	r.stop(t)
	if took := time.Since(began); took > stopTime {
		t.Errorf("a region whose API server is away takes %s to stop", took)
	}
	var e *Error
	if err := SetTrouble(t.Context(), r.dir, Trouble{}, &output{}); !errors.As(err, &e) || e.Code != CodeUnreachable || len(e.Next) == 0 {
		t.Errorf("trouble for a region that does not run: %v", err)
	}
}

// checkTroubles drives the troubles of a real API server, and its cure.
func checkTroubles(ctx context.Context, t *testing.T, dir string, k *kubernetes.Clientset) {
	t.Helper()
	info := func() string {
		m, err := k.CoreV1().ConfigMaps("kube-public").Get(ctx, "cluster-info", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return m.Data["kubeconfig"]
	}
	before := info()
	trouble(t, dir, NoEndpoints, time.Hour)
	if text := info(); strings.Contains(text, "server:") {
		t.Errorf("cluster-info still names a server:\n%s", text)
	}
	trouble(t, dir, Throttling, time.Hour)
	if text := info(); text != before {
		t.Errorf("cluster-info was not put back:\n%s\nwant\n%s", text, before)
	}
	cfg, _ := connect(t, filepath.Join(dir, "controller", "kubeconfig"))
	asked := rest.CopyConfig(cfg)
	asked.WarningHandler = rest.NoWarnings{}
	controller := kubernetes.NewForConfigOrDie(asked)
	ask := func() error {
		err := controller.Discovery().RESTClient().Get().AbsPath("/api/v1/nodes").MaxRetries(0).Do(ctx).Error()
		if err != nil && !apierrors.IsTooManyRequests(err) {
			t.Fatal(err)
		}
		return err
	}
	until(t, "the controller is refused with "+http.StatusText(http.StatusTooManyRequests), func() bool { return ask() != nil })
	trouble(t, dir, "", 0)
	until(t, "the controller is served again", func() bool { return ask() == nil })
}
