package scalinggroup_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/scalinggroup"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

func zones(b *bench) map[string]int {
	out := map[string]int{}
	for _, i := range b.instances() {
		if i.Spec.Release == nil {
			out[i.Spec.Placement.Zone]++
		}
	}
	return out
}

// lopsided is a balanced group whose machines are all in one zone.
func lopsided(t *testing.T, n int32) *bench {
	b := newBench(t, func(g *api.ScalingGroup) {
		g.Spec.DesiredCapacity, g.Spec.ScalingPolicy.Type = n, api.PolicyDistributionBalancing
	})
	b.look()
	b.carryOut(func(c api.Candidate, n int) (int, fault.Code) {
		if c.Zone == "zone-b" {
			return 0, fault.NoStock
		}
		return n, ""
	})
	b.joins()
	b.later(2 * time.Second)
	return b
}

// A rebalance goes to its end: created first, then released when the new ones
// have joined, never more than a tenth beyond the number.
func TestARebalanceEvensZonesOut(t *testing.T) {
	b := lopsided(t, 10)
	s := b.group().Status
	if c := b.condition(api.ConditionBalanced); c.Status != "False" || c.Reason != api.ReasonUnbalanced || s.Imbalance != 10 {
		t.Fatalf("%+v, imbalance %d", c, s.Imbalance)
	}
	b.later(10 * time.Minute)
	b.edit(func(g *api.ScalingGroup) { g.Spec.RebalanceCount = 1 })
	for n := 0; b.group().Status.RebalancedCount < 1; n++ {
		if n > 60 {
			t.Fatalf("does not end: %v, %+v", zones(b), b.group().Status)
		}
		b.later(2 * time.Second)
		a := b.open()
		if a == nil {
			b.gone()
			continue
		}
		if a.Spec.Create > 0 && (a.Spec.Surge != a.Spec.Create || a.Spec.Surge > 1) {
			t.Fatalf("surge %d of %d", a.Spec.Surge, a.Spec.Create)
		}
		b.carryOut(all)
		if b.later(2 * time.Second); a.Spec.Create > 0 && b.open() != nil {
			t.Fatal("goes on before the new machine has joined")
		}
		b.joins()
		b.gone()
	}
	if c, z := b.condition(api.ConditionBalanced), zones(b); c.Status != "True" || z["zone-a"] != 5 || z["zone-b"] != 5 {
		t.Errorf("%+v: %v", c, z)
	}
	if b.later(2 * time.Second); b.open() != nil || b.group().Status.Why != nil {
		t.Errorf("goes on: %+v", b.group().Status)
	}
}

// One that cannot make zones more even ends, and the reason stays readable.
func TestARebalanceThatCannotSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*api.ScalingGroup)
		want   string
	}{
		"no room":        {func(g *api.ScalingGroup) { g.Spec.MaxSize = 10 }, "which is the maximum, 10"},
		"another policy": {func(g *api.ScalingGroup) { g.Spec.ScalingPolicy.Type = api.PolicyPriority }, "only a pool with the policy DistributionBalancing"},
	} {
		t.Run(name, func(t *testing.T) {
			b := lopsided(t, 10)
			b.later(10 * time.Minute)
			b.edit(func(g *api.ScalingGroup) { g.Spec.RebalanceCount = 1; c.change(g) })
			for range 3 {
				b.later(2 * time.Second)
			}
			got := b.condition(api.ConditionBalanced)
			b.says(got.Message, c.want)
			if got.Reason != api.ReasonCannotRebalance || b.group().Status.RebalancedCount != 1 || b.open() != nil {
				t.Errorf("%+v: %+v", got, b.group().Status)
			}
		})
	}
}

// A freeze lets nothing through: not even what a task named.
func TestAFrozenGroupDoesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		freeze func(b *bench)
		reason string
	}{
		"a definition is being deleted": {func(b *bench) {
			b.edit(func(g *api.ScalingGroup) { g.Spec.Frozen = "the definition is being deleted" })
		}, api.ReasonDefinitionDeleted},
		"the guard":       {func(b *bench) { b.guarded.Frozen = "of another cluster" }, api.ReasonOtherCluster},
		"another account": {func(b *bench) { b.account = "other" }, api.ReasonOtherAccount},
		"many of unknown origin": {func(b *bench) {
			for range 4 {
				name := b.instance(&api.ScalingActivity{}, 0, api.Candidate{})
				i := &api.Instance{}
				b.get(name, i)
				i.Spec.CreationType = api.CreatedUnknown
				if err := b.Update(context.Background(), i); err != nil {
					b.Fatal(err)
				}
			}
		}, api.ReasonUnknownInstances},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.up()
			i := b.instances()[0].Name
			b.edit(func(g *api.ScalingGroup) {
				g.Spec.DesiredCapacity = 9
				g.Spec.Transfers = []api.Transfer{{Instance: i, Direction: api.TransferOut, Release: true, Task: "t"}}
			})
			c.freeze(b)
			for range 3 {
				b.later(time.Minute)
			}
			got := b.condition(api.ConditionFrozen)
			if got.Status != "True" || got.Reason != c.reason || got.Message == "" || b.open() != nil {
				t.Errorf("%+v, open: %v", got, b.open())
			}
			w := b.group().Status.Why
			if w == nil || !strings.HasPrefix(got.Message, w.Sentence) {
				t.Errorf("why %+v", w)
			}
			if c := b.condition(api.ConditionAccountMatches); (c.Status == "False") != (name == "another account") {
				t.Errorf("account: %+v", c)
			}
		})
	}
}

// A mass disappearance stops releases and not creation; a person's word ends
// it, for as long as this one lasts and over restarts.
func TestAThawEndsOneFreezeOfReleases(t *testing.T) {
	b := newBench(t, nil)
	b.up()
	b.guarded.NoRelease = "9 of 12 instances disappeared"
	b.desired(5)
	b.later(time.Minute)
	if c := b.condition(api.ConditionFrozen); c.Status != "True" || c.Reason != api.ReasonMassDisappearance {
		t.Fatalf("%+v", c)
	}
	b.carryOut(all)
	b.joins()
	b.desired(2)
	b.later(time.Minute)
	if b.open() != nil {
		t.Fatal("releases")
	}
	b.edit(func(g *api.ScalingGroup) { g.Spec.ThawCount = 1 })
	b.later(time.Minute)
	if a := b.open(); a == nil || len(a.Spec.Release) != 3 || b.group().Status.ThawedCount != 1 {
		t.Fatalf("thawed: %+v", a)
	}
	b.carryOut(all)
	b.restart()
	b.desired(1)
	b.later(time.Minute)
	if b.open() == nil || b.condition(api.ConditionFrozen).Reason != api.ReasonThawed {
		t.Fatalf("frozen again: %+v", b.condition(api.ConditionFrozen))
	}
	b.carryOut(all)
	b.guarded.NoRelease = ""
	b.later(time.Minute)
	b.guarded.NoRelease = "again"
	b.desired(0)
	b.later(time.Minute)
	if b.open() != nil || b.condition(api.ConditionFrozen).Reason != api.ReasonMassDisappearance {
		t.Error("the next freeze is ended by the old word")
	}
}

// The health check, where it is on, replaces what is stopped; the number stays.
func TestTheHealthCheckReplacesWhatIsStopped(t *testing.T) {
	b := newBench(t, nil)
	b.up()
	for n, i := range b.instances()[:2] {
		i.Spec.Protected = n == 1
		if err := b.Update(t.Context(), &i); err != nil {
			t.Fatal(err)
		}
		i.Status.LifecycleState, i.Status.CloudStatus = api.InstanceStopped, "Stopped"
		i.Status.JoinedTime = &metav1.Time{Time: b.clock.Now()}
		b.putStatus(&i)
	}
	b.later(time.Minute)
	if b.open() != nil {
		t.Fatal("replaces with the check off")
	}
	b.edit(func(g *api.ScalingGroup) { g.Spec.HealthCheck = api.HealthCheckECS })
	b.later(time.Minute)
	a := b.open()
	if a == nil || len(a.Spec.Release) != 1 || a.Spec.Release[0].Instance != b.instances()[0].Name {
		t.Fatalf("%+v", a)
	}
	b.carryOut(all)
	b.gone()
	b.later(time.Minute)
	if next := b.open(); next == nil || next.Spec.Create != 1 || next.Spec.Cause != a.Spec.Cause {
		t.Fatalf("the replacement does not tell the cause %q: %+v", a.Spec.Cause, next)
	}
}

// An activity of another group under the wanted name is told to people, and
// nothing is decided beside it.
func TestANameThatIsTakenIsTold(t *testing.T) {
	b := newBench(t, nil)
	there := &api.ScalingActivity{}
	there.Name, there.Spec = "web-a1", api.ScalingActivitySpec{Group: "web", GroupUID: "earlier", Pool: "web", Number: 1, Cause: "c"}
	if err := b.Create(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	b.look()
	b.says(b.group().Status.Why.Sentence, "web-a1 belongs to another group", "earlier", "kubectl delete scalingactivity web-a1")
	b.says(<-b.events.Events, "Warning ActivityNameTaken", "web-a1")
	if err := b.Delete(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	b.later(time.Minute)
	if b.open() == nil {
		t.Error("does not go on when it is gone")
	}
}

// Where the records are lost the cloud still shows the instances: they are not
// made a second time before they are recorded anew. What an activity that is not
// settled has made explains itself.
func TestLostRecordsAreNotMadeAgain(t *testing.T) {
	for what, c := range map[string]struct {
		activity string
		open     bool
	}{"of an activity that is over": {activity: "lost"}, "of one that is not settled": {activity: "web-a1", open: true}} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t, func(g *api.ScalingGroup) { g.Spec.DesiredCapacity = 10 })
			if c.open {
				a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: "web-a1", UID: "web-a1", Labels: map[string]string{api.LabelGroup: "web"}}}
				a.Spec = api.ScalingActivitySpec{Group: "web", GroupUID: "group-uid", Pool: "web", Number: 1, Cause: "c", Create: 4}
				a.Status.Done = true
				a.Status.Pieces = []api.Piece{{Amount: 4, State: api.PieceUncertain}}
				status := a.Status
				if err := b.Create(t.Context(), a); err != nil {
					t.Fatal(err)
				}
				a.Status = status
				b.putStatus(a)
			}
			for _, id := range []string{"i-1", "i-2", "i-3", "i-4"} {
				b.guarded.Tagged = append(b.guarded.Tagged, scalinggroup.Tagged{Name: id, ActivityUID: c.activity})
			}
			b.look()
			if made := b.open() != nil; made != c.open {
				t.Fatalf("creates: %v, want %v; %+v", made, c.open, b.group().Status.Why)
			}
			if !c.open {
				b.says(b.condition(api.ConditionFrozen).Message, "4 instances carry our tags", "poolkeeper pool adopt web --all")
			}
		})
	}
}

// What somebody wrote into the group by hand is not acted on: the node pool puts
// it back. Its health check is a person's, and stands in nobody's way.
func TestAnEditedGroupDecidesNothing(t *testing.T) {
	b := newBench(t, nil)
	b.edit(func(g *api.ScalingGroup) {
		metav1.SetMetaDataAnnotation(&g.ObjectMeta, api.AnnotationPassedDown, g.Spec.Fingerprint())
		g.Spec.DesiredCapacity += 7
	})
	b.look()
	if n := len(b.activities()); n != 0 {
		t.Fatalf("%d activities for an edit by hand", n)
	}
	b.edit(func(g *api.ScalingGroup) {
		g.Spec.DesiredCapacity, g.Spec.HealthCheck = g.Spec.DesiredCapacity-7, api.HealthCheckECS
	})
	b.look()
	if b.open() == nil {
		t.Error("does not go on when it was put back")
	}
}

// Requests that are too large, or that cannot be written down, are a state with
// its reason, not an endless retry; an edit ends it.
func TestRequestsThatCannotBeWrittenAreTold(t *testing.T) {
	b := newBench(t, nil)
	b.encoder.size = 901 << 10
	b.look()
	for range 3 {
		b.later(time.Minute)
	}
	c, w := b.condition(api.ConditionValid), b.group().Status.Why
	b.says(c.Message, "901 KiB, more than 900", "less user data")
	if c.Status != "False" || w == nil || w.Code != string(fault.RequestInvalid) || w.Solution == "" || w.NextTime == nil {
		t.Errorf("%+v; %+v", c, w)
	}
	if slices.Contains(b.writes, "create Secret") {
		t.Error("the Secret was written")
	}
	b.encoder.size = 0
	b.edit(func(g *api.ScalingGroup) { g.Spec.SettingsGeneration++ })
	b.later(time.Second)
	if b.open() == nil || b.condition(api.ConditionValid).Type != "" {
		t.Error("an edit does not end it")
	}
}

func TestAnAPIServerWithoutAddressIsTold(t *testing.T) {
	b := newBench(t, nil)
	b.encoder.err = fault.New(fault.QueryEndpoints, "none ready")
	b.look()
	w := b.group().Status.Why
	if w == nil || w.Code != string(fault.QueryEndpoints) || w.NextTime == nil {
		t.Fatalf("why %+v", w)
	}
	b.encoder.err = nil
	b.later(time.Minute)
	if b.open() == nil {
		t.Error("does not try again")
	}
}

// While stock cannot be read the reason is the call's own.
func TestAMarketThatCannotBeReadIsTold(t *testing.T) {
	b := newBench(t, nil)
	b.market.err = fault.New(fault.CloudUnreachable, "connection refused")
	b.look()
	w := b.group().Status.Why
	if w == nil || w.Code != string(fault.CloudUnreachable) || w.Solution == "" || w.NextTime == nil {
		t.Fatalf("why %+v", w)
	}
	b.later(10 * time.Second)
	if b.market.asks != 1 {
		t.Errorf("asked %d times", b.market.asks)
	}
	b.market.err = nil
	b.later(time.Minute)
	if b.open() == nil {
		t.Error("does not go on")
	}
}

// Of finished activities the newest 200 or 30 days stay.
func TestHistoryIsBounded(t *testing.T) {
	b := newBench(t, nil)
	b.up()
	old := metav1.NewTime(b.clock.Now().Add(-40 * 24 * time.Hour))
	for n := int64(2); n <= 215; n++ {
		a := &api.ScalingActivity{}
		a.Name, a.Labels = fmt.Sprintf("web-a%d", n), map[string]string{api.LabelGroup: "web"}
		a.Spec = api.ScalingActivitySpec{Group: "web", GroupUID: "group-uid", Pool: "web", Number: n, Cause: "c", Create: 1, Candidates: []api.Candidate{{VSwitch: "vsw-a", Request: "r"}}}
		if err := b.Create(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		a.Status.Done, a.Status.EndTime = true, &old
		if n == 3 {
			a.Status.Pieces = []api.Piece{{Amount: 1, State: api.PieceUncertain}}
			b.instance(a, 0, api.Candidate{VSwitch: "vsw-a"}) // so that nothing is missing
		}
		if n == 5 {
			recent := metav1.NewTime(b.clock.Now())
			a.Status.EndTime = &recent
		}
		b.putStatus(a)
	}
	b.desired(4)
	b.joins()
	for range 20 {
		b.later(time.Minute)
	}
	kept := map[string]bool{}
	for _, a := range b.activities() {
		kept[a.Name] = true
	}
	if len(kept) != 203 || !kept["web-a1"] || !kept["web-a3"] || !kept["web-a5"] || !kept["web-a215"] || kept["web-a15"] || !kept["web-a16"] {
		t.Errorf("%d are left", len(kept))
	}
	before := len(b.writes)
	b.later(time.Hour)
	if len(b.writes) != before {
		t.Errorf("goes on writing: %v", b.writes[before:])
	}
}

// Whatever happens, no activity overshoots, only one is open, and no state is
// without its reason.
func TestWhateverHappensItNeverOvershootsAndAlwaysSaysWhy(t *testing.T) {
	codes := []fault.Code{"", "", "", fault.NoStock, fault.Arrearage, fault.PrivateIPAddress, fault.NotMatchVTPM}
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, func(g *api.ScalingGroup) {
			g.Spec.ScalingPolicy.Type = rapid.SampledFrom([]api.ScalingPolicyType{api.PolicyPriority, api.PolicyDistributionBalancing, api.PolicyCostOptimization}).Draw(rt, "policy")
		})
		b.crash = func(int, bool) bool { return rapid.IntRange(0, 30).Draw(rt, "crash") == 0 }
		most := int32(3)
		for range rapid.IntRange(3, 9).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"desired", "carry", "carry", "join", "fail", "gone", "resume", "rebalance", "restart", "edit"}).Draw(rt, "step") {
			case "desired":
				n := rapid.Int32Range(0, 12).Draw(rt, "number")
				most = max(most, n)
				b.desired(n)
			case "carry":
				if b.open() != nil {
					b.carryOut(func(_ api.Candidate, n int) (int, fault.Code) {
						if code := rapid.SampledFrom(codes).Draw(rt, "code"); code != "" {
							return rapid.IntRange(0, n-1).Draw(rt, "got"), code
						}
						return n, ""
					})
				}
			case "join":
				b.joins()
			case "fail":
				b.fails()
			case "gone":
				b.gone()
			case "resume":
				b.edit(func(g *api.ScalingGroup) { g.Spec.ResumeCount++ })
			case "rebalance":
				b.edit(func(g *api.ScalingGroup) { g.Spec.RebalanceCount++ })
			case "edit":
				b.edit(func(g *api.ScalingGroup) { g.Spec.SettingsGeneration++ })
			case "restart":
				b.restart()
			}
			b.later(time.Duration(rapid.IntRange(1, 2000).Draw(rt, "seconds")) * time.Second)
			b.look()
			checkState(rt, b, int(most))
		}
	})
}

func checkState(t *rapid.T, b *bench, most int) {
	g, a := b.group(), b.open()
	counted := 0
	for _, i := range b.instances() {
		if i.Spec.Release == nil {
			counted++
		}
	}
	if a != nil && a.Spec.Create > 0 && a.Spec.Before+a.Spec.Create > a.Spec.Wanted+a.Spec.Surge {
		t.Fatalf("overshoots: %+v", a.Spec)
	}
	if counted > most+max(1, most/10) {
		t.Fatalf("%d counted, at most %d were ever wished", counted, most)
	}
	s := g.Status
	if w := s.Why; counted != int(g.Spec.DesiredCapacity) && (w == nil || strings.TrimSpace(w.Sentence) == "") {
		t.Fatalf("%d of %d without a reason: %+v", counted, g.Spec.DesiredCapacity, s)
	}
	if w := s.Why; w != nil && a == nil && w.Code != "" && w.Solution == "" {
		t.Fatalf("no solution: %+v", w)
	}
	if w := s.Why; w != nil && a == nil && w.Short > 0 && w.NextTime == nil && s.Uncertain == 0 && !strings.Contains(w.Sentence, "one machine is tried") {
		t.Fatalf("short, and nobody knows until when: %+v", w)
	}
	seen := map[string]int{}
	for _, r := range s.Refusals {
		key := r.Code + r.VSwitch + r.Zone + r.InstanceType + string(r.ChargeType)
		if seen[key]++; seen[key] > 1 || r.Count < 1 || int(r.Count) > int(s.LastActivity)+len(s.FailedInstances)+1 {
			t.Fatalf("memory: %+v", s.Refusals)
		}
	}
	if held := b.condition(api.ConditionHeld); held.Status == "True" && !slices.ContainsFunc(s.Refusals, func(r api.Refusal) bool { return int(r.Count) >= scaling.HoldAfter }) {
		t.Fatalf("held by nothing: %+v", held)
	}
}
