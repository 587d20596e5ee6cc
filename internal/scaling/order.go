package scaling

import (
	"cmp"
	"slices"
)

// newest sorts by creation, newest first; names break ties.
func newest(a, b Instance) int {
	return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.Name, b.Name))
}

// before is the part of the order that comes before every policy's: wished by
// a person, failed to join, not running.
func (i Instance) before() int {
	switch {
	case i.ReleaseFirst:
		return 0
	case i.FailedToJoin:
		return 1
	case !i.Running:
		return 2
	}
	return 3
}

// order sorts instances by who goes first.
func order(s Snapshot, list []Instance) {
	rank := map[string]int{}
	for n, p := range s.Pools {
		if _, ok := rank[p.VSwitch]; !ok {
			rank[p.VSwitch] = n
		}
	}
	slices.SortFunc(list, func(a, b Instance) int {
		if c := cmp.Compare(a.before(), b.before()); c != 0 {
			return c
		}
		if s.Settings.Policy == CostOptimization {
			if c := cmp.Compare(price(b), price(a)); c != 0 {
				return c
			}
		}
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(rank[b.VSwitch], rank[a.VSwitch]), cmp.Compare(a.Name, b.Name))
	})
	if s.Settings.Policy == DistributionBalancing {
		balance(s, list)
	}
}

func price(i Instance) int64 {
	return ResourcePool{Price: i.Price, VCPU: i.VCPU}.perVCPU() % (1 << 60)
}

// balance reorders those of the policy's own part so that each time the zone
// with the most instances gives one.
func balance(s Snapshot, list []Instance) {
	zones := map[string]int{}
	for _, i := range s.Instances {
		if i.counted() {
			zones[i.Zone]++
		}
	}
	from := slices.IndexFunc(list, func(i Instance) bool { return i.before() == 3 })
	if from < 0 {
		return
	}
	for _, i := range list[:from] {
		zones[i.Zone]--
	}
	for n := from; n < len(list); n++ {
		best := n
		for m := n + 1; m < len(list); m++ {
			a, b := list[m], list[best]
			if zones[a.Zone] > zones[b.Zone] || (zones[a.Zone] == zones[b.Zone] && a.Zone != b.Zone && newest(a, b) < 0) {
				best = m
			}
		}
		zones[list[best].Zone]--
		chosen := list[best]
		copy(list[n+1:best+1], list[n:best])
		list[n] = chosen
	}
}

// why says why this one goes.
func why(i Instance, p Policy) string {
	switch i.before() {
	case 0:
		return "marked to be released first"
	case 1:
		return "it failed to join"
	case 2:
		return "it is not running"
	}
	switch p {
	case DistributionBalancing:
		return "newest in the fullest zone"
	case CostOptimization:
		return "dearest vCPU"
	}
	return "newest first"
}
