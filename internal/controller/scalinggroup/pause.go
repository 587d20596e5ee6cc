package scalinggroup

import (
	"slices"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view/snapshot"
)

// pause puts off what was just tried in vain: the requests could not be written
// down, or activities ended without anything done.
func (g *group) pause(d scaling.Decision) scaling.Decision {
	if d.Empty() || len(d.CallBack) > 0 {
		return d
	}
	var reason scaling.Reason
	if why := g.kept.stuckNow(g); why != nil && (why.all || d.Create > 0) {
		reason = why.reason
		reason.Until = why.until
	} else if until, text := g.inVain(d); !until.IsZero() {
		reason = scaling.Reason{Text: text, Until: until}
	} else {
		return d
	}
	return scaling.Decision{Blocked: append([]scaling.Reason{reason}, d.Blocked...), Wake: reason.Until,
		Counted: d.Counted, Missing: d.Missing, Imbalance: d.Imbalance}
}

// inVain is until when a decision waits because the newest activities, just
// ended, were to do the same and did nothing; zero where that is not so. The
// wait doubles with each of them, up to a bound.
func (g *group) inVain(d scaling.Decision) (until time.Time, text string) {
	wait := time.Duration(0)
	for n := len(g.activities) - 1; n >= 0; n-- {
		a := &g.activities[n]
		if !snapshot.Ours(g.g, a.Spec.GroupUID) || !didNothing(a) {
			break
		}
		if wait == 0 && !again(a, d) {
			return time.Time{}, ""
		}
		wait = min(max(2*wait, g.Waits.Retry), g.Waits.RetryMost)
	}
	if wait == 0 {
		return time.Time{}, ""
	}
	a := &g.activities[len(g.activities)-1]
	if until = a.Status.EndTime.Add(wait); !until.After(g.now) {
		return time.Time{}, ""
	}
	return until, "the last activity ended without anything done" + because(a)
}

// didNothing says whether an activity ended, asked for nothing that was
// answered, and marked nothing.
func didNothing(a *api.ScalingActivity) bool {
	st := &a.Status
	answered := slices.ContainsFunc(st.Pieces, func(p api.Piece) bool {
		return p.State != api.PieceResolved || p.Code != "" || len(p.Instances) > 0
	})
	return st.Done && st.EndTime != nil && !answered && len(st.Marked) == 0
}

// again says whether a decision is what an activity was to do: to create, or to
// deal with instances that it left out.
func again(a *api.ScalingActivity, d scaling.Decision) bool {
	if d.Create > 0 {
		return a.Spec.Create > 0
	}
	out := map[string]bool{}
	for _, l := range a.Status.LeftOut {
		out[l.Instance] = true
	}
	names := slices.Clone(d.BringIn)
	for _, c := range slices.Concat(d.Release, d.TakeOut) {
		names = append(names, c.Name)
	}
	return !slices.ContainsFunc(names, func(name string) bool { return !out[name] })
}

// because is what an activity said of why it did nothing.
func because(a *api.ScalingActivity) string {
	switch st := &a.Status; {
	case st.Message != "":
		return ": " + st.Message
	case len(st.LeftOut) > 0:
		return ": " + st.LeftOut[0].Instance + " was left out: " + st.LeftOut[0].Reason
	}
	return ""
}
