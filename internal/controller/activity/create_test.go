package activity_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
)

// creates is an activity that is to create n instances.
func creates(t *testing.T, n int32) *bench {
	b := newBench(t)
	b.desire(n)
	b.decide(func(s *api.ScalingActivitySpec) { s.Create, s.Wanted = n, n })
	return b
}

func TestFallsOverAndWritesOncePerPiece(t *testing.T) {
	b := creates(t, 250)
	b.fake.SetStock("zone-a", "ecs.g7.xlarge", 30)
	a := b.run()
	if got := pieces(a); got != "vsw-a 30/100 Resolved ; vsw-a 0/100 Resolved OperationDenied.NoStock; vsw-b 100/100 Resolved ; vsw-b 100/100 Resolved ; vsw-b 20/20 Resolved ; " {
		t.Fatal(got)
	}
	if a.Status.State != api.ActivitySuccessful || a.Status.Created != 250 || a.Status.Code != "" || !strings.Contains(a.Status.Summary, "vsw-a/ecs.g7.xlarge: 30 created, then out of stock; vsw-b/ecs.g7.xlarge: 220 created") {
		t.Fatalf("%+v", a.Status)
	}
	b.matches()
	if s, c, k := b.count("status"), b.count("create"), b.count("cloud Create"); s != 6 || c != 250 || k != 5 {
		t.Errorf("%d status writes for 5 pieces, %d records, %d cloud calls", s, c, k)
	}
	if p := b.count("patch"); p != 1 || b.hasSecret("requests") || len(a.Finalizers) > 0 {
		t.Errorf("%d patches at the end, Secret there %v, held by %v", p, b.hasSecret("requests"), a.Finalizers)
	}
}

// A process that is killed at any call, before or after its effect, creates
// each instance once and records all of them.
func TestKilledAtEveryCall(t *testing.T) {
	whole := creates(t, 9)
	whole.fake.SetStock("zone-a", "ecs.g7.xlarge", 3)
	whole.run()
	refused, sends := map[int]bool{}, 0
	for n, call := range whole.calls {
		if call == "cloud Create" {
			sends++
			refused[n] = sends == 2 // the rest of what was short
		}
	}
	for n := range whole.calls {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %d after=%v", whole.calls[n], n, after), func(t *testing.T) {
				b := creates(t, 9)
				b.fake.SetStock("zone-a", "ecs.g7.xlarge", 3)
				b.killAt, b.after = n, after
				a := b.run()
				if after && b.killAt != -1 && refused[n] {
					return // it had no effect to be killed after
				}
				if b.killAt != -1 {
					t.Fatalf("call %d was never made", n)
				}
				want, state := int32(9), api.ActivitySuccessful
				if ps := a.Status.Pieces; len(ps[len(ps)-1].Instances) == 0 { // refused after a send that nobody saw answered
					want, state = 3, api.ActivityWarning
				}
				if len(b.fake.All()) != int(want) || a.Status.Created != want || a.Status.State != state || b.hasSecret("requests") {
					t.Fatalf("%d there; %s; %+v", len(b.fake.All()), pieces(a), a.Status)
				}
				b.matches()
			})
		}
	}
}

func TestLostAnswerIsAskedForAgainWithTheSameToken(t *testing.T) {
	b := creates(t, 5)
	lost := 3
	b.lost = func(call string) error {
		if call == "cloud Create" && lost > 0 {
			lost--
			return cloudtest.Lost("Create")
		}
		return nil
	}
	a := b.run()
	if len(b.fake.All()) != 5 || pieces(a) != "vsw-a 5/5 Resolved ; " || a.Status.Pieces[0].Sends != 4 || a.Status.Pieces[0].Unanswered != 4 {
		t.Fatalf("%d there; %s", len(b.fake.All()), pieces(a))
	}
	if a.Status.Pieces[0].Answers[0].Code != string(fault.CloudNoAnswer) {
		t.Fatalf("%+v", a.Status.Pieces[0].Answers)
	}
	b.matches()
}

// When a piece is sent again is written down, and a restart changes nothing of it.
func TestTheNextSendIsWrittenDown(t *testing.T) {
	b := creates(t, 5)
	lost := true
	b.lost = func(call string) error {
		if call == "cloud Create" && lost {
			lost = false
			return cloudtest.Lost("Create")
		}
		return nil
	}
	b.step()
	p := b.activity().Status.Pieces[0]
	if p.NextSendTime == nil || !p.NextSendTime.After(b.clock.T) {
		t.Fatalf("%+v", p)
	}
	b.restart()
	b.step()
	if again := b.activity().Status.Pieces[0]; again.Sends != 1 || !again.NextSendTime.Equal(p.NextSendTime) {
		t.Fatalf("sent early: %+v", again)
	}
	b.clock.T = p.NextSendTime.Time
	b.step()
	if p := b.activity().Status.Pieces[0]; p.Sends != 2 || p.State != api.PieceResolved || p.NextSendTime != nil {
		t.Fatalf("%+v", p)
	}
}

// A refusal ends a piece only where every send before it is known to have done
// nothing.
func TestRefusalAfterAnUnknownAnswerIsUncertain(t *testing.T) {
	for name, tc := range map[string]struct {
		first error
		want  string
	}{
		"throttled first":        {cloud.Fail("Create", cloud.Throttled, fault.New(fault.Throttling, "slow down"), nil), "vsw-a 0/5 Resolved InvalidAccountStatus.NotEnoughBalance; "},
		"no answer first":        {cloudtest.Lost("Create"), "vsw-a 0/5 Resolved ; "},
		"still processing first": {cloud.Fail("Create", cloud.Processing, fault.New(fault.IdempotentProcessing, ""), nil), "vsw-a 0/5 Resolved ; "},
	} {
		t.Run(name, func(t *testing.T) {
			b := creates(t, 5)
			b.fake.SetBalance(fault.NotEnoughBalance)
			b.on = func(call string, _ client.Object) error {
				if call == "cloud Create" && b.count(call) == 1 {
					return tc.first
				}
				return nil
			}
			began := b.clock.T
			a := b.run()
			if got := pieces(a); got != tc.want || a.Status.State != api.ActivityFailed || b.count("cloud Create") != 2 {
				t.Fatalf("%s %s, %d calls", got, a.Status.State, b.count("cloud Create"))
			}
			unsure := b.clock.T.Sub(began) > 40*time.Minute
			if unsure != (name != "throttled first") {
				t.Fatalf("settled after %v", b.clock.T.Sub(began))
			}
		})
	}
}

// A piece in a state that this version does not know may have made something: it
// is settled as an uncertain one is, and nothing more is sent meanwhile.
func TestAStateOfTheNextVersionIsUncertain(t *testing.T) {
	b := creates(t, 5)
	b.fake.SetBalance(fault.NotEnoughBalance)
	changed := false
	b.on = func(call string, o client.Object) error {
		if call == "cloud Create" && b.count(call) == 1 {
			return cloudtest.Lost("Create")
		}
		if a, ok := o.(*api.ScalingActivity); ok && !changed && len(a.Status.Pieces) > 0 && a.Status.Pieces[0].State == api.PieceUncertain {
			a.Status.Pieces[0].State, changed = "Probing", true
		}
		return nil
	}
	began := b.clock.T
	a := b.run()
	if got := pieces(a); !changed || got != "vsw-a 0/5 Resolved ; " || b.count("cloud Create") != 2 || b.clock.T.Sub(began) < 40*time.Minute {
		t.Fatalf("%s after %v, %d calls", got, b.clock.T.Sub(began), b.count("cloud Create"))
	}
}

// mismatches is the metric of tokens that the cloud knew with other parameters.
func mismatches(t *testing.T) float64 {
	r := prometheus.NewRegistry()
	r.MustRegister(metrics.TokenMismatches)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}

func TestMismatchIsUncertainAndCounted(t *testing.T) {
	b := creates(t, 5)
	before := mismatches(t)
	b.on = func(call string, _ client.Object) error {
		if call == "cloud Create" {
			return cloud.Fail("Create", cloud.Mismatch, fault.New(fault.TokenMismatch, ""), nil)
		}
		return nil
	}
	b.step()
	a := b.activity()
	if pieces(a) != "vsw-a 0/5 Uncertain ; " || !a.Status.Done || a.Status.State != api.ActivityWarning || !strings.Contains(a.Status.Pieces[0].Message, "defect") {
		t.Fatalf("%s %+v", pieces(a), a.Status)
	}
	if got := mismatches(t) - before; got != 1 {
		t.Fatalf("counted %v", got)
	}
	b.run()
	if b.count("cloud Create") != 1 {
		t.Fatalf("sent %d times", b.count("cloud Create"))
	}
}

// A piece whose answers are lost is never sent after its window, and is then
// settled by what sweeps show of it.
func TestNeverSentAfterTheWindow(t *testing.T) {
	for name, tc := range map[string]struct {
		effect bool
		want   string
		// settled says how long after the first send.
		earliest, latest time.Duration
	}{
		"it was made":     {true, "vsw-a 5/5 Resolved ; ", 30 * time.Minute, 33 * time.Minute},
		"nothing came":    {false, "vsw-a 0/5 Resolved ; ", 49*time.Minute + 10*30*time.Second - time.Minute, 57 * time.Minute},
		"others are seen": {false, "vsw-a 0/5 Resolved ; ", 49 * time.Minute, 52 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			b := creates(t, 5)
			if name == "others are seen" {
				b.has("i-other", func(i *api.Instance) { i.Labels = nil; i.Spec.GroupUID = groupUID })
			}
			lost := func(call string) error {
				if call == "cloud Create" {
					return cloudtest.Lost("Create")
				}
				return nil
			}
			if tc.effect {
				b.lost = lost
			} else {
				b.on = func(call string, _ client.Object) error { return lost(call) }
			}
			began := b.clock.T
			var last time.Time
			for !b.activity().Status.Done {
				n := b.count("cloud Create")
				res := b.step()
				if b.count("cloud Create") > n {
					last = b.clock.T
				}
				b.clock.Pass(res.RequeueAfter)
			}
			if d := last.Sub(began); d >= 30*time.Minute || d < 28*time.Minute {
				t.Fatalf("last sent after %v", d)
			}
			n := b.count("cloud Create")
			if len(b.activity().Status.Pieces[0].Answers) != 20 {
				t.Fatalf("%d answers kept", len(b.activity().Status.Pieces[0].Answers))
			}
			a := b.run()
			if pieces(a) != tc.want || b.count("cloud Create") != n {
				t.Fatalf("%s; sent %d times more", pieces(a), b.count("cloud Create")-n)
			}
			if d := a.Status.Pieces[0].ResolvedTime.Sub(began); d < tc.earliest || d > tc.latest {
				t.Fatalf("settled after %v", d)
			}
			if name != "others are seen" {
				b.matches()
			}
		})
	}
}

// What can have done nothing makes nothing uncertain.
func TestThrottledForTheWholeWindowIsResolved(t *testing.T) {
	b := creates(t, 5)
	b.fake.Throttle("Create", b.clock.T.Add(24*time.Hour))
	a := b.run()
	if !strings.HasPrefix(pieces(a), "vsw-a 0/5 Resolved Throttling; ") || a.Status.State != api.ActivityFailed {
		t.Fatalf("%s %+v", pieces(a), a.Status)
	}
}

func TestRequestsThatAreGoneOrAltered(t *testing.T) {
	gone := func(b *bench) { b.ok(b.api.Delete(b.Context(), secret("requests", named, nil))) }
	altered := func(b *bench) {
		s := secret("requests", named, map[string][]byte{"request-0": []byte(`{"VSwitch":"vsw-b"}`), "user-data": []byte("x")})
		s.UID = ""
		b.ok(b.api.Update(b.Context(), s))
	}
	for name, tc := range map[string]struct {
		change func(*bench)
		sent   bool
		want   string
		state  api.ActivityState
	}{
		"gone before a send":    {gone, false, "", api.ActivityFailed},
		"altered before a send": {altered, false, "", api.ActivityFailed},
		"gone after a send":     {gone, true, "vsw-a 0/5 Uncertain ; ", api.ActivityWarning},
		"altered after a send":  {altered, true, "vsw-a 0/5 Uncertain ; ", api.ActivityWarning},
	} {
		t.Run(name, func(t *testing.T) {
			b := creates(t, 5)
			if tc.sent {
				b.on = func(call string, _ client.Object) error {
					if call == "cloud Create" {
						return cloudtest.Lost("Create")
					}
					return nil
				}
				b.clock.Pass(b.step().RequeueAfter)
			}
			tc.change(b)
			n := b.count("cloud Create")
			b.step()
			a := b.activity()
			if pieces(a) != tc.want || a.Status.State != tc.state || !a.Status.Done || b.count("cloud Create") != n {
				t.Fatalf("%s %+v", pieces(a), a.Status)
			}
			if !tc.sent && !strings.Contains(a.Status.Message, "gone or altered") {
				t.Fatal(a.Status.Message)
			}
		})
	}
}

// The number is read between pieces: what is no longer wanted is not asked for.
func TestNumberChangedBetweenPieces(t *testing.T) {
	b := creates(t, 300)
	b.on = func(call string, _ client.Object) error {
		if call == "cloud Create" && b.count(call) == 1 {
			b.desire(120)
		}
		return nil
	}
	a := b.run()
	if len(b.fake.All()) != 120 || a.Status.State != api.ActivitySuccessful {
		t.Fatalf("%d there, %s %s", len(b.fake.All()), a.Status.State, pieces(a))
	}
}

// A number that somebody wrote into the group by hand makes nothing: it is put
// back, and the group decides again.
func TestNumberEditedInTheGroupBetweenPieces(t *testing.T) {
	b := creates(t, 300)
	b.on = func(call string, _ client.Object) error {
		if call == "cloud Create" && b.count(call) == 1 {
			b.desire(120)
			g := b.groupOf(120)
			b.ok(b.api.Get(t.Context(), client.ObjectKeyFromObject(g), g))
			metav1.SetMetaDataAnnotation(&g.ObjectMeta, api.AnnotationPassedDown, g.Spec.Fingerprint())
			g.Spec.DesiredCapacity = 300
			b.ok(b.api.Update(t.Context(), g))
		}
		return nil
	}
	if b.run(); len(b.fake.All()) != 100 {
		t.Fatalf("%d there, want the 100 of the piece that was under way", len(b.fake.All()))
	}
}

// Nothing is made in the place of one that a task took back: the number was
// given back with the entry, and the group takes the mark off.
func TestWhatATaskTookBackIsNotReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		listed bool
		want   int
	}{"taken back": {false, 4}, "still going": {true, 5}} {
		t.Run(name, func(t *testing.T) {
			b := creates(t, 5)
			i := &api.Instance{ObjectMeta: metav1.ObjectMeta{Name: "i-old", Labels: map[string]string{api.LabelGroup: "web"}}}
			i.Spec.Pool, i.Spec.Group, i.Spec.GroupUID, i.Spec.CreationType = "web", "web", groupUID, api.CreatedByUs
			i.Spec.Release = &api.ReleaseMark{Activity: "web-a0", Task: "t1"}
			if err := b.api.Create(t.Context(), i); err != nil {
				t.Fatal(err)
			}
			b.desire(5, func(s *api.ScalingGroupSpec) {
				if c.listed {
					s.Transfers = []api.Transfer{{Instance: "i-old", Task: "t1", Direction: api.TransferOut}}
				}
			})
			b.run()
			if n := len(b.fake.All()); n != c.want {
				t.Errorf("%d made, want %d", n, c.want)
			}
		})
	}
}

// A group that somebody deleted works as before.
func TestAGroupInTerminatingIsCreatedFor(t *testing.T) {
	b := creates(t, 5)
	g := &api.ScalingGroup{}
	if err := b.api.Get(t.Context(), types.NamespacedName{Name: "web"}, g); err != nil {
		t.Fatal(err)
	}
	g.Finalizers = []string{api.Finalizer}
	if err := b.api.Update(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	if err := b.api.Delete(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	if a := b.run(); len(b.fake.All()) != 5 || a.Status.State != api.ActivitySuccessful {
		t.Fatalf("%d there, %s", len(b.fake.All()), a.Status.State)
	}
}

func TestCredentialThatDiesTooSoonSendsNothing(t *testing.T) {
	b := creates(t, 5)
	b.clock.Pass(80 * time.Minute) // 40 left; window and deadline are 45
	a := b.run()
	if len(a.Status.Pieces) != 0 || b.count("cloud Create") != 0 || a.Status.State != api.ActivityFailed || !strings.Contains(a.Status.Message, "join credential") {
		t.Fatalf("%+v", a.Status)
	}
}

// Nothing is sent while the group is frozen or the credentials are another
// account's; a piece whose window passes meanwhile is uncertain.
func TestHeldActivitySendsNothing(t *testing.T) {
	for name, hold := range map[string]func(*bench){
		"frozen":          func(b *bench) { b.desire(5, func(s *api.ScalingGroupSpec) { s.Frozen = "a definition is going" }) },
		"another account": func(b *bench) { b.account("77") },
	} {
		t.Run(name, func(t *testing.T) {
			b := creates(t, 5)
			b.account("1000000000000001")
			b.on = func(call string, _ client.Object) error {
				if call == "cloud Create" {
					return cloudtest.Lost("Create")
				}
				return nil
			}
			b.step()
			hold(b)
			writes := b.count("status")
			for !b.activity().Status.Done {
				res := b.step()
				if res.RequeueAfter == 0 && !b.activity().Status.Done {
					t.Fatal("nobody looks again")
				}
				b.clock.Pass(max(res.RequeueAfter, time.Minute))
			}
			a := b.activity()
			if b.count("cloud Create") != 1 || pieces(a) != "vsw-a 0/5 Uncertain ; " || b.count("status")-writes != 2 || a.Status.Message == "" {
				t.Fatalf("%d sent, %d writes, %s %+v", b.count("cloud Create"), b.count("status")-writes, pieces(a), a.Status)
			}
		})
	}
}

// account writes whose account the group is.
func (b *bench) account(id string) {
	b.Helper()
	g := b.groupOf(0)
	b.ok(b.api.Get(b.Context(), client.ObjectKeyFromObject(g), g))
	g.Status.AccountID = id
	b.ok(b.api.Status().Update(b.Context(), g))
}

// A conflict at the announcement means another leader: nothing is sent.
func TestConflictAtTheAnnouncementSendsNothing(t *testing.T) {
	b := creates(t, 5)
	b.on = func(call string, o client.Object) error {
		if call == "status" && b.count("status") == 1 {
			return apierrors.NewConflict(schema.GroupResource{Resource: "scalingactivities"}, o.GetName(), nil)
		}
		return nil
	}
	if res := b.step(); res.RequeueAfter != 50*time.Millisecond || b.count("cloud Create") != 0 {
		t.Fatalf("%+v, %d sent", res, b.count("cloud Create"))
	}
	if a := b.run(); a.Status.Created != 5 {
		t.Fatal(pieces(a))
	}
}
