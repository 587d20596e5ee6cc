package scaling

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Why is why a group is not at its desired number, and what comes next.
type Why struct {
	// Short is how many are missing; negative: too many.
	Short int
	// Code of what stands in the way; empty where nothing failed.
	Code fault.Code
	// Place that it speaks of, as in Reason.
	Place fault.Place
	// Sentence tells it, without a full stop.
	Sentence string
	// Since is when it began, Next when the next try is due; zero where not
	// known, or where an event decides.
	Since, Next time.Time
	// NextStep is what is tried next.
	NextStep string
	// Edit is the smallest edit, or the one thing outside, that would help, as
	// fault.Entry.Solution writes it, for AdviceFor to fill. Empty where nothing
	// has to be done.
	Edit string
	// Count is how often the cause came in a row; Held is true where it is only
	// tried now and then; Burnt is what the tries cost. Unit: millionths of the
	// currency.
	Count int
	Held  bool
	Burnt int64
	// OnWord is true where nothing is tried until a person says so.
	OnWord bool
}

// Explain says why a group is not at its number; ok is false where it is, and
// nothing stands in the way.
func Explain(s Snapshot, d Decision) (w Why, ok bool) {
	w.Short = s.Desired - d.Counted
	if w.Short == 0 && d.Empty() && len(d.Blocked) == 0 {
		return Why{}, false
	}
	w.Next = d.Wake
	switch {
	case !d.Empty():
		w.Sentence, w.NextStep = d.Cause, nextStep(d)
	case len(d.Blocked) > 0:
		w.because(s, d)
	case s.Busy:
		w.Sentence, w.NextStep = "an activity is under way", "what is missing when it ends is decided then"
	case s.Uncertain > 0 && w.Short > 0:
		w.Code, w.Edit = fault.CloudNoAnswer, "nothing: what it made is found by its tag, and what is missing then is created"
		w.Sentence = fmt.Sprintf("a call whose answer was lost may have made %s", some(s.Uncertain, "instance"))
		w.NextStep = "the cloud is searched for them by tag"
	case w.Short < 0:
		w.Sentence = some(-w.Short, "instance") + " too many, not yet shown by a look at the cloud"
		w.NextStep = "they are released when they were seen"
	default:
		w.Sentence, w.NextStep = "instances are on their way", "the next look at the cloud decides"
	}
	return w, true
}

// because takes over the first reason.
func (w *Why) because(s Snapshot, d Decision) {
	r := d.Blocked[0]
	w.Code, w.Place, w.Sentence, w.OnWord = r.Code, r.Place, r.Text, r.OnWord
	for _, other := range d.Blocked {
		w.Held = w.Held || other.Held
		w.Count = max(w.Count, other.Count)
		w.Burnt += other.Burnt
		if sooner(other.Since, w.Since) {
			w.Since = other.Since
		}
		if other.Until.After(s.Now) && sooner(other.Until, w.Next) {
			w.Next = other.Until
		}
	}
	w.Edit = edit(s, r)
	switch {
	case r.Code == fault.OnlyKeptInstances:
		w.NextStep = "they are released when they are no longer kept"
	case r.Next != "":
		w.NextStep = r.Next
	case r.OnWord:
		w.NextStep = "nothing is tried until a person lets a machine join again, or has it replaced"
	case r.Ceiling != "":
		w.NextStep = "it goes on when the ceiling leaves room"
	case misfit(d.Blocked):
		w.NextStep = "an edit of the pool is tried at once; without one, what fits is looked up again"
	case !w.Next.IsZero() && fault.Lookup(r.Code).Scope == fault.ScopeCluster:
		w.NextStep = "the API server is asked again"
	case !w.Next.IsZero() || slices.ContainsFunc(d.Blocked, func(r Reason) bool { return expires(r.Code) }):
		w.NextStep = askedAgain
	default:
		w.NextStep = nothingTried
	}
}

const (
	askedAgain   = "the resource pools are asked again"
	nothingTried = "nothing is tried until that changes"
)

// misfit says whether only an edit is expected to help: nothing was refused,
// but settings do not go together.
func misfit(list []Reason) bool {
	for _, r := range list {
		kind := fault.Lookup(r.Code).Scope
		fits := kind == fault.ScopeTypeImage || kind == fault.ScopeTypeDisk || kind == fault.ScopeType
		if !fits || r.Count > 0 || fault.Lookup(r.Code).Retry.Kind != fault.RetryEdit {
			return false
		}
	}
	return len(list) > 0
}

// expires says whether time alone may mend what a code speaks of.
func expires(c fault.Code) bool {
	k := fault.Lookup(c).Retry.Kind
	return c != "" && k != fault.RetryEdit && k != fault.RetryNever
}

// addVSwitch is how a pool is given another zone to choose from.
const addVSwitch = "a vSwitch in another zone<: poolkeeper pool edit POOL --add-vswitch {otherVSwitch}>"

// edit is the smallest thing that would help, for the catalogue to fill.
func edit(s Snapshot, r Reason) string {
	if r.Edit != "" {
		return r.Edit
	}
	switch r.Code {
	case "":
		return ""
	case fault.OnlyKeptInstances:
		return s.waysOut(r.Names)
	case fault.InstanceTypeNoStock, fault.NoStock:
		if len(zonesOf(s.Pools)) < 2 {
			return "add " + addVSwitch + "; or another instance type"
		}
		return "add another instance type, or " + addVSwitch
	}
	return fault.Lookup(r.Code).Solution
}

// waysOut says what a person can do for each of some kept instances.
func (s Snapshot) waysOut(names []string) string {
	const most = 5
	var ways []string
	for _, name := range names[:min(len(names), most)] {
		if i, ok := s.find(name); ok {
			ways = append(ways, name+": "+WayOut(name, i.Kept))
		}
	}
	if n := len(names) - most; n > 0 {
		ways = append(ways, fmt.Sprintf("%d more alike", n))
	}
	return strings.Join(ways, "; ")
}

// nextStep is what a decision does.
func nextStep(d Decision) string {
	switch {
	case len(d.CallBack) > 0:
		return some(len(d.CallBack), "instance") + " called back"
	case d.Create > 0:
		return some(d.Create, "instance") + " created"
	case len(d.Release) > 0:
		return some(len(d.Release), "instance") + " released"
	case len(d.TakeOut) > 0:
		return some(len(d.TakeOut), "instance") + " taken out"
	}
	return some(len(d.BringIn), "instance") + " brought in"
}
