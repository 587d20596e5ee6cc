package scalinggroup_test

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/scalinggroup"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// A ceiling on spend stops what would pass it, says so in status and condition,
// and lets go on what a person allows.
func TestACeilingOnSpendIsTheReason(t *testing.T) {
	b := newBench(t, func(g *api.ScalingGroup) { g.Spec.DesiredCapacity, g.Spec.MaxSpendPerHour = 5, "3.60" })
	b.look()
	if a := b.carryOut(all); a.Spec.Create != 3 {
		t.Fatalf("creates %d at 1.2 each under 3.60", a.Spec.Create)
	}
	b.joins()
	b.later(2 * time.Second)
	why := b.group().Status.Why
	if why == nil || why.Code != string(fault.CeilingSpend) || b.open() != nil {
		t.Fatalf("why %+v", why)
	}
	b.says(why.Sentence, "the pool's ceiling of 3.60/h", "costs 3.60/h")
	b.says(why.Solution, "poolkeeper pool edit web --max-spend-per-hour 6.00")
	if c := b.condition(api.ConditionAtDesiredCapacity); c.Status != metav1.ConditionFalse || c.Reason != api.ReasonCeiling {
		t.Errorf("condition %+v", c)
	}
	b.edit(func(g *api.ScalingGroup) { g.Spec.MaxSpendPerHour = "6.00" })
	if b.look(); b.open() == nil || b.open().Spec.Create != 2 {
		t.Errorf("raised, and open is %+v", b.open())
	}
}

// A ceiling on creations per hour outlives restarts: what was begun stands in
// the activities. It goes on by itself when the hour has passed.
func TestACeilingOnCreationsOutlivesARestart(t *testing.T) {
	b := newBench(t, func(g *api.ScalingGroup) { g.Spec.DesiredCapacity, g.Spec.MaxCreationsPerHour = 3, 3 })
	b.up()
	b.restart()
	b.desired(8)
	res := b.later(10 * time.Minute)
	if why := b.group().Status.Why; b.open() != nil || why == nil || why.Code != string(fault.CeilingCreations) || why.NextTime == nil {
		t.Fatalf("open %v, why %+v", b.open(), why)
	}
	if res.RequeueAfter <= 0 || res.RequeueAfter > time.Hour {
		t.Errorf("looks again in %s", res.RequeueAfter)
	}
	b.later(49 * time.Minute)
	if b.open() != nil {
		t.Error("creates before the hour has passed")
	}
	if b.later(2 * time.Minute); b.open() == nil || b.open().Spec.Create != 3 {
		t.Errorf("an hour later open is %+v", b.open())
	}
}

// two is a bench with a second group, both to have three instances, under an
// installation's ceiling of four; meanwhile is called at every write.
func two(t *testing.T, meanwhile func(b *bench)) *bench {
	b := newBench(t, nil)
	g := b.group().DeepCopy()
	g.ObjectMeta = metav1.ObjectMeta{Name: "batch", UID: "batch-uid"}
	g.Spec.Pool, g.Spec.PoolUID = "batch", "batch-pool"
	if err := b.Create(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	busy := false
	b.crash = func(int, bool) bool {
		if !busy {
			busy = true
			meanwhile(b)
			busy = false
		}
		return false
	}
	b.r.Ceilings = &api.Ceilings{Nodes: 4}
	return b
}

func (b *bench) lookAt(r *scalinggroup.Reconciler, name string) {
	b.Helper()
	if _, err := r.Reconcile(context.Background(), ctrl.Request{NamespacedName: types.NamespacedName{Name: name}}); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) decided() (n int32) {
	b.Helper()
	for _, a := range b.activities() {
		n += a.Spec.Create
	}
	return n
}

// Two groups that decide at the same moment share the room: at every write of
// the one the other looks too, and together they never pass the ceiling.
func TestTwoGroupsNeverPassTheCeilingTogether(t *testing.T) {
	b := two(t, func(b *bench) { b.lookAt(b.r, "batch") })
	b.look()
	if n := b.decided(); n != 3 {
		t.Fatalf("%d are created at first, of 4 allowed", n)
	}
	b.lookAt(b.r, "batch")
	if n := b.decided(); n != 4 {
		t.Fatalf("%d are created by both, of 4 allowed", n)
	}
	b.lookAt(b.r, "batch") // its open activity is under way; what more it wants waits
	b.look()
	if n := b.decided(); n != 4 {
		t.Errorf("%d are created by both, of 4 allowed", n)
	}
	if in := b.group().Status.Installation; in == nil || in.Nodes != 4 {
		t.Errorf("a preview reads %+v", in)
	}
}

// Only two leaders alive at once may pass it, each by what it decides on a look
// from before the other's write: at most the room that both saw.
func TestTwoLeadersMayPassTheCeilingByOneDecisionEach(t *testing.T) {
	var other *scalinggroup.Reconciler
	b := two(t, func(b *bench) {
		if other == nil {
			other = &scalinggroup.Reconciler{Cache: b.r.Cache, Live: b.r.Live, Market: b.r.Market, Encoder: b.r.Encoder, Events: b.r.Events,
				Waits: b.r.Waits, Now: b.r.Now, Account: b.r.Account, Guard: b.r.Guard, Ceilings: b.r.Ceilings}
		}
		b.lookAt(other, "batch")
	})
	b.look()
	if n := b.decided(); n != 6 {
		t.Errorf("%d are created: does the other still decide in between?", n)
	}
	b.lookAt(b.r, "batch")
	b.look()
	if n := b.decided(); n > 2*4 {
		t.Errorf("%d are created, more than twice the room", n)
	}
}
