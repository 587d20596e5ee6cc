package scaling

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// plan is one decision in the making.
type plan struct {
	s   Snapshot
	d   Decision
	out map[string]bool // named by a transfer on its way out
	in  map[string]bool // and in
	// zones is how many instances each zone has, those that may be coming
	// included.
	zones map[string]int
	seen  int // of the counted
	// waits say that machines which failed wait to be replaced.
	waits []Reason
}

// Plan returns what the group does next.
func Plan(s Snapshot) Decision {
	p := count(s)
	switch {
	case s.Frozen != "":
		p.block(Reason{Text: s.Frozen})
		return p.d
	case p.unknownMany(), s.Busy:
		return p.d
	}
	parts := []func(*plan){(*plan).takenBack, (*plan).named, (*plan).failed, (*plan).unhealthy}
	if s.Emptying {
		parts = []func(*plan){(*plan).takenBack, (*plan).named, (*plan).empty}
	}
	for _, part := range parts {
		if part(p); !p.d.Empty() {
			return p.d
		}
	}
	if s.Emptying {
		return p.d
	}
	switch excess := p.seen - s.Desired; {
	case p.d.Missing > 0:
		p.scaleOut()
	case excess > 0:
		if excess -= p.surging(); excess > 0 {
			p.scaleIn(excess)
		}
	case s.Rebalance:
		p.rebalance()
	}
	if p.d.Empty() {
		for _, r := range p.waits {
			p.block(r)
			if sooner(r.Until, p.d.Wake) {
				p.d.Wake = r.Until
			}
		}
	}
	return p.d
}

// count reckons what is there (rule 3): recorded instances that nobody decided
// to release, those on their way out not, those on their way in once, with or
// without a record.
func count(s Snapshot) *plan {
	s.Instances, s.Transfers, s.Refusals = slices.Clone(s.Instances), slices.Clone(s.Transfers), slices.Clone(s.Refusals)
	slices.SortFunc(s.Instances, func(a, b Instance) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Transfers, func(a, b Transfer) int { return cmp.Compare(a.Instance, b.Instance) })
	slices.SortFunc(s.Refusals, func(a, b Refusal) int {
		return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code))
	})
	p := &plan{s: s, out: map[string]bool{}, in: map[string]bool{}, zones: map[string]int{}}
	for _, t := range s.Transfers {
		p.out[t.Instance], p.in[t.Instance] = !t.In, t.In
	}
	absent := 0 // on their way in, and not counted by a record of their own
	for name, in := range p.in {
		if in && !slices.ContainsFunc(s.Instances, func(i Instance) bool { return i.Name == name && i.counted() }) {
			absent++
		}
	}
	p.d.Counted = absent
	for _, i := range s.Instances {
		if !p.counts(i) {
			continue
		}
		p.d.Counted++
		p.zones[i.Zone]++
		if i.Seen {
			p.seen++
		}
	}
	p.d.Missing = s.Desired - p.d.Counted - s.Uncertain
	p.d.Imbalance = p.imbalance()
	for z, n := range s.UncertainByZone {
		p.zones[z] += n
	}
	return p
}

// counts says whether an instance counts by its own record.
func (p *plan) counts(i Instance) bool { return i.counted() && !p.out[i.Name] }

// block adds a reason; a code is told once.
func (p *plan) block(r Reason) {
	if r.Code == "" || !slices.ContainsFunc(p.d.Blocked, func(b Reason) bool { return b.Code == r.Code }) {
		p.d.Blocked = append(p.d.Blocked, r)
	}
}

func (s Snapshot) find(name string) (Instance, bool) {
	n := slices.IndexFunc(s.Instances, func(i Instance) bool { return i.Name == name })
	if n < 0 {
		return Instance{}, false
	}
	return s.Instances[n], true
}

// unknownMany stops everything while too many instances are of unknown origin.
func (p *plan) unknownMany() bool {
	r, many := UnknownMany(p.s)
	if many {
		p.block(r)
	}
	return many
}

// UnknownMany says whether more instances of unknown origin are there than 3 or
// a fifth of the expected number, or any whose record was lost, or any at all
// where a new group has none of its own yet: a lost store, or an installation
// that is made again, would otherwise build the fleet a second time (rule 18).
func UnknownMany(s Snapshot) (Reason, bool) {
	var names []string
	lost, own := false, false
	for _, i := range s.Instances {
		if i.Unknown && !i.Removed {
			names = append(names, i.Name)
			lost = lost || i.Lost
		}
		own = own || !i.Unknown
	}
	lost = lost || s.New && !own && len(names) > 0
	if len(names) <= max(3, s.Desired/5) && !lost {
		return Reason{}, false
	}
	slices.Sort(names)
	carry := " carry"
	if len(names) == 1 {
		carry = " carries"
	}
	return Reason{Names: names,
		Text: some(len(names), "instance") + carry + " our tags and nobody knows why: nothing is created or released until a person decides",
		Edit: "poolkeeper pool adopt POOL --all takes them in, poolkeeper instance disown lets single ones go",
	}, true
}

// takenBack calls back those that a task had marked and whose entry it took
// back since: its drain came to its limit, or it was canceled. The number was
// given back with the entry, so that they count again before anything is
// created in their place (rule 13).
func (p *plan) takenBack() {
	for _, i := range p.s.Instances {
		if i.Task != "" && !i.Marked.IsZero() && !i.ReleaseSent && !i.Removed && !p.s.listed(i) {
			p.d.CallBack = append(p.d.CallBack, i.Name)
		}
	}
	if n := len(p.d.CallBack); n > 0 {
		p.d.Cause = some(n, "instance") + " called back: the task that named them took them back"
	}
}

// listed says whether the task that marked an instance still takes it out.
func (s Snapshot) listed(i Instance) bool {
	return slices.ContainsFunc(s.Transfers, func(t Transfer) bool { return t.Instance == i.Name && t.Task == i.Task && !t.In })
}

// named deals with the entries that tasks wrote, before anything is created. A
// kept one is only taken out.
func (p *plan) named() {
	var blocked []string
	for _, t := range p.s.Transfers {
		i, there := p.s.find(t.Instance)
		c := Chosen{Name: t.Instance, Why: "named by a task", Task: t.Task}
		switch {
		case t.In:
			if !p.s.Emptying && (!there || i.Removed || i.Unknown) {
				p.d.BringIn = append(p.d.BringIn, t.Instance)
			}
		case !there || i.Removed || !i.Marked.IsZero():
		case !t.Release || i.Unknown || (i.Kept != "" && i.Kept != KeptHeld):
			p.d.TakeOut = append(p.d.TakeOut, c)
		case p.s.NoRelease != "":
			blocked = append(blocked, t.Instance)
		default:
			p.d.Release = append(p.d.Release, c)
		}
	}
	if len(blocked) > 0 {
		p.block(Reason{Text: p.s.NoRelease, Names: blocked})
	}
	if !p.d.Empty() {
		p.d.Cause = "named instances"
	}
}

// empty lets everything go: what may be released is, also where a person
// protected it; what is billed in advance, was brought in by hand or is of
// unknown origin is taken out.
func (p *plan) empty() {
	const why = "the pool is being deleted"
	if p.s.NoRelease != "" {
		p.block(Reason{Text: p.s.NoRelease})
		return
	}
	for _, i := range p.s.Instances {
		switch {
		case !i.Marked.IsZero() || i.Removed:
		case i.Unknown:
			p.d.TakeOut = append(p.d.TakeOut, Chosen{Name: i.Name, Why: why + "; of unknown origin"})
		case i.Kept == KeptSubscription || i.Kept == KeptAttached || i.Kept == KeptReleaseProtected || i.Kept == KeptNewer:
			p.d.TakeOut = append(p.d.TakeOut, Chosen{Name: i.Name, Why: why + "; kept: " + i.Kept})
		default:
			p.d.Release = append(p.d.Release, Chosen{Name: i.Name, Why: why})
		}
	}
	if !p.d.Empty() {
		p.d.Cause = why
	}
}

// failed decides that machines which did not join are released, when their
// replacement is due; a few are kept for a while to be looked at. Where joins
// fail again and again no replacement is near, and they go at once, as does one
// that never ran, since there is nothing on it to look at, and one that a
// lifecycle hook abandoned. A kept one, such as a subscription, stays; so does
// one that resets its MIG partitions yet.
func (p *plan) failed() {
	if p.s.NoRelease != "" {
		return
	}
	var list []Instance
	var resetting []string
	kept := 0
	for _, i := range p.s.Instances {
		switch {
		case !i.FailedToJoin || i.ReleaseSent || i.Removed:
		case i.Marked.IsZero() && i.Resetting:
			if p.counts(i) && !i.Unknown {
				resetting = append(resetting, i.Name)
			}
		case !i.Marked.IsZero() && (i.NotStarted || i.Abandoned):
		case !i.Marked.IsZero():
			kept++
		case p.counts(i) && !i.Unknown && i.Kept == "":
			list = append(list, i)
		}
	}
	p.resets(resetting)
	if memory, waiting := p.joinMemory(); waiting && !p.s.held(memory) {
		all := len(list)
		list = slices.DeleteFunc(list, func(i Instance) bool { return !i.Abandoned })
		if left := all - len(list); left > 0 {
			p.waits = append(p.waits, p.reason(memory, some(left, "machine")+" that failed to join: replaced when the wait is over"))
		}
	}
	slices.SortFunc(list, Newest)
	for _, i := range list {
		c := Chosen{Name: i.Name, Why: "it failed to join"}
		switch {
		case i.NotStarted:
			c.Why = "it did not start"
		case i.Abandoned:
			c.Why = "a lifecycle hook abandoned it"
		case kept < p.s.KeepFailed:
			kept++
			c.NotBefore, c.Why = p.s.Now.Add(p.s.KeepFailedFor), "it failed to join and is kept to look at"
		}
		p.d.Release = append(p.d.Release, c)
	}
	if len(list) > 0 {
		p.d.Cause = whatFailed(list)
	}
}

// resets holds machines whose reset of MIG partitions did not end in time: it
// may yet end, and another machine would begin the same.
func (p *plan) resets(names []string) {
	if len(names) == 0 {
		return
	}
	memory, _ := p.joinMemory()
	r := p.reason(memory, "the MIG reset of "+fault.List(names)+" did not end within the join deadline; nothing is replaced by itself, as another machine would begin the same")
	r.Code, r.Names, r.Until, r.Held, r.OnWord = fault.FailedJoinCluster, names, time.Time{}, true, true
	r.Edit = fault.ResetAdvice(names)
	p.waits = append(p.waits, r)
}

// whatFailed names those that did not start, those that a hook abandoned and
// those that did not join.
func whatFailed(list []Instance) string {
	var off, abandoned, apart, parts []string
	for _, i := range list {
		switch {
		case i.NotStarted:
			off = append(off, i.Name)
		case i.Abandoned:
			abandoned = append(abandoned, i.Name)
		default:
			apart = append(apart, i.Name)
		}
	}
	if len(abandoned) > 0 {
		parts = append(parts, "a lifecycle hook abandoned "+fault.List(abandoned))
	}
	if len(off) > 0 {
		parts = append(parts, fault.List(off)+" did not start")
	}
	if len(apart) > 0 {
		parts = append(parts, fault.List(apart)+" failed to join")
	}
	return strings.Join(parts, ", ")
}

// unhealthy replaces what the cloud's health check finds not running: a kept
// one is taken out and not released; protected and standby ones are exempt.
func (p *plan) unhealthy() {
	if p.s.NoRelease != "" {
		return
	}
	var seen []string
	for _, i := range p.s.Instances {
		if !i.Unhealthy || !p.counts(i) || p.in[i.Name] || i.Kept == KeptProtected || i.Kept == KeptStandby || i.Kept == KeptHeld {
			continue
		}
		seen = append(seen, i.unhealthy())
		c := Chosen{Name: i.Name, Why: "it is not running, and the health check is on"}
		if i.Kept != "" {
			p.d.TakeOut = append(p.d.TakeOut, c)
		} else {
			p.d.Release = append(p.d.Release, c)
		}
	}
	if len(seen) > 0 {
		p.d.Cause = fault.List(seen)
	}
}

// unhealthy says what the health check saw.
func (i Instance) unhealthy() string {
	return i.Name + " is unhealthy: " + cmp.Or(i.State, "not running")
}

// cause is what is known of what changed, or what the numbers tell.
func (p *plan) cause(numbers string) string {
	if p.s.Cause != "" {
		return p.s.Cause
	}
	return numbers
}

func some(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// joinMemory is the memory of machines that failed, where there is one, and
// whether it still has to be waited for.
func (p *plan) joinMemory() (r Refusal, waiting bool) {
	for _, r := range p.s.Refusals {
		if ofMachines(r.Code) && !r.edited(p.s.Generation) {
			return r, r.Until.After(p.s.Now)
		}
	}
	return Refusal{}, false
}

// ofMachines says whether a code speaks of one machine that was created and
// failed; it is remembered for the whole group.
func ofMachines(c fault.Code) bool { return fault.Lookup(c).Next == fault.NextReplace }

// held says whether a cause came so often in a row that it is only tried now
// and then.
func (s Snapshot) held(r Refusal) bool { return r.Count >= cmp.Or(s.HoldAfter, HoldAfter) }
