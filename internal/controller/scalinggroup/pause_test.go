package scalinggroup_test

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// inVain ends the open activity without anything done, for a reason.
func (b *bench) inVain(why string) {
	b.Helper()
	a := b.open()
	for _, id := range a.Spec.BringIn {
		a.Status.LeftOut = append(a.Status.LeftOut, api.LeftOut{Instance: id, Reason: why})
	}
	for _, l := range append(a.Spec.Release, a.Spec.TakeOut...) {
		a.Status.LeftOut = append(a.Status.LeftOut, api.LeftOut{Instance: l.Instance, Reason: why})
	}
	if a.Spec.Create > 0 {
		a.Status.Message = why
	}
	a.Status.Done, a.Status.EndTime, a.Status.State = true, &metav1.Time{Time: b.clock.Now()}, api.ActivityFailed
	b.putStatus(a)
}

// Whatever makes activities end without anything done, they are few: the pause
// between them grows to a minute, and people are told why. A restart changes
// nothing in that.
func TestActivitiesInVainAreFewAndTold(t *testing.T) {
	for why, change := range map[string]func(*api.ScalingGroupSpec){
		"attached":                               func(s *api.ScalingGroupSpec) { s.Emptying, s.DesiredCapacity = true, 0 },
		"held by another task":                   func(s *api.ScalingGroupSpec) { s.DesiredCapacity = 1 },
		"the join credential would have died":    func(s *api.ScalingGroupSpec) { s.DesiredCapacity = 5 },
		"the exact requests are gone or altered": func(s *api.ScalingGroupSpec) { s.DesiredCapacity = 4 },
		"it is gone, or never was of this region": func(s *api.ScalingGroupSpec) {
			s.Transfers = []api.Transfer{{Instance: "i-9", Task: "t1", Direction: api.TransferIn}}
		},
	} {
		t.Run(why, func(t *testing.T) {
			b := newBench(t, nil)
			b.up()
			b.edit(func(g *api.ScalingGroup) { change(&g.Spec) })
			opened := 0
			for range 300 { // 10 minutes
				if b.later(2 * time.Second); b.open() == nil {
					continue
				}
				if opened++; opened%3 == 0 {
					b.restart()
				}
				b.inVain(why)
				if b.look(); b.open() != nil {
					t.Fatal("the next one is opened at once")
				}
				b.says(b.group().Status.Why.Sentence, why)
			}
			if opened < 8 || opened > 16 {
				t.Fatalf("%d activities in 10 minutes", opened)
			}
		})
	}
}

// Another number, and other instances, are dealt with at once.
func TestAPauseHoldsUpNothingElse(t *testing.T) {
	b := newBench(t, nil)
	b.up()
	b.desired(2)
	b.look()
	b.inVain("attached")
	if b.look(); b.open() != nil {
		t.Fatal("tried again at once")
	}
	b.desired(6)
	if b.look(); b.open() == nil || b.open().Spec.Create != 3 {
		t.Fatalf("open %+v", b.open())
	}
	b.inVain("the join credential would have died")
	b.desired(1)
	if b.look(); b.open() == nil || len(b.open().Spec.Release) != 2 {
		t.Errorf("open %+v", b.open())
	}
}

// A group that somebody deleted works as before, and says that it goes with
// its pool only.
func TestAGroupInTerminatingWorksOn(t *testing.T) {
	b := newBench(t, func(g *api.ScalingGroup) { g.Finalizers = []string{api.Finalizer} })
	b.up()
	if err := b.Delete(context.Background(), b.group()); err != nil {
		t.Fatal(err)
	}
	b.desired(5)
	b.look()
	if a := b.carryOut(all); a.Spec.Create != 2 {
		t.Fatalf("activity %+v", a.Spec)
	}
	b.joins()
	b.desired(1)
	b.later(2 * time.Second)
	if a := b.carryOut(none(fault.NoStock)); len(a.Spec.Release) != 4 {
		t.Fatalf("activity %+v", a.Spec)
	}
	if c := b.condition(api.ConditionDeletionBlocked); b.group().DeletionTimestamp == nil || c.Status != "True" {
		t.Errorf("condition %+v", c)
	}
}
