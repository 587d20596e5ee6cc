package view

import (
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Strength is the elastic strength of a pool, resource pool by resource pool.
type Strength struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Pool       string         `json:"pool"`
	Word       string         `json:"word"`
	Pools      []StrengthCell `json:"resourcePools"`
	AsOf       AsOf           `json:"asOf"`
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

	tone Tone
}

// NewStrength makes the view of a group's elastic strength.
func NewStrength(g *v1alpha1.ScalingGroup, clock Clock) Strength {
	v := Strength{
		APIVersion: APIVersion, Kind: "Strength", Pool: g.Spec.Pool, Word: g.Status.Strength,
		AsOf: AsOf{API: clock.Now.UTC(), Cloud: newestCheck(g)},
	}
	if v.Word == "" {
		v.Word = "Not known yet"
	}
	for _, rp := range g.Status.ResourcePools {
		v.Pools = append(v.Pools, newStrengthCell(rp, g.Status.Refusals, clock))
	}
	return v
}

func newStrengthCell(rp v1alpha1.ResourcePoolStatus, refusals []v1alpha1.Refusal, clock Clock) StrengthCell {
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

// StrengthTable is the outlook of each resource pool as a table.
func StrengthTable(s Strength) Table {
	t := Table{Columns: []Column{
		{Name: "ZONE"}, {Name: "VSWITCH"}, {Name: "FREE"}, {Name: "TYPE"}, {Name: "BILLING", Wide: true}, {Name: "OUTLOOK"},
		{Name: "PRICE/H"}, {Name: "CODE", Wide: true},
	}}
	for _, c := range s.Pools {
		price := ""
		if c.Price != nil {
			price = c.Price.PerHour
		}
		t.Rows = append(t.Rows, []Cell{
			text(c.Zone), text(c.VSwitch), text(free(c.FreeAddresses)), text(c.InstanceType), text(c.Billing),
			{Text: c.Word, Tone: c.tone}, text(price), text(c.Code),
		})
	}
	return t
}
