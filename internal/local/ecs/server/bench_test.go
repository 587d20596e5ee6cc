package server

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/ecs"

	"github.com/poolkeeper/poolkeeper/internal/local/machine"
)

// rack is a Host that remembers what was asked of it.
type rack struct {
	mu      sync.Mutex
	on      map[string]machine.Spec
	gone    map[string]bool
	started map[string]int
}

func newRack() *rack {
	return &rack{on: map[string]machine.Spec{}, gone: map[string]bool{}, started: map[string]int{}}
}

func (r *rack) Start(s machine.Spec) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on[s.ID] = s
	r.started[s.ID]++
	return nil
}

func (r *rack) Stop(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.on, id)
	return nil
}

func (r *rack) Release(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.on, id)
	r.gone[id] = true
	return nil
}

func (r *rack) Console(id string) []byte { return []byte("console of " + id) }

func (r *rack) Exec(_ context.Context, id string, argv []string) ([]byte, int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.on[id]; !ok {
		return nil, 0, errors.New("not running")
	}
	return []byte(strings.Join(argv, " ")), 3, nil
}

func (r *rack) runs(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.on[id]
	return ok
}

func (r *rack) released(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone[id]
}

// fast is a scenario whose waits are short enough for tests.
const fast = `
times: {pending: 0s, starting: 0s, boot: 0s, stop: 0s, release: 0s, expiredRelease: 24h, vanish: 20ms}
`

// bench is a running local cloud with a client of the vendor's first SDK.
type bench struct {
	*testing.T
	*Server
	rack   *rack
	dir    string
	url    string
	client *ecs.Client
	stop   func()
}

func newBench(t *testing.T, scenario string) *bench {
	t.Helper()
	b := &bench{T: t, dir: t.TempDir()}
	b.start(Options{Scenario: []byte(fast + scenario), MaxNodes: 5000})
	t.Cleanup(func() { b.stop() })
	return b
}

// start runs a local cloud on the directory of the bench.
func (b *bench) start(o Options) {
	b.Helper()
	o.Dir = b.dir
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Server, b.rack, b.url = s, newRack(), "http://"+l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l, b.rack) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			b.Error(err)
		}
	})
	b.client = b.v1(s.identity.credentials.AccessKeyID, s.identity.credentials.AccessKeySecret)
}

// v1 is a client of the vendor's first SDK.
func (b *bench) v1(id, secret string) *ecs.Client {
	b.Helper()
	c, err := ecs.NewClientWithOptions("cn-local", b.config(), credentials.NewAccessKeyCredential(id, secret))
	if err != nil {
		b.Fatal(err)
	}
	c.Domain = strings.TrimPrefix(b.url, "http://")
	return c
}

func (b *bench) config() *sdk.Config {
	return sdk.NewConfig().WithScheme("HTTP").WithAutoRetry(false).WithTimeout(30 * time.Second).WithHttpTransport(&http.Transport{})
}

// until waits for a condition that other goroutines bring about.
func (b *bench) until(what string, is func() bool) {
	b.Helper()
	again, end := time.NewTicker(2*time.Millisecond), time.After(20*time.Second)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-end:
			b.Fatalf("after 20 s not: %s", what)
		}
	}
}

// try sends one change and returns the status and what is said.
func (b *bench) try(method, path, body string) (int, string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, b.url+"/_local/"+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.identity.token)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		b.Fatal(err)
	}
	return a.StatusCode, string(text)
}

func (b *bench) control(method, path, body string) string {
	b.Helper()
	status, text := b.try(method, path, body)
	if status != http.StatusOK {
		b.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return text
}

func (b *bench) apply(scenario string) {
	b.Helper()
	b.control("PUT", "scenario", fast+scenario)
}

// launch is a good request for n instances.
func launch(n int, change ...func(*ecs.RunInstancesRequest)) *ecs.RunInstancesRequest {
	r := ecs.CreateRunInstancesRequest()
	r.Amount = requests.NewInteger(n)
	r.InstanceType, r.ImageId, r.VSwitchId = "ecs.g7.large", "aliyun_3_x64_20G_local.vhd", "vsw-a"
	r.SecurityGroupIds = &[]string{"sg-local"}
	r.UserData = base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))
	r.Tag = &[]ecs.RunInstancesTag{{Key: "pool", Value: "web"}}
	for _, c := range change {
		c(r)
	}
	return r
}

func (b *bench) run(r *ecs.RunInstancesRequest) []string {
	b.Helper()
	a, err := b.client.RunInstances(r)
	if err != nil {
		b.Fatal(err)
	}
	return a.InstanceIdSets.InstanceIdSet
}

// running makes n instances and waits until they run.
func (b *bench) running(n int, change ...func(*ecs.RunInstancesRequest)) []string {
	b.Helper()
	ids := b.run(launch(n, change...))
	for _, id := range ids {
		b.until(id+" runs", func() bool { return b.rack.runs(id) })
	}
	return ids
}

func (b *bench) show(id string) *ecs.Instance {
	b.Helper()
	r := ecs.CreateDescribeInstancesRequest()
	r.InstanceIds = `["` + id + `"]`
	a, err := b.client.DescribeInstances(r)
	if err != nil {
		b.Fatal(err)
	}
	if len(a.Instances.Instance) == 0 {
		return nil
	}
	return &a.Instances.Instance[0]
}

// refused checks the vendor's refusal.
func refused(t *testing.T, err error, wantStatus int, wantCode string, wantText string) {
	t.Helper()
	var se *sdkerrors.ServerError
	if !errors.As(err, &se) {
		t.Fatalf("want %s, got %v", wantCode, err)
	}
	if se.HttpStatus() != wantStatus || se.ErrorCode() != wantCode || !strings.Contains(se.Message(), wantText) {
		t.Fatalf("want %d %s %q, got %d %s %q", wantStatus, wantCode, wantText, se.HttpStatus(), se.ErrorCode(), se.Message())
	}
	if se.RequestId() == "" || se.HostId() == "" {
		t.Errorf("the refusal has no request id or host id: %v", se)
	}
}
