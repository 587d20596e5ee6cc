package instance_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/node"
)

// told is how many events of a reason came since it was last asked.
func (b *bench) told(reason string) int {
	n := 0
	for len(b.events.Events) > 0 {
		if strings.Contains(<-b.events.Events, reason) {
			n++
		}
	}
	return n
}

func (b *bench) node(id string) node.Node {
	b.Helper()
	n, _, err := b.nodes.Find(b.Context(), id, "")
	b.ok(err)
	return n
}

// blocked puts a Node there whose one pod may not go.
func (b *bench) blocked(id string, mark api.ReleaseMark) {
	b.has(nil, id)
	b.ready(id, "default/db-0")
	b.nodes.Block("default/db-0", "the disruption budget db needs 1 healthy pod")
	b.change(id, marked(mark))
}

func TestARequiredDrainStopsAtItsLimit(t *testing.T) {
	b := newBench(t)
	b.blocked("i-1", api.ReleaseMark{Drain: api.DrainRequired, DrainLimitSeconds: 60, Task: "t1"})
	b.settle(20)
	i := b.instance("i-1")
	c := meta.FindStatusCondition(i.Status.Conditions, api.ConditionDrainStopped)
	if c == nil || !strings.Contains(c.Message, "default/db-0") || !strings.Contains(c.Message, "disruption budget db") || i.Status.PodsLeft != 1 {
		t.Fatalf("says %+v, %d pods left", c, i.Status.PodsLeft)
	}
	if i.Status.ReleaseSentTime != nil || len(b.machines()) != 1 || !b.node("i-1").Unschedulable {
		t.Fatalf("not left as it was: %+v", i.Status)
	}
	pods := b.count("node pods")
	b.restart()
	b.settle(3)
	if b.count("node pods") != pods || !strings.Contains(b.instance("i-1").Status.DrainBlocked, "default/db-0") {
		t.Fatalf("drained on after its limit: %v", b.calls)
	}
	// Its task gives it back: the node stays cordoned until a person says so.
	b.change("i-1", func(i *api.Instance) { i.Spec.Release = nil })
	b.settle(3)
	if i = b.instance("i-1"); !b.node("i-1").Unschedulable || i.Status.DrainStartTime != nil || i.Status.LifecycleState != api.InstanceInService {
		t.Fatalf("taken back: %+v, %+v", b.node("i-1"), i.Status)
	}
	n := b.node("i-1")
	n.Unschedulable, n.Cordoned = false, false
	b.nodes.Add(n, "default/db-0")
	b.settle(2)
	if i = b.instance("i-1"); len(i.Status.Conditions) > 0 || i.Status.Summary != "" {
		t.Fatalf("a person uncordoned it, and yet: %+v", i.Status)
	}
}

// A new decision drains anew, whatever an earlier one left: its end must not
// count for the new one's.
func TestMarkedAgainBeforeTheDrainBeforeWasTakenBack(t *testing.T) {
	b := newBench(t)
	b.blocked("i-1", api.ReleaseMark{Activity: "web-a1", Drain: api.DrainBestEffort, DrainLimitSeconds: 60})
	began := metav1.NewTime(b.now.Add(-time.Hour))
	i := b.instance("i-1")
	i.Status.DrainFor, i.Status.DrainStartTime, i.Status.DrainEndTime = "web-a1", &began, &began
	i.Spec.Release = nil
	b.change("i-1", func(o *api.Instance) {
		o.Spec.Release = &api.ReleaseMark{Activity: "web-a2", Task: "t2", Drain: api.DrainRequired, DrainLimitSeconds: 60}
	})
	b.change("i-1", func(o *api.Instance) { o.Status = i.Status })
	b.settle(3)
	if i = b.instance("i-1"); i.Status.ReleaseSentTime != nil || i.Status.DrainFor != "web-a2" || i.Status.DrainEndTime != nil || i.Status.DrainBlocked == "" {
		t.Fatalf("%+v", i.Status)
	}
}

// The required drain of a node that the policy picked is tried again by itself.
func TestAStoppedDrainIsTriedAgain(t *testing.T) {
	b := newBench(t)
	b.blocked("i-1", api.ReleaseMark{Activity: "web-a1", Drain: api.DrainRequired, DrainLimitSeconds: 60})
	b.settle(20)
	if c := meta.FindStatusCondition(b.instance("i-1").Status.Conditions, api.ConditionDrainStopped); c == nil {
		t.Fatalf("not stopped: %+v", b.instance("i-1").Status)
	}
	b.nodes.Block("default/db-0", "")
	b.now = b.now.Add(b.r.Waits.Held / 2)
	b.settle(3)
	if b.instance("i-1") == nil {
		t.Fatal("tried again too soon")
	}
	b.now = b.now.Add(b.r.Waits.Held / 2)
	b.settle(8)
	if len(b.machines()) != 0 || b.instance("i-1") != nil {
		t.Fatalf("there is room, and it stays: %+v", b.instance("i-1").Status)
	}
}

// A person who uncordons a node in the midst of its drain does not make the
// drain longer.
func TestAnUncordonedNodeIsDrainedWithinTheSameLimit(t *testing.T) {
	b := newBench(t)
	b.blocked("i-1", api.ReleaseMark{Activity: "web-a1", Drain: api.DrainRequired, DrainLimitSeconds: 60})
	b.settle(3)
	began := b.instance("i-1").Status.DrainStartTime
	n := b.node("i-1")
	n.Unschedulable, n.Cordoned = false, false
	b.nodes.Add(n, "default/db-0")
	b.settle(3)
	if i := b.instance("i-1"); began == nil || !b.node("i-1").Unschedulable || !i.Status.DrainStartTime.Equal(began) {
		t.Fatalf("began %v, now %+v", began, i.Status)
	}
	b.settle(14)
	if i := b.instance("i-1"); !meta.IsStatusConditionTrue(i.Status.Conditions, api.ConditionDrainStopped) {
		t.Fatalf("drains beyond its limit: %+v", i.Status)
	}
}

func TestBestEffortGoesOnAtItsLimit(t *testing.T) {
	b := newBench(t)
	b.blocked("i-1", api.ReleaseMark{Drain: api.DrainBestEffort, DrainLimitSeconds: 60})
	b.settle(8)
	if i := b.instance("i-1"); i.Status.DrainBlocked == "" || len(b.machines()) != 1 {
		t.Fatalf("within its limit: %+v", i.Status)
	}
	b.settle(10)
	if len(b.machines()) != 0 || b.instance("i-1") != nil {
		t.Fatalf("past its limit: %v", b.machines())
	}
}

func TestCalledBackIsUncordoned(t *testing.T) {
	b := newBench(t)
	b.blocked("i-1", api.ReleaseMark{Drain: api.DrainBestEffort})
	b.settle(2)
	if !b.node("i-1").Unschedulable || b.instance("i-1").Status.LifecycleState != api.InstanceRemovingWait {
		t.Fatalf("it drains: %+v, %+v", b.node("i-1"), b.instance("i-1").Status)
	}
	b.change("i-1", func(i *api.Instance) { i.Spec.Release = nil })
	b.settle(2)
	if i := b.instance("i-1"); b.node("i-1").Unschedulable || i.Status.DrainStartTime != nil || i.Status.LifecycleState != api.InstanceInService {
		t.Fatalf("called back: %+v, %+v", b.node("i-1"), i.Status)
	}
}

func TestAPersonsCordonStays(t *testing.T) {
	b := newBench(t)
	b.blocked("i-1", api.ReleaseMark{Drain: api.DrainBestEffort})
	n := b.node("i-1")
	n.Unschedulable = true
	b.nodes.Add(n, "default/db-0")
	b.settle(2)
	b.change("i-1", func(i *api.Instance) { i.Spec.Release = nil })
	b.settle(3)
	if i := b.instance("i-1"); !b.node("i-1").Unschedulable || b.count("node ") != 0 || i.Status.DrainStartTime != nil {
		t.Fatalf("a person's cordon: %v, %+v", b.calls, i.Status)
	}
}

func TestKeptOnesKeep(t *testing.T) {
	for name, c := range map[string]struct {
		record func(*api.Instance)
		cloud  func(*cloud.Instance)
		mark   api.ReleaseMark
		goes   bool
	}{
		"protected":                      {record: func(i *api.Instance) { i.Spec.Protected = true }},
		"standby":                        {record: func(i *api.Instance) { i.Spec.Standby = true }},
		"held":                           {record: func(i *api.Instance) { i.Spec.HeldBy = "t9" }},
		"attached":                       {record: func(i *api.Instance) { i.Spec.CreationType, i.Status.TagsSure = api.CreatedAttached, true }},
		"release-protected":              {cloud: func(i *cloud.Instance) { i.ReleaseProtected = true }},
		"protected, the pool is deleted": {record: func(i *api.Instance) { i.Spec.Protected = true }, mark: api.ReleaseMark{Emptying: true}, goes: true},
		"attached, the pool manages them": {record: func(i *api.Instance) { i.Spec.CreationType, i.Status.TagsSure = api.CreatedAttached, true },
			mark: api.ReleaseMark{ManageAttached: true}, goes: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.has(c.record, "i-1")
			if c.cloud != nil {
				b.cloud.Change("i-1", c.cloud)
			}
			b.change("i-1", marked(c.mark))
			b.settle(6)
			i := b.instance("i-1")
			if c.goes != (len(b.machines()) == 0) || (!c.goes && (i.Spec.Release != nil || i.Status.ReleaseSentTime != nil)) {
				t.Fatalf("machines %v, record %+v", b.machines(), i)
			}
		})
	}
}

// One that the cloud refuses to release does not hold the others up.
func TestOneBadIDDoesNotBlockTheOthers(t *testing.T) {
	b := newBench(t)
	b.has(marked(api.ReleaseMark{}), ids(5)...)
	b.broken = func(call string, m cloudtest.Moment) error {
		if call == "cloud Release" && m == cloudtest.Before {
			b.cloud.Change("i-0002", func(i *cloud.Instance) { i.ReleaseProtected = true })
		}
		return nil
	}
	b.settle(6)
	if err := b.leaves("i-0002", "i-0002"); err != nil {
		t.Fatal(err)
	}
	if i := b.instance("i-0002"); i.Spec.Release == nil || i.Status.ReleaseSentTime == nil {
		t.Fatalf("from the written time on the mark stands: %+v", i)
	}
	b.broken = nil
	b.cloud.Change("i-0002", func(i *cloud.Instance) { i.ReleaseProtected = false })
	b.settle(20)
	if err := b.leaves("", ""); err != nil {
		t.Fatal(err)
	}
}

func TestANodeOfARemovedOneThatComesBackIsDeletedAgain(t *testing.T) {
	b := newBench(t)
	b.has(marked(api.ReleaseMark{TakeOut: true, Task: "t1"}), "i-1")
	b.settle(3)
	for range 2 {
		b.ready("i-1")
		b.calls = nil
		b.settle(2)
		b.want("node cordon i-1", "node delete i-1")
	}
	if n := b.told("NodeCameBack"); n != 2 || b.instance("i-1").Status.NodeState != api.NodeUnknown {
		t.Fatalf("told %d times that it came back: %+v", n, b.instance("i-1").Status)
	}
	b.cloud.Change("i-1", func(i *cloud.Instance) { i.Tags = tagged("i-1", cloud.Running).Tags })
	b.calls = nil
	b.settle(3)
	b.want("cloud Find", "cloud Untag")
	if i := b.instance("i-1"); i.Status.LifecycleState != api.InstanceRemoved {
		t.Fatalf("its record: %+v", i.Status)
	}
}

// The cache of Nodes may be behind for minutes: the Node of one that joined
// meanwhile goes with its record.
func TestANodeThatTheCacheDoesNotShowGoes(t *testing.T) {
	b := newBench(t)
	b.has(func(i *api.Instance) { i.Spec.JoinKey = "key" }, "i-1")
	b.nodes.unseen = map[string]bool{"i-1": true}
	b.change("i-1", marked(api.ReleaseMark{Drain: api.DrainOff}))
	b.settle(6)
	if left := b.nodes.Names(); b.instance("i-1") != nil || len(left) > 0 {
		t.Fatalf("record %v, nodes %v", b.instance("i-1"), left)
	}
}

func TestARecordInTerminatingWorksOn(t *testing.T) {
	b := newBench(t)
	b.has(nil, "i-1")
	b.ok(b.kube.Delete(b.Context(), b.instance("i-1")))
	b.calls = nil
	b.settle(5)
	b.want("patch status i-1")
	i := b.instance("i-1")
	if c := meta.FindStatusCondition(i.Status.Conditions, api.ConditionDeletionBlocked); c == nil || !strings.Contains(c.Message, "poolkeeper node remove i-1") {
		t.Fatalf("conditions: %+v", i.Status.Conditions)
	}
	b.change("i-1", marked(api.ReleaseMark{Drain: api.DrainBestEffort}))
	b.settle(5)
	if b.instance("i-1") != nil || len(b.machines()) > 0 {
		t.Fatal("it does not end in the ordinary way")
	}
}

func TestNothingIsDoneUnderAHold(t *testing.T) {
	b := newBench(t)
	b.has(nil, "i-1", "i-2", "i-3")
	b.change("i-1", marked(api.ReleaseMark{Drain: api.DrainBestEffort}))
	b.change("i-2", func(i *api.Instance) { i.Spec.Convert = &api.ConvertWish{ID: "t1", To: api.ChargeSubscription} })
	b.cloud.Vanish("i-3")
	g := b.group()
	g.Status.AccountID = "another"
	b.ok(b.kube.Status().Update(b.Context(), g))
	b.settle(4)
	for _, c := range b.calls {
		if !strings.HasPrefix(c, "patch status") {
			t.Errorf("with another account's credentials: %s", c)
		}
	}
	g = b.group()
	g.Status.AccountID = ""
	b.ok(b.kube.Status().Update(b.Context(), g))
	b.settle(4)
	if err := b.leaves("i-2", "i-2"); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherMachinesNodeIsNotTouched(t *testing.T) {
	b := newBench(t)
	b.has(marked(api.ReleaseMark{Drain: api.DrainRequired}), "i-1")
	b.nodes.Add(node.Node{Name: "i-1", ProviderID: "elsewhere.i-1", Ready: true}, "default/web-0")
	b.settle(5)
	if err := b.leaves("", "i-1"); err != nil || b.count("node ") > 0 {
		t.Fatalf("%v: %v", err, b.calls)
	}
}

func TestStoppedTakesTwoSweeps(t *testing.T) {
	b := newBench(t)
	b.has(nil, "i-1")
	b.settle(1)
	b.cloud.Change("i-1", func(i *cloud.Instance) { i.Status = cloud.Stopped })
	for n, want := range []api.LifecycleState{api.InstanceInService, api.InstanceStopped} {
		b.settle(1)
		if s := b.instance("i-1").Status; s.LifecycleState != want || s.CloudStatus != "Stopped" {
			t.Fatalf("after sweep %d it is %s, in the cloud %s", n+1, s.LifecycleState, s.CloudStatus)
		}
	}
}

func (b *bench) group() *api.ScalingGroup {
	g := &api.ScalingGroup{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	b.ok(b.kube.Get(b.Context(), nameOf(g), g))
	return g
}

func TestWishes(t *testing.T) {
	b := newBench(t)
	b.has(nil, "i-1", "i-2", "i-3")
	b.change("i-1", func(i *api.Instance) {
		i.Spec.Convert = &api.ConvertWish{ID: "t1", To: api.ChargeSubscription, PeriodMonths: 2}
	})
	b.change("i-2", func(i *api.Instance) { i.Spec.Renew = &api.RenewWish{ID: "t2", PeriodMonths: 1} })
	b.change("i-3", func(i *api.Instance) { i.Spec.Convert = &api.ConvertWish{ID: "t3", To: api.ChargeSubscription} })
	written := false
	b.broken = func(call string, m cloudtest.Moment) error {
		w := b.instance("i-3").Status.Wishes
		if call == "cloud Convert" && m == cloudtest.Before && len(w) == 1 && w[0].SentTime != nil && !w[0].Done {
			written = true
		}
		if call == "cloud Convert" && len(w) == 1 && m == cloudtest.After {
			return cloudtest.Lost("Convert")
		}
		return nil
	}
	b.settle(3)
	first, second := b.instance("i-1").Status, b.instance("i-2").Status
	if w := first.Wishes; len(w) != 1 || !w[0].Done || w[0].Code != "" || first.ChargeType != api.ChargeSubscription || first.ExpiryTime == nil {
		t.Errorf("i-1: %+v", first)
	}
	if w := second.Wishes; len(w) != 1 || !w[0].Done || w[0].Code == "" || w[0].Message == "" {
		t.Errorf("i-2: %+v", second)
	}
	if w := b.instance("i-3").Status.Wishes; !written || len(w) != 1 || w[0].Done {
		t.Errorf("i-3, its answers lost: %+v", w)
	}
	calls := b.count("cloud Convert")
	for range 40 {
		b.ok(b.sweep(time.Minute))
	}
	w := b.instance("i-3").Status.Wishes
	if len(w) != 1 || !w[0].Done || w[0].Code == "" || b.count("cloud Convert") == calls {
		t.Errorf("i-3, after the send window: %+v", w)
	}
	calls = b.count("cloud ")
	b.settle(3)
	if b.count("cloud ") != calls {
		t.Error("what is done is asked again")
	}
}

func TestAMarkThatWasPutOffWaits(t *testing.T) {
	b := newBench(t)
	b.notJoined("i-1", time.Minute)
	b.settle(5)
	if len(b.machines()) != 1 {
		t.Fatal("released before its time")
	}
	b.settle(10)
	if len(b.machines()) != 0 {
		t.Fatal("not released after its time")
	}
}

func TestTheBudgetOfTheCloudOnTheWayDown(t *testing.T) {
	b := newBench(t)
	all := ids(200)
	b.has(nil, all...)
	b.ok(b.sweep(time.Second))
	looks, releases := 0, 0
	b.r.Cloud = counting{b.cloud, &looks, &releases}
	// The marks come in one after the other, ten before each pass.
	for n := 0; n < len(all); n += 10 {
		for _, id := range all[n : n+10] {
			i := b.instance(id)
			marked(api.ReleaseMark{Drain: api.DrainBestEffort})(i)
			b.ok(b.kube.Update(b.Context(), i))
			b.r.Touch("web", id)
		}
		b.now = b.now.Add(20 * time.Millisecond)
		_, err := b.pass()
		b.ok(err)
	}
	b.settle(5)
	if len(b.machines()) > 0 || b.instance(all[7]) != nil {
		t.Fatalf("left: %d", len(b.machines()))
	}
	if calls := looks + releases; calls > 10 {
		t.Fatalf("%d looks and %d releases for 200, want at most 5 for each 100", looks, releases)
	}
}

// The cache may be behind what we wrote ourselves: nothing is done twice.
func TestACacheThatLagsCostsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(b *bench)
		want  []string
	}{
		"up": {func(b *bench) {
			b.ok(b.kube.Create(b.Context(), recorded("i-1")))
			b.cloud.Add(tagged("i-1", cloud.Running))
			b.ready("i-1")
		}, []string{"cloud Find", "patch status i-1"}},
		"down": {func(b *bench) {
			b.has(marked(api.ReleaseMark{Drain: api.DrainRequired}), "i-1")
		}, []string{"node cordon i-1", "node pods i-1", "cloud Find", "patch status i-1", "cloud Release", "node delete i-1", "cloud Find", "delete i-1", "patch i-1"}},
		"down, with a pod": {func(b *bench) {
			b.has(marked(api.ReleaseMark{Drain: api.DrainRequired}), "i-1")
			b.ready("i-1", "default/web-0")
		}, []string{"node cordon i-1", "node pods i-1", "patch status i-1", "node pods i-1", "cloud Find", "patch status i-1", "cloud Release", "node delete i-1", "cloud Find", "delete i-1", "patch i-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c.begin(b)
			b.calls = nil
			lag := &lagging{Client: b.kube}
			b.r.Cache = lag
			b.r.Nodes = &lagNodes{nodes: b.nodes, lag: lag, seen: map[string]node.Node{}}
			for range 10 {
				lag.fresh = true
				b.ok(b.sweep(6 * time.Second))
				lag.fresh = false
				for range 3 {
					b.r.Touch("web", "i-1")
					b.now = b.now.Add(100 * time.Millisecond)
					_, err := b.pass()
					b.ok(err)
				}
			}
			b.want(c.want...)
		})
	}
}

// A creation that failed after all is written down, and its record ends only
// when the group remembers it.
func TestVanishedYoungEndsWhenTheGroupRemembers(t *testing.T) {
	b := newBench(t)
	b.ok(b.kube.Create(context.Background(), recorded("i-1")))
	b.cloud.Add(tagged("i-1", cloud.Starting))
	b.settle(1)
	b.now = b.now.Add(3 * time.Minute)
	b.cloud.Vanish("i-1")
	b.settle(4)
	i := b.instance("i-1")
	if i == nil || i.Status.FailedTime == nil || i.Status.Code != string(fault.NoStock) || b.r.Frozen("web").Frozen() {
		t.Fatalf("record %+v", i)
	}
	looks := b.count("cloud Find")
	b.settle(3)
	if n := b.count("cloud Find"); n != looks {
		t.Errorf("looked %d times more while it waits", n-looks)
	}
	g := &api.ScalingGroup{}
	b.ok(b.kube.Get(context.Background(), types.NamespacedName{Name: "web"}, g))
	g.Status.FailedInstances = []string{"i-1"}
	b.ok(b.kube.Status().Update(context.Background(), g))
	b.settle(2)
	if b.instance("i-1") != nil {
		t.Error("its record stays")
	}
}
