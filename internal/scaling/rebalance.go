package scaling

import (
	"cmp"
	"fmt"
	"slices"
)

// maxSurge is the most that one run of a rebalance creates beyond the number.
// Unit: instances.
const maxSurge = 20

// imbalance is by how many instances the fullest zone exceeds the emptiest, of
// those zones that the pool may use.
func (p *plan) imbalance() int {
	zones := zonesOf(p.billed(p.s.Pools, p.s.Settings.Charge))
	if p.s.Settings.Policy != DistributionBalancing || len(zones) < 2 {
		return 0
	}
	most, least := 0, p.zones[zones[0]]
	for _, n := range p.zones {
		most = max(most, n)
	}
	for _, z := range zones {
		least = min(least, p.zones[z])
	}
	return max(most-least, 0)
}

// surging is how many machines of a rebalance were seen and have not joined yet:
// what they are to replace stays until then.
func (p *plan) surging() int {
	if !p.s.Rebalance || p.s.Settings.Policy != DistributionBalancing {
		return 0
	}
	n := 0
	for _, i := range p.s.Instances {
		if p.counts(i) && i.Seen && p.comes(i) {
			n++
		}
	}
	if n > 0 {
		p.block(Reason{Text: rebalanceWaits, Next: "it goes on by itself"})
	}
	return n
}

const rebalanceWaits = "the rebalance goes on when every machine has joined"

// comes is true of a counted instance that is on its way.
func (p *plan) comes(i Instance) bool {
	return !i.Seen || !i.Joined && !i.FailedToJoin && i.Kept == ""
}

// rebalance evens zones out: it creates in the emptiest, at most a tenth beyond
// the number and never beyond the maximum; the excess then goes from the
// fullest. It waits for what an earlier run created.
func (p *plan) rebalance() {
	switch {
	case p.d.Missing != 0, p.s.Uncertain > 0:
		return // first the number, and what may be coming
	case p.s.Settings.Policy != DistributionBalancing:
		p.endRebalance("only a pool with the policy DistributionBalancing can be rebalanced")
		return
	case p.d.Imbalance <= 1:
		p.d.RebalanceEnd = "zones are even within one instance"
		return
	case slices.ContainsFunc(p.s.Instances, func(i Instance) bool { return p.counts(i) && p.comes(i) }):
		p.block(Reason{Text: rebalanceWaits, Next: "it goes on by itself"})
		return
	}
	usable := p.billed(p.usable(), p.s.Settings.Charge)
	share, moves := p.moves(zonesOf(usable))
	n := min(moves, maxSurge, max(p.s.Desired/10, 1))
	if p.s.Max > 0 {
		n = min(n, p.s.Max-p.s.Desired)
	}
	if moves == 0 {
		p.endRebalance("zones differ by " + some(p.d.Imbalance, "instance") + ", and nothing can be moved to an emptier one now")
		return
	}
	if n <= 0 {
		p.endRebalance(fmt.Sprintf("a rebalance needs room above the expected number, which is the maximum, %d", p.s.Max))
		return
	}
	emptiest := slices.DeleteFunc(usable, func(pool ResourcePool) bool { return share[pool.Zone] == 0 })
	if n, emptiest = p.within(n, emptiest); n == 0 {
		return
	}
	p.d.Create, p.d.Surge = n, n
	p.d.Candidates = p.balanced(emptiest, zonesOf(emptiest), n)
	p.d.Cause = p.cause("rebalance: zones differ by " + some(p.d.Imbalance, "instance"))
}

// endRebalance says why zones cannot be made more even.
func (p *plan) endRebalance(why string) {
	p.d.RebalanceEnd = why
	p.block(Reason{Text: why})
}

// moves is how many instances have to move so that the zones are even within
// one, and how many each zone gets; only what may be released can move.
func (p *plan) moves(to []string) (share map[string]int, n int) {
	share = map[string]int{}
	have, movable := map[string]int{}, map[string]int{}
	var from []string
	for _, i := range p.s.Instances {
		if !p.counts(i) {
			continue
		}
		if have[i.Zone]++; i.Kept == "" && !p.in[i.Name] {
			if movable[i.Zone]++; movable[i.Zone] == 1 {
				from = append(from, i.Zone)
			}
		}
	}
	slices.Sort(from)
	for len(to) > 0 {
		from = slices.DeleteFunc(from, func(z string) bool { return movable[z] == 0 })
		if len(from) == 0 {
			break
		}
		full := slices.MaxFunc(from, func(a, b string) int { return cmp.Or(cmp.Compare(have[a], have[b]), cmp.Compare(b, a)) })
		empty := fewest(to, func(z string) int { return have[z] })
		if have[full]-have[empty] <= 1 {
			break
		}
		have[full]--
		movable[full]--
		have[empty]++
		share[empty]++
		n++
	}
	return share, n
}
