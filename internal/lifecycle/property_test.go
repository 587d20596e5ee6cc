package lifecycle

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/internal/wait"
)

func yes(t *rapid.T, of int, what string) bool { return rapid.IntRange(1, of).Draw(t, what) == of }

// before is a time before now, or none.
func before(t *rapid.T, what string) time.Time {
	m := rapid.SampledFrom([]int{0, 0, 0, 1, 3, 7, 14, 20, 40, 90}).Draw(t, what)
	if m == 0 {
		return time.Time{}
	}
	return now.Add(-time.Duration(m) * time.Minute)
}

func drawShown(t *rapid.T, who string) Shown {
	return Shown{
		Ours: !yes(t, 4, who+" foreign"), Subscription: yes(t, 6, who+" subscription"), ReleaseProtected: yes(t, 6, who+" protected"),
		Status:  rapid.SampledFrom([]Status{CloudRunning, CloudRunning, CloudPending, CloudStopped}).Draw(t, who+" status"),
		Address: rapid.SampledFrom([]string{"", "10.0.0.1"}).Draw(t, who+" address"),
	}
}

func drawFacts(t *rapid.T) Facts {
	f := Facts{
		Now: now, Waits: wait.Defaults(),
		Record: Record{
			Origin:  rapid.SampledFrom([]Origin{AutoCreated, AutoCreated, Attached, UnknownOrigin}).Draw(t, "origin"),
			Created: now.Add(-time.Duration(rapid.IntRange(0, 120).Draw(t, "created")) * time.Minute),
			Seen:    before(t, "seen"), Running: before(t, "running"), Joined: before(t, "joined"), Failed: before(t, "failed"), Rejoin: before(t, "rejoin"),
			Address: "10.0.0.1", TagsSure: yes(t, 2, "tagsSure"), Protected: yes(t, 6, "protected"), Standby: yes(t, 6, "standby"),
			HeldBy:     rapid.SampledFrom([]string{"", "", "", "t1", "t2"}).Draw(t, "held"),
			DrainStart: before(t, "drainStart"), DrainEnd: before(t, "drainEnd"), ReleaseSent: before(t, "releaseSent"),
			State: rapid.SampledFrom([]State{"", Pending, InService, Removing, Removed}).Draw(t, "state"),
		},
		Sweep: Sweep{Began: now.Add(-time.Second), Recorded: rapid.IntRange(1, 9).Draw(t, "recorded")},
		Node:  Node{Exists: yes(t, 2, "node"), Ready: yes(t, 2, "ready"), Cordoned: yes(t, 2, "cordoned"), Foreign: yes(t, 6, "foreign")},
		Log:   Log{Tried: before(t, "tried"), Failed: yes(t, 4, "log")},
		Drain: Drain{Passed: before(t, "passed"), Drained: yes(t, 2, "drained")},
		Freeze: Freeze{
			Releases: yes(t, 5, "releases"), Replacements: yes(t, 5, "replacements"),
		},
		LastRelease: before(t, "lastRelease"),
	}
	f.Node.Ready = f.Node.Ready && f.Node.Exists
	if yes(t, 2, "present") {
		f.Sweep.Present, f.Sweep.Shown, f.Sweep.Untagged = true, drawShown(t, "sweep"), rapid.IntRange(0, 3).Draw(t, "untagged")
	} else {
		f.Sweep.Missed, f.Sweep.Empty = rapid.IntRange(0, 12).Draw(t, "missed"), rapid.IntRange(0, 12).Draw(t, "empty")
	}
	if yes(t, 2, "looked") {
		f.Look = Look{Made: true, Found: yes(t, 2, "found"), Shown: drawShown(t, "look")}
	}
	if yes(t, 2, "marked") {
		f.Record.Mark = &Mark{
			Activity: "web-a1", Time: now.Add(-time.Hour), TakeOut: yes(t, 4, "takeOut"), Task: rapid.SampledFrom([]string{"", "", "t1"}).Draw(t, "task"),
			Drain: rapid.SampledFrom([]DrainMode{DrainOff, DrainBestEffort, DrainRequired}).Draw(t, "drain"), Emptying: yes(t, 6, "emptying"),
		}
		if yes(t, 5, "later") {
			f.Record.Mark.NotBefore = now.Add(time.Hour)
		}
	}
	drawHooks(t, &f)
	if yes(t, 6, "hold") {
		f.Hold = "another account"
	}
	return f
}

// drawHooks draws the hooks of the pool, what they hold, and what was said.
func drawHooks(t *rapid.T, f *Facts) {
	for _, name := range []string{"a", "b"} {
		way := rapid.SampledFrom([]Way{WayIn, WayOut}).Draw(t, name+" way")
		results := []Result{"", "", Continue, Abandon, Rollback}
		if yes(t, 2, name) {
			f.Hooks = append(f.Hooks, HookRule{Name: name, Way: way, Timeout: 10 * time.Minute, Default: rapid.SampledFrom(results[2:4]).Draw(t, name+" default")})
		}
		wait := rapid.SampledFrom([]string{waitIn, "web-a1", "web-a0"}).Draw(t, name+" wait")
		if yes(t, 2, name+" held") {
			f.Record.Hooks = append(f.Record.Hooks, Hook{Name: name, Way: way, Wait: wait, Start: now.Add(-time.Minute), Default: Continue,
				Until: now.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, name+" until")) * time.Minute), Result: rapid.SampledFrom(results).Draw(t, name+" result")})
		}
		if yes(t, 2, name+" answer") {
			f.Answers = append(f.Answers, Answer{Hook: name, Wait: wait, Result: rapid.SampledFrom(results).Draw(t, name+" said"), Heartbeats: rapid.IntRange(0, 3).Draw(t, name+" beats")})
		}
	}
}

// checkHooks: what is written once is so; and nothing that a hook holds goes.
func checkHooks(t *rapid.T, f Facts, s Step) {
	after := f
	after.Record.Hooks = HooksOf(f)
	if diff := cmp.Diff(after.Record.Hooks, HooksOf(after)); diff != "" {
		t.Fatalf("hooks do not come to rest:\n%s", diff)
	}
	goes := f.moves() && (s.Kind == WriteReleaseSent || (s.Kind == WriteRemoved && f.Record.Mark != nil))
	for _, h := range after.Record.Hooks {
		if m := f.Record.Mark; goes && h.Way == WayOut && h.Wait == m.Activity && h.Result == "" {
			t.Fatalf("goes while a hook holds it: %+v", h)
		}
	}
}

// outside are the steps that change cloud, cluster or a decision.
var outside = []Kind{Cordon, DrainPass, Uncordon, TakeMarkBack, WriteReleaseSent, Release, WriteRemoved, Untag, PutTagsBack, DeleteNode, DeleteRecord}

func TestAStepHoldsThePromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		s := Next(f)
		if diff := cmp.Diff(s, Next(f)); diff != "" {
			t.Fatalf("the same facts, another step:\n%s", diff)
		}
		checkHooks(t, f, s)
		r, m := f.Record, f.Record.Mark
		switch {
		case f.Hold != "" && slices.Contains(outside, s.Kind):
			t.Fatalf("acts while it is held: %+v", s)
		case s.Kind == Wait && !s.Until.IsZero() && !s.Until.After(now):
			t.Fatalf("waits for the past: %+v", s)
		case s.Kind == LookByID && f.Look.Made:
			t.Fatalf("looks twice: %+v", s)
		case s.Kind == DeleteNode && (!f.Node.Exists || f.Node.Foreign), s.Kind == DrainPass && f.Node.Foreign:
			t.Fatalf("touches a Node that is not its own: %+v", f.Node)
		case s.Kind == TakeMarkBack && (m == nil || !r.ReleaseSent.IsZero()):
			t.Fatalf("takes back what stands: %+v", r)
		case s.Kind == Release && (m == nil || r.ReleaseSent.IsZero()):
			t.Fatalf("releases what was not written: %+v", r)
		case s.Kind == Untag && (r.State != Removed || !f.Look.Ours):
			t.Fatalf("untags what is not removed: %+v", r)
		case s.Kind == WriteReleaseSent:
			checkRelease(t, f)
		case s.Kind == DeleteRecord:
			checkGone(t, f, s)
		}
	})
}

// checkRelease: nothing is released on the word of one look, kept ones never,
// and with a required drain not before it ended.
func checkRelease(t *rapid.T, f Facts) {
	r, m := f.Record, f.Record.Mark
	own := m.Emptying || (m.Task != "" && m.Task == r.HeldBy)
	switch {
	case m.TakeOut, f.Freeze.Releases, m.NotBefore.After(now):
		t.Fatalf("releases what is not to be released now: %+v", f)
	case !f.Look.Made || !f.Look.Found || !f.Look.Ours || f.Look.Subscription || f.Look.ReleaseProtected:
		t.Fatalf("releases after such a look: %+v", f.Look)
	case !own && (r.Protected || r.Standby || r.HeldBy != ""):
		t.Fatalf("releases a kept one: %+v", r)
	case r.Origin == Attached || r.Origin == UnknownOrigin:
		t.Fatalf("releases one that we did not create: %+v", r)
	case m.Drain == DrainRequired && f.Node.Exists && !f.Node.Foreign && r.DrainEnd.IsZero():
		t.Fatalf("releases before the required drain ended: %+v", r)
	}
}

// checkGone: two complete sweeps and a look by id, and an empty list only when
// it lasts.
func checkGone(t *rapid.T, f Facts, s Step) {
	switch {
	case s.Gone == GoneTakenOut:
		if !f.Look.Found || f.Look.Ours || f.Sweep.Untagged < 2 || f.Freeze.Replacements {
			t.Fatalf("believes it taken out: %+v", f)
		}
	case !f.Look.Made || f.Look.Found || f.Sweep.Present || f.Sweep.Missed < 2:
		t.Fatalf("believes it gone: %+v", f)
	case f.Sweep.Empty > 0 && f.Sweep.Empty < 10 && f.Sweep.Recorded > 1 && f.Record.ReleaseSent.IsZero():
		t.Fatalf("believes an empty list: %+v", f)
	case f.Freeze.Replacements && f.Record.Mark == nil && !f.Record.Running.IsZero():
		t.Fatalf("believes it gone under the guard: %+v", f)
	}
}

// region plays one instance: a cloud, a Node and a record that change as the
// steps say.
type region struct {
	f      Facts
	exists bool
	pods   int
	trace  []Kind
}

// do carries one step out; false where it waits.
func (r *region) do(s Step) bool {
	rec := &r.f.Record
	if s.Kind != Wait {
		r.trace = append(r.trace, s.Kind)
	}
	switch s.Kind {
	case Wait:
		return false
	case LookByID:
		r.f.Look = Look{Made: true, Found: r.exists, Shown: Shown{Ours: true, Status: CloudRunning}}
		return true
	case ReadConsole:
		r.f.Log.Tried = r.f.Now
		return true
	case WriteSeen:
		rec.Seen = r.f.Now
	case WriteRunning:
		rec.Running, rec.Address = r.f.Now, r.f.Sweep.Address
	case MarkInService:
		rec.Joined = r.f.Now
	case WriteState:
		rec.State, rec.NodeState = StateOf(r.f), NodeStateOf(r.f)
	case Cordon:
		r.f.Node.Cordoned, rec.DrainStart = true, r.f.Now
	case DrainPass:
		if r.pods > 0 {
			r.pods--
		}
		r.f.Drain = Drain{Passed: r.f.Now, Drained: r.pods == 0, Left: r.pods}
	case WriteDrainEnd:
		rec.DrainEnd = r.f.Now
	case WriteReleaseSent:
		rec.ReleaseSent = r.f.Now
	case Release:
		r.exists, r.f.LastRelease = false, r.f.Now
	case DeleteNode:
		r.f.Node = Node{}
	case DeleteRecord:
		return false
	}
	return true
}

// sweep lets time pass and a complete sweep be made.
func (r *region) sweep() {
	r.f.Now = r.f.Now.Add(5 * time.Second)
	r.f.Look = Look{}
	if r.exists {
		r.f.Sweep = Sweep{Began: r.f.Now, Present: true, Recorded: 1, Shown: Shown{Ours: true, Status: CloudRunning, Address: "10.0.0.1"}}
		return
	}
	r.f.Sweep = Sweep{Began: r.f.Now, Missed: r.f.Sweep.Missed + 1, Empty: r.f.Sweep.Empty + 1, Recorded: 1}
}

// settle carries out what is to be done, sweep after sweep, until the record
// ends or nothing more happens.
func (r *region) settle(t *testing.T, restart bool) (ended bool) {
	t.Helper()
	for range 60 {
		r.sweep()
		for n := 0; ; n++ {
			s := Next(r.f)
			if !r.do(s) {
				ended = s.Kind == DeleteRecord
				break
			}
			if n > 20 {
				t.Fatalf("does not come to rest: %v", r.trace)
			}
			if restart {
				r.f.LastRelease, r.f.Drain, r.f.Look = time.Time{}, Drain{}, Look{}
				if s.Kind == LookByID {
					r.do(s) // what it found is kept for the next step
				}
				if s.Kind == Release || s.Kind == DrainPass {
					break
				}
			}
		}
		if ended {
			return true
		}
	}
	return false
}

func TestAnInstanceLivesAndGoes(t *testing.T) {
	r := &region{exists: true, pods: 2, f: Facts{Now: now, Waits: wait.Defaults(), Node: Node{Exists: true, Ready: true}, Record: Record{Origin: AutoCreated, Created: now}}}
	if r.settle(t, false) {
		t.Fatal("its record ended")
	}
	want := []Kind{LookByID, WriteSeen, WriteRunning, MarkInService, WriteState}
	if diff := cmp.Diff(want, r.trace); diff != "" {
		t.Fatalf("on the way in:\n%s", diff)
	}
	r.trace = nil
	r.f.Record.Mark = &Mark{Time: r.f.Now, Drain: DrainRequired}
	if !r.settle(t, false) {
		t.Fatalf("its record did not end: %v", r.trace)
	}
	want = []Kind{Cordon, DrainPass, WriteState, DrainPass, WriteDrainEnd, LookByID, WriteReleaseSent, Release, DeleteNode, LookByID, DeleteRecord}
	if diff := cmp.Diff(want, r.trace); diff != "" {
		t.Fatalf("on the way out:\n%s", diff)
	}
}

func TestAControllerThatForgetsAfterEachStepStillFinishes(t *testing.T) {
	r := &region{exists: true, f: Facts{Now: now, Waits: wait.Defaults(), Node: Node{Exists: true, Ready: true},
		Record: Record{Origin: AutoCreated, Created: now.Add(-time.Hour), Seen: now, Running: now, Joined: now, Address: "10.0.0.1",
			Mark: &Mark{Time: now, Drain: DrainOff}}}}
	if !r.settle(t, true) {
		t.Fatalf("its record did not end: %v", r.trace)
	}
	if r.exists || r.f.Node.Exists {
		t.Fatalf("something is left: %+v", r)
	}
}
