package scaling

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// scaleOut calls marked instances back, newest mark first, then creates.
func (p *plan) scaleOut() {
	back := slices.DeleteFunc(slices.Clone(p.s.Instances), func(i Instance) bool {
		return i.Marked.IsZero() || i.ReleaseSent || i.Named || p.out[i.Name] || i.FailedToJoin || i.Unhealthy || i.Removed || i.Unknown
	})
	slices.SortStableFunc(back, func(a, b Instance) int { return b.Marked.Compare(a.Marked) })
	for _, i := range back[:min(len(back), p.d.Missing)] {
		p.d.CallBack = append(p.d.CallBack, i.Name)
	}
	if n := len(p.d.CallBack); n > 0 {
		p.d.Cause = p.cause(fmt.Sprintf("expected number %d: %s called back", p.s.Desired, some(n, "instance")))
		return
	}
	n := p.tryOne(min(p.d.Missing, MaxCreate))
	if n == 0 {
		return
	}
	usable := p.usable()
	if len(usable) > 0 {
		if n, usable = p.within(n, usable); n == 0 {
			return
		}
	}
	p.create(n, candidates(p, usable, n))
	if p.d.Create > 0 {
		p.d.Cause = p.cause(fmt.Sprintf("scale out from %d to %d", p.d.Counted+p.s.Uncertain, p.s.Desired))
		if because := cmp.Or(p.s.Lost, p.replaces()); because != "" {
			p.d.Cause = because
		}
	}
}

// replaces says what left in the activity before, where that is all that is
// missing and nobody changed the number.
func (p *plan) replaces() string {
	if p.s.Cause != "" || p.d.Missing > p.s.Left.Count {
		return ""
	}
	return p.s.Left.Cause
}

// create sets how many are created where, without those shares that no zone may
// take over.
func (p *plan) create(n int, list []Candidate) {
	if len(list) == 0 {
		p.noCandidate()
		return
	}
	if p.s.Settings.Policy == DistributionBalancing && p.s.Settings.StrictBalance {
		n = min(n, shares(list))
		if n == 0 {
			p.block(Reason{Text: "balance is strict, and the zones that can be asked have their share"})
			p.noCandidate()
			return
		}
	}
	p.d.Create, p.d.Candidates, p.d.Wake = n, list, time.Time{}
}

// tryOne bounds what is created after machines failed again and again: one is
// tried, and the rest waits for what becomes of it.
func (p *plan) tryOne(n int) int {
	memory, waiting := p.joinMemory()
	if waiting || memory.Code == "" || !p.s.held(memory) {
		return n
	}
	for _, i := range p.s.Instances {
		if p.counts(i) && !i.Joined && !i.FailedToJoin && i.Created.After(memory.Last) {
			r := p.reason(memory, "one machine is tried, "+i.Name+": the rest waits for what becomes of it")
			r.Next, r.Until = "the rest, once it joined", time.Time{}
			p.block(r)
			return 0
		}
	}
	return min(n, 1)
}

// usable are the resource pools that may be asked now.
func (p *plan) usable() []ResourcePool {
	var list []ResourcePool
	for _, pool := range p.s.Pools {
		if _, blocked := p.s.obstacle(pool); !blocked {
			list = append(list, pool)
		}
	}
	return list
}

// obstacle is what keeps a resource pool from being asked now; of several, the
// one that lasts longest.
func (s Snapshot) obstacle(pool ResourcePool) (Refusal, bool) {
	switch {
	case pool.Constraint != "":
		return Refusal{Code: pool.Constraint, Until: s.NextLook}, true
	case pool.FreeAddresses == 0:
		return s.noAddress(pool), true
	}
	if r, refused := s.refusal(pool); refused {
		return r, true
	}
	if pool.soldOut() {
		return Refusal{Code: fault.NoStock, Until: s.NextLook}, true
	}
	return Refusal{}, false
}

// noAddress is that a vSwitch has no address, with what is remembered of it:
// the next look at the vSwitch ends it.
func (s Snapshot) noAddress(pool ResourcePool) Refusal {
	out := Refusal{Code: fault.PrivateIPAddress}
	for _, r := range s.Refusals {
		if r.Code == out.Code && r.covers(pool.place()) {
			out = r
		}
	}
	out.Until = s.NextLook
	return out
}

// refusal is the remembered refusal that speaks of a pool and has not expired.
func (s Snapshot) refusal(pool ResourcePool) (Refusal, bool) {
	var worst Refusal
	for _, r := range s.Refusals {
		if r.Until.After(s.Now) && r.Until.After(worst.Until) && r.covers(pool.place()) && !r.edited(s.Generation) {
			worst = r
		}
	}
	return worst, worst.Code != ""
}

// edited says whether settings of a generation end the wait: they are newer
// than those that were refused, and it is for what an edit can mend, or for
// machines that failed.
func (r Refusal) edited(generation int64) bool {
	return r.Generation > 0 && generation > r.Generation && (ofEdit(r.Code) || ofMachines(r.Code))
}

// ofEdit says whether an edit of the settings can be what mends a refusal. A
// code that nobody knows may be one of those.
func ofEdit(c fault.Code) bool {
	switch c {
	case fault.DeploymentSetFull, fault.SpotPriceLimitLow, fault.SpotPriceLow:
		return true
	}
	e := fault.Lookup(c)
	return !e.Known || e.Retry.Kind == fault.RetryEdit
}

// covers says whether a refusal speaks of a place too.
func (r Refusal) covers(place fault.Place) bool {
	return r.All || ofMachines(r.Code) || fault.Lookup(r.Code).Scope.Covers(r.Place, place)
}

// noCandidate says why no resource pool can be asked, the cause of the whole
// first, and when one can be asked again.
func (p *plan) noCandidate() {
	reasons := map[fault.Code]*Reason{}
	var codes []fault.Code
	pools := map[fault.Code]int{}
	of := 0
	for _, pool := range p.s.Pools {
		r, blocked := p.s.obstacle(pool)
		if !blocked {
			continue
		}
		of++
		if reasons[r.Code] == nil {
			reason := p.reason(r, "")
			reason.Place = pool.place()
			reasons[r.Code] = &reason
			codes = append(codes, r.Code)
		} else if sooner(r.Until, reasons[r.Code].Until) {
			reasons[r.Code].Until = r.Until
		}
		pools[r.Code]++
		if sooner(r.Until, p.d.Wake) {
			p.d.Wake = r.Until
		}
	}
	slices.SortFunc(codes, func(a, b fault.Code) int { // stock first, as people can do most about it
		return cmp.Or(notStock(a)-notStock(b), pools[b]-pools[a], cmp.Compare(a, b))
	})
	if whole := p.whole(codes, of); whole.Text != "" {
		p.block(whole)
	}
	for _, c := range codes {
		reasons[c].Text = fmt.Sprintf("%s (%d of %d resource pools)", fault.Lookup(c).Cause, pools[c], len(p.s.Pools))
		p.block(*reasons[c])
	}
}

// sooner says whether a known time is before another, which may be unknown.
func sooner(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }

// whole is the one reason that speaks of all candidates together.
func (p *plan) whole(codes []fault.Code, of int) Reason {
	r := Reason{Until: p.d.Wake}
	if len(p.s.Pools) > 0 {
		r.Place.Disk = p.s.Pools[0].Disk
	}
	switch {
	case len(p.s.Pools) == 0:
		r.Text = "what the cloud can give is not known yet"
	case of == 0:
		r.Text = "no resource pool is billed as the pool wants"
	case of < len(p.s.Pools):
	case len(codes) == 1 && codes[0] != fault.NoStock: // the code itself says it
	case all(codes, ofDisk):
		r.Code = fault.DiskTypeNoStock
	case all(codes, func(c fault.Code) bool { return ofStock(c) || ofDisk(c) }):
		r.Code = fault.InstanceTypeNoStock
	}
	if r.Code == "" {
		return Reason{Text: r.Text}
	}
	r.Text = fault.Lookup(r.Code).Cause
	return r
}

// ofStock says whether a code says that a resource pool gives nothing for now.
func ofStock(c fault.Code) bool {
	switch c {
	case fault.DeploymentSetFull, fault.SpotPriceLimitLow, fault.SpotPriceLow:
		return false
	}
	e := fault.Lookup(c)
	return e.Known && e.Scope == fault.ScopePool && e.Next == fault.NextFallOver
}

func ofDisk(c fault.Code) bool { return fault.Lookup(c).Scope == fault.ScopeDisk }

func notStock(c fault.Code) int {
	if ofStock(c) {
		return 0
	}
	return 1
}

func all(codes []fault.Code, is func(fault.Code) bool) bool {
	return len(codes) > 0 && !slices.ContainsFunc(codes, func(c fault.Code) bool { return !is(c) })
}

// reason tells what a refusal means for the group.
func (p *plan) reason(r Refusal, text string) Reason {
	return Reason{Code: r.Code, Text: text, Since: r.First, Until: r.Until, Count: r.Count, Held: r.Count > 0 && p.s.held(r), Burnt: r.Burnt}
}
