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
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view"
	"github.com/poolkeeper/poolkeeper/internal/view/snapshot"
)

// Plan is what a wish means for a pool: the planner's own decisions on the
// objects as they were read. Unit of numbers: instances.
type Plan struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Pool       string `json:"pool"`
	// Hash names this plan: the same wish on the same facts gives the same.
	Hash string `json:"hash"`
	From int32  `json:"from"`
	To   int32  `json:"to"`
	// Known is false where there is nothing to plan on: the pool has no group
	// yet, or nobody has read what the cloud offers.
	Known bool `json:"known"`
	// Drop is how many that were wished are not created after all.
	Drop       int32           `json:"drop,omitempty"`
	Create     int32           `json:"create,omitempty"`
	Candidates []PlanCandidate `json:"candidates,omitempty"`
	// NotAsked are resource pools that are left out, and why.
	NotAsked []PlanCandidate `json:"notAsked,omitempty"`
	CallBack []string        `json:"callBack,omitempty"`
	Release  []Leaving       `json:"release,omitempty"`
	TakeOut  []Leaving       `json:"takeOut,omitempty"`
	// Kept are instances that scaling in does not pick.
	Kept    []Leaving `json:"kept,omitempty"`
	Blocked []string  `json:"blocked,omitempty"`
	// Ceilings are what the ceilings that are set say of what is created.
	Ceilings []Ceiling `json:"ceilings,omitempty"`
	Drain    string    `json:"drain,omitempty"`
	// Hooks are the lifecycle hooks that hold what is created, or what goes.
	Hooks  []PlanHook  `json:"hooks,omitempty"`
	Before *view.Price `json:"priceBefore,omitempty"`
	After  *view.Price `json:"priceAfter,omitempty"`
	AsOf   view.AsOf   `json:"asOf"`

	blocked []string // codes and names: what the hash is made of
}

// PlanCandidate is one resource pool that would be asked.
type PlanCandidate struct {
	VSwitch      string `json:"vSwitch"`
	Zone         string `json:"zone,omitempty"`
	InstanceType string `json:"instanceType"`
	Billing      string `json:"billing"`
	// Amount is how many it makes if each that is asked gives all it is asked
	// for; 0: it is asked only where others run short.
	Amount int32       `json:"amount,omitempty"`
	Word   string      `json:"word"`
	Code   string      `json:"code,omitempty"`
	Price  *view.Price `json:"price,omitempty"`
	micros int64
}

// Leaving is an instance that goes, or would if it were not kept.
type Leaving struct {
	Instance     string `json:"instance"`
	Zone         string `json:"zone,omitempty"`
	InstanceType string `json:"instanceType,omitempty"`
	Reason       string `json:"reason,omitempty"`
	// PerHour is what it costs.
	PerHour string `json:"perHour,omitempty"`
	// Help is what ends its being kept.
	Help string `json:"help,omitempty"`
}

// PlanHook is a lifecycle hook that would hold instances.
type PlanHook struct {
	Name       string `json:"name"`
	Transition string `json:"transition"`
	// TimeoutSeconds is for how long it holds each unless it is completed or
	// given more time.
	TimeoutSeconds int32  `json:"timeoutSeconds"`
	DefaultResult  string `json:"defaultResult"`
}

// Ceiling is what one ceiling says.
type Ceiling struct {
	// Ceiling in words: "60.00/h".
	Ceiling string `json:"ceiling"`
	Code    string `json:"code,omitempty"`
	// Of is how many were to be created, Stops how many of them it stops.
	Of    int32 `json:"of"`
	Stops int32 `json:"stops"`
}

// World is what a plan is made on, as it was read. Group may be nil; activities
// and instances are those of the group, or of all groups; Groups are all where
// the installation has ceilings.
type World struct {
	Pool       *v1alpha1.NodePool
	Group      *v1alpha1.ScalingGroup
	Groups     v1alpha1.ScalingGroupList
	Activities v1alpha1.ScalingActivityList
	Instances  v1alpha1.InstanceList
	Now        time.Time
}

// Ask is what is wished of a pool.
type Ask struct {
	// To is the expected number. Unit: nodes.
	To int32
	// Out are instances that leave by their names.
	Out []string
	// Release releases those; else they go on running.
	Release bool
}

// planSteps bounds how many decisions in a row a preview follows.
const planSteps = 8

// New runs the planner on a pool as it would be with a wish, decision after
// decision, until it would create or rest. It changes nothing that it is given.
func New(w World, ask Ask) Plan {
	p, g, now := w.Pool, w.Group, w.Now
	v := Plan{APIVersion: view.APIVersion, Kind: "Plan", Pool: p.Name, From: p.Spec.ExpectedNodes, To: ask.To, AsOf: view.AsOf{API: now.UTC()}}
	have := p.Status.Counts.Instances + p.Status.Counts.Uncertain
	if len(ask.Out) == 0 {
		v.Drop = max(v.From-max(ask.To, have), 0)
	}
	if g == nil || len(g.Status.ResourcePools) == 0 && ask.To > have {
		v.Hash = v.hash(p, g)
		return v
	}
	v.Known, v.AsOf.Cloud = true, view.NewestCheck(g)
	s := planned(g, w.Activities.Items, w.Instances.Items, ask.To, now)
	if c := g.Status.Installation; c != nil {
		s.Ceilings = append(s.Ceilings, snapshot.Installation(c, w.Groups.Items, w.Activities.Items, w.Instances.Items, g.Name, now))
	}
	r := run{plan: &v, group: g, ask: ask, found: map[string]scaling.Instance{}, grades: scaling.Outlook(s).Pools, now: now}
	for _, i := range s.Instances {
		r.found[i.Name] = i
	}
	if len(ask.Out) > 0 {
		r.anyway = anyway(s, int(v.From))
	}
	for _, name := range ask.Out {
		s.Transfers = append(s.Transfers, scaling.Transfer{Instance: name, Release: ask.Release})
	}
	for range planSteps {
		d := scaling.Plan(s)
		r.add(d, s)
		if d.Empty() || d.Create > 0 {
			break
		}
		carryOut(&s, d)
	}
	v.keep(s, p, ask)
	if g != nil && g.Spec.Undrained != "" && len(ask.Out) == 0 && v.Drain == string(v1alpha1.DrainBestEffort) {
		v.Drain = drainOff
	}
	v.hooks(p)
	v.price(p, g, r.change)
	v.Hash = v.hash(p, g)
	return v
}

// hooks names the hooks of the pool that would hold something.
func (v *Plan) hooks(p *v1alpha1.NodePool) {
	if v.Create > 0 {
		v.Hooks = hooksOn(p, v1alpha1.WayIn)
	}
	if len(v.Release)+len(v.TakeOut) > 0 {
		v.Hooks = append(v.Hooks, hooksOn(p, v1alpha1.WayOut)...)
	}
}

// hooksOn are the hooks of a pool on one way.
func hooksOn(p *v1alpha1.NodePool, way v1alpha1.Way) []PlanHook {
	var out []PlanHook
	for _, h := range p.Spec.LifecycleHooks {
		if h.Transition == way {
			out = append(out, PlanHook{h.Name, string(h.Transition), h.TimeoutSeconds(), string(h.DefaultResult)})
		}
	}
	return out
}

// anyway is how many would be created without the wish.
func anyway(s scaling.Snapshot, desired int) int {
	s.Instances, s.Desired = slices.Clone(s.Instances), desired
	for range planSteps {
		d := scaling.Plan(s)
		if d.Empty() || d.Create > 0 {
			return d.Create
		}
		carryOut(&s, d)
	}
	return 0
}

// run is a preview in the making.
type run struct {
	plan   *Plan
	group  *v1alpha1.ScalingGroup
	ask    Ask
	found  map[string]scaling.Instance
	grades []scaling.PoolScore
	now    time.Time
	// anyway is how many are created without the wish too. Unit: instances.
	anyway int
	// change of the price. Unit: millionths per hour.
	change int64
}

// add takes one decision into the plan. Where instances are named, what would
// be done without them too is no part of it.
func (r *run) add(d scaling.Decision, s scaling.Snapshot) {
	v := r.plan
	other := func(c scaling.Chosen) bool { return len(r.ask.Out) > 0 && !slices.Contains(r.ask.Out, c.Name) }
	for _, c := range slices.DeleteFunc(d.Release, other) {
		v.Release = append(v.Release, r.leaving(c))
	}
	for _, c := range slices.DeleteFunc(d.TakeOut, other) {
		v.TakeOut = append(v.TakeOut, r.leaving(c))
	}
	for _, b := range d.Blocked {
		text := joinNonEmpty(" ", strings.TrimRight(b.Text, "."), string(b.Code))
		if !slices.Contains(v.Blocked, text) {
			v.Blocked = append(v.Blocked, text)
			v.blocked = append(v.blocked, string(b.Code)+" "+strings.Join(b.Names, ","))
		}
	}
	if len(r.ask.Out) == 0 || r.ask.To == v.From {
		v.CallBack = append(v.CallBack, d.CallBack...)
	}
	for _, c := range d.Checks {
		v.Ceilings = append(v.Ceilings, newCeiling(c))
	}
	if d.Create -= r.anyway; d.Create > 0 {
		v.Create = int32(d.Create)
		r.creation(d, s.Settings.StrictBalance)
	}
}

func newCeiling(c scaling.CeilingCheck) Ceiling {
	out := Ceiling{Ceiling: c.Ceiling, Of: int32(c.Of), Stops: int32(c.Stops)}
	if c.Stops > 0 {
		out.Code = string(c.Code)
	}
	return out
}

// leaving is one that goes, with what it is; its price goes with it.
func (r *run) leaving(c scaling.Chosen) Leaving {
	i := r.found[c.Name]
	r.change -= i.Price
	switch {
	case len(r.ask.Out) == 0:
	case r.ask.Release && i.Kept != "":
		c.Why = i.Kept + ": never released"
	default:
		c.Why = "" // the person knows
	}
	return newLeaving(i, c.Why)
}

func newLeaving(i scaling.Instance, why string) Leaving {
	l := Leaving{Instance: i.Name, Zone: i.Zone, InstanceType: i.InstanceType, Reason: why}
	if i.Price > 0 {
		l.PerHour = view.Money(scaling.Decimal(i.Price))
	}
	return l
}

// creation spreads what is to be created over the candidates as the activity
// would, if each gave all that it is asked for, and names those left out.
func (r *run) creation(d scaling.Decision, strict bool) {
	for n, amount := range amounts(d, strict) {
		c := d.Candidates[n]
		one := r.candidate(scaling.ResourcePool{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: c.ChargeType})
		one.Amount, one.micros = int32(amount), c.Price
		r.change += int64(amount) * c.Price
		r.plan.Candidates = append(r.plan.Candidates, one)
	}
	for _, g := range r.grades {
		asked := func(c scaling.Candidate) bool {
			return c.VSwitch == g.Pool.VSwitch && c.InstanceType == g.Pool.InstanceType && c.ChargeType == g.Pool.ChargeType
		}
		if g.Score == 0 && !slices.ContainsFunc(d.Candidates, asked) {
			r.plan.NotAsked = append(r.plan.NotAsked, r.candidate(g.Pool))
		}
	}
}

func (r *run) candidate(p scaling.ResourcePool) PlanCandidate {
	v := PlanCandidate{VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType, Billing: view.BillingWord(v1alpha1.ChargeType(p.ChargeType))}
	for _, rp := range r.group.Status.ResourcePools {
		if rp.VSwitch == p.VSwitch && rp.InstanceType == p.InstanceType && view.BillingWord(rp.ChargeType) == v.Billing {
			cell := view.NewStrengthCell(rp, r.group.Status.Refusals, view.Clock{Now: r.now})
			v.Word, v.Code, v.Price = cell.Word, cell.Code, cell.Price
		}
	}
	return v
}

// amounts is how many each candidate makes where each gives all.
func amounts(d scaling.Decision, strict bool) []int {
	got, left := make([]int, len(d.Candidates)), d.Create
	a := scaling.Activity{StrictBalance: strict, Create: d.Create, Candidates: d.Candidates}
	for {
		p, ok := scaling.NextPiece(a, left)
		if !ok {
			return got
		}
		p.Created = p.Amount
		a.Pieces = append(a.Pieces, p)
		got[p.Candidate] += p.Amount
		left -= p.Amount
	}
}

// carryOut does to a snapshot what a decision would do.
func carryOut(s *scaling.Snapshot, d scaling.Decision) {
	gone := map[string]bool{}
	for _, c := range slices.Concat(d.Release, d.TakeOut) {
		gone[c.Name] = true
	}
	for i := range s.Instances {
		switch one := &s.Instances[i]; {
		case gone[one.Name]:
			one.Marked, one.Named = s.Now, true
		case slices.Contains(d.CallBack, one.Name):
			one.Marked = time.Time{}
		}
	}
	in := func(t scaling.Transfer) bool { return t.In && slices.Contains(d.BringIn, t.Instance) }
	s.Transfers = slices.DeleteFunc(s.Transfers, in)
}

// keep names what stays although there would be too many.
func (v *Plan) keep(s scaling.Snapshot, p *v1alpha1.NodePool, ask Ask) {
	if len(v.Release)+len(v.TakeOut) > 0 && p.Spec.Drain.Mode != v1alpha1.DrainOff {
		v.Drain = orDefault(string(p.Spec.Drain.Mode), string(v1alpha1.DrainBestEffort))
	}
	if ask.To >= v.From || len(ask.Out) > 0 {
		return
	}
	counted := 0
	for _, i := range slices.SortedFunc(slices.Values(s.Instances), scaling.Newest) {
		if !i.Marked.IsZero() || i.Unknown || i.Removed {
			continue
		}
		if counted++; i.Kept != "" {
			l := newLeaving(i, i.Kept)
			l.Help = scaling.WayOut(i.Name, i.Kept)
			v.Kept = append(v.Kept, l)
		}
	}
	if counted > int(ask.To) && len(v.Blocked) == 0 {
		v.Blocked = append(v.Blocked, fmt.Sprintf("%d instances too many stay", counted-int(ask.To)))
	}
}

// price is what the pool costs before and after.
func (v *Plan) price(p *v1alpha1.NodePool, g *v1alpha1.ScalingGroup, change int64) {
	before, currency := new(big.Rat), ""
	if pr := p.Status.Price; pr != nil {
		currency = pr.Currency
		if _, ok := before.SetString(pr.PerHour); !ok {
			return
		}
	}
	for _, rp := range g.Status.ResourcePools {
		currency = orDefault(currency, rp.Currency)
	}
	if currency == "" {
		return
	}
	after := new(big.Rat).Add(before, big.NewRat(change, 1_000_000))
	v.Before = &view.Price{Currency: currency, PerHour: view.Money(before.FloatString(6))}
	v.After = &view.Price{Currency: currency, PerHour: view.Money(after.FloatString(6))}
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
