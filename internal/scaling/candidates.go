package scaling

import (
	"cmp"
	"slices"
)

// zoneShare begins the name of a share that belongs to a zone.
const zoneShare = "zone "

// candidates orders the usable pools by the policy, with a share where one is
// fixed.
func candidates(p *plan, usable []ResourcePool, n int) []Candidate {
	switch p.s.Settings.Policy {
	case DistributionBalancing:
		usable = p.billed(usable, p.s.Settings.Charge)
		fill := zonesOf(usable)
		if p.s.Settings.StrictBalance {
			fill = zonesOf(p.billed(p.s.Pools, p.s.Settings.Charge))
		}
		return p.balanced(usable, fill, n)
	case CostOptimization:
		return p.cheapest(usable, n)
	}
	list := p.billed(usable, p.s.Settings.Charge)
	if p.s.Settings.TypeFirst {
		rank := p.typeRank()
		slices.SortStableFunc(list, func(a, b ResourcePool) int { return rank[a.InstanceType] - rank[b.InstanceType] })
	}
	return asCandidates(list, 0, "")
}

// billed are those of a charge type, in the same order.
func (p *plan) billed(list []ResourcePool, c ChargeType) []ResourcePool {
	return slices.DeleteFunc(slices.Clone(list), func(pool ResourcePool) bool { return pool.ChargeType != c })
}

// typeRank is the place of each instance type in the pool's order.
func (p *plan) typeRank() map[string]int {
	rank := map[string]int{}
	for _, pool := range p.s.Pools {
		if _, ok := rank[pool.InstanceType]; !ok {
			rank[pool.InstanceType] = len(rank)
		}
	}
	return rank
}

func (p ResourcePool) candidate(share int, with string) Candidate {
	return Candidate{VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType, ChargeType: p.ChargeType,
		Price: p.Price, Disk: p.Disk, Share: share, ShareWith: with}
}

func asCandidates(pools []ResourcePool, share int, with string) []Candidate {
	out := make([]Candidate, 0, len(pools))
	for _, p := range pools {
		out = append(out, p.candidate(share, with))
	}
	return out
}

// balanced gives each new instance to the zone with the fewest. Each candidate
// of a zone carries the zone's share: how far it is below the level that all
// zones are filled to, or above it, below zero; where balance is strict, exactly
// what it is to get. Fill are the zones that shares are made for.
func (p *plan) balanced(usable []ResourcePool, fill []string, n int) []Candidate {
	zones := zonesOf(usable)
	if len(zones) == 0 {
		return nil
	}
	share := fillUp(fill, p.zones, n)
	if !p.s.Settings.StrictBalance {
		level := 0
		for _, z := range fill {
			if share[z] > 0 {
				level = max(level, p.zones[z]+share[z])
			}
		}
		for _, z := range zones {
			share[z] = level - p.zones[z]
		}
	}
	slices.SortStableFunc(zones, func(a, b string) int { return cmp.Compare(p.zones[a], p.zones[b]) })
	var out []Candidate
	for _, z := range zones {
		for _, pool := range usable {
			if pool.Zone == z {
				out = append(out, pool.candidate(share[z], zoneShare+z))
			}
		}
	}
	return out
}

// zonesOf are the zones of resource pools, in their order.
func zonesOf(pools []ResourcePool) []string {
	var zones []string
	for _, p := range pools {
		if !slices.Contains(zones, p.Zone) {
			zones = append(zones, p.Zone)
		}
	}
	return zones
}

// fillUp spreads n over zones, each time to the one with the fewest, the first
// of equals.
func fillUp(zones []string, have map[string]int, n int) map[string]int {
	share := map[string]int{}
	for range n {
		share[fewest(zones, func(z string) int { return have[z] + share[z] })]++
	}
	return share
}

// fewest is the first of those with the lowest level.
func fewest[Z any](zones []Z, level func(Z) int) Z {
	best := zones[0]
	for _, z := range zones[1:] {
		if level(z) < level(best) {
			best = z
		}
	}
	return best
}

// shares is how many all zones are to get together.
func shares(list []Candidate) int {
	n, seen := 0, map[string]bool{}
	for _, c := range list {
		if !seen[c.ShareWith] {
			n += max(c.Share, 0)
		}
		seen[c.ShareWith] = true
	}
	return n
}

// cheapest orders by price per vCPU in two phases. Where spot is asked for: as
// many on demand as base capacity and percentage want, then spot, spread over
// the cheapest pools, then what is still missing from any spot pool, and on
// demand where that may compensate. Where it is not: on demand alone.
func (p *plan) cheapest(usable []ResourcePool, n int) []Candidate {
	set := p.s.Settings
	if set.Charge != Spot {
		return asCandidates(p.byPrice(p.billed(usable, set.Charge)), 0, "")
	}
	demand := p.byPrice(p.billed(usable, PayAsYouGo))
	spot := p.billed(usable, Spot)
	slices.SortStableFunc(spot, perVCPU)
	var out []Candidate
	first := p.onDemandNow(n)
	if first > 0 {
		out = asCandidates(demand, first, "on demand")
	}
	spread := min(max(set.SpotPools, 1), len(spot), n-first)
	for k, pool := range spot[:spread] {
		out = append(out, pool.candidate((n-first+spread-1-k)/spread, ""))
	}
	out = append(out, asCandidates(spot, 0, "")...)
	if set.Compensate {
		out = append(out, asCandidates(demand, 0, "")...)
	}
	return out
}

// perVCPU orders by price per vCPU; prices not known come last.
func perVCPU(a, b ResourcePool) int {
	known := func(p ResourcePool) bool { return p.Price > 0 && p.VCPU > 0 }
	switch {
	case !known(a) && !known(b):
		return 0
	case !known(a):
		return 1
	case !known(b):
		return -1
	}
	return cmp.Compare(a.Price*int64(b.VCPU), b.Price*int64(a.VCPU))
}

// byPrice orders on-demand pools so that each type is tried in all zones before
// the next dearer one.
func (p *plan) byPrice(list []ResourcePool) []ResourcePool {
	rank, best := p.typeRank(), map[string]ResourcePool{}
	for _, pool := range list {
		if b, ok := best[pool.InstanceType]; !ok || perVCPU(pool, b) < 0 {
			best[pool.InstanceType] = pool
		}
	}
	slices.SortStableFunc(list, func(a, b ResourcePool) int {
		return cmp.Or(perVCPU(best[a.InstanceType], best[b.InstanceType]), rank[a.InstanceType]-rank[b.InstanceType], perVCPU(a, b))
	})
	return list
}

// onDemandNow is how many of n new instances are on demand by base capacity and
// percentage.
func (p *plan) onDemandNow(n int) int {
	demand := 0
	for _, i := range p.s.Instances {
		if p.counts(i) && i.ChargeType != Spot {
			demand++
		}
	}
	after := p.d.Counted + n
	above := max(after-p.s.Settings.OnDemandBase, 0)
	want := min(after, p.s.Settings.OnDemandBase) + (above*p.s.Settings.OnDemandPercent+99)/100
	return min(max(want-demand, 0), n)
}
