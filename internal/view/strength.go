package view

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Strength is the elastic strength of a pool, resource pool by resource pool.
type Strength struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Pool       string `json:"pool"`
	Word       string `json:"word"`
	// Score is the sum over all resource pools.
	Score int            `json:"score"`
	Pools []StrengthCell `json:"resourcePools"`
	// Held are the candidates that are only tried now and then, as the same
	// cause came too often in a row.
	Held []Hold `json:"held,omitempty"`
	// Help are edits that would make it stronger.
	Help []string `json:"help,omitempty"`
	AsOf AsOf     `json:"asOf"`

	held []string
}

// StrengthCell is the outlook of one instance type in one vSwitch.
type StrengthCell struct {
	VSwitch      string `json:"vSwitch"`
	Zone         string `json:"zone,omitempty"`
	InstanceType string `json:"instanceType"`
	Billing      string `json:"billing"`
	Stock        string `json:"stock,omitempty"`
	// Word is what people read.
	Word string `json:"word"`
	// Code is that of the refusal or constraint, where there is one.
	Code string `json:"code,omitempty"`
	// Until is when a remembered refusal expires.
	Until *time.Time `json:"until,omitempty"`
	Price *Price     `json:"price,omitempty"`
	// FreeAddresses of the vSwitch; -1 where nobody knows.
	FreeAddresses int32 `json:"freeAddresses"`
	// Score is what it adds: 3 in stock, 1 where stock is low, else 0.
	Score int `json:"score"`

	tone Tone
}

// NewStrength makes the view of a group's elastic strength.
func NewStrength(g *v1alpha1.ScalingGroup, clock Clock) Strength {
	v := Strength{
		APIVersion: APIVersion, Kind: "Strength", Pool: g.Spec.Pool, Word: g.Status.Strength,
		AsOf: AsOf{API: clock.Now.UTC(), Cloud: NewestCheck(g)},
	}
	if v.Word == "" {
		v.Word = "Not known yet"
	}
	for _, rp := range g.Status.ResourcePools {
		v.Pools = append(v.Pools, NewStrengthCell(rp, g.Status.Refusals, clock))
	}
	for _, h := range Holds(g, clock.Now) {
		if h.often() {
			v.Held, v.held = append(v.Held, h), append(v.held, h.Text(g.Spec.Pool, clock))
		}
	}
	return v
}

// NewStrengthCell is the outlook of one resource pool.
func NewStrengthCell(rp v1alpha1.ResourcePoolStatus, refusals []v1alpha1.Refusal, clock Clock) StrengthCell {
	c := StrengthCell{
		VSwitch: rp.VSwitch, Zone: rp.Zone, InstanceType: rp.InstanceType, Billing: BillingWord(rp.ChargeType),
		Stock: rp.Stock, Word: StockWord(rp.Stock), FreeAddresses: rp.FreeAddresses,
	}
	if rp.PricePerHour != "" {
		c.Price = &Price{Currency: rp.Currency, PerHour: Money(rp.PricePerHour)}
	}
	refusal := newestRefusal(rp, refusals, clock.Now)
	switch {
	case rp.Constraint != "":
		c.Word, c.Code, c.tone = "Does not fit: "+rp.Constraint, rp.Constraint, ToneBad
	case refusal != nil:
		until := refusal.UntilTime.UTC()
		c.Word, c.Code, c.Until, c.tone = "Remembered refusal until "+clock.At(until), refusal.Code, &until, ToneHold
	case rp.FreeAddresses == 0:
		c.Word, c.tone = "No free addresses", ToneBad
	case rp.Stock == "WithStock":
		c.tone = ToneOK
	case rp.Stock == "ClosedWithStock":
		c.tone = ToneWarn
	case rp.Stock == "WithoutStock", rp.Stock == "ClosedWithoutStock", rp.Stock == "NotOffered":
		c.tone = ToneBad
	default:
		c.tone = ToneOff
	}
	return c
}

// newestRefusal is the refusal that keeps a resource pool from being asked for
// the longest time from now on; nil where none does.
func newestRefusal(rp v1alpha1.ResourcePoolStatus, refusals []v1alpha1.Refusal, now time.Time) *v1alpha1.Refusal {
	var found *v1alpha1.Refusal
	for i := range refusals {
		r := &refusals[i]
		if !r.UntilTime.After(now) || !refuses(r, rp) {
			continue
		}
		if found == nil || r.UntilTime.After(found.UntilTime.Time) {
			found = r
		}
	}
	return found
}

// refuses is true when a refusal speaks of a resource pool, by its scope. Those
// of the whole group, account or template speak of every one.
func refuses(r *v1alpha1.Refusal, rp v1alpha1.ResourcePoolStatus) bool {
	refused := fault.Place{VSwitch: r.VSwitch, Zone: r.Zone, InstanceType: r.InstanceType, ChargeType: string(r.ChargeType), Disk: r.Disk}
	asked := fault.Place{VSwitch: rp.VSwitch, Zone: rp.Zone, InstanceType: rp.InstanceType, ChargeType: string(rp.ChargeType), Disk: r.Disk}
	return fault.Scope(r.Scope).Covers(refused, asked)
}

// mostTypes is how many instance types get a column of their own.
const mostTypes = 4

// Text is the outlook as people read it: one row for each vSwitch and one
// column for each type where they are few, else one row for each resource pool;
// then what would help.
func (s Strength) Text(style Style) string {
	types := s.types()
	t := strengthList(s)
	if len(types) <= mostTypes && !style.Wide && s.oneBilling() {
		t = strengthGrid(s, types)
	}
	text := t.Text(style)
	for _, h := range s.held {
		text += "Held: " + h + "\n"
	}
	for _, h := range s.Help {
		text += "Help: " + h + "\n"
	}
	return text
}

// types are the instance types, in their order.
func (s Strength) types() []string {
	var list []string
	for _, c := range s.Pools {
		if !slices.Contains(list, c.InstanceType) {
			list = append(list, c.InstanceType)
		}
	}
	return list
}

func (s Strength) oneBilling() bool {
	for _, c := range s.Pools {
		if c.Billing != s.Pools[0].Billing {
			return false
		}
	}
	return true
}

func strengthGrid(s Strength, types []string) Table {
	t := Table{Columns: []Column{{Name: "ZONE"}, {Name: "VSWITCH"}, {Name: "FREE"}}}
	for _, name := range types {
		t.Columns = append(t.Columns, Column{Name: name})
	}
	row := map[string][]Cell{}
	var order []string
	for _, c := range s.Pools {
		if row[c.VSwitch] == nil {
			order = append(order, c.VSwitch)
			row[c.VSwitch] = append([]Cell{text(c.Zone), text(c.VSwitch), text(free(c.FreeAddresses))}, make([]Cell, len(types))...)
		}
		row[c.VSwitch][3+slices.Index(types, c.InstanceType)] = Cell{Text: c.Word, Tone: c.tone}
	}
	for _, v := range order {
		t.Rows = append(t.Rows, row[v])
	}
	return t
}

// strengthList is the outlook of each resource pool in a row of its own.
func strengthList(s Strength) Table {
	t := Table{Columns: []Column{
		{Name: "ZONE"}, {Name: "VSWITCH"}, {Name: "FREE"}, {Name: "TYPE"}, {Name: "BILLING"}, {Name: "OUTLOOK"},
		{Name: "SCORE"}, {Name: "PRICE/H"}, {Name: "CODE"},
	}}
	for _, c := range s.Pools {
		price := ""
		if c.Price != nil {
			price = c.Price.PerHour
		}
		t.Rows = append(t.Rows, []Cell{
			text(c.Zone), text(c.VSwitch), text(free(c.FreeAddresses)), text(c.InstanceType), text(c.Billing),
			{Text: c.Word, Tone: c.tone}, text(fmt.Sprint(c.Score)), text(price), text(c.Code),
		})
	}
	return t
}

// StrengthHelp says which edits would make a pool stronger: vSwitches of the
// cloud that it has not, as far as they are known, else what the worst of its
// own need. Nothing where it is Strong.
func StrengthHelp(s Strength, others []v1alpha1.ResourcePoolStatus) []string {
	if s.Word == "Strong" || len(s.Pools) == 0 {
		return nil
	}
	var help []string
	seen := map[string]bool{}
	for _, o := range others {
		if o.Stock == "WithStock" && o.Constraint == "" && o.FreeAddresses != 0 && !seen[o.VSwitch] {
			seen[o.VSwitch] = true
			help = append(help, fmt.Sprintf("add %s (zone %s, %s in stock): poolkeeper pool edit %s --add-vswitch %s --dry-run", o.VSwitch, o.Zone, o.InstanceType, s.Pool, o.VSwitch))
		}
	}
	if len(help) > 0 {
		return help
	}
	for _, c := range s.Pools {
		solution := trimPoint(fault.Lookup(fault.Code(c.Code)).Advice(fault.Details{fault.DetailPool: s.Pool}))
		if c.Code != "" && c.Until == nil && !seen[c.Code] && solution != "" {
			seen[c.Code] = true
			help = append(help, fmt.Sprintf("%s in %s: %s", c.InstanceType, c.VSwitch, solution))
		}
	}
	return append(help, fmt.Sprintf("add vSwitches in other zones or more instance types: poolkeeper pool edit %s --help", s.Pool))
}

// SortLike puts resource pools in the order of those known before; new ones
// come last.
func SortLike(list, before []v1alpha1.ResourcePoolStatus) {
	rank := map[string]int{}
	key := func(p v1alpha1.ResourcePoolStatus) string {
		return p.VSwitch + " " + p.InstanceType + " " + BillingWord(p.ChargeType)
	}
	for i, p := range before {
		rank[key(p)] = i - len(before)
	}
	slices.SortStableFunc(list, func(a, b v1alpha1.ResourcePoolStatus) int { return rank[key(a)] - rank[key(b)] })
}

// SortBy puts resource pools in the order of settings: vSwitch by vSwitch, type
// by type.
func SortBy(list []v1alpha1.ResourcePoolStatus, s *v1alpha1.LaunchSettings) {
	slices.SortStableFunc(list, func(a, b v1alpha1.ResourcePoolStatus) int {
		if a.VSwitch != b.VSwitch {
			return slices.Index(s.VSwitches, a.VSwitch) - slices.Index(s.VSwitches, b.VSwitch)
		}
		return slices.Index(s.InstanceTypes, a.InstanceType) - slices.Index(s.InstanceTypes, b.InstanceType)
	})
}
