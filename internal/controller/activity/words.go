package activity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// The bounds of texts in our statuses. Unit: bytes.
const (
	maxText    = 1000
	maxReason  = 250
	maxAnswers = 20
)

func stamp(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }

// finish ends an activity: it sends nothing more from here on. A why says what
// stopped it before it was through.
func (w *run) finish(ctx context.Context, code, why string) error {
	s := &w.a.Status
	if p := w.open(); p != nil {
		w.giveUp(p, why)
	}
	w.begin()
	s.EndTime, s.Done = stamp(w.Now()), true
	s.Code, s.Message = code, clip(why, maxText)
	s.State = outcome(w.a)
	for _, p := range s.Pieces {
		if p.Code != "" && code == "" && s.State != api.ActivitySuccessful {
			s.Code = p.Code
		}
	}
	return w.write(ctx)
}

// outcome is the final state: all, part or nothing of what was decided.
func outcome(a *api.ScalingActivity) api.ActivityState {
	wanted := int(a.Spec.Create) + len(a.Spec.Release) + len(a.Spec.TakeOut) + len(a.Spec.BringIn)
	got := int(created(a)) + len(a.Status.Marked)
	short := a.Status.Message != "" || len(a.Status.LeftOut) > 0 ||
		slices.ContainsFunc(a.Status.Pieces, func(p api.Piece) bool { return p.Code != "" || len(p.Instances) < int(p.Amount) })
	uncertain := slices.ContainsFunc(a.Status.Pieces, func(p api.Piece) bool { return p.Unsure() })
	switch {
	case got >= wanted, !short && !uncertain: // all of it, or less was wanted in the end
		return api.ActivitySuccessful
	case got == 0 && !uncertain:
		return api.ActivityFailed
	}
	return api.ActivityWarning
}

// created is how many instances the pieces made.
func created(a *api.ScalingActivity) int32 {
	n := 0
	for _, p := range a.Status.Pieces {
		n += len(p.Instances)
	}
	return int32(n)
}

// summary tells the results, candidate by candidate, in the order of asking.
func summary(a *api.ScalingActivity) string {
	var parts []string
	for c := range a.Spec.Candidates {
		made, uncertain, code := 0, 0, ""
		asked := false
		for _, p := range a.Status.Pieces {
			if int(p.Candidate) != c {
				continue
			}
			asked = true
			made += len(p.Instances)
			if p.Unsure() {
				uncertain += int(p.Amount)
			}
			if p.Code != "" {
				code = p.Code
			}
		}
		if !asked {
			continue
		}
		s := fmt.Sprintf("%s: %d created", placeWord(&a.Spec.Candidates[c]), made)
		if uncertain > 0 {
			s += fmt.Sprintf(", %d unsure (looked for by tag)", uncertain)
		}
		if code != "" {
			s += ", then " + fault.Code(code).Brief()
		}
		parts = append(parts, s)
	}
	parts = append(parts, dealt(a)...)
	for _, l := range a.Status.LeftOut {
		parts = append(parts, fmt.Sprintf("%s left out: %s", l.Instance, l.Reason))
	}
	return clip(strings.Join(parts, "; "), 2000)
}

// placeWord is a candidate as it stands in a summary.
func placeWord(c *api.Candidate) string {
	if c.ChargeType == api.ChargeSpot {
		return c.VSwitch + "/" + c.InstanceType + " as spot"
	}
	return c.VSwitch + "/" + c.InstanceType
}

// dealt tells how many of the instances that the activity names were dealt with,
// and how.
func dealt(a *api.ScalingActivity) []string {
	done := map[string]bool{}
	for _, id := range a.Status.Marked {
		done[id] = true
	}
	var parts []string
	tell := func(names []string, how string) {
		names = slices.DeleteFunc(names, func(id string) bool { return !done[id] })
		if n := len(names); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, how))
		}
	}
	tell(namesOf(a.Spec.Release), "marked to be released")
	tell(namesOf(a.Spec.TakeOut), "marked to be taken out")
	tell(slices.Clone(a.Spec.BringIn), "brought in")
	return parts
}

func namesOf(list []api.Leaving) []string {
	names := make([]string, 0, len(list))
	for _, l := range list {
		names = append(names, l.Instance)
	}
	return names
}

// asScaling is the activity as the planner reads it.
func asScaling(a *api.ScalingActivity) scaling.Activity {
	out := scaling.Activity{Create: int(a.Spec.Create), StrictBalance: a.Spec.StrictBalance}
	for _, c := range a.Spec.Candidates {
		out.Candidates = append(out.Candidates, scaling.Candidate{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType,
			ChargeType: scaling.ChargeType(c.ChargeType), Share: int(c.Share), ShareWith: c.ShareWith, Disk: c.Disk})
	}
	for _, p := range a.Status.Pieces {
		out.Pieces = append(out.Pieces, scaling.Piece{Candidate: int(p.Candidate), Amount: int(p.Amount),
			Created: len(p.Instances), Code: fault.Code(p.Code)})
	}
	return out
}

// clip cuts a text to at most n bytes at a rune's end.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "..."
}
