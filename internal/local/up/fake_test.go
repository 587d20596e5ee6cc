package up

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/process"

	"go.uber.org/goleak"
)

// The test binary is also the three children of a region: a server that says it
// is ready, on the address where the real one listens.
const (
	childEnv = "UP_TEST_CHILD"
	// badEnv makes every child end at once.
	badEnv = "UP_TEST_BAD"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		fakeChild(what, os.Args[1:])
		return
	}
	goleak.VerifyTestMain(m)
}

// fakeChild serves until it is told to end: "plane DIR ADDRESS", "cloud DIR
// ADDRESS", "controller DIR ADDRESS", "up DIR PORT", "up on a
// full disk DIR PORT".
func fakeChild(what string, args []string) {
	if os.Getenv(badEnv) == what {
		fmt.Fprintln(os.Stderr, "nothing works today")
		os.Exit(3)
	}
	dir, address := args[0], args[1]
	switch what {
	case "up":
		runFakeRegion(dir, address)
		return
	case "up on a full disk":
		fillDisk(filepath.Dir(filepath.Dir(dir)))
		runFakeRegion(dir, address)
		return
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(what, "listens")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Listener = l
	switch what {
	case "plane":
		s.StartTLS()
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		_ = writeFile(filepath.Join(dir, "ca.crt"), ca, 0o644)
		_ = writeFile(filepath.Join(dir, "admin.kubeconfig"), nil, 0o600)
	case "cloud":
		text, _ := json.Marshal(credentials{AccessKeyID: "id", AccessKeySecret: "it's secret", AccountID: "1", RegionID: RegionID})
		_ = writeFile(filepath.Join(dir, "cloud", "credentials.json"), text, 0o600)
		s.Start()
	default:
		s.Start()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
}

// fakeOptions are those of a region whose children are fakes.
func fakeOptions(dir string, port int) Options {
	r := Region{PortBase: port}
	fake := func(what, address string) func() ([]string, []string) {
		return func() ([]string, []string) {
			return []string{os.Args[0], dir, address}, []string{childEnv + "=" + what, badEnv + "=" + os.Getenv(badEnv)}
		}
	}
	return Options{
		Dir: dir, PortBase: port, Version: "test", Self: os.Args[0],
		programs: map[string]func() ([]string, []string){
			planeName: fake("plane", r.apiServer()), cloudName: fake("cloud", r.cloud()), controllerName: fake("controller", r.health()),
		},
		prepare: func(*region) error { return nil },
	}
}

func runFakeRegion(dir, port string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var n int
	_, _ = fmt.Sscan(port, &n)
	o := fakeOptions(dir, n)
	o.Out = os.Stdout
	if err := Run(ctx, o); err != nil {
		fmt.Println(err)
		var e *Error
		if errors.As(err, &e) {
			fmt.Println("next:", strings.Join(e.Next, "; "))
		}
		listDir(filepath.Dir(filepath.Dir(dir)))
		os.Exit(1)
	}
}

// output is what a region said so far.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// runningRegion is a region of fakes that runs in this process.
type runningRegion struct {
	dir   string
	port  int
	out   *output
	ready chan struct{}
	ended chan error
	end   context.CancelFunc
}

func startRegion(t *testing.T, o Options) *runningRegion {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &runningRegion{dir: o.Dir, port: o.PortBase, out: &output{}, ready: make(chan struct{}), ended: make(chan error, 1), end: cancel}
	o.Out, o.Ready = r.out, func() { close(r.ready) }
	go func() { r.ended <- Run(ctx, o) }()
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *runningRegion) stop(t *testing.T) {
	t.Helper()
	r.end()
	select {
	case err := <-r.ended:
		r.ended <- err
	case <-time.After(30 * time.Second):
		t.Fatalf("the region did not stop:\n%s", r.out)
	}
}

func (r *runningRegion) await(t *testing.T) {
	t.Helper()
	select {
	case <-r.ready:
	case err := <-r.ended:
		r.ended <- err
		t.Fatalf("the region ended: %v\n%s", err, r.out)
	case <-time.After(30 * time.Second):
		t.Fatalf("the region is not ready:\n%s", r.out)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never came true: %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// freePorts finds a base whose ports are free.
func freePorts(t *testing.T) int {
	t.Helper()
	base, err := process.FreePorts(Ports)
	if err != nil {
		t.Fatal(err)
	}
	return base
}

func childOf(t *testing.T, dir, name string) ChildStatus {
	t.Helper()
	s, err := ReadStatus(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Children {
		if c.Name == name {
			return c
		}
	}
	return ChildStatus{}
}
