package scaling

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Plan returns what the group does next.
func Plan(s Snapshot) Decision {
	out, in := transfers(s)
	counted, seen := 0, 0
	for _, i := range s.Instances {
		switch {
		case in[i.Name] && !i.Removed && i.Marked.IsZero(), i.counted() && !out[i.Name]:
			counted++
			if i.Seen {
				seen++
			}
		}
	}
	for name := range in {
		if !known(s.Instances, name) {
			counted++
		}
	}
	d := Decision{Counted: counted, Missing: s.Desired - counted - s.Uncertain}
	switch {
	case s.Frozen != "":
		d.Blocked = []Reason{{Text: s.Frozen}}
		return d
	case s.Busy:
		return d
	}
	named(s, &d)
	if !d.Empty() {
		d.Cause = cause(s, d, "named instances")
		return d
	}
	if s.Emptying {
		empty(s, &d)
		return d
	}
	failed(s, &d)
	if !d.Empty() {
		return d
	}
	switch {
	case d.Missing > 0:
		scaleOut(s, &d)
	case seen > s.Desired:
		scaleIn(s, &d, seen-s.Desired, out, in)
	}
	return d
}

// transfers are the names on their way out and in.
func transfers(s Snapshot) (out, in map[string]bool) {
	out, in = map[string]bool{}, map[string]bool{}
	for _, t := range s.Transfers {
		if t.In {
			in[t.Instance] = true
		} else {
			out[t.Instance] = true
		}
	}
	return out, in
}

func known(list []Instance, name string) bool {
	return slices.ContainsFunc(list, func(i Instance) bool { return i.Name == name })
}

func find(list []Instance, name string) (Instance, bool) {
	n := slices.IndexFunc(list, func(i Instance) bool { return i.Name == name })
	if n < 0 {
		return Instance{}, false
	}
	return list[n], true
}

// named deals with the entries that tasks wrote, before anything is created.
func named(s Snapshot, d *Decision) {
	for _, t := range s.Transfers {
		i, there := find(s.Instances, t.Instance)
		switch {
		case t.In && (!there || i.Removed || i.Unknown):
			d.BringIn = append(d.BringIn, t.Instance)
		case t.In || !there || i.Removed || !i.Marked.IsZero():
		case t.Release && (i.Kept == "" || i.Kept == "held by another task"):
			d.Release = append(d.Release, Chosen{Name: i.Name, Why: "named by a task", Task: t.Task})
		default:
			d.TakeOut = append(d.TakeOut, Chosen{Name: i.Name, Why: "named by a task", Task: t.Task})
		}
	}
	slices.Sort(d.BringIn)
	byName := func(a, b Chosen) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(d.Release, byName)
	slices.SortFunc(d.TakeOut, byName)
}

// empty lets everything go: what may be released is, what is kept is taken out.
func empty(s Snapshot, d *Decision) {
	for _, i := range s.Instances {
		if !i.Marked.IsZero() || i.Removed {
			continue
		}
		if i.Kept == "" || i.Kept == "protected" || i.Kept == "standby" {
			d.Release = append(d.Release, Chosen{Name: i.Name, Why: "the pool is being deleted"})
		} else {
			d.TakeOut = append(d.TakeOut, Chosen{Name: i.Name, Why: "the pool is being deleted; kept: " + i.Kept})
		}
	}
	byName := func(a, b Chosen) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(d.Release, byName)
	slices.SortFunc(d.TakeOut, byName)
	d.Cause = "the pool is being deleted"
}

// failed decides that machines which did not join are released; the newest few
// are kept for a while to be looked at. A subscription one stays.
func failed(s Snapshot, d *Decision) {
	var list []Instance
	for _, i := range s.Instances {
		if i.FailedToJoin && i.counted() && i.Kept == "" {
			list = append(list, i)
		}
	}
	if len(list) == 0 {
		return
	}
	kept := 0
	for _, i := range s.Instances {
		if i.FailedToJoin && !i.Marked.IsZero() && !i.ReleaseSent {
			kept++
		}
	}
	slices.SortFunc(list, newest)
	for _, i := range list {
		c := Chosen{Name: i.Name, Why: "it failed to join"}
		if kept < s.KeepFailed {
			kept++
			c.NotBefore, c.Why = s.Now.Add(s.KeepFailedFor), "it failed to join and is kept to look at"
		}
		d.Release = append(d.Release, c)
	}
	d.Cause = fmt.Sprintf("%d instances failed to join", len(list))
}

// scaleOut calls marked instances back, then creates.
func scaleOut(s Snapshot, d *Decision) {
	back := slices.DeleteFunc(slices.Clone(s.Instances), func(i Instance) bool {
		return i.Marked.IsZero() || i.ReleaseSent || i.Named || i.FailedToJoin || i.Removed
	})
	slices.SortFunc(back, func(a, b Instance) int {
		return cmp.Or(b.Marked.Compare(a.Marked), cmp.Compare(a.Name, b.Name))
	})
	for _, i := range back[:min(len(back), d.Missing)] {
		d.CallBack = append(d.CallBack, i.Name)
	}
	if len(d.CallBack) > 0 {
		d.Cause = fmt.Sprintf("expected number %d: %d instances are called back", s.Desired, len(d.CallBack))
		return
	}
	usable := s.usable(d)
	if len(usable) == 0 {
		return
	}
	d.Create = min(d.Missing, MaxCreate)
	d.Candidates = candidates(s, usable, d.Create)
	if len(d.Candidates) == 0 {
		d.Create = 0
		return
	}
	d.Cause = cause(s, *d, fmt.Sprintf("instances %d -> %d", d.Counted, s.Desired))
}

func cause(s Snapshot, _ Decision, otherwise string) string {
	if s.Cause != "" {
		return s.Cause
	}
	return otherwise
}

// usable are the pools that may be asked now. Where there is none, the decision
// says why, and when one may be asked again.
func (s Snapshot) usable(d *Decision) []ResourcePool {
	var out []ResourcePool
	reasons := map[fault.Code]int{}
	block := func(c fault.Code, until time.Time) {
		reasons[c]++
		if !until.IsZero() && (d.Wake.IsZero() || until.Before(d.Wake)) {
			d.Wake = until
		}
	}
	for _, p := range s.Pools {
		r, refused := s.refusal(p)
		switch {
		case refused:
			block(r.Code, r.Until)
		case p.Constraint != "":
			block(p.Constraint, time.Time{})
		case p.SoldOut:
			block(fault.NoStock, time.Time{})
		case p.FreeAddresses == 0:
			block(fault.PrivateIPAddress, time.Time{})
		default:
			out = append(out, p)
		}
	}
	if len(out) > 0 {
		d.Wake = time.Time{}
		return out
	}
	codes := make([]fault.Code, 0, len(reasons))
	for c := range reasons {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	for _, c := range codes {
		d.Blocked = append(d.Blocked, Reason{Code: c, Text: fmt.Sprintf("%s in %d of %d resource pools", fault.Lookup(c).Cause, reasons[c], len(s.Pools))})
	}
	return nil
}

// refusal is the remembered refusal that speaks of a pool and has not expired;
// the one that lasts longest.
func (s Snapshot) refusal(p ResourcePool) (Refusal, bool) {
	var worst Refusal
	for _, r := range s.Refusals {
		if r.Until.After(s.Now) && r.Until.After(worst.Until) &&
			(r.All || fault.Lookup(r.Code).Scope.Covers(r.Place, p.place())) {
			worst = r
		}
	}
	return worst, worst.Code != ""
}

// scaleIn releases the excess: first those a person chose, those that failed to
// join and those that do not run, then in the policy's order.
func scaleIn(s Snapshot, d *Decision, excess int, out, in map[string]bool) {
	var may []Instance
	kept := map[string]int{}
	var names []string
	for _, i := range s.Instances {
		switch {
		case !i.counted() || !i.Seen || out[i.Name]:
		case in[i.Name]:
		case i.Kept != "":
			kept[i.Kept]++
			names = append(names, i.Name+" ("+i.Kept+")")
		default:
			may = append(may, i)
		}
	}
	order(s, may)
	for _, i := range may[:min(len(may), excess)] {
		d.Release = append(d.Release, Chosen{Name: i.Name, Why: why(i, s.Settings.Policy)})
	}
	if len(may) < excess {
		slices.Sort(names)
		d.Blocked = append(d.Blocked, Reason{Code: fault.OnlyKeptInstances, Text: fmt.Sprintf("%d instances may not be released: %s", excess-len(may), fault.List(names))})
	}
	if len(d.Release) > 0 {
		d.Cause = cause(s, *d, fmt.Sprintf("instances %d -> %d", d.Counted, s.Desired))
	}
}
