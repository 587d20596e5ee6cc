package machine

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"testing"
	"time"

	core "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
)

func unbase64(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// region is all that a test needs: cloud, disks, cluster, machines.
type world struct {
	t     testing.TB
	cloud *fakeCloud
	disks *memDisks
	api   *fakeAPI
	host  *Simulator
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, cloud: newFakeCloud(t), disks: &memDisks{}}
	w.api = newFakeAPI(t, w.cloud)
	w.restart()
	t.Cleanup(func() { w.host.Close() })
	return w
}

// restart is a kill of the local cloud and a new start: only disks are left.
func (w *world) restart() {
	if w.host != nil {
		disks := w.disks.of
		w.disks.of = map[string]map[string][]byte{}
		for id, d := range disks {
			w.disks.of[id] = maps.Clone(d)
		}
		w.host.Close()
	}
	w.host = NewSimulator(SimulatorOptions{Cloud: w.cloud, Disks: w.disks, TimeFactor: 100, StatusEvery: time.Minute})
}

func (w *world) settings() bootstrap.Settings {
	return bootstrap.Settings{
		ClusterID: "c-1", Pool: "web", Region: region, APIServer: "https://" + w.api.address(), CA: w.api.ca.pem(), Token: joinToken,
		IssuedTime: time.Now(), ExpiryTime: time.Now().Add(2 * time.Hour),
		Labels: map[string]string{"team": "a"}, Taints: []bootstrap.Taint{{Key: "dedicated", Value: "web", Effect: "NoSchedule"}},
		SystemReserved: map[string]string{"cpu": "100m"},
		LeaseDuration:  4 * time.Second,
		Waits: bootstrap.Waits{JoinDeadline: 5 * time.Second, ReachTries: 3, ReachPause: 20 * time.Millisecond,
			RetryMin: 20 * time.Millisecond, RetryMax: 200 * time.Millisecond, CredentialTries: 2},
	}
}

func (w *world) userData(s bootstrap.Settings) []byte {
	w.t.Helper()
	b, err := bootstrap.Render(s)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) spec(id string, userData []byte) Spec {
	return Spec{ID: id, Region: region, Zone: zone, InstanceType: w.cloud.typ, ImageID: "aliyun_3_x64", HostName: id, PrivateIP: "10.0.0.7",
		VCPU: 4, MemoryMiB: 16384, UserData: userData}
}

func (w *world) start(s Spec) {
	w.t.Helper()
	if err := w.host.Start(s); err != nil {
		w.t.Fatal(err)
	}
}

// until waits for a condition.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain until %s; console:\n%s", what, w.host.Console("i-1"))
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (w *world) report(id string) bootstrap.Report { return bootstrap.ParseLog(w.host.Console(id)) }

func (w *world) node(id string) *core.Node {
	w.api.mu.Lock()
	defer w.api.mu.Unlock()
	return w.api.nodes[id].DeepCopy()
}

func ready(n *core.Node) bool {
	return n != nil && slices.ContainsFunc(n.Status.Conditions, func(c core.NodeCondition) bool {
		return c.Type == core.NodeReady && c.Status == core.ConditionTrue
	})
}

// ended says whether the boot is over.
func (w *world) ended(id string) bool {
	select {
	case <-w.host.find(id).done:
		return true
	default:
		return false
	}
}

func (w *world) exec(id string, argv ...string) string {
	out, _ := w.execCode(id, argv...)
	return out
}

func (w *world) execCode(id string, argv ...string) (string, int) {
	w.t.Helper()
	out, code, err := w.host.Exec(context.Background(), id, argv)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(out), code
}
