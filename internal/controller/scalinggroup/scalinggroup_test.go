package scalinggroup_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// The account stands in the group and the requests stand in their Secret before
// the activity that names them (rules 2 and 19).
func TestWhatAnActivityNeedsIsWrittenBeforeIt(t *testing.T) {
	b := newBench(t, func(g *api.ScalingGroup) { g.Spec.ManageAttached = true })
	b.look()
	if want := []string{"status ScalingGroup", "create Secret", "create ScalingActivity", "status ScalingGroup"}; !slices.Equal(b.writes, want) {
		t.Errorf("writes %v, want %v", b.writes, want)
	}
	a, g := b.open(), b.group()
	if a.Name != "web-a1" || a.Spec.Create != 3 || len(a.Spec.Candidates) != 2 || a.Spec.GroupUID != "group-uid" || !a.Spec.ManageAttached || a.Spec.Emptying {
		t.Errorf("activity %+v", a.Spec)
	}
	if s := g.Status; s.AccountID != "acc" || s.OpenActivity != "web-a1" || s.LastActivity != 1 || s.ObservedGeneration != g.Generation || s.Strength != "Strong" {
		t.Errorf("status %+v", s)
	}
	b.says(g.Status.Why.Sentence, "web-a1", "scale out from 0 to 3")
}

// Wherever the controller dies, before a write or after it, the next one ends
// where it would have: one activity, one status.
func TestACrashAtEachWriteChangesNothing(t *testing.T) {
	run := func(crash func(n int, after bool) bool) (*bench, api.ScalingGroupStatus) {
		b := newBench(t, nil)
		b.crash = crash
		b.look()
		b.look()
		b.carryOut(func(c api.Candidate, n int) (int, fault.Code) {
			if c.VSwitch == "vsw-a" {
				return 0, fault.NoStock
			}
			return n, ""
		})
		b.later(2 * time.Second)
		b.fails()
		for range 4 {
			b.later(2 * time.Second)
		}
		s := b.group().Status
		for n := range s.ResourcePools {
			s.ResourcePools[n].CheckedTime = nil // a restart reads the market anew
		}
		return b, s
	}
	whole, want := run(nil)
	if len(whole.writes) < 6 || len(want.Refusals) != 2 || len(want.FailedInstances) != 3 {
		t.Fatalf("%v: %+v", whole.writes, want)
	}
	for n := range whole.writes {
		for _, after := range []bool{false, true} {
			crashed := false
			b, got := run(func(k int, a bool) bool {
				now := !crashed && k == n && a == after
				crashed = crashed || now
				return now
			})
			if !crashed {
				t.Fatalf("write %d was never reached", n)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("killed at write %d (%s), after: %v:\n%s", n, whole.writes[n], after, diff)
			}
			if len(b.activities()) != len(whole.activities()) {
				t.Errorf("killed at write %d (%s), after: %v: %d activities, want %d", n, whole.writes[n], after, len(b.activities()), len(whole.activities()))
			}
		}
	}
}

// At rest nothing is written, however often stock is read.
func TestAtRestNothingIsWritten(t *testing.T) {
	b := newBench(t, nil)
	b.up()
	b.look()
	before, asks := len(b.writes), b.market.asks
	for range 5 {
		res := b.look()
		b.clock.Pass(res.RequeueAfter)
	}
	b.market.price = "1.205"
	b.later(time.Hour)
	if len(b.writes) != before || b.market.asks < asks+4 {
		t.Errorf("wrote %v; read the market %d times", b.writes[before:], b.market.asks-asks)
	}
	b.restart()
	b.look()
	if len(b.writes) != before {
		t.Errorf("a restart wrote %v", b.writes[before:])
	}
	b.market.price = "1.3"
	b.later(time.Hour)
	if len(b.writes) != before+1 || b.group().Status.ResourcePools[0].PricePerHour != "1.3" {
		t.Errorf("a price that moved wrote %v", b.writes[before:])
	}
}

// What only counts is written at intervals: a large scale-out is no storm.
func TestAScaleOutOfManyWritesLittle(t *testing.T) {
	b := newBench(t, func(g *api.ScalingGroup) { g.Spec.DesiredCapacity = 60 })
	b.look()
	a := b.open()
	before := len(b.writes)
	for range 60 {
		b.instance(a, 0, a.Spec.Candidates[0])
		b.later(60 * time.Millisecond)
	}
	if n := len(b.writes) - before; n > 5 {
		t.Errorf("%d writes in four seconds", n)
	}
	b.later(time.Second)
	if n := b.group().Status.Counted; n != 60 {
		t.Errorf("counted %d", n)
	}
}

// Shortly after a start the cloud was not read: nothing is decided or written.
// People are told where that lasts.
func TestNothingIsDecidedBeforeTheCloudWasRead(t *testing.T) {
	b := newBench(t, nil)
	b.guarded.Unread, b.guarded.Frozen = true, "the cloud was not read yet"
	b.look()
	if len(b.writes) != 0 {
		t.Errorf("wrote %v", b.writes)
	}
	b.later(time.Minute)
	if c := b.condition(api.ConditionFrozen); c.Status != "True" || c.Reason != api.ReasonCloudNotRead || b.open() != nil {
		t.Errorf("condition %+v", c)
	}
	b.guarded.Unread, b.guarded.Frozen = false, ""
	b.later(time.Minute)
	if b.open() == nil || b.condition(api.ConditionFrozen).Status != "False" {
		t.Error("it did not go on")
	}
}

// The first activity of a changed number tells who changed it; what fills up
// later, or follows another number, does not.
func TestTheCauseTellsWhoChangedTheNumber(t *testing.T) {
	b := newBench(t, nil)
	b.up()
	b.edit(func(g *api.ScalingGroup) {
		g.Annotations = map[string]string{api.AnnotationNumberChange: "3 -> 5 by alice, console"}
		g.Spec.DesiredCapacity = 5
	})
	b.look()
	if a := b.carryOut(all); a.Spec.Cause != "expected number 3 -> 5 by alice, console" {
		t.Errorf("cause %q", a.Spec.Cause)
	}
	b.joins()
	i := b.instances()[0]
	if err := b.Delete(b.Context(), &i); err != nil {
		t.Fatal(err)
	}
	b.later(2 * time.Second)
	if a := b.carryOut(all); a.Spec.Cause != "scale out from 4 to 5" {
		t.Errorf("cause %q", a.Spec.Cause)
	}
	b.joins()
	b.desired(4)
	b.later(2 * time.Second)
	if a := b.carryOut(all); a.Spec.Cause != "scale in from 5 to 4" {
		t.Errorf("cause %q", a.Spec.Cause)
	}
}
