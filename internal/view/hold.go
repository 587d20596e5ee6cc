package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// Hold is a candidate, an instance type in a zone, that is not asked before a
// time, for what was refused there.
type Hold struct {
	// Candidate as ZONE/TYPE.
	Candidate string `json:"candidate"`
	Code      string `json:"code"`
	// Count is how often in a row it was refused.
	Count int32 `json:"count"`
	// Burnt is the money that it cost; empty for none.
	Burnt string    `json:"burnt,omitempty"`
	Until time.Time `json:"until"`
}

// Holds are the candidates of a group that refusals of their own keep from being
// asked, in the order of the resource pools; of several, the one that lasts
// longest is told. What is refused to the whole group or account is not among
// them.
func Holds(g *v1alpha1.ScalingGroup, now time.Time) []Hold {
	var list []Hold
	for _, rp := range g.Status.ResourcePools {
		for i := range g.Status.Refusals {
			r := &g.Status.Refusals[i]
			if !r.UntilTime.After(now) || !fault.Scope(r.Scope).Narrow() || !refuses(r, rp) {
				continue
			}
			h := Hold{Candidate: rp.Zone + "/" + rp.InstanceType, Code: r.Code, Count: r.Count, Burnt: r.Burnt, Until: r.UntilTime.UTC()}
			n := slices.IndexFunc(list, func(o Hold) bool { return o.Candidate == h.Candidate })
			switch {
			case n < 0:
				list = append(list, h)
			case h.Until.After(list[n].Until):
				list[n] = h
			}
		}
	}
	return list
}

// HeldNames are the candidates of holds.
func HeldNames(list []Hold) []string {
	names := make([]string, 0, len(list))
	for _, h := range list {
		names = append(names, h.Candidate)
	}
	return names
}

// NotHeld says why a candidate of a pool cannot be resumed; empty where it can.
func NotHeld(g *v1alpha1.ScalingGroup, candidate string, now time.Time) string {
	held := HeldNames(Holds(g, now))
	if slices.Contains(held, candidate) {
		return ""
	}
	why := candidate + " is not held"
	if !slices.ContainsFunc(g.Status.ResourcePools, func(p v1alpha1.ResourcePoolStatus) bool { return p.Zone+"/"+p.InstanceType == candidate }) {
		why = candidate + " is no candidate of " + g.Spec.Pool
	}
	if len(held) == 0 {
		return why + ", and none is held by itself"
	}
	return why + "; held: " + fault.List(held)
}

// often says whether the cause of a hold came so often in a row that it is only
// tried now and then.
func (h Hold) often() bool { return h.Count >= scaling.HoldAfter }

// Text tells a hold, and how it ends.
func (h Hold) Text(pool string, clock Clock) string {
	parts := []string{fmt.Sprintf("%s: %s (%s)", h.Candidate, fault.Lookup(fault.Code(h.Code)).Cause, h.Code), count(h.Count, "time") + " in a row"}
	if h.Burnt != "" {
		parts = append(parts, h.Burnt+" burnt")
	}
	return strings.Join(parts, ", ") + "; tried again at " + clock.At(h.Until) +
		", or at once by poolkeeper pool resume " + pool + " --candidate " + h.Candidate
}
