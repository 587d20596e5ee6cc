package view

import (
	"fmt"
	"math/big"
	"sort"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// Cost is what a pool's instances cost, reckoned from creations and unit
// prices. The vendor's bill decides.
type Cost struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Pool       string `json:"pool"`
	// Price is what is paid per hour now; Paid the share of it that was paid in
	// advance.
	Price Price `json:"price"`
	Paid  Price `json:"paid"`
	// Unpriced is how many instances have no known price.
	Unpriced int32      `json:"unpriced,omitempty"`
	Lines    []CostLine `json:"lines"`
	AsOf     AsOf       `json:"asOf"`
}

// CostLine is what instances of one kind cost.
type CostLine struct {
	Key string `json:"key"`
	// Instances that share the key. Unit: instances.
	Instances int32  `json:"instances"`
	Unit      string `json:"unit,omitempty"`
	PerHour   string `json:"perHour"`
	// Hours run so far by those that still exist, and what they came to.
	Hours  string `json:"hours"`
	Amount string `json:"amount"`
	Paid   bool   `json:"paidInAdvance,omitempty"`
}

// CostKeys are the ways to group a bill.
var CostKeys = []string{"zone", "type", "billing", "instance"}

// sum adds up one line.
type sum struct {
	n                    int32
	unit                 string
	perHour, hours, cost *big.Rat
	paid                 bool
}

// NewCost makes the bill of a pool. By is one of CostKeys, or empty for zone,
// type and billing together.
func NewCost(pool string, instances []v1alpha1.Instance, by string, now time.Time) Cost {
	v := Cost{APIVersion: APIVersion, Kind: "Cost", Pool: pool, AsOf: AsOf{API: now.UTC()}, Lines: []CostLine{}}
	total, paid, lines := new(big.Rat), new(big.Rat), map[string]*sum{}
	for k := range instances {
		i := &instances[k]
		if i.Spec.Pool != pool || i.Status.LifecycleState == v1alpha1.InstanceRemoved {
			continue
		}
		price, ok := new(big.Rat).SetString(i.Spec.Placement.PricePerHour)
		if !ok {
			v.Unpriced++
			continue
		}
		if v.Price.Currency == "" {
			v.Price.Currency = i.Spec.Placement.Currency
		}
		total.Add(total, price)
		key := costKey(i, by)
		s := lines[key]
		if s == nil {
			s = &sum{perHour: new(big.Rat), hours: new(big.Rat), cost: new(big.Rat), unit: Money(i.Spec.Placement.PricePerHour)}
			lines[key] = s
		}
		s.add(i, price, now)
		if s.paid {
			paid.Add(paid, price)
		}
	}
	v.Price.PerHour = total.FloatString(2)
	v.Paid = Price{Currency: v.Price.Currency, PerHour: paid.FloatString(2)}
	for key, s := range lines {
		v.Lines = append(v.Lines, s.line(key))
	}
	sort.Slice(v.Lines, func(i, j int) bool { return v.Lines[i].Key < v.Lines[j].Key })
	return v
}

func (s *sum) add(i *v1alpha1.Instance, price *big.Rat, now time.Time) {
	s.n++
	s.perHour.Add(s.perHour, price)
	seconds := int64(max(now.Sub(i.CreationTimestamp.Time), 0) / time.Second)
	hours := big.NewRat(seconds, 3600)
	s.hours.Add(s.hours, hours)
	s.cost.Add(s.cost, new(big.Rat).Mul(hours, price))
	s.paid = ChargeToday(i) == v1alpha1.ChargeSubscription
	if s.unit != Money(i.Spec.Placement.PricePerHour) {
		s.unit = ""
	}
}

func (s *sum) line(key string) CostLine {
	return CostLine{
		Key: key, Instances: s.n, Unit: s.unit, PerHour: s.perHour.FloatString(2),
		Hours: s.hours.FloatString(1), Amount: s.cost.FloatString(2), Paid: s.paid,
	}
}

func costKey(i *v1alpha1.Instance, by string) string {
	p := i.Spec.Placement
	switch by {
	case "zone":
		return p.Zone
	case "type":
		return p.InstanceType
	case "billing":
		return BillingWord(ChargeToday(i))
	case "instance":
		return i.Name
	}
	return strings.Join([]string{p.Zone, p.InstanceType, BillingWord(ChargeToday(i))}, " ")
}

// CostTable is a bill as a table.
func CostTable(c Cost) Table {
	t := Table{Columns: []Column{
		{Name: "OF"}, {Name: "INSTANCES"}, {Name: "UNIT/H"}, {Name: "PER HOUR"}, {Name: "HOURS"}, {Name: "AMOUNT"}, {Name: "NOTE"},
	}}
	for _, l := range c.Lines {
		note := ""
		if l.Paid {
			note = "already paid"
		}
		t.Rows = append(t.Rows, []Cell{
			text(l.Key), text(fmt.Sprint(l.Instances)), text(l.Unit), text(l.PerHour), text(l.Hours), text(l.Amount), {Text: note},
		})
	}
	return t
}

// Money writes a decimal price with two decimals, three where the third is not
// zero. Anything else is written as it is.
func Money(price string) string {
	r, ok := new(big.Rat).SetString(price)
	if !ok {
		return price
	}
	return strings.TrimSuffix(r.FloatString(3), "0")
}

// free writes a number of free addresses; negative is not known.
func free(n int32) string {
	if n < 0 {
		return ""
	}
	return fmt.Sprint(n)
}
