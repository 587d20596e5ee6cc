package view

import (
	"fmt"
	"sort"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// Pool is a node pool as people and scripts see it.
type Pool struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	// Status is the state's word, Word the same with n of m, State what
	// machines compare.
	Status   string `json:"status"`
	Word     string `json:"word"`
	State    string `json:"state"`
	Complete bool   `json:"complete"`
	// Summary is one sentence: as wished or not, and if not, why.
	Summary  string   `json:"summary"`
	Counts   Counts   `json:"counts"`
	Why      *Why     `json:"why,omitempty"`
	Chips    []string `json:"chips,omitempty"`
	Activity string   `json:"activity,omitempty"`
	Task     string   `json:"task,omitempty"`
	// Missing are instances that the cloud does not show, while that freezes the
	// pool; at most 500.
	Missing []string `json:"missing,omitempty"`
	// Running are the tasks under way, oldest first, where they were read.
	Running []string `json:"running,omitempty"`
	Price   *Price   `json:"price,omitempty"`
	// Strength is the elastic strength: Strong, Medium or Weak.
	Strength string `json:"strength,omitempty"`
	// Score is the sum of the scores of its resource pools.
	Score    int32  `json:"strengthScore"`
	Policy   string `json:"policy"`
	MinNodes int32  `json:"minNodes"`
	MaxNodes int32  `json:"maxNodes"`
	// MaxCreationsPerHour and MaxSpendPerHour are ceilings that a person set.
	MaxCreationsPerHour int32    `json:"maxCreationsPerHour,omitempty"`
	MaxSpendPerHour     string   `json:"maxSpendPerHour,omitempty"`
	VSwitches           []string `json:"vSwitches"`
	InstanceTypes       []string `json:"instanceTypes"`
	// Hooks are its lifecycle hooks, each with the way on which it holds instances.
	Hooks []string `json:"hooks,omitempty"`
	// Image that new machines start from, with what the cloud says of it where
	// it was asked.
	Image       *Image    `json:"image,omitempty"`
	CreatedTime time.Time `json:"createdTime"`
	// Conditions are what holds the pool up beyond its why.
	Conditions []Said `json:"conditions,omitempty"`
	AsOf       AsOf   `json:"asOf"`

	tone   Tone
	gap    string
	frozen bool
}

// Said is a name with a text.
type Said struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Counts are the numbers of a pool. Unit: instances.
type Counts struct {
	Expected  int32 `json:"expected"`
	InService int32 `json:"inService"`
	Joining   int32 `json:"joining"`
	Failed    int32 `json:"failed"`
	Offline   int32 `json:"offline"`
	Removing  int32 `json:"removing"`
	Instances int32 `json:"instances"`
	Unsure    int32 `json:"unsure"`
	Kept      Kept  `json:"kept"`
}

// Kept are instances that scaling in never picks, by kind.
type Kept struct {
	Protected    int32 `json:"protected"`
	Standby      int32 `json:"standby"`
	Subscription int32 `json:"subscription"`
	Attached     int32 `json:"attached"`
}

// Why is what keeps a pool from its wish.
type Why struct {
	// Short is how many nodes are missing; negative: too many.
	Short    int32      `json:"short"`
	Code     string     `json:"code,omitempty"`
	Since    *time.Time `json:"since,omitempty"`
	Sentence string     `json:"sentence"`
	Solution string     `json:"solution,omitempty"`
	Count    int32      `json:"count,omitempty"`
	Next     *Next      `json:"next,omitempty"`
}

// Next is what is tried next, and when.
type Next struct {
	Time *time.Time `json:"time,omitempty"`
	What string     `json:"what,omitempty"`
}

// Price is what something costs per hour.
type Price struct {
	Currency string `json:"currency"`
	PerHour  string `json:"perHour"`
}

// AsOf says how old a view is: when the API server was read, and when the
// newest fact of the cloud in it was.
type AsOf struct {
	API   time.Time  `json:"api"`
	Cloud *time.Time `json:"cloud,omitempty"`
}

// NewPool makes the view of a pool; its group may be nil where nobody read it.
func NewPool(p *v1alpha1.NodePool, g *v1alpha1.ScalingGroup, now time.Time) Pool {
	state := p.Status.State
	if !begun(p) {
		state = v1alpha1.PoolUpdating
	}
	v := Pool{
		APIVersion: APIVersion, Kind: "Pool", Name: p.Name,
		Status: PoolStateWord(state), Word: wordOf(p), State: string(state),
		Complete: Complete(p), Summary: PoolSentence(p, now), Counts: newCounts(p), Why: newWhy(p.Status.Why),
		Chips: chips(p, now), Task: p.Status.Task, Strength: p.Status.Strength,
		Policy:   string(p.Spec.ScalingPolicy.Type),
		MinNodes: p.Spec.MinNodes, MaxNodes: p.Spec.MaxNodes, MaxCreationsPerHour: p.Spec.MaxCreationsPerHour, MaxSpendPerHour: p.Spec.MaxSpendPerHour,
		VSwitches: p.Spec.VSwitches, InstanceTypes: p.Spec.InstanceTypes,
		CreatedTime: p.CreationTimestamp.UTC(), AsOf: AsOf{API: now.UTC()}, Conditions: troubles(p), tone: PoolTone(p), gap: PoolGap(p), frozen: IsFrozen(p),
	}
	for _, h := range p.Spec.LifecycleHooks {
		v.Hooks = append(v.Hooks, h.Name+" ("+string(h.Transition)+")")
	}
	if v.Policy == "" {
		v.Policy = string(v1alpha1.PolicyPriority)
	}
	v.Score = p.Status.StrengthScore
	if pr := p.Status.Price; pr != nil {
		v.Price = &Price{Currency: pr.Currency, PerHour: Money(pr.PerHour)}
	}
	if g != nil {
		v.Activity, v.AsOf.Cloud, v.Missing = g.Status.OpenActivity, NewestCheck(g), g.Status.Missing
		if i := g.Status.Image; i != nil && i.ID == p.Spec.ImageID {
			v.Image = &Image{ID: i.ID, OS: i.OS, Architecture: i.Architecture, BootMode: i.BootMode, Trusted: i.Trusted}
		}
	}
	return v
}

func newCounts(p *v1alpha1.NodePool) Counts {
	c := p.Status.Counts
	return Counts{
		Expected: p.Spec.ExpectedNodes, InService: c.InService, Joining: c.Joining, Failed: c.Failed,
		Offline: c.Offline, Removing: c.Removing, Instances: c.Instances, Unsure: c.Uncertain,
		Kept: Kept{Protected: c.Protected, Standby: c.Standby, Subscription: c.Subscription, Attached: c.Attached},
	}
}

func newWhy(w *v1alpha1.Why) *Why {
	if w == nil {
		return nil
	}
	v := &Why{Short: w.Short, Code: w.Code, Sentence: w.Sentence, Solution: w.Solution, Count: w.Count}
	if w.SinceTime != nil {
		t := w.SinceTime.UTC()
		v.Since = &t
	}
	if w.NextTime != nil || w.Next != "" {
		v.Next = &Next{What: w.Next}
		if w.NextTime != nil {
			t := w.NextTime.UTC()
			v.Next.Time = &t
		}
	}
	return v
}

// chips are what stands beside a pool's word.
func chips(p *v1alpha1.NodePool, now time.Time) []string {
	var list []string
	if p.Status.Strength == "Weak" {
		list = append(list, "Elastic strength: Weak")
	}
	if w := p.Status.Why; w != nil && w.NextTime != nil && w.NextTime.After(now) {
		d := w.NextTime.Sub(now).Round(time.Second)
		list = append(list, fmt.Sprintf("Waiting %d:%02d", int(d.Minutes()), int(d.Seconds())%60))
	}
	if IsHeld(p) {
		chip := "Held"
		if w := p.Status.Why; w != nil && w.Count > 1 {
			chip = fmt.Sprintf("Held: same cause %d times", w.Count)
		}
		list = append(list, chip)
	}
	if IsFrozen(p) {
		list = append(list, "Frozen")
	}
	if n := p.Status.Counts.Failed; n > 0 {
		list = append(list, fmt.Sprintf("%d failed to join", n))
	}
	if meta.IsStatusConditionFalse(p.Status.Conditions, v1alpha1.ConditionBalanced) {
		list = append(list, "Unbalanced")
	}
	if p.Spec.DeletionProtection == nil || *p.Spec.DeletionProtection {
		list = append(list, "Protected from deletion")
	}
	return list
}

// NewestCheck is when the newest fact of a group's resource pools was read.
func NewestCheck(g *v1alpha1.ScalingGroup) *time.Time {
	var newest *time.Time
	for i := range g.Status.ResourcePools {
		if t := g.Status.ResourcePools[i].CheckedTime; t != nil && (newest == nil || t.After(*newest)) {
			u := t.UTC()
			newest = &u
		}
	}
	return newest
}

// Well says whether a pool is wholly as wished and no condition speaks against
// that it stays so: a frozen one may have its number for a while.
func (p *Pool) Well() bool { return p.Complete && len(p.Conditions) == 0 }

// SortPools puts the pools that are not as wished first, then those with a
// condition that people should know, then goes by name.
func SortPools(list []Pool) {
	rank := func(p *Pool) int {
		switch {
		case !p.Complete:
			return 0
		case !p.Well():
			return 1
		}
		return 2
	}
	sort.SliceStable(list, func(i, j int) bool {
		if a, b := rank(&list[i]), rank(&list[j]); a != b {
			return a < b
		}
		return list[i].Name < list[j].Name
	})
}

// PoolTable is a list of pools as a table.
func PoolTable(list []Pool, clock Clock) Table {
	t := Table{Columns: []Column{
		{Name: "POOL"}, {Name: "STATUS"}, {Name: "EXPECTED"}, {Name: "IN SERVICE"}, {Name: "JOINING"}, {Name: "FAILED"},
		{Name: "OFFLINE", Wide: true}, {Name: "REMOVING", Wide: true}, {Name: "MIN", Wide: true}, {Name: "MAX", Wide: true},
		{Name: "POLICY", Wide: true}, {Name: perHourHeader(list)}, {Name: "STRENGTH"}, {Name: "AGE", Wide: true},
	}}
	for _, p := range list {
		price := "-"
		if p.Price != nil {
			price = p.Price.PerHour
		}
		n := func(i int32) Cell { return text(fmt.Sprint(i)) }
		word := p.Word
		if p.frozen {
			word += ", frozen"
		}
		t.Rows = append(t.Rows, []Cell{
			text(p.Name), {Text: word, Tone: p.tone},
			n(p.Counts.Expected), n(p.Counts.InService), n(p.Counts.Joining), n(p.Counts.Failed),
			n(p.Counts.Offline), n(p.Counts.Removing), n(p.MinNodes), n(p.MaxNodes),
			text(p.Policy), text(price), text(p.Strength), text(clock.Age(p.CreatedTime)),
		})
	}
	return t
}

// perHourHeader names the currency where all prices share one.
func perHourHeader(list []Pool) string {
	currency := ""
	for _, p := range list {
		if p.Price == nil || p.Price.Currency == "" {
			continue
		}
		if currency != "" && currency != p.Price.Currency {
			return "PRICE/H"
		}
		currency = p.Price.Currency
	}
	if currency == "" {
		return "PRICE/H"
	}
	return currency + "/H"
}
