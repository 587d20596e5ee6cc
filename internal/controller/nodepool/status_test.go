package nodepool_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

func TestCountsFollowTheRuleOfCounting(t *testing.T) {
	b := newBench(t, aPool("web", func(p *api.NodePool) { p.Spec.ExpectedNodes = 12 }))
	b.look()
	now, later := metav1.Now(), metav1.NewTime(time.Now().Add(time.Hour))
	b.instance("i-ready", ready)
	b.instance("i-joining", nil)
	b.instance("i-offline", func(i *api.Instance) { ready(i); i.Status.NodeState = api.NodeUnknown })
	b.instance("i-failed", func(i *api.Instance) { i.Status.NodeState, i.Status.Code = api.NodeFailed, "X" })
	b.instance("i-kept", func(i *api.Instance) {
		i.Status.NodeState = api.NodeFailed
		i.Spec.Release = &api.ReleaseMark{Activity: "a", NotBeforeTime: &later}
	})
	b.instance("i-going", func(i *api.Instance) { ready(i); i.Spec.Release = &api.ReleaseMark{Activity: "a"} })
	b.instance("i-out", ready)
	b.instance("i-removed", func(i *api.Instance) { i.Status.LifecycleState = api.InstanceRemoved })
	b.instance("i-unknown", func(i *api.Instance) { i.Spec.CreationType = api.CreatedUnknown })
	b.instance("i-oldgroup", func(i *api.Instance) { ready(i); i.Spec.GroupUID = "another" })
	b.instance("i-otherpool", func(i *api.Instance) { ready(i); i.Spec.Pool = "db" })
	b.instance("i-prot", func(i *api.Instance) { ready(i); i.Spec.Protected = true })
	b.instance("i-standby", func(i *api.Instance) { ready(i); i.Spec.Standby = true })
	b.instance("i-sub", func(i *api.Instance) { ready(i); i.Status.ChargeType = api.ChargeSubscription })
	b.instance("i-att", func(i *api.Instance) { ready(i); i.Spec.CreationType = api.CreatedAttached })
	b.settle(func(g *api.ScalingGroup) { g.Status.Uncertain, g.Status.Strength = 2, "Medium" })
	b.edit(func(p *api.NodePool) {
		p.Spec.Transfers = []api.Transfer{
			{Instance: "i-out", Task: "u", Direction: api.TransferOut},
			{Instance: "i-in", Task: "u", Direction: api.TransferIn},
		}
	})
	_ = now
	b.later()
	b.later() // the group has not looked at the entries: that is waited for once
	st := b.pool().Status
	want := api.PoolCounts{Instances: 9, InService: 4, Joining: 2, Failed: 2, Offline: 1, Removing: 2, Uncertain: 2,
		Protected: 1, Standby: 1, Subscription: 1, Attached: 1}
	if d := cmp.Diff(want, st.Counts); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
	if st.Nodes != 4 || st.Strength != "Medium" || st.Selector != "poolkeeper.io/pool=web" {
		t.Errorf("status: %+v", st)
	}
	if st.Price == nil || st.Price.PerHour != "5.460" || st.Price.Currency != "CNY" {
		t.Errorf("price: %+v", st.Price)
	}
}

func TestStateWordAndConditions(t *testing.T) {
	held := metav1.Condition{Type: api.ConditionHeld, Status: metav1.ConditionTrue, Reason: api.ReasonHeld, Message: "no stock"}
	cases := map[string]struct {
		expected, ready, leaving int32
		group                    func(*api.ScalingGroup)
		want                     api.PoolState
		word, at, joined         string
	}{
		"all there":                  {2, 2, 0, nil, api.PoolActive, "Activated", api.ReasonAsExpected, api.ReasonAsExpected},
		"missing":                    {3, 1, 0, nil, api.PoolScaling, "Expanding 1 of 3", api.ReasonScalingOut, api.ReasonWaiting},
		"too many":                   {1, 2, 0, nil, api.PoolRemoving, "Removing 2 of 1", api.ReasonScalingIn, api.ReasonWaiting},
		"leaving":                    {1, 1, 1, nil, api.PoolRemoving, "Removing", api.ReasonAsExpected, api.ReasonAsExpected},
		"missing, and it is held":    {3, 1, 0, func(g *api.ScalingGroup) { g.Status.Conditions = []metav1.Condition{held} }, api.PoolActive, "Activated 1 of 3", api.ReasonHeld, api.ReasonWaiting},
		"only kept ones are left":    {1, 2, 0, func(g *api.ScalingGroup) { g.Status.Why = &api.Why{Code: "ScaleIn.OnlyKeptInstances", Sentence: "s"} }, api.PoolActive, "Activated 2 of 1", api.ReasonOnlyKept, api.ReasonWaiting},
		"the group has not seen it":  {1, 1, 0, func(g *api.ScalingGroup) { g.Status.ObservedGeneration = 0 }, api.PoolUpdating, "Updating", api.ReasonAsExpected, api.ReasonAsExpected},
		"what may have been made":    {2, 1, 0, func(g *api.ScalingGroup) { g.Status.Uncertain = 1 }, api.PoolActive, "Activated 1 of 2", api.ReasonScalingOut, api.ReasonWaiting},
		"nothing expected and there": {0, 0, 0, nil, api.PoolActive, "Activated", api.ReasonAsExpected, api.ReasonAsExpected},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, aPool("web", func(p *api.NodePool) { p.Spec.ExpectedNodes = c.expected }))
			b.look()
			for n := range c.ready {
				b.instance(fmt.Sprintf("i-%d", n), ready)
			}
			for n := range c.leaving {
				b.instance(fmt.Sprintf("i-l%d", n), func(i *api.Instance) { ready(i); i.Spec.Release = &api.ReleaseMark{Activity: "a"} })
			}
			b.settle(c.group)
			b.later()
			p := b.pool()
			if p.Status.State != c.want || p.Status.Word != c.word {
				t.Errorf("state %s, word %q", p.Status.State, p.Status.Word)
			}
			if got := condition(p, api.ConditionAtExpectedNumber).Reason; got != c.at {
				t.Errorf("AtExpectedNumber: %s", got)
			}
			if got := condition(p, api.ConditionNodesJoined).Reason; got != c.joined {
				t.Errorf("NodesJoined: %s", got)
			}
			b.says(p.Status.Summary, "web")
		})
	}
}

func TestOneReasonIsNamed(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.instance("i-1", func(i *api.Instance) {
		i.Status.NodeState, i.Status.Code = api.NodeFailed, "NodepoolScaleFailed.FailedJoinCluster"
	})
	b.instance("i-2", ready)
	b.instance("i-3", ready)
	b.settle(nil)
	b.later()
	w := b.pool().Status.Why
	if w == nil || w.Code != "NodepoolScaleFailed.FailedJoinCluster" || w.Short != 1 {
		t.Fatalf("why: %+v", w)
	}
	since := w.SinceTime.Time
	b.says(w.Sentence, "i-1")
	b.later()
	if got := b.pool().Status.Why.SinceTime.Time; !got.Equal(since) {
		t.Fatal("the same reason began anew")
	}
	b.settle(func(g *api.ScalingGroup) {
		g.Status.Why = &api.Why{Code: "OperationDenied.NoStock", Sentence: "no stock"}
	})
	b.later()
	if w := b.pool().Status.Why; w.Code != "OperationDenied.NoStock" {
		t.Fatalf("the group's reason is not first: %+v", w)
	}
}

// From the first status of a scale-in on, why names the activity that does it:
// while it is open, and while what it marked is still there.
func TestWhyNamesTheActivityOfAScaleIn(t *testing.T) {
	b := newBench(t, aPool("web", func(p *api.NodePool) { p.Spec.ExpectedNodes = 2 }))
	b.look()
	b.instance("i-1", ready)
	two := b.instance("i-2", ready)
	b.settle(nil)
	b.later()
	b.edit(func(p *api.NodePool) { p.Spec.ExpectedNodes = 1 })
	b.writes = nil
	b.clock.Pass(5 * time.Second)
	b.look()
	if p := b.pool(); p.Status.ObservedGeneration == p.Generation || b.last.RequeueAfter <= 0 || b.last.RequeueAfter > time.Second {
		t.Fatalf("told before the group has looked: %+v, or never: %v", p.Status, b.last.RequeueAfter)
	}
	b.settle(func(g *api.ScalingGroup) {
		g.Status.OpenActivity, g.Status.Why = "web-a4", &api.Why{Short: -1, Sentence: "activity web-a4 is under way"}
	})
	b.look()
	if p := b.pool(); p.Status.Why == nil || p.Status.State != api.PoolRemoving {
		t.Fatalf("%+v", p.Status)
	}
	b.says(b.pool().Status.Summary, "web-a4")
	two.Spec.Release = &api.ReleaseMark{Activity: "web-a4", Time: metav1.NewMicroTime(b.clock.T)}
	b.put(two)
	b.settle(func(g *api.ScalingGroup) { g.Status.OpenActivity, g.Status.Why = "", nil })
	b.later()
	b.says(b.pool().Status.Why.Sentence, "1 is leaving", "activity web-a4")
	b.says(b.pool().Status.Summary, "web-a4")
}

// What holds a leaving node up is the pool's cause: the pod and its budget while
// it drains, the code with the next try where a required drain stopped.
func TestWhyNamesWhatADrainWaitsFor(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.settle(nil)
	const blocked = "pod default/db-0: the disruption budget db needs 1 healthy pod"
	leaves := b.instance("i-1", func(i *api.Instance) {
		ready(i)
		began := metav1.NewTime(b.clock.T)
		i.Spec.Release, i.Status.PodsLeft, i.Status.DrainBlocked = &api.ReleaseMark{Activity: "web-a4", Drain: api.DrainRequired}, 1, blocked
		i.Status.DrainStartTime = &began
	})
	b.later()
	b.says(b.pool().Status.Why.Sentence, "1 is leaving, as activity web-a4 decided; i-1 drains and waits for "+blocked)
	meta.SetStatusCondition(&leaves.Status.Conditions, metav1.Condition{Type: api.ConditionDrainStopped, Status: metav1.ConditionTrue, Reason: api.ReasonDrainLimit,
		Message: "the limit of the required drain passed: the node stays, cordoned; it waits for " + blocked, LastTransitionTime: metav1.NewTime(b.clock.T)})
	b.putStatus(leaves)
	b.later()
	w := b.pool().Status.Why
	if w.Code != string(fault.DrainLimit) || w.NextTime == nil || !w.NextTime.After(b.clock.T.Add(20*time.Minute)) {
		t.Fatalf("%+v", w)
	}
	b.says(w.Sentence, "i-1 is not released: the limit of the required drain passed", blocked)
	b.says(w.Solution, "make room", "it waited for "+blocked)
}

// A group that does not look is waited for once, not for ever.
func TestGroupThatDoesNotLook(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.settle(nil)
	b.later()
	b.edit(func(p *api.NodePool) { p.Spec.ExpectedNodes = 9 })
	b.later()
	b.clock.Pass(b.last.RequeueAfter)
	b.look()
	if p := b.pool(); p.Status.State != api.PoolUpdating || p.Status.ObservedGeneration != p.Generation || p.Status.Why == nil {
		t.Fatalf("%+v", p.Status)
	}
}

func TestStatusIsWrittenAtOnceAndThenAtMostOncePerInterval(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.later()
	b.clock.Pass(5 * time.Second)
	b.settle(nil)
	b.look()
	count := func() int {
		n := 0
		for _, w := range b.writes {
			if w == "status web" {
				n++
			}
		}
		return n
	}
	b.writes = nil
	for n := range 20 {
		b.instance(fmt.Sprintf("i-%02d", n), ready)
		b.clock.Pass(10 * time.Millisecond)
		b.look()
	}
	if n := count(); n != 0 && n != 1 {
		t.Fatalf("%d writes within 200 ms", n)
	}
	if b.last.RequeueAfter <= 0 || b.last.RequeueAfter > time.Second {
		t.Fatalf("the rest is written after %v", b.last.RequeueAfter)
	}
	b.clock.Pass(b.last.RequeueAfter)
	b.look()
	if got := b.pool().Status.Counts.InService; got != 20 {
		t.Fatalf("the last write says %d", got)
	}
	b.writes = nil
	b.later()
	b.later()
	if len(b.writes) != 0 {
		t.Fatalf("at rest: %v", b.writes)
	}
}

// What only the group knows of zones and of requests that cannot be written
// down stands in the pool's conditions, and goes when the group's does.
func TestTheGroupsConditionsArePassedUp(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.settle(func(g *api.ScalingGroup) {
		meta.SetStatusCondition(&g.Status.Conditions, metav1.Condition{Type: api.ConditionBalanced, Status: "False", Reason: api.ReasonUnbalanced, Message: "zones differ by 4"})
		meta.SetStatusCondition(&g.Status.Conditions, metav1.Condition{Type: api.ConditionValid, Status: "False", Reason: api.ReasonRequestInvalid, Message: "950 KiB"})
		meta.SetStatusCondition(&g.Status.Conditions, metav1.Condition{Type: api.ConditionHeld, Status: "True", Reason: api.ReasonHeld, Message: "3 times"})
		meta.SetStatusCondition(&g.Status.Conditions, metav1.Condition{Type: api.ConditionFrozen, Status: "True", Reason: api.ReasonMassDisappearance, Message: "5 of 9"})
	})
	b.later()
	for kind, want := range map[string]string{api.ConditionBalanced: "zones differ by 4", api.ConditionValid: "950 KiB", api.ConditionHeld: "3 times", api.ConditionFrozen: "5 of 9"} {
		if c := condition(b.pool(), kind); c.Message != want || (kind == api.ConditionValid) && c.Status != "False" {
			t.Errorf("%s: %+v", kind, c)
		}
	}
	b.settle(func(g *api.ScalingGroup) { g.Status.Conditions = nil })
	b.later()
	if c := condition(b.pool(), api.ConditionBalanced); c.Type != "" {
		t.Errorf("stays: %+v", c)
	}
	if c := condition(b.pool(), api.ConditionValid); c.Status != "True" {
		t.Errorf("valid: %+v", c)
	}
}

// A task that is made while the status waits for its turn is named by the
// status that is written later.
func TestTheNewestTaskIsNamed(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.settle(nil)
	b.later()
	b.look()
	for n := int32(4); n < 7; n++ {
		b.edit(func(p *api.NodePool) { p.Spec.ExpectedNodes = n })
		b.look()
	}
	newest := fmt.Sprintf("web-abcdef-g%d", b.pool().Generation)
	b.settle(nil)
	b.later()
	b.later()
	if got := b.pool().Status.Task; got != newest || len(b.tasks()) != 4 {
		t.Errorf("names %q, want %q of %d", got, newest, len(b.tasks()))
	}
}

// One that does not run in the cloud is shown while its Node is still Ready.
func TestAStoppedInstanceIsShownBeforeItsNodeIsNotReady(t *testing.T) {
	b := newBench(t, aPool("web", func(p *api.NodePool) { p.Spec.ExpectedNodes = 2 }))
	b.look()
	b.instance("i-1", func(i *api.Instance) { ready(i); i.Status.LifecycleState = api.InstanceStopped })
	b.instance("i-2", ready)
	b.settle(func(*api.ScalingGroup) {})
	b.later()
	st := b.pool().Status
	if st.Counts.InService != 1 || st.Counts.Offline != 1 || st.Why == nil {
		t.Fatalf("counts %+v, why %+v", st.Counts, st.Why)
	}
	b.says(st.Why.Sentence, "not running in the cloud: i-1", "not replaced")
	b.says(st.Why.Solution, "poolkeeper pool edit web --health-check ECS")
	b.says(condition(b.pool(), api.ConditionNodesJoined).Message, "i-1")
	// Switched on at the group alone it holds as well.
	g := b.group()
	g.Spec.HealthCheck = api.HealthCheckECS
	b.put(g)
	b.settle(nil)
	b.later()
	if w := b.pool().Status.Why; w == nil || w.Solution != "" || w.Next != "they are replaced, as the health check is on" {
		t.Fatalf("%+v", w)
	}
}
