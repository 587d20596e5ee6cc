package lifecycle

import (
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// emptyEnough is how many lists in a row must show nothing of ours before that
// is believed, where more than one instance is on record.
const emptyEnough = 10

// Next returns what is to be done about one instance now.
func Next(f Facts) Step {
	for _, part := range []func(Facts) (Step, bool){removed, gone, untagged, disowned, seen, hooks, runs, serves, abandons, backAgain, leaves, joins, states} {
		if s, ok := part(f); ok {
			return s
		}
	}
	return Step{Kind: Wait, Until: f.wake()}
}

func until(t time.Time) (Step, bool)        { return Step{Kind: Wait, Until: t}, true }
func do(k Kind, reason string) (Step, bool) { return Step{Kind: k, Reason: reason}, true }
func pass() (Step, bool)                    { return Step{}, false }

// lookFirst is a look by id where this pass made none yet.
func (f Facts) lookFirst() (Step, bool) {
	return Step{Kind: LookByID}, !f.Look.Made
}

// removed looks after one that was taken out: its Node does not come back, and
// our tags stay off, since tag calls may land as late as a signature lives.
func removed(f Facts) (Step, bool) {
	if f.Record.State != Removed {
		return pass()
	}
	switch n := f.node(); {
	case f.Hold != "":
		return until(time.Time{})
	case f.Record.cameBack():
		return do(BeginAnew, "it was brought in again")
	case n.Exists && !n.Cordoned:
		return do(Cordon, "it was taken out of the pool: stop its kubelet")
	case n.Exists:
		return do(DeleteNode, "it was taken out of the pool: stop its kubelet")
	case f.Look.Made && f.Look.Found && f.Look.Ours:
		return do(Untag, "it was taken out")
	case !f.Look.Made && f.Sweep.Present && f.Sweep.Ours:
		return f.lookFirst()
	case f.Record.NodeState == NodeReady || f.Record.NodeState == NodeNotReady:
		return do(WriteState, "")
	}
	return until(time.Time{})
}

// cameBack says whether one that was taken out was brought in again since: that
// takes off the mark, or the word, by which it left.
func (r Record) cameBack() bool { return r.Origin == Attached && r.Mark == nil && !r.Disown }

// gone ends the record of one that two complete sweeps in a row missed and a
// look by its id does not find (rules 12 and 16). That of a creation which
// failed for lack of stock stays until its group remembers that, so that the
// same resource pool is not asked again at once. As long as a new one may be
// invisible, one that ran is not believed gone, and no record goes (decision 0024).
func gone(f Facts) (Step, bool) {
	if f.Sweep.Present || f.Sweep.Began.IsZero() {
		return pass()
	}
	at, ok := f.visible()
	if !ok {
		return pass()
	}
	// Until then one part of the cloud may show it and another not yet.
	young := f.Now.Before(at) && f.Record.ReleaseSent.IsZero() && f.Record.Origin != Attached
	empty := f.Sweep.Empty > 0 && f.Sweep.Empty < emptyEnough && f.Sweep.Recorded > 1 && f.Record.ReleaseSent.IsZero()
	few := f.Sweep.Missed < 2 || empty || young && f.Record.ran()
	guarded := f.Freeze.Replacements && f.Record.Mark == nil && !f.Record.Running.IsZero()
	if few || guarded || f.Hold != "" {
		if f.Sweep.Missed > 0 && f.Record.ReleaseSent.IsZero() {
			return until(time.Time{}) // nothing is done about one that may be gone
		}
		return pass()
	}
	if f.Record.NeverRan && !f.Remembered {
		return until(f.Now.Add(f.Waits.Retry))
	}
	if f.Record.NeverRan && young {
		return until(at)
	}
	if s, ok := f.lookFirst(); ok {
		return s, true
	}
	why := f.whyGone()
	switch {
	case f.Look.Found:
		return pass()
	case f.node().Exists:
		return do(DeleteNode, "its instance is gone")
	case why == GoneNoStock && !f.Record.NeverRan:
		return Step{Kind: MarkFailed, Code: fault.NoStock, Reason: "it vanished before it ran"}, true
	}
	return Step{Kind: DeleteRecord, Gone: why}, true
}

// visible says whether it must be visible by now, and since when. When it was
// created is by another clock than ours, which may be ahead by the margin.
func (f Facts) visible() (time.Time, bool) {
	at := f.Record.Created.Add(f.Waits.Visibility + f.Waits.ClockMargin)
	if seen := f.Record.Seen.Add(f.Waits.Visibility + 2*f.Waits.ClockMargin); !f.Record.Seen.IsZero() && seen.Before(at) {
		at = seen // written by an earlier process, whose clock may be off the other way
	}
	return at, !f.Record.Seen.IsZero() || !f.Now.Before(at)
}

func (f Facts) whyGone() Gone {
	r := f.Record
	switch {
	case !r.ReleaseSent.IsZero():
		return GoneReleased
	case r.NeverRan, !r.ran() && r.Origin != Attached && f.Now.Sub(r.Created) <= f.Waits.StartDeadline:
		return GoneNoStock
	case !r.Expiry.IsZero() && !f.Now.Before(r.Expiry):
		return GoneExpired
	case r.Recalled:
		return GoneTakenBack
	}
	return GoneVanished
}

// untagged is one that sweeps show without our tags: taken out by somebody
// (rule 17), or attached so lately that an old untag call took them off.
func untagged(f Facts) (Step, bool) {
	r := f.Record
	if !f.Sweep.Present || f.Sweep.Ours || r.Origin == UnknownOrigin || r.Mark != nil {
		return pass()
	}
	back := r.Origin == Attached && !r.TagsSure
	if !back && f.Sweep.Empty > 0 && f.Sweep.Empty < emptyEnough && f.Sweep.Recorded > 1 {
		return until(time.Time{}) // the others do not show theirs either
	}
	if f.Hold != "" || (!back && (f.Sweep.Untagged < 2 || f.Freeze.Replacements)) {
		return until(time.Time{})
	}
	if s, ok := f.lookFirst(); ok {
		return s, true
	}
	switch {
	case !f.Look.Found || f.Look.Ours:
		return until(time.Time{})
	case back:
		return do(PutTagsBack, "an earlier untag call took them off")
	}
	return Step{Kind: DeleteRecord, Gone: GoneTakenOut, Reason: "it was taken out of the group by somebody else"}, true
}

// disowned takes one of unknown origin out, by a person's word.
func disowned(f Facts) (Step, bool) {
	r := f.Record
	if r.Origin != UnknownOrigin || !r.Disown || r.Mark != nil || f.Hold != "" {
		return pass()
	}
	if s, ok := f.lookFirst(); ok {
		return s, true
	}
	if !f.Look.Found {
		return until(time.Time{}) // the sweeps will tell that it is gone
	}
	return do(WriteRemoved, "it was disowned")
}

// seen is the first look by id, made when it runs or is late to, so that both
// are one write; and for an attached one the look that makes sure of its tags.
func seen(f Facts) (Step, bool) {
	r := f.Record
	sure := r.Origin == Attached && !r.TagsSure && !f.Now.Before(r.Created.Add(f.Waits.SignatureLife+f.Waits.TagsSure))
	if !f.Sweep.Present || !f.Sweep.Ours || (!r.Seen.IsZero() && !sure) {
		return pass()
	}
	starts := f.Sweep.Status == CloudPending || f.Sweep.Status == CloudStarting
	if starts && r.waitsToJoin() && !f.Overdue() {
		return pass()
	}
	if s, ok := f.lookFirst(); ok {
		return s, true
	}
	switch {
	case !f.Look.Found || !f.Look.Ours:
		return until(time.Time{})
	case r.Seen.IsZero():
		return do(WriteSeen, "")
	}
	return do(WriteTagsSure, "")
}

// runs is the first time that it is seen running, or with another address.
func runs(f Facts) (Step, bool) {
	w := f.Sweep
	if !w.Present || !w.Ours || w.Status != CloudRunning {
		return pass()
	}
	if f.Record.Running.IsZero() || (w.Address != "" && w.Address != f.Record.Address) {
		return do(WriteRunning, "")
	}
	return pass()
}

// serves is the first time that its Node is Ready, in time or late.
func serves(f Facts) (Step, bool) {
	r := f.Record
	if !f.node().Ready || !r.Joined.IsZero() || r.Origin == UnknownOrigin || !r.ReleaseSent.IsZero() || r.abandoned() {
		return pass()
	}
	return do(MarkInService, "")
}

// backAgain uncordons one whose mark was taken off, where it was us who
// cordoned it. Where the required drain of a chosen node stopped at its limit
// the cordon stays until a person takes it off.
func backAgain(f Facts) (Step, bool) {
	r := f.Record
	switch {
	case r.Mark != nil || f.Hold != "":
		return pass()
	case r.DrainStopped && f.node().Exists && !f.node().Cordoned:
		return do(ForgetDrain, "a person uncordoned it")
	case r.DrainStopped && !r.DrainStart.IsZero():
		return do(LeaveCordoned, "its drain stopped at its limit")
	case r.DrainStopped || (r.DrainStart.IsZero() && !f.node().CordonedByUs):
		return pass()
	}
	return do(Uncordon, "it stays after all")
}

// joins waits for the start and the join, reads the log of a late machine, and
// gives up at the deadline or when the machine itself says that it failed.
func joins(f Facts) (Step, bool) {
	r := f.Record
	if r.NeverRan && f.Sweep.Present && r.Mark == nil {
		return Step{Kind: MarkFailed, Code: fault.StartInstanceFailed, Reason: "it came back after it had vanished, and does not run"}, true
	}
	if !r.waitsToJoin() {
		return pass()
	}
	deadline := f.deadline()
	switch {
	case f.Log.Failed && !r.Running.IsZero() && !f.Log.Tried.Before(f.joinBegan()):
		return Step{Kind: MarkFailed, Code: f.notJoined(), Reason: "the machine says that it failed"}, true
	case f.Now.Before(deadline) && !f.logDue():
		return pass()
	case r.Running.IsZero():
		return Step{Kind: MarkFailed, Code: fault.StartInstanceFailed, Reason: "it never ran"}, true
	case f.logDue():
		return do(ReadConsole, "it is late")
	}
	return Step{Kind: MarkFailed, Code: f.notJoined(), Reason: "the join deadline passed"}, true
}

// notJoined is the code of a machine that ran and did not join.
func (f Facts) notJoined() fault.Code {
	if f.Log.Denied {
		return fault.NodeAccessDenied
	}
	return fault.FailedJoinCluster
}

// failed says whether its join was given up, and no person let it join again.
func (r Record) failed() bool { return !r.Failed.IsZero() && !r.Failed.Before(r.Rejoin) }

func (r Record) ran() bool { return !r.Running.IsZero() || !r.Joined.IsZero() }

func (r Record) waitsToJoin() bool {
	return r.Mark == nil && r.Joined.IsZero() && !r.failed() && (r.Origin == AutoCreated || r.Origin == "")
}

// joinBegan is from when the join counts: running, or a person's later word.
func (f Facts) joinBegan() time.Time {
	if f.Record.Rejoin.After(f.Record.Running) {
		return f.Record.Rejoin
	}
	return f.Record.Running
}

// deadline is when its join is given up, or its start where it does not run.
func (f Facts) deadline() time.Time {
	if f.Record.Running.IsZero() {
		return f.Record.Created.Add(f.Waits.StartDeadline)
	}
	d := f.Record.JoinDeadline
	if d <= 0 {
		d = f.Waits.JoinDeadline
	}
	return f.joinBegan().Add(d)
}

// Overdue says whether its join, or its start, is past its deadline.
func (f Facts) Overdue() bool { return !f.Now.Before(f.deadline()) }

// JoinBegan is from when its join counts.
func (f Facts) JoinBegan() time.Time { return f.joinBegan() }

// logDue says whether the log is to be read now: from when it is late at
// intervals, and once more at the deadline.
func (f Facts) logDue() bool {
	return !f.Record.Running.IsZero() && !f.Now.Before(f.nextLog())
}

// nextLog is when the log is to be read next.
func (f Facts) nextLog() time.Time {
	next := f.joinBegan().Add(f.Waits.JoinLate)
	if !f.Log.Tried.Before(next) {
		next = f.Log.Tried.Add(f.Waits.JoinLogAgain)
	}
	if end := f.deadline(); f.Log.Tried.Before(end) && next.After(end) {
		next = end
	}
	return next
}

// states writes what people read, where it changed and nothing else is to be
// done.
func states(f Facts) (Step, bool) {
	state, node := f.Record.State, f.Record.NodeState
	if state == "" && node == "" { // nothing was written yet: it is coming
		state, node = Pending, NodeJoining
	}
	if f.Sweep.Began.IsZero() || (StateOf(f) == state && NodeStateOf(f) == node) {
		return pass()
	}
	return do(WriteState, "")
}

// wake is when something becomes due by time alone; zero where an event tells.
func (f Facts) wake() time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if t.After(f.Now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	r := f.Record
	if r.waitsToJoin() {
		sooner(f.deadline())
		if !r.Running.IsZero() {
			sooner(f.nextLog())
		}
	}
	if r.Origin == Attached && !r.TagsSure {
		sooner(r.Created.Add(f.Waits.SignatureLife + f.Waits.TagsSure))
	}
	if v, ok := f.visible(); !ok && !f.Sweep.Present {
		sooner(v)
	}
	if end, held := f.held(); held {
		sooner(end)
	}
	return at
}
