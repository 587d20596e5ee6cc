package scaling

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// scaleIn releases the excess: first those a person chose, those that failed to
// join and those that do not run, then in the policy's order. Kept ones, those
// that no look by id has shown, and those on their way in or out are never
// picked.
func (p *plan) scaleIn(excess int) {
	if p.s.NoRelease != "" {
		p.block(Reason{Text: p.s.NoRelease})
		return
	}
	if p.s.Undrained != "" {
		p.block(Reason{Code: fault.DrainRoleMissing, Edit: fault.DrainRoleSolution(p.s.Undrained),
			Text: fault.DrainRoleCause(p.s.Undrained) + "; scaling in waits, as the pool requires a drain", Next: "the role is looked for again"})
		return
	}
	var may, stay []Instance
	for _, i := range p.s.Instances {
		switch {
		case !p.counts(i) || !i.Seen || p.in[i.Name]:
		case i.Kept != "":
			stay = append(stay, i)
		default:
			may = append(may, i)
		}
	}
	p.order(may)
	for _, i := range may[:min(len(may), excess)] {
		p.d.Release = append(p.d.Release, Chosen{Name: i.Name, Why: why(i, p.s.Settings.Policy)})
	}
	if left := excess - len(may); left > 0 {
		p.onlyKept(stay, left)
	}
	if len(p.d.Release) > 0 {
		p.d.Cause = p.cause(fmt.Sprintf("scale in from %d to %d", p.d.Counted, p.s.Desired))
	}
}

// onlyKept says which instances stay although there are too many, and why.
func (p *plan) onlyKept(stay []Instance, left int) {
	slices.SortFunc(stay, Newest)
	var kept, names []string
	for _, i := range stay {
		kept = append(kept, i.Name+" ("+i.Kept+")")
		names = append(names, i.Name)
	}
	text := fmt.Sprintf("%s too many, and only such are left as scaling in never picks: %s", some(left, "instance"), fault.List(kept))
	if len(kept) == 0 {
		text = some(left, "instance") + " too many, on the way in by name"
	}
	p.block(Reason{Code: fault.OnlyKeptInstances, Text: text, Names: names})
}

// Newest sorts by creation, newest first; names break ties.
func Newest(a, b Instance) int {
	return cmp.Or(younger(a, b), cmp.Compare(a.Name, b.Name))
}

// younger puts the one that was created later first; where the times tie, that
// of the later activity, and of the later piece of one.
func younger(a, b Instance) int {
	return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.Activity, a.Activity), cmp.Compare(b.Piece, a.Piece))
}

// The part of the order that comes before every policy's; policyTurn is the
// policy's own.
const (
	wished = iota
	didNotJoin
	notRunning
	policyTurn
)

func (i Instance) turn() int {
	switch {
	case i.ReleaseFirst:
		return wished
	case i.FailedToJoin:
		return didNotJoin
	case !i.Running:
		return notRunning
	}
	return policyTurn
}

// order sorts instances by who goes first: by turn, under CostOptimization the
// dearest vCPU, then the newest, the vSwitch of the lowest priority, the name.
func (p *plan) order(list []Instance) {
	rank := map[string]int{}
	for _, pool := range p.s.Pools {
		if _, ok := rank[pool.VSwitch]; !ok {
			rank[pool.VSwitch] = len(rank) - len(p.s.Pools) - 1 // one that is no longer listed has 0: the lowest
		}
	}
	slices.SortFunc(list, func(a, b Instance) int {
		if c := cmp.Compare(a.turn(), b.turn()); c != 0 {
			return c
		}
		if p.s.Settings.Policy == CostOptimization && a.turn() == policyTurn {
			if c := dearer(a, b); c != 0 {
				return c
			}
		}
		return cmp.Or(younger(a, b), rank[b.VSwitch]-rank[a.VSwitch], cmp.Compare(a.Name, b.Name))
	})
	if p.s.Settings.Policy == DistributionBalancing {
		p.balance(list)
	}
}

// dearer orders by price per vCPU, highest first; a price not known is lowest.
func dearer(a, b Instance) int {
	return cmp.Compare(max(b.Price, 0)*int64(max(a.VCPU, 1)), max(a.Price, 0)*int64(max(b.VCPU, 1)))
}

// balance reorders those of the policy's own turn so that each time the zone
// with the most instances gives one.
func (p *plan) balance(list []Instance) {
	zones := map[string]int{}
	for _, i := range p.s.Instances {
		if p.counts(i) {
			zones[i.Zone]++
		}
	}
	from := 0
	for ; from < len(list) && list[from].turn() < policyTurn; from++ {
		zones[list[from].Zone]--
	}
	for n := from; n < len(list); n++ {
		best := n
		for m := n + 1; m < len(list); m++ {
			if zones[list[m].Zone] > zones[list[best].Zone] {
				best = m // among equals the one that stands first: the newest
			}
		}
		chosen := list[best]
		zones[chosen.Zone]--
		copy(list[n+1:best+1], list[n:best])
		list[n] = chosen
	}
}

// why says why this one goes.
func why(i Instance, p Policy) string {
	switch i.turn() {
	case wished:
		return "marked to be released first"
	case didNotJoin:
		return "it failed to join"
	case notRunning:
		return "it is not running"
	}
	switch p {
	case DistributionBalancing:
		return "newest in the fullest zone"
	case CostOptimization:
		return "dearest per vCPU"
	}
	return "newest"
}

// WayOut says what a person can do so that a kept instance can be released;
// kept is one of the Kept words.
func WayOut(name, kept string) string {
	by, ok := map[string]string{
		KeptSubscription:     "poolkeeper instance convert {} --to PayAsYouGo, or poolkeeper node remove {}",
		KeptProtected:        "poolkeeper instance unprotect {}",
		KeptStandby:          "poolkeeper instance in-service {}",
		KeptAttached:         "poolkeeper node remove {}",
		KeptNewer:            "poolkeeper node remove {}, or run the version that wrote it",
		KeptReleaseProtected: "take the release protection off in the cloud (local region: poolkeeper local instance release-unprotect {})",
		KeptHeld:             "wait for the task that holds it",
	}[kept]
	if !ok {
		return "poolkeeper why " + name
	}
	return strings.ReplaceAll(by, "{}", name)
}
