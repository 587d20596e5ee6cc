package instance

import (
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/instancerecord"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// converted says whether the cloud bills an instance otherwise than the terms on
// record say.
func converted(c *aCase) bool {
	today := instancerecord.Billing(c.i).Today().ChargeType
	return today != "" && c.shown.ChargeType != "" && today != string(c.shown.ChargeType)
}

// unpriced says whether the price of the newest terms is not known.
func unpriced(i *api.Instance) bool {
	n := len(i.Status.Terms)
	return n > 0 && i.Status.Terms[n-1].PricePerHour == ""
}

// retold says whether the terms on record are to change, or the cloud is to be
// asked for a price that they lack.
func (p *pass) retold(c *aCase) bool {
	return converted(c) || unpriced(c.i) && (c.price.Known() || !p.now.Before(c.m.priceDue))
}

// reprice asks what those cost now that were converted, all in one call for each
// charge type. What the cloud does not tell stays open, and is asked for again.
func (p *pass) reprice(ctx context.Context) {
	ask := map[cloud.ChargeType][]*aCase{}
	for _, cases := range [][]*aCase{p.cases, p.fresh} {
		for _, c := range cases {
			if mirrors(c) && p.retold(c) {
				ask[c.shown.ChargeType] = append(ask[c.shown.ChargeType], c)
			}
		}
	}
	for charge, cases := range ask {
		var vSwitches, types []string
		for _, c := range cases {
			c.m.priceDue = p.now.Add(p.Waits.RetryMost)
			vSwitches, types = append(vSwitches, c.i.Spec.Placement.VSwitch), append(types, c.i.Spec.Placement.InstanceType)
		}
		slices.Sort(vSwitches)
		slices.Sort(types)
		pools, err := p.Cloud.ResourcePools(ctx, slices.Compact(vSwitches), slices.Compact(types), charge)
		if err != nil {
			continue
		}
		for _, c := range cases {
			c.m.priceDue = p.now.Add(p.Waits.Held)
			c.price = priceIn(pools, &c.i.Spec.Placement)
		}
	}
}

// priceIn is the price of a place among resource pools; zero where it is not
// known.
func priceIn(pools []cloud.ResourcePool, place *api.Placement) cloud.Price {
	for n := range pools {
		if pools[n].VSwitch == place.VSwitch && pools[n].InstanceType == place.InstanceType {
			return pools[n].Price
		}
	}
	return cloud.Price{}
}

// reckon writes down how an instance is billed since it was converted.
func (p *pass) reckon(c *aCase, st *api.InstanceStatus) {
	switch {
	case converted(c):
		next := lifecycle.Terms{Since: p.convertedAt(c).UTC().Truncate(time.Second), ChargeType: string(c.shown.ChargeType)}
		if c.price.Known() {
			next.Price, next.Currency = c.price.Decimal(), c.price.Currency
		}
		st.Terms = nil
		for _, t := range instancerecord.Billing(c.i).Convert(next) {
			st.Terms = append(st.Terms, api.BillingTerms{SinceTime: metav1.NewTime(t.Since), ChargeType: api.ChargeType(t.ChargeType),
				PricePerHour: t.Price, Currency: t.Currency, SpentBefore: t.Before})
		}
		c.lock = true
	case unpriced(c.i) && c.price.Known():
		newest := &st.Terms[len(st.Terms)-1]
		newest.PricePerHour, newest.Currency = c.price.Decimal(), c.price.Currency
	}
}

// convertedAt is when an instance was converted: when the cloud was asked for it,
// if we asked since the terms on record began; else when the sweep began that
// shows what somebody else did.
func (p *pass) convertedAt(c *aCase) time.Time {
	w := c.i.Spec.Convert
	if w == nil || string(w.To) != string(c.shown.ChargeType) {
		return p.picture.Began
	}
	for n := range c.i.Status.Wishes {
		r := &c.i.Status.Wishes[n]
		granted := r.Code == "" || r.Code == string(fault.CloudNoAnswer)
		if r.Kind == wishConvert && r.ID == w.ID && granted && r.SentTime != nil && r.SentTime.After(instancerecord.Billing(c.i).Today().Since) {
			return r.SentTime.Time
		}
	}
	return p.picture.Began
}
