package scalinggroup_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// refused carries out one activity that gets nothing, and looks again once that
// may be tried again.
func (b *bench) refused(code fault.Code) api.Refusal {
	b.Helper()
	b.carryOut(none(code))
	b.later(2 * time.Second)
	if b.open() != nil {
		b.Fatal("asks again at once")
	}
	for _, r := range b.group().Status.Refusals {
		if r.Code == string(code) {
			return r
		}
	}
	b.Fatalf("%s is not remembered: %+v", code, b.group().Status)
	return api.Refusal{}
}

// wait lets time pass until a refusal has expired.
func (b *bench) wait(r api.Refusal) {
	b.Helper()
	b.clock.T = r.UntilTime.Time
	b.look()
}

// The same cause three times in a row is held: a try every 30 minutes, told
// with how often. The memory is the same after a restart, and each activity is
// in it once.
func TestARefusalIsRememberedOnceAndHeldAfterThree(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	for n, want := range []time.Duration{10 * time.Minute, 10 * time.Minute, 30 * time.Minute, 30 * time.Minute} {
		r := b.refused(fault.Arrearage)
		if got := r.UntilTime.Sub(r.LastTime.Time); int(r.Count) != n+1 || got < want || got > want+time.Second {
			t.Fatalf("after %d: %+v", n+1, r)
		}
		b.restart()
		b.later(5 * time.Second)
		g := b.group()
		if again := g.Status.Refusals[0]; again.Count != r.Count || b.open() != nil {
			t.Fatalf("after a restart: %+v, open %v", again, b.open())
		}
		w := g.Status.Why
		if w == nil || w.Code != string(fault.Arrearage) || w.Solution == "" || w.NextTime == nil || int(w.Count) != n+1 || !w.SinceTime.Equal(&r.FirstTime) {
			t.Fatalf("why %+v", w)
		}
		if c := b.condition(api.ConditionHeld); (c.Status == "True") != (n >= 2) {
			t.Fatalf("after %d: %+v", n+1, c)
		}
		b.wait(r)
	}
	b.says(b.group().Status.Why.Sentence, "web-a5")
	if b.condition(api.ConditionHeld).Status != "True" {
		t.Error("not held while the one try is under way")
	}
	b.carryOut(all)
	b.joins()
	b.later(2 * time.Second)
	if s := b.group().Status; len(s.Refusals) != 0 || s.Why != nil || b.condition(api.ConditionHeld).Status != "False" {
		t.Errorf("a success did not end it: %+v", s)
	}
}

// While a request is not answered the group says so, since when, and when it is
// sent again.
func TestARequestWithoutAnAnswerIsTheReason(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	a := b.open()
	first, next := metav1.NewMicroTime(b.clock.Now()), metav1.NewMicroTime(b.clock.Now().Add(time.Minute))
	a.Status.Pieces = []api.Piece{{Amount: 1, State: api.PieceAnnounced, FirstSendTime: &first, NextSendTime: &next, Sends: 3, Unanswered: 3, Code: string(fault.CloudNoAnswer)}}
	b.putStatus(a)
	b.later(5 * time.Second)
	w := b.group().Status.Why
	if w == nil || w.Code != string(fault.CloudNoAnswer) || w.Solution == "" || w.NextTime == nil || !w.NextTime.Equal(&metav1.Time{Time: next.Truncate(time.Second)}) || !w.SinceTime.Equal(&metav1.Time{Time: first.Truncate(time.Second)}) {
		t.Fatalf("why %+v", w)
	}
	b.says(w.Sentence, "does not answer", a.Name, "3 times")
	b.says(w.Next, "sent again")

	a.Status.Pieces[0].NextSendTime = nil // it is on the wire
	b.putStatus(a)
	b.later(5 * time.Second)
	b.says(b.group().Status.Why.Next, "its turn or its answer is waited for")
}

// A cloud that gives a part, and refuses the rest within the same second, is
// remembered to have refused: what came before the refusal disproves nothing.
func TestWhatCameBeforeARefusalInTheSameSecondDoesNotEndIt(t *testing.T) {
	b := newBench(t, nil)
	b.clock.T = b.clock.T.Add(400 * time.Millisecond)
	b.look()
	first := true
	b.carryOut(func(_ api.Candidate, n int) (int, fault.Code) {
		if first {
			first = false
			return 1, ""
		}
		return 0, fault.PrivateIPAddress
	})
	b.later(2 * time.Second)
	if len(b.group().Status.Refusals) == 0 || b.open() != nil {
		t.Errorf("the refusal is forgotten: %+v", b.group().Status)
	}
}

// A person's word ends every wait, and what was refused before is not taken in
// again.
func TestResumeTriesAtOnce(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	b.refused(fault.Arrearage)
	b.edit(func(g *api.ScalingGroup) { g.Spec.ResumeCount = 1 })
	b.later(time.Second)
	s := b.group().Status
	if b.open() == nil || len(s.Refusals) != 0 || s.ResumedCount != 1 || s.ResumedTime == nil {
		t.Fatalf("status %+v", s)
	}
	if r := b.refused(fault.Arrearage); r.Count != 1 {
		t.Errorf("counts on: %+v", r)
	}
}

// A person's word may speak of one candidate: what was refused to others, or to
// all, stays.
func TestResumeOfOneCandidateEndsItsWaitAlone(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	b.carryOut(func(api.Candidate, int) (int, fault.Code) { return 0, fault.NoStock })
	b.later(time.Second)
	all := b.group().Status.Refusals
	if len(all) < 2 || b.open() != nil {
		t.Fatalf("refusals %+v", all)
	}
	b.edit(func(g *api.ScalingGroup) {
		g.Spec.ResumeCount, g.Spec.ResumeCandidate = 1, all[0].Zone+"/"+all[0].InstanceType
	})
	b.later(time.Second)
	s, a := b.group().Status, b.open()
	if len(s.Refusals) != len(all)-1 || s.ResumedCount != 1 || s.ResumedTime != nil {
		t.Fatalf("status %+v", s)
	}
	if a == nil || len(a.Spec.Candidates) != 1 || a.Spec.Candidates[0].Zone != all[0].Zone {
		t.Fatalf("asks %+v", a)
	}
}

// What the cloud says it has not got is read anew when a person asks.
func TestResumeReadsStockAnew(t *testing.T) {
	b := newBench(t, nil)
	b.market.stock = map[string]scaling.Stock{}
	for _, v := range []string{"vsw-a", "vsw-b"} {
		b.market.stock[v] = scaling.WithoutStock
	}
	b.look()
	b.market.stock["vsw-a"] = scaling.WithStock
	if b.later(time.Second); b.open() != nil || b.market.asks != 1 {
		t.Fatal("asks the cloud at every look")
	}
	b.edit(func(g *api.ScalingGroup) { g.Spec.ResumeCount = 1 })
	if b.later(time.Second); b.open() == nil || b.market.asks != 2 {
		t.Errorf("%d readings: %+v", b.market.asks, b.group().Status.Why)
	}
}

// Before a scale-out and before a rebalance the cloud is asked anew; what was
// read just now is new enough.
func TestStockIsReadBeforeAScaleOutAndARebalance(t *testing.T) {
	b := newBench(t, func(g *api.ScalingGroup) { g.Spec.ScalingPolicy.Type = api.PolicyDistributionBalancing })
	b.up()
	asks := func(want int, what string) {
		t.Helper()
		if b.market.asks != want {
			t.Errorf("%s: %d readings, want %d", what, b.market.asks, want)
		}
	}
	b.desired(4)
	b.later(time.Second)
	asks(1, "raised at once")
	b.carryOut(all)
	b.joins()
	b.later(5 * time.Minute)
	asks(1, "at rest")
	b.desired(2)
	b.later(time.Second)
	asks(1, "lowered")
	b.desired(3)
	b.later(time.Second)
	asks(2, "raised")
	b.later(20 * time.Second)
	asks(2, "not raised again")
	b.edit(func(g *api.ScalingGroup) { g.Spec.RebalanceCount = 1 })
	b.later(time.Second)
	b.later(time.Second)
	asks(3, "a rebalance")
}

// An edit ends the wait for what an edit can mend, and no other.
func TestAnEditEndsWhatItCanMend(t *testing.T) {
	for code, ends := range map[fault.Code]bool{fault.NotMatchVTPM: true, fault.Arrearage: false, fault.DeploymentSetFull: true, "Never.Heard.Of": true} {
		t.Run(string(code), func(t *testing.T) {
			b := newBench(t, nil)
			b.look()
			b.refused(code)
			b.edit(func(g *api.ScalingGroup) { g.Spec.SettingsGeneration = 2 })
			b.later(time.Second)
			if got := b.open() != nil; got != ends {
				t.Errorf("asks again: %v, want %v; %+v", got, ends, b.group().Status.Refusals)
			}
		})
	}
}

// Stock that comes back ends the wait for it.
func TestStockThatCameBackIsAskedAtOnce(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	b.market.stock = map[string]scaling.Stock{"vsw-a": "WithoutStock", "vsw-b": "WithoutStock"}
	r := b.refused(fault.NoStock)
	b.later(2 * time.Minute)
	if w := b.group().Status.Why; w.Code != string(fault.NoStock) && w.Code != string(fault.InstanceTypeNoStock) {
		t.Errorf("why %+v", w)
	}
	b.market.stock["vsw-b"] = "WithStock"
	b.later(time.Minute + time.Second)
	if a := b.open(); !b.clock.Now().Before(r.UntilTime.Time) || a == nil || len(a.Spec.Candidates) != 1 || a.Spec.Candidates[0].VSwitch != "vsw-b" {
		t.Errorf("activity %+v", a)
	}
}

// Machines that fail to join three times in a row hold the group: the money is
// told, then one machine is tried every 30 minutes, and the rest follows when
// it has joined. Failures of one try count once.
func TestFailedJoinsAreHeldAndOneMachineIsTried(t *testing.T) {
	b := newBench(t, func(g *api.ScalingGroup) { g.Spec.DesiredCapacity = 20 })
	b.look()
	for n := range 3 {
		if a := b.open(); a == nil || a.Spec.Create != 20 {
			t.Fatalf("try %d: %+v", n, a)
		}
		b.carryOut(all)
		b.later(15 * time.Minute)
		b.fails()
		b.settle(10)
	}
	g := b.group()
	r := g.Status.Refusals[0]
	if len(g.Status.Refusals) != 1 || r.Count != 3 || r.Burnt != "18" || r.Scope != "group" {
		t.Fatalf("memory %+v", g.Status.Refusals)
	}
	c := b.condition(api.ConditionHeld)
	b.says(c.Message, "3 times in a row", "CNY 18 burnt", "poolkeeper pool resume web", "next at "+r.UntilTime.UTC().Format(time.TimeOnly)+" UTC")
	if c.Status != "True" || g.Status.Counted != 0 || b.open() != nil {
		t.Fatalf("%+v: %+v", c, g.Status)
	}
	b.restart()
	for n := range 2 {
		b.wait(b.group().Status.Refusals[0])
		if a := b.open(); a == nil || a.Spec.Create != 1 {
			t.Fatalf("probe %d: %+v", n, a)
		}
		b.carryOut(all)
		b.later(40 * time.Minute) // longer than the wait that is over
		if b.open() != nil || b.group().Status.Why == nil {
			t.Fatalf("more than one is tried: %+v", b.open())
		}
		if n == 1 {
			break
		}
		b.fails()
		b.settle(10)
		if r := b.group().Status.Refusals[0]; r.Count != 4 {
			t.Fatalf("memory %+v", r)
		}
	}
	b.joins()
	b.later(2 * time.Second)
	if a := b.open(); a == nil || a.Spec.Create != 19 || len(b.group().Status.Refusals) != 0 {
		t.Errorf("the rest: %+v, %+v", a, b.group().Status.Refusals)
	}
}

// settle lets the group release what failed, and plays that.
func (b *bench) settle(passes int) {
	b.Helper()
	for range passes {
		b.later(2 * time.Second)
		if a := b.open(); a != nil && a.Spec.Create > 0 {
			return
		} else if a != nil {
			b.carryOut(all)
			b.gone()
		}
	}
}

// A machine that failed is known by its name until its record goes, over
// restarts, and one that is let try again counts anew.
func TestAFailedMachineIsTakenInOnce(t *testing.T) {
	b := newBench(t, func(g *api.ScalingGroup) { g.Spec.DesiredCapacity = 1 })
	b.look()
	b.carryOut(all)
	b.each(func(i *api.Instance) { i.Status.ChargeType = api.ChargeSubscription }) // so it stays
	b.fails()
	for range 5 {
		b.restart()
		b.later(2 * time.Second)
	}
	s := b.group().Status
	if len(s.Refusals) != 1 || s.Refusals[0].Count != 1 || len(s.FailedInstances) != 1 {
		t.Fatalf("%+v, %v", s.Refusals, s.FailedInstances)
	}
	i := b.instances()[0]
	i.Status.FailedTime = nil
	b.putStatus(&i)
	b.later(2 * time.Second)
	if s := b.group().Status; len(s.FailedInstances) != 0 {
		t.Errorf("still known as failed: %v", s.FailedInstances)
	}
	b.joins()
	b.later(2 * time.Second)
	if s := b.group().Status; len(s.Refusals) != 0 {
		t.Errorf("joined, and still remembered: %+v", s.Refusals)
	}
}

// What came of an earlier group's activities is none of this one's.
func TestAnEarlierGroupOfTheNameIsNotThisOne(t *testing.T) {
	b := newBench(t, nil)
	old := &api.ScalingActivity{}
	old.Name, old.Labels = "web-a7", map[string]string{api.LabelGroup: "web"}
	old.Spec = api.ScalingActivitySpec{Group: "web", GroupUID: "earlier", Pool: "web", Number: 7, Cause: "c", Create: 3,
		Candidates: []api.Candidate{{VSwitch: "vsw-a", InstanceType: "ecs.g7.large", ChargeType: api.ChargePayAsYouGo, Request: "r"}}}
	if err := b.Create(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	old.Status.Pieces = []api.Piece{{Amount: 3, State: api.PieceUncertain}}
	b.putStatus(old)
	b.look()
	a := &api.ScalingActivity{}
	b.get("web-a8", a)
	if s := b.group().Status; a.Spec.Create != 3 || s.Uncertain != 0 || s.OpenActivity != "web-a8" {
		t.Errorf("%+v; %+v", a.Spec, s)
	}
}

// Instances that vanish before they ran are a refusal for lack of stock where
// they were made, remembered before their records end: that resource pool is
// not asked again at once, and the next activity tells it.
func TestVanishedYoungIsNoStock(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	a := b.carryOut(all)
	b.clock.Pass(time.Minute)
	b.each(func(i *api.Instance) {
		i.Status.FailedTime, i.Status.Code, i.Status.Message = &metav1.Time{Time: b.clock.Now()}, string(fault.NoStock), i.Name+" vanished before it ran"
	})
	b.later(2 * time.Second)
	s := b.group().Status
	if len(s.FailedInstances) != 3 || len(s.Refusals) != 1 || s.Counted != 3 || b.open() != nil {
		t.Fatalf("status %+v, open %v", s, b.open())
	}
	r, asked := s.Refusals[0], a.Spec.Candidates[0]
	if r.Code != string(fault.NoStock) || r.Zone != asked.Zone || r.InstanceType != asked.InstanceType || r.Count != 1 || r.Burnt != "" {
		t.Errorf("remembers %+v of %+v", r, asked)
	}
	b.says(r.Message, "vanished before it ran")
	for _, i := range b.instances() { // their records end now
		if err := b.Delete(b.Context(), &i); err != nil {
			t.Fatal(err)
		}
	}
	b.later(2 * time.Second)
	next := b.open()
	if next == nil || next.Spec.Create != 3 {
		t.Fatalf("open %+v", next)
	}
	for _, c := range next.Spec.Candidates {
		if c.Zone == asked.Zone {
			t.Errorf("asks %+v again", c)
		}
	}
	b.says(next.Spec.Cause, "vanished before they ran: 3")
}

// A call whose answer was lost, and which made instances all the same, ends
// what was refused before it when that becomes known; not what was after it.
func TestAPieceThatSettlesLateEndsARefusal(t *testing.T) {
	for name, c := range map[string]struct {
		sent  time.Duration
		stays int
	}{"refused before": {time.Second, 0}, "refused after": {-time.Second, 1}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.look()
			r := b.refused(fault.NoStock)
			a := b.activities()[0]
			sent := metav1.NewMicroTime(r.LastTime.Add(c.sent))
			a.Status.Pieces = append(a.Status.Pieces, api.Piece{Amount: 1, State: api.PieceResolved, FirstSendTime: &sent,
				ResolvedTime: &metav1.Time{Time: b.clock.Now()}, Instances: []string{"i-late"}})
			b.putStatus(&a)
			b.later(2 * time.Second)
			n := 0
			for _, got := range b.group().Status.Refusals {
				if got.Zone == a.Spec.Candidates[0].Zone {
					n++
				}
			}
			if n != c.stays {
				t.Errorf("%d refusals there, want %d: %+v", n, c.stays, b.group().Status.Refusals)
			}
		})
	}
}
