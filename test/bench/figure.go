package main

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// figure is one number of the table.
type figure struct {
	// Name tells figures of two runs apart.
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
	// Floor is what the bare client takes for the same, and Ratio the value
	// over it, where there is one.
	Floor float64 `json:"floor,omitempty"`
	Ratio float64 `json:"ratio,omitempty"`
	// Target is the most that the value may be, or the ratio where OfRatio; 0
	// where Zero is false means that there is none.
	Target  float64 `json:"target,omitempty"`
	OfRatio bool    `json:"ofRatio,omitempty"`
	// Zero says that the target is 0.
	Zero bool `json:"zero,omitempty"`
	// More says that more is better, as of a rate.
	More bool `json:"more,omitempty"`
}

// beside puts the floor's value beside the figure; 0: there is none.
func (f *figure) beside(floor float64) {
	if floor > 0 {
		f.Floor, f.Ratio = floor, f.Value/floor
	}
}

// hasTarget says whether the figure is judged.
func (f figure) hasTarget() bool { return f.Target > 0 || f.Zero }

// met says whether the target is met.
func (f figure) met() bool {
	v := f.Value
	if f.OfRatio {
		v = f.Ratio
	}
	return v <= f.Target
}

// worse says by which part a figure became worse than before; 0 or less: it
// did not. From nothing to something is wholly worse.
func (f figure) worse(before figure) float64 {
	now, was := f.Value, before.Value
	if f.More {
		now, was = was, now
	}
	switch {
	case now == was:
		return 0
	case was == 0:
		return 1
	}
	return now/was - 1
}

// change is one figure that became worse.
type change struct {
	name, unit string
	was, now   float64
	by         float64
}

// noise is the part by which two runs differ for no reason.
const noise = 0.10

// becameWorse are the figures that are worse than before by more than the
// noise, the worst first.
func becameWorse(before, now []figure) []change {
	old := map[string]figure{}
	for _, f := range before {
		old[f.Name] = f
	}
	var out []change
	for _, f := range now {
		if was, ok := old[f.Name]; ok && was.Unit == f.Unit {
			if by := f.worse(was); by > noise {
				out = append(out, change{f.Name, f.Unit, was.Value, f.Value, by})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b change) int { return cmp.Compare(b.by, a.by) })
	return out
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
