package scaling

import (
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Met is one refusal, or one failure of machines, as it was met.
type Met struct {
	Code fault.Code
	// Place is what was sent.
	Place fault.Place
	At    time.Time
	// Tried is when the try that failed began: for machines, when they were
	// created. Failures of one try count once.
	Tried time.Time
	// Generation of the settings that were sent; 0 where not known.
	Generation int64
	// Burnt is the money that it cost. Unit: millionths of the currency.
	Burnt int64
}

// Remember returns the memory with one more refusal in it. It lasts by the rule
// of its row, and where the same cause came holdAfter times in a row (0 stands
// for 3) at least until the next recheck. Random is a number from 0 up to, not
// including, 1. The list that comes in is not changed.
func Remember(list []Refusal, m Met, w fault.Waits, holdAfter int, random float64) []Refusal {
	if holdAfter <= 0 {
		holdAfter = HoldAfter
	}
	entry := fault.Lookup(m.Code)
	r := Refusal{Code: m.Code, Place: entry.Scope.Of(m.Place), All: entry.Next == fault.NextReplace, First: m.At}
	out := make([]Refusal, 0, len(list)+1)
	for _, old := range list {
		if old.Code == r.Code && old.All == r.All && (r.All || old.Place == r.Place) {
			r = old
			continue
		}
		out = append(out, old)
	}
	r.Burnt += m.Burnt
	if r.Count > 0 && !m.Tried.IsZero() && !m.Tried.After(r.Last) {
		return append(out, r) // of a try that is remembered already
	}
	r.Count++
	r.Last, r.Generation = m.At, m.Generation
	d, again := w.Wait(entry.Retry, r.Count, m.At, random)
	if !again || r.Count >= holdAfter {
		recheck, _ := w.Wait(fault.Retry{Kind: fault.RetryEdit}, 1, m.At, random)
		d = max(d, recheck)
	}
	r.Until = m.At.Add(d)
	return append(out, r)
}

// Forget returns the memory without what a creation that succeeded there
// disproves. What speaks of machines is not: see Joined.
func Forget(list []Refusal, place fault.Place) []Refusal {
	return slices.DeleteFunc(slices.Clone(list), func(r Refusal) bool {
		return !r.All && !ofMachines(r.Code) && fault.Lookup(r.Code).Scope.Covers(r.Place, place)
	})
}

// Resumed returns the memory without what speaks of an instance type in a zone,
// and not of more than its vSwitch, zone, type or disks: a person wants it tried.
func Resumed(list []Refusal, pools []ResourcePool, zone, instanceType string) []Refusal {
	return slices.DeleteFunc(slices.Clone(list), func(r Refusal) bool {
		return slices.ContainsFunc(pools, func(p ResourcePool) bool {
			scope := fault.Lookup(r.Code).Scope
			return p.Zone == zone && p.InstanceType == instanceType && !r.All && scope.Narrow() && scope.Covers(r.Place, p.place())
		})
	})
}

// Outdated returns the memory without what a request sent at a time disproves,
// which made instances there: refusals that came before it. It is for answers
// that were lost, and became known later.
func Outdated(list []Refusal, place fault.Place, sent time.Time) []Refusal {
	return slices.DeleteFunc(slices.Clone(list), func(r Refusal) bool {
		return r.Last.Before(sent) && !r.All && !ofMachines(r.Code) && fault.Lookup(r.Code).Scope.Covers(r.Place, place)
	})
}

// Joined returns the memory without what a machine disproves that joined at a
// time, or one that came into service then: that machines fail, where the last
// of them failed no later. That a lifecycle hook abandons them only the latter
// disproves.
func Joined(list []Refusal, joined, served time.Time) []Refusal {
	return slices.DeleteFunc(slices.Clone(list), func(r Refusal) bool {
		at := joined
		if fault.OfHook(r.Code) {
			at = served
		}
		return ofMachines(r.Code) && !r.Last.After(at)
	})
}

// Current returns the memory without what an edit has ended: settings of a
// generation are newer than those that were refused, and an edit can be what
// mends it.
func Current(list []Refusal, generation int64) []Refusal {
	return slices.DeleteFunc(slices.Clone(list), func(r Refusal) bool { return r.edited(generation) })
}

// Restocked returns the memory without those refusals of stock, or of
// addresses, whose resource pool had none when it was read before and has some
// now. A grade that was good all the time disproves nothing: the cloud refused
// under it.
func Restocked(list []Refusal, before, now []ResourcePool) []Refusal {
	out := slices.Clone(list)
	for _, b := range before {
		n := slices.IndexFunc(now, func(p ResourcePool) bool { return p.place() == b.place() })
		if n < 0 {
			continue
		}
		stock := b.soldOut() && !now[n].soldOut()
		addresses := b.FreeAddresses == 0 && now[n].FreeAddresses > 0
		out = slices.DeleteFunc(out, func(r Refusal) bool {
			mended := stock && ofStock(r.Code) || addresses && r.Code == fault.PrivateIPAddress
			return mended && !r.All && r.covers(b.place())
		})
	}
	return out
}

// Lasting returns the memory without what expired so long ago that a further
// failure would not be one in a row.
func Lasting(list []Refusal, now time.Time, long time.Duration) []Refusal {
	return slices.DeleteFunc(slices.Clone(list), func(r Refusal) bool { return now.Sub(r.Until) > long })
}
