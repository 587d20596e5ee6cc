package instance_test

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// hook gives the pool a lifecycle hook.
func (b *bench) hook(name string, way api.Way, seconds int32, result api.HookResult) {
	b.Helper()
	g := &api.ScalingGroup{}
	b.ok(b.kube.Get(context.Background(), types.NamespacedName{Name: "web"}, g))
	g.Spec.LifecycleHooks = append(g.Spec.LifecycleHooks, api.LifecycleHook{Name: name, Transition: way, HeartbeatTimeoutSeconds: &seconds, DefaultResult: result})
	b.ok(b.kube.Update(context.Background(), g))
	b.calls = nil
}

// answer says something to the one hook that holds an instance.
func (b *bench) answer(id string, result api.HookResult, heartbeats int32) {
	b.Helper()
	b.change(id, func(i *api.Instance) {
		h := i.Status.Hooks[0]
		i.Spec.HookAnswers = []api.HookAnswer{{Hook: h.Name, Wait: h.Wait, Result: result, Heartbeats: heartbeats}}
	})
}

// comes puts a machine there that runs, and whose Node is Ready.
func (b *bench) comes(id string) {
	b.Helper()
	b.ok(b.kube.Create(context.Background(), recorded(id)))
	b.cloud.Add(tagged(id, cloud.Running))
	b.ready(id)
	b.calls = nil
}

func (b *bench) wantHook(id string, state api.LifecycleState, result api.HookResult, by api.HookEnd) {
	b.Helper()
	i := b.instance(id)
	if i == nil || len(i.Status.Hooks) != 1 || i.Status.LifecycleState != state || i.Status.Hooks[0].Result != result || i.Status.Hooks[0].EndedBy != by {
		b.Fatalf("want %s, hook %q by %q: %+v", state, result, by, i)
	}
}

func TestAHookHoldsAnInstanceOnItsWayIn(t *testing.T) {
	b := newBench(t)
	b.hook("warm", api.WayIn, 60, api.HookContinue)
	b.comes("i-1")
	b.settle(2)
	b.wantHook("i-1", api.InstancePendingWait, "", "")
	i := b.instance("i-1")
	if b.count("patch status i-1") != 1 || i.Status.JoinedTime == nil || !strings.HasPrefix(i.Status.Summary, "lifecycle hook warm holds it until 2026-03-01T09:01:06Z, then Continue") {
		t.Fatalf("its start, its join and its hook are one write: %v, %+v", b.calls, i.Status)
	}
	if n := b.told("HookWaiting"); n != 1 {
		t.Errorf("told %d times", n)
	}
	b.answer("i-1", "", 1)
	b.now = b.now.Add(50 * time.Second)
	b.settle(1)
	if h := b.instance("i-1").Status.Hooks[0]; h.Heartbeats != 1 || !h.UntilTime.Time.Equal(b.now.Add(time.Minute)) {
		t.Fatalf("after a heartbeat at %v: %+v", b.now, h)
	}
	b.answer("i-1", api.HookContinue, 1)
	b.restart()
	b.settle(1)
	b.wantHook("i-1", api.InstanceInService, api.HookContinue, api.HookCompleted)
	b.settle(3)
	if b.count("patch") != 1 {
		t.Errorf("does not come to rest: %v", b.calls)
	}
}

// The times are written, so a controller that starts anew knows them; an event
// is told once.
func TestAHookThatNobodyCompletesTakesItsDefault(t *testing.T) {
	for result, want := range map[api.HookResult]api.LifecycleState{api.HookContinue: api.InstanceInService, api.HookAbandon: api.InstancePending} {
		t.Run(string(result), func(t *testing.T) {
			b := newBench(t)
			b.hook("warm", api.WayIn, 60, result)
			b.comes("i-1")
			b.settle(1)
			until := b.instance("i-1").Status.Hooks[0].UntilTime
			b.restart()
			b.settle(1)
			if got, err := b.pass(); err != nil || got.RequeueAfter <= 0 || b.now.Add(got.RequeueAfter).After(until.Time) {
				t.Errorf("looks again after %v, %v; the hook is over at %v, now %v", got.RequeueAfter, err, until, b.now)
			}
			b.now = until.Add(-time.Millisecond)
			_, err := b.pass()
			b.ok(err)
			b.wantHook("i-1", api.InstancePendingWait, "", "")
			b.now = until.Time
			b.settle(1)
			b.wantHook("i-1", want, result, api.HookTimedOut)
			if i := b.instance("i-1"); (i.Status.FailedTime != nil) != (result == api.HookAbandon) || (i.Status.Code == string(fault.HookTimedOut)) != (result == api.HookAbandon) {
				t.Errorf("given up: %+v", i.Status)
			}
		})
	}
}

// What a hook abandoned is given up though it joined, and joining later changes
// nothing; marked, it goes without the hooks of the way out.
func TestAnAbandonedOneGoes(t *testing.T) {
	for _, joins := range []bool{true, false} {
		b := newBench(t)
		b.hook("check", api.WayIn, 600, api.HookContinue)
		b.hook("tidy", api.WayOut, 600, api.HookContinue)
		b.ok(b.kube.Create(context.Background(), recorded("i-1")))
		b.cloud.Add(tagged("i-1", cloud.Running))
		if joins {
			b.ready("i-1")
		}
		b.settle(1)
		b.answer("i-1", api.HookAbandon, 0)
		b.settle(1)
		b.wantHook("i-1", api.InstancePending, api.HookAbandon, api.HookCompleted)
		b.ready("i-1")
		b.settle(1)
		if i := b.instance("i-1"); i.Status.Code != string(fault.HookAbandoned) || i.Status.FailedTime == nil || i.Status.Summary != "lifecycle hook check was completed with Abandon" {
			t.Fatalf("joins %v: %+v", joins, i.Status)
		}
		b.change("i-1", marked(api.ReleaseMark{Drain: api.DrainBestEffort}))
		b.settle(5)
		if len(b.machines()) != 0 || b.instance("i-1") != nil {
			t.Fatalf("joins %v: it stays: %+v", joins, b.instance("i-1").Status)
		}
	}
}

func TestAHookHoldsAnInstanceOnItsWayOut(t *testing.T) {
	for result := range map[api.HookResult]bool{api.HookContinue: true, api.HookAbandon: true} {
		b := newBench(t)
		b.hook("tidy", api.WayOut, 600, api.HookContinue)
		b.has(nil, "i-1")
		b.settle(1)
		if len(b.calls) > b.count("cloud ") {
			t.Fatalf("writes about one that nothing holds: %v", b.calls)
		}
		b.change("i-1", marked(api.ReleaseMark{Drain: api.DrainRequired}))
		b.settle(3)
		b.wantHook("i-1", api.InstanceRemovingWait, "", "")
		if i := b.instance("i-1"); i.Status.DrainEndTime == nil || i.Status.ReleaseSentTime != nil || len(b.machines()) != 1 {
			t.Fatalf("drained and held: %+v", i.Status)
		}
		if n := b.told("HookWaiting"); n != 1 {
			t.Errorf("told %d times", n)
		}
		b.restart()
		b.answer("i-1", result, 0)
		b.settle(4)
		if len(b.machines()) != 0 || b.instance("i-1") != nil {
			t.Fatalf("%s: it stays: %+v", result, b.instance("i-1").Status)
		}
	}
}

// Rollback keeps it: uncordoned, and protected, or it would be picked again.
func TestARolledBackOneStaysProtected(t *testing.T) {
	b := newBench(t)
	b.hook("tidy", api.WayOut, 600, api.HookContinue)
	b.has(nil, "i-1")
	b.change("i-1", marked(api.ReleaseMark{Drain: api.DrainBestEffort}))
	b.settle(2)
	b.answer("i-1", api.HookRollback, 0)
	b.settle(3)
	i := b.instance("i-1")
	if i.Spec.Release != nil || !i.Spec.Protected || len(i.Status.Hooks) != 0 || i.Status.LifecycleState != api.InstanceProtected || b.node("i-1").Unschedulable {
		t.Fatalf("kept: %+v, %+v", i.Spec, i.Status)
	}
	if b.told("InstanceKept") != 1 {
		t.Error("nobody was told")
	}
	// Decided again, the old answer is none.
	b.change("i-1", func(i *api.Instance) {
		i.Spec.Protected = false
		i.Spec.Release = &api.ReleaseMark{Activity: "web-a7", Time: metav1.NewMicroTime(b.now)}
	})
	b.settle(3)
	b.wantHook("i-1", api.InstanceRemovingWait, "", "")
}

// Where its pool goes, hooks hold it by the same rules, and a rollback keeps
// nothing.
func TestHooksHoldWhileThePoolIsDeleted(t *testing.T) {
	b := newBench(t)
	b.hook("tidy", api.WayOut, 60, api.HookContinue)
	b.has(nil, "i-1")
	b.change("i-1", marked(api.ReleaseMark{Emptying: true}))
	b.settle(1)
	b.answer("i-1", api.HookRollback, 0)
	b.settle(3)
	b.wantHook("i-1", api.InstanceRemovingWait, "", "")
	b.now = b.now.Add(time.Minute)
	b.settle(4)
	if b.instance("i-1") != nil {
		t.Fatalf("it stays: %+v", b.instance("i-1").Status)
	}
}
