package lifecycle

import "time"

// leaves drains what was decided to go, while its lifecycle hooks hold it too,
// then takes a last look at it by its id, and releases it or takes it out
// (rules 10 to 12 and 14).
func leaves(f Facts) (Step, bool) {
	mark := f.Record.Mark
	switch {
	case mark == nil:
		return pass()
	case f.Hold != "":
		return f.orStates(Step{Kind: Wait, Reason: f.Hold})
	case !f.Record.ReleaseSent.IsZero():
		return releases(f)
	}
	if why := f.keptByRecord(); why != "" {
		return do(TakeMarkBack, why)
	}
	if s, ok := f.rolledBack(); ok {
		return s, true
	}
	switch {
	case f.keptToLookAt() && !f.Record.Joined.IsZero():
		return do(TakeMarkBack, "it joined after all")
	case f.keptToLookAt():
		return f.orStates(Step{Kind: Wait, Until: mark.NotBefore, Reason: "it is kept to look at"})
	case f.Freeze.Releases && !mark.TakeOut:
		return f.orStates(Step{Kind: Wait, Reason: "releases are frozen: too many instances disappeared at once"})
	}
	end, held := f.held()
	s, ok := drains(f)
	switch {
	case ok && held && s.Kind == Wait && (s.Until.IsZero() || end.Before(s.Until)):
		s.Until = end
	case !ok && held:
		return f.orStates(Step{Kind: Wait, Until: end, Reason: "a lifecycle hook holds it"})
	case !ok:
		return lastLook(f)
	}
	return s, true
}

// keptToLookAt says whether its release is put off: its join was given up, and a
// person may want to see why.
func (f Facts) keptToLookAt() bool {
	return f.Now.Before(f.Record.Mark.NotBefore) && !f.PoolGoes
}

// orStates writes the states where they changed, and else waits as it is told.
func (f Facts) orStates(wait Step) (Step, bool) {
	if s, ok := states(f); ok {
		return s, true
	}
	return wait, true
}

// releases makes the release call, and again while the instance is shown; then
// its Node goes. "Not found" is success, so a restart may repeat it. What its
// Node does meanwhile is written no more.
func releases(f Facts) (Step, bool) {
	again := f.LastRelease.Add(f.Waits.ReleaseAgain)
	switch {
	case f.LastRelease.IsZero():
		return do(Release, "")
	case f.node().Exists:
		return do(DeleteNode, "its instance is released")
	case !f.Sweep.Present || !f.Sweep.Began.After(f.LastRelease):
		return until(time.Time{})
	case f.Now.Before(again):
		return until(again)
	}
	return do(Release, "it is still shown")
}

// drains is the next thing to do for the drain; none where there is nothing to
// drain, or no more.
func drains(f Facts) (Step, bool) {
	r, m := f.Record, f.Record.Mark
	ours := r.DrainFor == m.Activity // else it is what an earlier mark left
	if m.Drain == DrainOff || m.Drain == "" || !f.node().Exists || (ours && !r.DrainEnd.IsZero()) {
		return pass()
	}
	if !ours || r.DrainStart.IsZero() || !f.Node.Cordoned {
		return do(Cordon, "it is drained before it goes")
	}
	limit := m.Limit
	if limit <= 0 {
		limit = f.Waits.DrainLimit
	}
	end, next := r.DrainStart.Add(limit), f.Drain.Passed.Add(f.Waits.DrainPass)
	switch {
	case f.Drain.Drained && !f.Drain.Passed.Before(r.DrainStart):
		return do(WriteDrainEnd, "no pod is left")
	case !f.Now.Before(end):
		return f.drainLimit(end)
	case f.Now.Before(next):
		if next.After(end) {
			next = end
		}
		return f.orStates(Step{Kind: Wait, Until: next})
	}
	return Step{Kind: DrainPass, Until: end}, true
}

// drainLimit is what comes of a drain at its limit, after a last look at what
// is left. A required one stops there: that of a chosen node for good, its task
// takes it back; that of any other is tried again after the time of what is
// held, since nothing tells when there is room for its pods, and at once while
// its pool is being deleted.
func (f Facts) drainLimit(end time.Time) (Step, bool) {
	r, m := f.Record, f.Record.Mark
	again := f.Drain.Passed.Add(f.Waits.Held)
	if f.PoolGoes {
		again = f.Drain.Passed.Add(f.Waits.DrainPass)
	}
	switch {
	case m.Drain == DrainBestEffort && f.Drain.Passed.Before(end):
		return Step{Kind: DrainPass, Until: end}, true
	case m.Drain == DrainBestEffort:
		return do(WriteDrainEnd, "the limit of the drain passed")
	case r.DrainStopped && m.Task != "":
		return f.orStates(Step{Kind: Wait, Reason: f.blocked()})
	case f.Drain.Passed.Before(end):
		return Step{Kind: DrainPass, Until: end}, true
	case !r.DrainStopped:
		return do(WriteDrainStopped, f.blocked())
	case f.Now.Before(again):
		return f.orStates(Step{Kind: Wait, Until: again, Reason: f.blocked()})
	}
	return do(Cordon, "its drain is tried again")
}

// blocked says what a required drain ended for, at its limit.
func (f Facts) blocked() string {
	const over = "the limit of the required drain passed: the node stays, cordoned"
	if f.Drain.Blocked == "" {
		return over
	}
	return over + "; it waits for " + f.Drain.Blocked
}

// lastLook is the look by id before anything irrevocable: one that became a
// kept one gives its mark back.
func lastLook(f Facts) (Step, bool) {
	m := f.Record.Mark
	if f.Sweep.Present && !m.TakeOut && (f.Sweep.Status == CloudPending || f.Sweep.Status == CloudStarting) {
		return f.orStates(Step{Kind: Wait, Until: f.Now.Add(f.Waits.SweepBusy), Reason: "it is starting and cannot be released yet"})
	}
	if s, ok := f.lookFirst(); ok {
		return s, true
	}
	if !f.Look.Found {
		return f.orStates(Step{Kind: Wait}) // the sweeps will tell that it is gone
	}
	if why := f.keptByLook(); why != "" && !m.TakeOut {
		return do(TakeMarkBack, why)
	}
	if m.TakeOut {
		return do(WriteRemoved, "")
	}
	return do(WriteReleaseSent, "")
}

// keptByRecord says why what is written of a marked instance keeps it from
// being released; what is only taken out may go.
func (f Facts) keptByRecord() string {
	r, m := f.Record, f.Record.Mark
	byTask := m.Task != "" && r.HeldBy == m.Task || m.Emptying
	switch {
	case m.TakeOut:
		return ""
	case r.HeldBy != "" && !byTask:
		return "held by another task"
	case r.Protected && !byTask:
		return "protected"
	case r.Standby && !byTask:
		return "standby"
	case r.Origin == Attached && !m.ManageAttached:
		return "attached"
	case r.Origin != Attached && r.Origin != AutoCreated && r.Origin != "":
		return "unknown origin"
	}
	return ""
}

// keptByLook says why the look by id shows that it may not be released.
func (f Facts) keptByLook() string {
	switch {
	case !f.Look.Ours:
		return "without our tags"
	case f.Look.Subscription:
		return "subscription"
	case f.Look.ReleaseProtected:
		return "release-protected"
	}
	return ""
}
