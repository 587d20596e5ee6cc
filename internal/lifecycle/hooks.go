package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Way is on which way a hook holds an instance.
type Way string

// The ways.
const (
	// WayIn is from running to in service.
	WayIn Way = "ScaleOut"
	// WayOut is from the mark to the release, or to being taken out.
	WayOut Way = "ScaleIn"
)

// Result is what a hook ends with; empty while it holds the instance.
type Result string

// The results.
const (
	Continue Result = "Continue"
	// Abandon ends the other hooks of the way too; on the way in the instance
	// goes.
	Abandon Result = "Abandon"
	// Rollback keeps an instance that is on its way out.
	Rollback Result = "Rollback"
)

// EndedBy says what ended a hook.
type EndedBy string

// What ends a hook.
const (
	Completed EndedBy = "Completed"
	// TimedOut took the default result.
	TimedOut EndedBy = "TimedOut"
	// OtherHook of the same way ended all of them.
	OtherHook EndedBy = "OtherHook"
	// HookRemoved is no longer one of the pool's.
	HookRemoved EndedBy = "HookRemoved"
)

// HookRule is a lifecycle hook of a pool.
type HookRule struct {
	Name string
	Way  Way
	// Timeout is for how long it holds an instance without a heartbeat.
	Timeout time.Duration
	Default Result
}

// Hook is one hook of one instance.
type Hook struct {
	Name string
	Way  Way
	// Wait names this wait: an answer to another one counts no more.
	Wait string
	// Start and Until bracket it; at Until the default result is taken.
	Start, Until time.Time
	Default      Result
	// Heartbeats that were honoured.
	Heartbeats int
	// Result, End and EndedBy are empty while it holds the instance.
	Result  Result
	End     time.Time
	EndedBy EndedBy
}

// Answer is what was said to a hook.
type Answer struct {
	Hook, Wait string
	// Result is empty where only more time was asked for.
	Result     Result
	Heartbeats int
}

// waitIn names the wait on the way in: there is one in a record's life.
const waitIn = "created"

// maxHeartbeats is for how many of its timeouts a hook may hold an instance.
const maxHeartbeats = 20

// HooksOf returns the hooks of an instance as they are now. Those of the way in
// begin together when it is first known to run; those of the way out begin with
// the mark, for one that was in service. Answers, time, and a hook that is gone
// from the pool end them.
func HooksOf(f Facts) []Hook {
	r := f.Record
	if !f.moves() {
		return r.Hooks
	}
	way, wait := WayIn, waitIn
	if r.Mark != nil {
		way, wait = WayOut, r.Mark.Activity
	}
	var hooks []Hook
	for _, h := range r.Hooks {
		if h.Way == way && h.Wait == wait {
			hooks = append(hooks, h)
		}
	}
	for _, rule := range f.Hooks {
		known := slices.ContainsFunc(hooks, func(h Hook) bool { return h.Name == rule.Name })
		if rule.Way == way && !known && f.begins() {
			hooks = append(hooks, Hook{Name: rule.Name, Way: way, Wait: wait, Start: f.Now, Until: f.Now.Add(rule.Timeout), Default: rule.Default})
		}
	}
	for n := range hooks {
		if hooks[n].Result == "" {
			f.advance(&hooks[n])
		}
	}
	endOthers(hooks, f.Now)
	return hooks
}

// moves says whether its hooks change at all: not while its join is given up,
// nor where it goes without having been in service.
func (f Facts) moves() bool {
	r := f.Record
	switch {
	case r.State == Removed, r.Origin == UnknownOrigin:
		return false
	case r.Mark != nil:
		return f.served()
	}
	return !r.failed() || !r.Joined.IsZero()
}

// begins says whether hooks begin to hold it now.
func (f Facts) begins() bool {
	r, m := f.Record, f.Record.Mark
	if m == nil {
		return r.Running.IsZero() && (r.Origin == AutoCreated || r.Origin == "")
	}
	stopped := f.Hold != "" || f.keptToLookAt() || (f.Freeze.Releases && !m.TakeOut)
	return !stopped && r.ReleaseSent.IsZero() && f.keptByRecord() == ""
}

// served says whether it was in service: it joined, and no hook of the way in
// holds it or has abandoned it.
func (f Facts) served() bool {
	return joined(f) && !slices.ContainsFunc(f.Record.Hooks, func(h Hook) bool { return h.Way == WayIn && h.Result != Continue })
}

// advance takes in what was said to a hook that holds the instance, and the
// time.
func (f Facts) advance(h *Hook) {
	end := func(r Result, by EndedBy) { h.Result, h.End, h.EndedBy = r, f.Now, by }
	n := slices.IndexFunc(f.Hooks, func(rule HookRule) bool { return rule.Name == h.Name && rule.Way == h.Way })
	if n < 0 {
		end(Continue, HookRemoved)
		return
	}
	for _, a := range f.Answers {
		if a.Hook != h.Name || a.Wait != h.Wait {
			continue
		}
		if a.Heartbeats > h.Heartbeats {
			h.Heartbeats = a.Heartbeats
			h.Until = f.Now.Add(f.Hooks[n].Timeout)
			if most := h.Start.Add(maxHeartbeats * f.Hooks[n].Timeout); most.Before(h.Until) {
				h.Until = most
			}
		}
		if a.Result == Rollback && !f.mayStay(h) {
			continue // it holds on: what was asked cannot be
		}
		if a.Result != "" {
			end(a.Result, Completed)
			return
		}
	}
	if !f.Now.Before(h.Until) {
		end(h.Default, TimedOut)
	}
}

// mayStay says whether a hook of the way out may keep the instance: not one
// that a task named, nor one whose pool is deleted.
func (f Facts) mayStay(h *Hook) bool {
	m := f.Record.Mark
	return h.Way == WayOut && m != nil && m.Task == "" && !m.Emptying
}

// endOthers ends what still holds the instance where one of them was ended by
// more than Continue.
func endOthers(hooks []Hook, now time.Time) {
	n := slices.IndexFunc(hooks, func(h Hook) bool { return h.Result != "" && h.Result != Continue })
	if n < 0 {
		return
	}
	for k := range hooks {
		if h := &hooks[k]; h.Result == "" {
			h.Result, h.End, h.EndedBy = hooks[n].Result, now, OtherHook
		}
	}
}

// held is until when hooks hold it on the way that it is on, at the earliest;
// ok is false where none does.
func (f Facts) held() (at time.Time, ok bool) {
	way := WayIn
	if f.Record.Mark != nil {
		way = WayOut
	}
	if !f.moves() {
		return at, false
	}
	for _, h := range f.Record.Hooks {
		if h.Way == way && h.Result == "" && (!ok || h.Until.Before(at)) {
			at, ok = h.Until, true
		}
	}
	return at, ok
}

// decisive is the hook of a way that ended with a result and ended the others.
func (r Record) decisive(way Way, result Result) (Hook, bool) {
	for _, h := range r.Hooks {
		if h.Way == way && h.Result == result && h.EndedBy != OtherHook {
			return h, true
		}
	}
	return Hook{}, false
}

// abandoned says whether a hook ended its way in.
func (r Record) abandoned() bool {
	_, ok := r.decisive(WayIn, Abandon)
	return ok
}

// hooks writes what holds it where that changed.
func hooks(f Facts) (Step, bool) {
	r := f.Record
	quiet := len(f.Hooks) == 0 && len(r.Hooks) == 0
	if quiet || (r.Mark == nil && !f.arrives()) || slices.Equal(HooksOf(f), r.Hooks) {
		return pass()
	}
	return do(WriteHooks, "")
}

// arrives says whether it is past its start, or is now, so that its start and
// its hooks are one write.
func (f Facts) arrives() bool {
	running := f.Sweep.Present && f.Sweep.Ours && f.Sweep.Status == CloudRunning
	return !f.Record.Running.IsZero() || running || f.node().Ready
}

// abandons gives an instance up whose way in a hook ended.
func abandons(f Facts) (Step, bool) {
	r := f.Record
	h, ok := r.decisive(WayIn, Abandon)
	if !ok || r.Mark != nil || !r.Failed.IsZero() {
		return pass()
	}
	if h.EndedBy == TimedOut {
		return Step{Kind: MarkFailed, Code: fault.HookTimedOut, Hook: h.Name,
			Reason: fmt.Sprintf("lifecycle hook %s was not completed in time, and its default result is Abandon", h.Name)}, true
	}
	return Step{Kind: MarkFailed, Code: fault.HookAbandoned, Hook: h.Name, Reason: fmt.Sprintf("lifecycle hook %s was completed with Abandon", h.Name)}, true
}

// rolledBack keeps one whose leaving a hook rolled back.
func (f Facts) rolledBack() (Step, bool) {
	h, ok := f.Record.decisive(WayOut, Rollback)
	return Step{Kind: TakeMarkBack, Protect: true, Reason: "lifecycle hook " + h.Name + " rolled it back; it is protected from now on"}, ok
}
