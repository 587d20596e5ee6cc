// Package preview shows what another expected number would mean for a pool,
// before anybody asks for it. In come a pool, its group and its instances as
// they were read, and the number; out comes a plan made by the planner of the
// engine itself, as values and as text. It never reads a cluster, a cloud or a
// clock, changes nothing that it is given, and promises nothing: the cloud may
// answer otherwise.
package preview

import (
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// Plan is what another expected number means for a pool: the planner's own
// decisions on the objects as they were read. Unit of numbers: instances.
type Plan struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Pool       string `json:"pool"`
	From       int32  `json:"from"`
	To         int32  `json:"to"`
	// Known is false where there is nothing to plan on: the pool has no group
	// yet, or nobody has read what the cloud offers.
	Known bool `json:"known"`
	// Drop is how many that were wished are not created after all.
	Drop       int32           `json:"drop,omitempty"`
	Create     int32           `json:"create,omitempty"`
	Candidates []PlanCandidate `json:"candidates,omitempty"`
	CallBack   []string        `json:"callBack,omitempty"`
	Release    []view.Leaving  `json:"release,omitempty"`
	TakeOut    []view.Leaving  `json:"takeOut,omitempty"`
	// Kept are instances that stay although there are too many.
	Kept    []view.Leaving `json:"kept,omitempty"`
	Blocked []string       `json:"blocked,omitempty"`
	Drain   string         `json:"drain,omitempty"`
	Before  *view.Price    `json:"priceBefore,omitempty"`
	After   *view.Price    `json:"priceAfter,omitempty"`
}

// PlanCandidate is one resource pool that would be asked.
type PlanCandidate struct {
	VSwitch      string `json:"vSwitch"`
	Zone         string `json:"zone,omitempty"`
	InstanceType string `json:"instanceType"`
	Billing      string `json:"billing"`
	// Share is how many it is asked for before the next; 0: as many as are
	// missing.
	Share  int32       `json:"share,omitempty"`
	Word   string      `json:"word"`
	Price  *view.Price `json:"price,omitempty"`
	micros int64
}

// planSteps bounds how many decisions in a row a preview follows.
const planSteps = 8

// New runs the planner on a pool as it would be with another expected
// number, decision after decision, until it would create or rest. It changes
// nothing that it is given. The group may be nil.
func New(p *v1alpha1.NodePool, g *v1alpha1.ScalingGroup, instances []v1alpha1.Instance, to int32, now time.Time) Plan {
	v := Plan{APIVersion: view.APIVersion, Kind: "Plan", Pool: p.Name, From: p.Spec.ExpectedNodes, To: to}
	have := p.Status.Counts.Instances + p.Status.Counts.Uncertain
	v.Drop = max(v.From-max(to, have), 0)
	if g == nil || len(g.Status.ResourcePools) == 0 && to > have {
		return v
	}
	v.Known = true
	s := planned(g, instances, to, now)
	unit := map[string]int64{}
	for _, i := range s.Instances {
		unit[i.Name] = i.Price
	}
	change := int64(0)
	for range planSteps {
		d := scaling.Plan(s)
		v.add(d, g, now)
		if d.Empty() || d.Create > 0 {
			change += v.creation()
			break
		}
		change += carryOut(&s, d, unit)
	}
	v.keep(s, p)
	v.price(p, change)
	return v
}

// add takes one decision into the plan.
func (v *Plan) add(d scaling.Decision, g *v1alpha1.ScalingGroup, now time.Time) {
	v.Create += int32(d.Create)
	v.CallBack = append(v.CallBack, d.CallBack...)
	for _, c := range d.Release {
		v.Release = append(v.Release, view.Leaving{Instance: c.Name, Reason: c.Why})
	}
	for _, c := range d.TakeOut {
		v.TakeOut = append(v.TakeOut, view.Leaving{Instance: c.Name, Reason: c.Why})
	}
	for _, b := range d.Blocked {
		text := joinNonEmpty(" ", strings.TrimRight(b.Text, "."), string(b.Code))
		if !slices.Contains(v.Blocked, text) {
			v.Blocked = append(v.Blocked, text)
		}
	}
	for _, c := range d.Candidates {
		v.Candidates = append(v.Candidates, newCandidate(c, g, now))
	}
}

func newCandidate(c scaling.Candidate, g *v1alpha1.ScalingGroup, now time.Time) PlanCandidate {
	v := PlanCandidate{
		VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, Billing: view.BillingWord(v1alpha1.ChargeType(c.ChargeType)),
		Share: int32(c.Share), micros: c.Price,
	}
	for _, cell := range view.NewStrength(g, view.Clock{Now: now}).Pools {
		if cell.VSwitch == c.VSwitch && cell.InstanceType == c.InstanceType && cell.Billing == v.Billing {
			v.Word, v.Price = cell.Word, cell.Price
		}
	}
	return v
}

// carryOut does to a snapshot what a decision would do, and returns by how much
// the price changes. Unit: millionths per hour.
func carryOut(s *scaling.Snapshot, d scaling.Decision, unit map[string]int64) int64 {
	change := int64(0)
	gone, back := map[string]bool{}, map[string]bool{}
	for _, c := range d.Release {
		gone[c.Name] = true
		change -= unit[c.Name]
	}
	for _, c := range d.TakeOut {
		gone[c.Name] = true
	}
	for _, n := range d.CallBack {
		back[n] = true
	}
	for i := range s.Instances {
		switch one := &s.Instances[i]; {
		case gone[one.Name]:
			one.Marked = s.Now
		case back[one.Name]:
			one.Marked = time.Time{}
		}
	}
	return change
}

// creation is what the instances to be created would cost if the first
// candidates gave all that they are asked for. Unit: millionths per hour.
func (v *Plan) creation() int64 {
	left, sum := v.Create, int64(0)
	for _, c := range v.Candidates {
		n := left
		if c.Share > 0 {
			n = min(left, c.Share)
		}
		sum += int64(n) * c.micros
		left -= n
	}
	return sum
}

// keep names what stays although there would be too many.
func (v *Plan) keep(s scaling.Snapshot, p *v1alpha1.NodePool) {
	counted := 0
	for _, i := range s.Instances {
		if i.Marked.IsZero() && !i.Unknown && !i.Removed {
			counted++
		}
	}
	if len(v.Release)+len(v.TakeOut) > 0 && p.Spec.Drain.Mode != v1alpha1.DrainOff {
		v.Drain = orDefault(string(p.Spec.Drain.Mode), string(v1alpha1.DrainBestEffort))
	}
	if v.To >= v.From {
		return
	}
	for _, i := range s.Instances {
		if i.Kept != "" && i.Marked.IsZero() && !i.Unknown && !i.Removed {
			v.Kept = append(v.Kept, view.Leaving{Instance: i.Name, Reason: i.Kept})
		}
	}
	sort.Slice(v.Kept, func(a, b int) bool { return v.Kept[a].Instance < v.Kept[b].Instance })
	if counted <= int(v.To) {
		return
	}
	if len(v.Blocked) == 0 {
		v.Blocked = append(v.Blocked, fmt.Sprintf("%d instances too many stay", counted-int(v.To)))
	}
}

func (v *Plan) price(p *v1alpha1.NodePool, change int64) {
	if p.Status.Price == nil {
		return
	}
	before, ok := new(big.Rat).SetString(p.Status.Price.PerHour)
	if !ok {
		return
	}
	after := new(big.Rat).Add(before, big.NewRat(change, 1_000_000))
	v.Before = &view.Price{Currency: p.Status.Price.Currency, PerHour: view.Money(p.Status.Price.PerHour)}
	v.After = &view.Price{Currency: p.Status.Price.Currency, PerHour: view.Money(after.FloatString(3))}
}

// maxShown bounds the names that a plan shows to people.
const maxShown = 12

// Text is a plan as people read it.
func (v Plan) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d -> %d\n", v.Pool, v.From, v.To)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-11s%s\n", name, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
	if v.Drop > 0 {
		line("drop", "%d not created yet", v.Drop)
	}
	if !v.Known {
		line("then", "not known: the controller has not read yet what the cloud offers")
	}
	v.creationLines(line)
	shorten(line, "release", "and its disks", v.Release)
	shorten(line, "take out", "it goes on running", v.TakeOut)
	shorten(line, "kept", "", v.Kept)
	if v.Drain != "" {
		line("drain", "%s, before each release", v.Drain)
	}
	for _, s := range v.Blocked {
		line("but", "%s", s)
	}
	if v.Before != nil && v.After.PerHour != v.Before.PerHour {
		line("price", "%s %s/h -> about %s/h", v.Before.Currency, v.Before.PerHour, v.After.PerHour)
	}
	return b.String()
}

// creationLines tell what comes: called back first, then created.
func (v Plan) creationLines(line func(name, format string, args ...any)) {
	if len(v.CallBack) > 0 {
		line("call back", "%d that were to go: %s", len(v.CallBack), strings.Join(v.CallBack, ", "))
	}
	if v.Create == 0 {
		return
	}
	line("create", "%d", v.Create)
	for i, c := range v.Candidates {
		if i == maxShown {
			line("", "and %d more", len(v.Candidates)-i)
			break
		}
		price, share := "", ""
		if c.Price != nil {
			price = fmt.Sprintf("%s %s/h each", c.Price.Currency, view.Money(c.Price.PerHour))
		}
		if c.Share > 0 {
			share = fmt.Sprintf("%d", c.Share)
		}
		line("", "%s", joinNonEmpty("  ", c.VSwitch, c.InstanceType, share, c.Word, price))
	}
}

// shorten writes names with their reasons, at most maxShown of them.
func shorten(line func(name, format string, args ...any), name, note string, list []view.Leaving) {
	for i, l := range list {
		if i == maxShown {
			line("", "and %d more", len(list)-i)
			return
		}
		line(name, "%s", joinNonEmpty(": ", joinNonEmpty(" ", l.Instance, note), l.Reason))
	}
}

func orDefault(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// joinNonEmpty joins the parts that are not empty.
func joinNonEmpty(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), sep)
}
