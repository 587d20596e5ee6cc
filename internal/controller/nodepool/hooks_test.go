package nodepool_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// holds puts a hook on an instance.
func holds(name string, way api.Way, wait string) api.HookStatus {
	at := metav1.NewMicroTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	return api.HookStatus{Name: name, Transition: way, Wait: wait, StartTime: at, UntilTime: metav1.NewMicroTime(at.Add(10 * time.Minute)), DefaultResult: api.HookContinue}
}

// takeOut takes an instance out of the pool.
func (b *bench) takeOut(i *api.Instance) {
	b.Helper()
	i.Status.LifecycleState = api.InstanceRemoved
	b.putStatus(i)
}

func TestHooksArePassedDown(t *testing.T) {
	b := newBench(t, aPool("web", func(p *api.NodePool) {
		p.Spec.LifecycleHooks = []api.LifecycleHook{{Name: "warm", Transition: api.WayIn, DefaultResult: api.HookContinue}}
	}))
	b.look()
	if got := b.group().Spec.LifecycleHooks; len(got) != 1 || got[0].Name != "warm" {
		t.Fatalf("passed down: %+v", got)
	}
	b.edit(func(p *api.NodePool) { p.Spec.LifecycleHooks = nil })
	b.later()
	if g := b.group(); len(g.Spec.LifecycleHooks) != 0 || g.Spec.SettingsGeneration != b.pool().Generation {
		t.Fatalf("taken off, and what hooks gave up is tried again: %+v", g.Spec)
	}
}

// What a hook holds on its way in is not in service, and the pool says which one
// it waits for; on the way out it says so too.
func TestWhatHooksHoldIsTold(t *testing.T) {
	b := newBench(t, aPool("web", func(p *api.NodePool) { p.Spec.ExpectedNodes = 3 }))
	b.look()
	b.instance("i-ready", ready)
	held := b.instance("i-held", func(i *api.Instance) {
		ready(i)
		i.Status.LifecycleState, i.Status.Hooks = api.InstancePendingWait, []api.HookStatus{holds("warm", api.WayIn, "created")}
	})
	given := b.instance("i-given-up", func(i *api.Instance) { ready(i); i.Status.Code = string(fault.HookAbandoned) })
	b.settle(nil)
	b.later()
	c := b.pool().Status.Counts
	if c.InService != 1 || c.Joining != 1 || c.PendingWait != 1 || c.Failed != 1 {
		t.Fatalf("counts: %+v", c)
	}
	if w := b.pool().Status.Why; w == nil || w.Code != string(fault.HookAbandoned) || w.Sentence != "a lifecycle hook gave up i-given-up" || !strings.Contains(w.Solution, "poolkeeper pool resume web") {
		t.Fatalf("why: %+v", w)
	}
	b.takeOut(given)
	b.instance("i-ready-too", ready)
	b.later()
	w := b.pool().Status.Why
	if w == nil || w.Sentence != "lifecycle hook warm holds i-held on its way in" || !strings.Contains(w.Solution, "poolkeeper hook complete i-held warm --result continue") ||
		w.NextTime == nil || !w.NextTime.Time.Equal(time.Date(2026, 3, 1, 12, 10, 0, 0, time.UTC)) {
		t.Fatalf("why: %+v", w)
	}
	if s := b.pool().Status.Summary; !strings.HasPrefix(s, "web has 2 of 3 nodes: 1 in pending wait; lifecycle hook warm holds i-held") {
		t.Errorf("summary: %s", s)
	}
	b.instance("i-leaves", func(i *api.Instance) {
		ready(i)
		i.Spec.Release = &api.ReleaseMark{Activity: "web-a3"}
		i.Status.LifecycleState, i.Status.Hooks = api.InstanceRemovingWait, []api.HookStatus{holds("tidy", api.WayOut, "web-a3")}
	})
	b.takeOut(held)
	b.instance("i-ready-now", ready)
	b.later()
	if w := b.pool().Status.Why; w == nil || w.Sentence != "lifecycle hook tidy holds i-leaves on its way out" {
		t.Fatalf("why: %+v", w)
	}
}
