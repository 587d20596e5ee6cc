package view

import (
	"fmt"
	"math/big"
	"sort"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// Cost is what a pool's instances cost, reckoned from creations and unit
// prices. The vendor's bill decides.
type Cost struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Pool       string `json:"pool"`
	// Price is what is paid per hour; Paid the share of it that was paid in
	// advance.
	Price Price `json:"price"`
	Paid  Price `json:"paid"`
	// Instances that the bill is made of. Unit: instances.
	Instances int32 `json:"instances"`
	// Unpriced is how many instances have no known price.
	Unpriced int32 `json:"unpriced,omitempty"`
	// Hours and Amount of all lines, from Since (else the creations) to Until.
	Hours  string     `json:"hours"`
	Amount string     `json:"amount"`
	Since  *time.Time `json:"since,omitempty"`
	Until  time.Time  `json:"until"`
	Lines  []CostLine `json:"lines"`
	// Spent is what the pool cost until then since it was created, by billing,
	// also of what was released since. Nothing where that is not known.
	Spent []SpentLine `json:"spent,omitempty"`
	AsOf  AsOf        `json:"asOf"`
}

// SpentLine is what was spent on instances that are billed in one way.
type SpentLine struct {
	Billing   string `json:"billing"`
	Instances int32  `json:"instances"`
	PerHour   string `json:"perHour"`
	Amount    string `json:"amount"`
}

// CostLine is what instances of one kind cost.
type CostLine struct {
	Key string `json:"key"`
	// Instances that share the key. Unit: instances.
	Instances int32  `json:"instances"`
	Unit      string `json:"unit,omitempty"`
	PerHour   string `json:"perHour"`
	// Hours run by those that still exist, and what they came to.
	Hours  string `json:"hours"`
	Amount string `json:"amount"`
	Paid   bool   `json:"paidInAdvance,omitempty"`
	// Terms are how the one instance of the line was billed in turn, where it was
	// converted.
	Terms []CostTerms `json:"terms,omitempty"`
}

// CostTerms are what an instance cost while it was billed in one way.
type CostTerms struct {
	Billing string     `json:"billing"`
	Since   *time.Time `json:"since,omitempty"`
	Unit    string     `json:"unit,omitempty"`
	Hours   string     `json:"hours"`
	Amount  string     `json:"amount"`
}

// Spent is what instances that are billed in one way cost until a time, with
// those that were released since: what the status has settled, and the price per
// hour from then on.
func Spent(p *v1alpha1.Price, b v1alpha1.BilledAs, at time.Time) *big.Rat {
	sum := new(big.Rat)
	if r, ok := new(big.Rat).SetString(b.Spent); ok {
		sum.Add(sum, r)
	}
	if r, ok := new(big.Rat).SetString(b.PerHour); ok && p.SpentTime != nil && at.After(p.SpentTime.Time) {
		sum.Add(sum, r.Mul(r, big.NewRat(int64(at.Sub(p.SpentTime.Time)/time.Second), 3600)))
	}
	return sum
}

// spentUntil is what a pool cost until a time that its status can speak of.
func spentUntil(p *v1alpha1.Price, at time.Time) []SpentLine {
	if p == nil || p.SpentTime == nil || at.Before(p.SpentTime.Time) {
		return nil
	}
	var list []SpentLine
	for _, b := range p.Billing {
		perHour := orDefault(b.PerHour, "0")
		list = append(list, SpentLine{Billing: BillingWord(b.ChargeType), Instances: b.Instances, PerHour: Money(perHour), Amount: Money(Spent(p, b, at).FloatString(6))})
	}
	return list
}

// CostKeys are the ways to group a bill.
var CostKeys = []string{"zone", "type", "billing", "instance"}

// Span is the time that a bill is about. A zero Since is each creation.
type Span struct{ Since, Until time.Time }

// sum adds up one line.
type sum struct {
	n                    int32
	unit                 string
	perHour, hours, cost *big.Rat
	paid                 bool
	stretches            []lifecycle.Stretch
}

func newSum() *sum {
	return &sum{perHour: new(big.Rat), hours: new(big.Rat), cost: new(big.Rat)}
}

// add adds a stretch with a known cost. Instances and the price per hour are
// those that are present at the end of the bill.
func (s *sum) add(b lifecycle.Stretch, present bool) {
	s.stretches = append(s.stretches, b)
	s.hours.Add(s.hours, b.Hours)
	s.cost.Add(s.cost, b.Cost)
	price, ok := new(big.Rat).SetString(b.Price)
	if !present || !ok {
		return
	}
	paid, unit := b.ChargeType == string(v1alpha1.ChargeSubscription), Money(b.Price)
	if s.n == 0 {
		s.paid, s.unit = paid, unit
	}
	s.paid = s.paid && paid
	if s.unit != unit {
		s.unit = ""
	}
	s.n++
	s.perHour.Add(s.perHour, price)
}

func (s *sum) line(key string) CostLine {
	return CostLine{
		Key: key, Instances: s.n, Unit: s.unit, PerHour: Money(s.perHour.FloatString(6)),
		Hours: s.hours.FloatString(2), Amount: Money(s.cost.FloatString(6)), Paid: s.paid,
	}
}

// terms are the stretches of one instance; none where there is but one.
func (s *sum) terms() []CostTerms {
	if len(s.stretches) < 2 {
		return nil
	}
	var out []CostTerms
	for _, b := range s.stretches {
		since := b.Since.UTC()
		out = append(out, CostTerms{Billing: BillingWord(v1alpha1.ChargeType(b.ChargeType)), Since: &since, Unit: Money(b.Price),
			Hours: b.Hours.FloatString(2), Amount: Money(b.Cost.FloatString(6))})
	}
	return out
}

// NewCost makes the bill of a pool over a span of time. By is one of CostKeys,
// or empty for zone, type and billing together. What an instance cost under
// earlier terms stands in the line of those. The error wraps a
// *lifecycle.UnknownTermsError.
func NewCost(p *v1alpha1.NodePool, instances []v1alpha1.Instance, by string, span Span, now time.Time) (Cost, error) {
	v := Cost{APIVersion: APIVersion, Kind: "Cost", Pool: p.Name, Until: span.Until.UTC(), AsOf: AsOf{API: now.UTC()}, Lines: []CostLine{}}
	if !span.Since.IsZero() {
		since := span.Since.UTC()
		v.Since = &since
	} else {
		v.Spent = spentUntil(p.Status.Price, span.Until)
	}
	total, paid, lines := newSum(), newSum(), map[string]*sum{}
	for k := range instances {
		i := &instances[k]
		if i.Spec.Pool != p.Name || i.Status.LifecycleState == v1alpha1.InstanceRemoved {
			continue
		}
		stretches, err := BillingOf(i).Over(span.Since, span.Until)
		if err != nil {
			return v, fmt.Errorf("%s was converted often: %w", i.Name, err)
		}
		if len(stretches) > 0 {
			v.Instances++
		}
		unpriced := int32(0)
		for n, s := range stretches {
			if s.Cost == nil {
				unpriced = 1
				continue
			}
			key, present := costKey(i, s.ChargeType, by), n+1 == len(stretches)
			if lines[key] == nil {
				lines[key] = newSum()
			}
			total.add(s, present)
			lines[key].add(s, present)
			if s.ChargeType == string(v1alpha1.ChargeSubscription) {
				paid.add(s, present)
			}
			v.Price.Currency = orDefault(v.Price.Currency, s.Currency)
		}
		v.Unpriced += unpriced
	}
	if pr := p.Status.Price; pr != nil {
		v.Price.Currency = orDefault(v.Price.Currency, pr.Currency)
	}
	all := total.line("")
	v.Price.PerHour, v.Hours, v.Amount = all.PerHour, all.Hours, all.Amount
	v.Paid = Price{Currency: v.Price.Currency, PerHour: paid.line("").PerHour}
	for key, s := range lines {
		line := s.line(key)
		if by == "instance" {
			line.Terms = s.terms()
		}
		v.Lines = append(v.Lines, line)
	}
	sort.Slice(v.Lines, func(i, j int) bool { return v.Lines[i].Key < v.Lines[j].Key })
	return v, nil
}

func costKey(i *v1alpha1.Instance, charge, by string) string {
	p := i.Spec.Placement
	switch by {
	case "zone":
		return p.Zone
	case "type":
		return p.InstanceType
	case "billing":
		return BillingWord(v1alpha1.ChargeType(charge))
	case "instance":
		return i.Name
	}
	return strings.Join([]string{p.Zone, p.InstanceType, BillingWord(v1alpha1.ChargeType(charge))}, " ")
}

// Dearer puts the bill of more per hour first, then goes by name.
func Dearer(a, b Cost) bool {
	x, _ := new(big.Rat).SetString(a.Price.PerHour)
	y, _ := new(big.Rat).SetString(b.Price.PerHour)
	if x != nil && y != nil && x.Cmp(y) != 0 {
		return x.Cmp(y) > 0
	}
	return a.Pool < b.Pool
}

// Text is a bill as people read it.
func (c Cost) Text(s Style) string {
	head := fmt.Sprintf("%s: %s/h", c.Pool, strings.TrimSpace(c.Price.Currency+" "+c.Price.PerHour))
	if c.Paid.PerHour != "0.00" {
		head += fmt.Sprintf(" of which %s already paid", c.Paid.PerHour)
	}
	if c.Unpriced > 0 {
		head += fmt.Sprintf("; %s without a known price", count(c.Unpriced, "instance"))
	}
	text := head + "\n"
	if len(c.Lines) > 0 {
		text += CostTable(c).Text(s)
	}
	if len(c.Lines) > 1 {
		text += fmt.Sprintf("In all %s hours, %s.\n", c.Hours, strings.TrimSpace(c.Price.Currency+" "+c.Amount))
	}
	var spent []string
	for _, l := range c.Spent {
		spent = append(spent, fmt.Sprintf("%s %s", l.Billing, l.Amount))
	}
	if len(spent) > 0 {
		text += "Since the pool was created, also for what was released: " + strings.TrimSpace(c.Price.Currency+" "+strings.Join(spent, ", ")) + ".\n"
	}
	return text
}

// CostTable is a bill as a table.
func CostTable(c Cost) Table {
	t := Table{Columns: []Column{
		{Name: "OF"}, {Name: "INSTANCES"}, {Name: "UNIT/H"}, {Name: "PER HOUR"}, {Name: "HOURS"}, {Name: "AMOUNT"}, {Name: "NOTE"},
	}}
	for _, l := range c.Lines {
		var notes []string
		for _, b := range l.Terms {
			notes = append(notes, strings.TrimSpace(fmt.Sprintf("%s %s h %s", b.Billing, b.Hours, per(b.Unit))))
		}
		if l.Paid {
			notes = append(notes, "already paid")
		}
		t.Rows = append(t.Rows, []Cell{
			text(l.Key), text(fmt.Sprint(l.Instances)), text(l.Unit), text(l.PerHour), text(l.Hours), text(l.Amount), {Text: strings.Join(notes, ", ")},
		})
	}
	return t
}

// per is a unit price as it stands beside hours; nothing where prices were added
// up.
func per(unit string) string {
	if unit == "" {
		return ""
	}
	return "x " + unit
}

// CostListTable is the bills of several pools as a table.
func CostListTable(list []Cost) Table {
	currency := ""
	for _, c := range list {
		currency = orDefault(currency, c.Price.Currency)
	}
	t := Table{Columns: []Column{
		{Name: "POOL"}, {Name: "INSTANCES"}, {Name: orDefault(currency, "PRICE") + "/H"}, {Name: "ALREADY PAID/H"}, {Name: "HOURS"}, {Name: "AMOUNT"},
	}}
	for _, c := range list {
		t.Rows = append(t.Rows, []Cell{
			text(c.Pool), text(fmt.Sprint(c.Instances)), text(c.Price.PerHour), text(c.Paid.PerHour), text(c.Hours), text(c.Amount),
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
