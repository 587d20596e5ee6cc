package scaling

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// candidates orders the usable pools by the policy, with a share where one is
// fixed.
func candidates(s Snapshot, usable []ResourcePool, n int) []Candidate {
	switch s.Settings.Policy {
	case DistributionBalancing:
		return balanced(s, usable, n)
	case CostOptimization:
		return cheapest(s, usable, n)
	}
	ordered := slices.Clone(usable)
	if s.Settings.TypeFirst {
		rank := map[string]int{}
		for _, p := range s.Pools {
			if _, ok := rank[p.InstanceType]; !ok {
				rank[p.InstanceType] = len(rank)
			}
		}
		slices.SortStableFunc(ordered, func(a, b ResourcePool) int {
			return cmp.Compare(rank[a.InstanceType], rank[b.InstanceType])
		})
	}
	out := make([]Candidate, 0, len(ordered))
	for _, p := range ordered {
		if p.ChargeType == s.Settings.Charge {
			out = append(out, p.candidate(0))
		}
	}
	return out
}

func (p ResourcePool) candidate(share int) Candidate {
	return Candidate{VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType, ChargeType: p.ChargeType, Price: p.Price, Share: share, Disk: p.Disk}
}

// balanced gives each new instance to the zone with the fewest. The candidates
// of a zone carry its share together, on the first of them; a zone that cannot
// give passes its share on unless balance is strict.
func balanced(s Snapshot, usable []ResourcePool, n int) []Candidate {
	have := map[string]int{}
	for _, i := range s.Instances {
		if i.counted() {
			have[i.Zone]++
		}
	}
	byZone := map[string][]ResourcePool{}
	var zones []string
	for _, p := range usable {
		if p.ChargeType != s.Settings.Charge {
			continue
		}
		if byZone[p.Zone] == nil {
			zones = append(zones, p.Zone)
		}
		byZone[p.Zone] = append(byZone[p.Zone], p)
	}
	if len(zones) == 0 {
		return nil
	}
	share := map[string]int{}
	for range n {
		fewest := zones[0]
		for _, z := range zones[1:] {
			if have[z]+share[z] < have[fewest]+share[fewest] {
				fewest = z
			}
		}
		share[fewest]++
	}
	slices.SortStableFunc(zones, func(a, b string) int { return cmp.Compare(have[a], have[b]) })
	var out []Candidate
	for _, z := range zones {
		for _, p := range byZone[z] {
			c := p.candidate(share[z])
			c.ShareWith = "zone " + z
			out = append(out, c)
		}
	}
	return out
}

// cheapest orders by price per vCPU in two phases: spot first where it is asked
// for, spread over the cheapest pools, then on demand.
func cheapest(s Snapshot, usable []ResourcePool, n int) []Candidate {
	byPrice := slices.Clone(usable)
	slices.SortStableFunc(byPrice, func(a, b ResourcePool) int { return cmp.Compare(a.perVCPU(), b.perVCPU()) })
	var spot, demand []ResourcePool
	for _, p := range byPrice {
		if p.ChargeType == Spot {
			spot = append(spot, p)
		} else {
			demand = append(demand, p)
		}
	}
	if s.Settings.Charge != Spot {
		return asCandidates(demand, 0)
	}
	first := onDemandNow(s, n)
	var out []Candidate
	if first > 0 {
		for _, p := range demand {
			c := p.candidate(first)
			c.ShareWith = "on demand"
			out = append(out, c)
		}
	}
	left := n - first
	spread := min(max(s.Settings.SpotPools, 1), len(spot))
	for k, p := range spot {
		share := left
		if k < spread {
			share = (left + spread - 1 - k) / spread
		}
		out = append(out, p.candidate(max(share, 1)))
	}
	if s.Settings.Compensate {
		out = append(out, asCandidates(demand, 0)...)
	}
	return out
}

// onDemandNow is how many of n new instances are on demand by base capacity and
// percentage.
func onDemandNow(s Snapshot, n int) int {
	demand, total := 0, 0
	for _, i := range s.Instances {
		if i.counted() {
			total++
			if i.ChargeType != Spot {
				demand++
			}
		}
	}
	after := total + n
	above := max(after-s.Settings.OnDemandBase, 0)
	want := min(after, s.Settings.OnDemandBase) + (above*s.Settings.OnDemandPercent+99)/100
	return min(max(want-demand, 0), n)
}

func asCandidates(pools []ResourcePool, share int) []Candidate {
	out := make([]Candidate, 0, len(pools))
	for _, p := range pools {
		out = append(out, p.candidate(share))
	}
	return out
}

// Activity is an open activity as NextPiece reads it.
type Activity struct {
	StrictBalance bool
	Create        int
	Candidates    []Candidate
	// Pieces asked so far, in order.
	Pieces []Piece
}

// Piece is one candidate and one amount, with what came of it.
type Piece struct {
	// Candidate is an index into the activity's candidates.
	Candidate int
	// Amount asked for, 1 to 100.
	Amount int
	// Created is how many came.
	Created int
	// Code of the refusal, empty where it gave all.
	Code fault.Code
}

// NextPiece returns what an open activity asks for next, never more than is
// still wanted. It is a pure function of the candidates and the pieces before.
func NextPiece(a Activity, wanted int) (Piece, bool) {
	made := 0
	created := make([]int, len(a.Candidates))
	closed := make([]bool, len(a.Candidates))
	for _, p := range a.Pieces {
		made += p.Created
		created[p.Candidate] += p.Created
		if p.Code == "" {
			continue
		}
		entry := fault.Lookup(p.Code)
		if entry.Next == fault.NextStop {
			return Piece{}, false
		}
		for c, other := range a.Candidates {
			if c == p.Candidate || entry.Scope.Covers(a.Candidates[p.Candidate].place(), other.place()) {
				closed[c] = true
			}
		}
	}
	wanted = min(wanted, a.Create-made)
	if wanted <= 0 {
		return Piece{}, false
	}
	for c, cand := range a.Candidates {
		if closed[c] {
			continue
		}
		left := wanted
		if cand.Share > 0 {
			left = min(left, cand.Share-a.given(c, created))
		}
		if left > 0 {
			return Piece{Candidate: c, Amount: min(left, MaxPiece)}, true
		}
	}
	return a.passedOn(closed, wanted)
}

// passedOn is what the shares left over ask for: any candidate that still
// gives, in order, unless balance is strict.
func (a Activity) passedOn(closed []bool, wanted int) (Piece, bool) {
	if a.StrictBalance {
		return Piece{}, false
	}
	for c := range a.Candidates {
		if !closed[c] {
			return Piece{Candidate: c, Amount: min(wanted, MaxPiece)}, true
		}
	}
	return Piece{}, false
}

// given is how much of a candidate's share has come, from it and from those
// that fill the same share with it.
func (a Activity) given(c int, created []int) int {
	group := a.Candidates[c].ShareWith
	if group == "" {
		return created[c]
	}
	n := 0
	for o, other := range a.Candidates {
		if other.ShareWith == group {
			n += created[o]
		}
	}
	return n
}

func (c Candidate) place() fault.Place {
	return fault.Place{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: string(c.ChargeType), Disk: c.Disk}
}

// Token is the client token of a piece: a function of its activity's UID and
// its index, at most 64 ASCII characters. It never changes between versions.
func Token(activityUID string, piece int) string {
	return "pk-" + activityUID + "-" + strconv.Itoa(piece)
}
