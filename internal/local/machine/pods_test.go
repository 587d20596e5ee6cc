package machine

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
)

// joinCluster starts machines that join a real API server, with Node
// authorization and NodeRestriction.
func joinCluster(t testing.TB, ids ...string) (*cluster, *world) {
	t.Helper()
	c, w := newCluster(t), newWorld(t)
	go c.decide(w.api.trust)
	s := w.settings()
	s.APIServer, s.CA, s.Token, s.Taints = c.server, c.ca.pem(), c.token, nil
	s.Waits, s.LeaseDuration = bootstrap.Waits{}, 40*time.Second
	data := w.userData(s)
	for _, id := range ids {
		w.start(w.spec(id, data))
	}
	for _, id := range ids {
		<-w.host.find(id).done
		if !w.report(id).Joined {
			t.Fatalf("console:\n%s", w.host.Console(id))
		}
	}
	c.await(func() error {
		_, err := c.admin.CoreV1().ServiceAccounts("default").Create(t.Context(), &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: "default"}}, meta.CreateOptions{})
		if errors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
	return c, w
}

// pod makes a pod of one node.
func (c *cluster) pod(name, node string, change func(*core.Pod)) *core.Pod {
	c.t.Helper()
	p := &core.Pod{ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "default"}, Spec: core.PodSpec{NodeName: node, Containers: []core.Container{{Name: "main", Image: "main:1"}}}}
	if change != nil {
		change(p)
	}
	p, err := c.admin.CoreV1().Pods("default").Create(c.t.Context(), p, meta.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// got is a pod as it is now; nil where it is gone.
func (c *cluster) got(name string) *core.Pod {
	p, err := c.admin.CoreV1().Pods("default").Get(c.t.Context(), name, meta.GetOptions{})
	if errors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

func (c *cluster) delete(name string, grace int64) {
	c.t.Helper()
	if err := c.admin.CoreV1().Pods("default").Delete(c.t.Context(), name, meta.DeleteOptions{GracePeriodSeconds: &grace}); err != nil {
		c.t.Fatal(err)
	}
}

func running(p *core.Pod) bool {
	return p != nil && p.Status.Phase == core.PodRunning && conditionTrue(p, core.PodReady)
}

// A kubelet runs what is bound to its node, as that node, and ends what was
// told to end when its grace is over.
func TestRunsPods(t *testing.T) {
	c, w := joinCluster(t, "i-1")
	c.pod("web", "i-1", nil)
	c.pod("two", "i-1", func(p *core.Pod) {
		p.Spec.InitContainers = []core.Container{{Name: "before", Image: "before:1"}}
		p.Spec.Containers = append(p.Spec.Containers, core.Container{Name: "side", Image: "side:1"})
	})
	c.pod("host", "i-1", func(p *core.Pod) { p.Spec.HostNetwork = true })
	c.pod("gated", "i-1", func(p *core.Pod) { p.Spec.ReadinessGates = []core.PodReadinessGate{{ConditionType: "example.com/ok"}} })
	c.pod("elsewhere", "i-2", nil)
	c.pod("work", "i-1", func(p *core.Pod) {
		yes := true
		p.Spec.RestartPolicy = core.RestartPolicyNever
		p.OwnerReferences = []meta.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "job", UID: "job-1", Controller: &yes}}
	})
	w.until("the pods run", func() bool {
		gated := c.got("gated")
		return running(c.got("web")) && running(c.got("two")) && running(c.got("host")) && gated.Status.Phase == core.PodRunning && !conditionTrue(gated, core.PodReady)
	})
	web, two := c.got("web"), c.got("two")
	if web.Status.PodIP == two.Status.PodIP || !strings.HasPrefix(web.Status.PodIP, "240.") || c.got("host").Status.PodIP != "10.0.0.7" || web.Status.HostIP != "10.0.0.7" {
		t.Errorf("addresses: web %+v, two %s", web.Status.PodIPs, two.Status.PodIP)
	}
	if len(two.Status.ContainerStatuses) != 2 || two.Status.InitContainerStatuses[0].State.Terminated == nil || two.Status.ContainerStatuses[1].State.Running == nil {
		t.Errorf("containers: %+v", two.Status)
	}
	if c.got("elsewhere").Status.Phase != core.PodPending {
		t.Error("a pod of another node runs")
	}
	w.until("the job's work is done", func() bool {
		p := c.got("work")
		return p.Status.Phase == core.PodSucceeded && p.Status.ContainerStatuses[0].State.Terminated != nil && !conditionTrue(p, core.PodReady)
	})
	patch := []byte(`{"status":{"conditions":[{"type":"example.com/ok","status":"True"}]}}`)
	if _, err := c.admin.CoreV1().Pods("default").Patch(t.Context(), "gated", types.StrategicMergePatchType, patch, meta.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	w.until("the gate is open", func() bool { return running(c.got("gated")) })
	w.host.Stop("i-1")
	c.pod("late", "i-1", nil)
	c.delete("web", 0)
	c.delete("two", 30)
	w.start(w.host.find("i-1").spec)
	w.until("it went on after a restart", func() bool { return c.got("two") == nil && running(c.got("late")) })
}

// Pods end within their grace: at once, after their hook, or killed.
func TestEndsPods(t *testing.T) {
	c, w := joinCluster(t, "i-1")
	plain, hooked, stubborn := c.pod("plain", "i-1", nil), c.pod("hooked", "i-1", func(p *core.Pod) {
		p.Spec.Containers[0].Lifecycle = &core.Lifecycle{PreStop: &core.LifecycleHandler{Exec: &core.ExecAction{Command: []string{"sh", "-c", "sleep 2"}}}}
	}), c.pod("stubborn", "i-1", func(p *core.Pod) {
		p.Spec.Containers[0].Command = []string{"sh", "-c", `trap "" TERM; sleep infinity`}
		p.Finalizers = []string{"example.com/look"}
	})
	w.until("they run", func() bool { return running(c.got("plain")) && running(c.got("hooked")) && running(c.got("stubborn")) })
	began := time.Now()
	for _, p := range []*core.Pod{plain, hooked, stubborn} {
		c.delete(p.Name, 600)
	}
	w.until("the plain one is gone", func() bool { return c.got("plain") == nil })
	w.until("the hooked one is gone", func() bool { return c.got("hooked") == nil })
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("its hook sleeps 2 s and it was gone after %s", took)
	}
	if p := c.got("stubborn"); p.Status.Phase != core.PodRunning {
		t.Errorf("it ignores its end and is %s long before its grace is over", p.Status.Phase)
	}
	c.delete("stubborn", 1) // a shorter grace counts from now
	w.until("the stubborn one is killed", func() bool { return c.got("stubborn").Status.Phase == core.PodFailed })
	if _, err := c.admin.CoreV1().Pods("default").Patch(t.Context(), "stubborn", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), meta.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("the stubborn one is gone", func() bool { return c.got("stubborn") == nil })
}

func TestThePaceIsShared(t *testing.T) {
	p, now := &pace{gap: 20 * time.Millisecond}, time.Now()
	var last time.Time
	for n := range 10_000 {
		at := p.next(now)
		if at.Before(now.Add(podEvery/2)) || at.Before(last.Add(p.gap)) && n > 0 {
			t.Fatalf("look %d comes %s after the one before", n, at.Sub(last))
		}
		last = at
	}
	if all := last.Sub(now); all < 199*time.Second || all > 201*time.Second {
		t.Errorf("ten thousand machines look once in %s", all)
	}
	if at := p.next(now.Add(time.Hour)); at.After(now.Add(time.Hour + time.Second)) {
		t.Errorf("one machine alone waits %s", at.Sub(now.Add(time.Hour)))
	}
}

func TestIdleLooksYieldToABusyServer(t *testing.T) {
	p, now := &pace{gap: 20 * time.Millisecond, yield: idleYield}, time.Now()
	for took, rest := range map[time.Duration]time.Duration{time.Millisecond: 20 * time.Millisecond, 10 * time.Second: maxYield} {
		p.looked(now.Add(-took), now)
		if p.free(now.Add(rest - time.Millisecond)) {
			t.Errorf("a look that took %s is followed sooner than after %s", took, rest)
		}
		if !p.free(now.Add(rest)) {
			t.Errorf("a look that took %s holds the next one up for more than %s", took, rest)
		}
	}
}

func TestHowLongAPodTakesToEnd(t *testing.T) {
	const grace = 30 * time.Second
	hook := func(h core.LifecycleHandler) core.Container {
		return core.Container{Lifecycle: &core.Lifecycle{PreStop: &h}}
	}
	for what, c := range map[string]struct {
		containers []core.Container
		want       time.Duration
		killed     bool
	}{
		"one that ends when told": {[]core.Container{{}}, 0, false},
		"the longest hook counts": {[]core.Container{{}, hook(core.LifecycleHandler{Sleep: &core.SleepAction{Seconds: 3}}),
			hook(core.LifecycleHandler{Exec: &core.ExecAction{Command: []string{"/bin/sleep", "9"}}}), hook(core.LifecycleHandler{Exec: &core.ExecAction{Command: []string{"sleep", "5"}}})}, 5 * time.Second, false},
		"a hook longer than the grace is cut": {[]core.Container{hook(core.LifecycleHandler{Sleep: &core.SleepAction{Seconds: 300}})}, grace, true},
		"one that ignores the signal":         {[]core.Container{{}, {Args: []string{"trap '' TERM; exec server"}}}, grace, true},
		"one that handles the signal":         {[]core.Container{{Args: []string{"trap stop TERM; exec server"}}}, 0, false},
	} {
		if got, killed := endsAfter(&core.PodSpec{Containers: c.containers}, grace); got != c.want || killed != c.killed {
			t.Errorf("%s: %s, killed %v; want %s, %v", what, got, killed, c.want, c.killed)
		}
	}
}

// BenchmarkLook is what one look at the pods of an idle node costs both sides.
func BenchmarkLook(b *testing.B) {
	c, w := joinCluster(b, "i-1")
	k := w.host.find("i-1").runningKubelet()
	before, server := cpu(), c.cpu()
	b.ResetTimer()
	for b.Loop() {
		k.mu.Lock()
		err := k.lookAtPods(b.Context())
		k.mu.Unlock()
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "machine-cpu-us/op")
	b.ReportMetric(float64((c.cpu()-server).Microseconds())/float64(b.N), "server-cpu-us/op")
}

// cpu is what the API server's process has used.
func (c *cluster) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid))
	if err != nil {
		c.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	var user, system int64
	if _, err := fmt.Sscan(fields[12]+" "+fields[13], &user, &system); err != nil {
		c.t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // clock ticks of 1/100 s
}
