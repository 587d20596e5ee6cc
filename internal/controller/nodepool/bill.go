package nodepool

import (
	"math/big"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// chargeTypes are the ways of billing, in the order in which they are told.
var chargeTypes = []api.ChargeType{api.ChargePayAsYouGo, api.ChargeSpot, api.ChargeSubscription}

// bill adds up prices per hour, by how instances are billed, in one currency.
type bill struct {
	perHour   map[api.ChargeType]*big.Rat
	instances map[api.ChargeType]int32
	currency  string
}

func newBill() *bill {
	return &bill{perHour: map[api.ChargeType]*big.Rat{}, instances: map[api.ChargeType]int32{}}
}

func (b *bill) add(i *api.Instance) {
	terms := view.BillingOf(i).Today()
	one, ok := new(big.Rat).SetString(terms.Price)
	if !ok {
		return
	}
	as := view.ChargeToday(i)
	if as == "" {
		as = api.ChargePayAsYouGo
	}
	if b.perHour[as] == nil {
		b.perHour[as] = new(big.Rat)
	}
	b.perHour[as].Add(b.perHour[as], one)
	b.instances[as]++
	b.currency = max(b.currency, terms.Currency)
}

// price is what the instances cost per hour; nil where there are none.
func (b *bill) price() *api.Price {
	p, total := &api.Price{Currency: b.currency}, new(big.Rat)
	for _, as := range chargeTypes {
		if r := b.perHour[as]; r != nil {
			p.Billing = append(p.Billing, api.BilledAs{ChargeType: as, Instances: b.instances[as], PerHour: r.FloatString(3)})
			total.Add(total, r)
		}
	}
	if len(p.Billing) == 0 {
		return nil
	}
	p.PerHour = total.FloatString(3)
	return p
}

// settled is the price now, with what was spent before: as long as the price
// stays, nothing is written, and what was spent follows from it and the time.
// When it changes, what the price before came to since then is added.
func settled(old, now *api.Price, at time.Time) *api.Price {
	if old == nil && now == nil {
		return nil
	}
	if now == nil {
		now = &api.Price{Currency: old.Currency, PerHour: "0.000"}
	}
	if old == nil {
		old = &api.Price{}
	}
	var lines []api.BilledAs
	same := old.SpentTime != nil
	for _, as := range chargeTypes {
		before, had := billedAs(old, as)
		line, has := billedAs(now, as)
		if !had && !has {
			continue
		}
		line.ChargeType, line.Spent = as, view.Spent(old, before, at).FloatString(6)
		same = same && rate(before) == rate(line) && before.Instances == line.Instances
		lines = append(lines, line)
	}
	if same && old.Currency == now.Currency {
		return old
	}
	stamp := metav1.NewTime(at.UTC().Truncate(time.Second))
	return &api.Price{Currency: now.Currency, PerHour: now.PerHour, Billing: lines, SpentTime: &stamp}
}

func billedAs(p *api.Price, as api.ChargeType) (api.BilledAs, bool) {
	n := slices.IndexFunc(p.Billing, func(b api.BilledAs) bool { return b.ChargeType == as })
	if n < 0 {
		return api.BilledAs{}, false
	}
	return p.Billing[n], true
}

// rate is a price per hour as it is compared: none is 0.
func rate(b api.BilledAs) string {
	if b.PerHour == "" {
		return "0.000"
	}
	return b.PerHour
}

// billed tells the metrics what a pool costs at the time that they are read.
func billed(p *api.Price, now func() time.Time) func() []metrics.Billed {
	return func() []metrics.Billed {
		if p == nil {
			return nil
		}
		at := now()
		var out []metrics.Billed
		for _, b := range p.Billing {
			perHour, _ := new(big.Rat).SetString(rate(b))
			one := metrics.Billed{ChargeType: string(b.ChargeType), Currency: p.Currency}
			if perHour != nil {
				one.PerHour, _ = perHour.Float64()
			}
			one.Spent, _ = view.Spent(p, b, at).Float64()
			out = append(out, one)
		}
		return out
	}
}
