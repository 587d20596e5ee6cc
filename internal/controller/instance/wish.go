package instance

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// The kinds of wishes, as status.wishes names them.
const (
	wishConvert = "Convert"
	wishRenew   = "Renew"
)

// wish is one wish about the billing of an instance.
type wish struct {
	kind, id string
	to       cloud.ChargeType
	period   cloud.Period
}

// open are the wishes of an instance that the cloud has neither granted nor
// refused.
func open(i *api.Instance) []wish {
	var out []wish
	if w := i.Spec.Convert; w != nil && !done(i, wishConvert, w.ID) {
		out = append(out, wish{wishConvert, w.ID, cloud.ChargeType(w.To), months(w.PeriodMonths)})
	}
	if w := i.Spec.Renew; w != nil && !done(i, wishRenew, w.ID) {
		out = append(out, wish{wishRenew, w.ID, "", months(w.PeriodMonths)})
	}
	return out
}

// wishing says whether an instance has an open wish.
func wishing(i *api.Instance) bool {
	return (i.Spec.Convert != nil && !done(i, wishConvert, i.Spec.Convert.ID)) || (i.Spec.Renew != nil && !done(i, wishRenew, i.Spec.Renew.ID))
}

func done(i *api.Instance, kind, id string) bool {
	for n := range i.Status.Wishes {
		if w := &i.Status.Wishes[n]; w.Kind == kind && w.ID == id {
			return w.Done
		}
	}
	return false
}

func months(n int32) cloud.Period { return cloud.Period{Count: max(int(n), 1), Unit: "Month"} }

// wishes carries out what people and tasks wish about the billing of instances.
func (p *pass) wishes(ctx context.Context) error {
	var wishers []*aCase
	for _, c := range p.cases {
		r := c.facts.Record
		if wishing(c.i) && p.hold == "" && !c.m.ended && r.ReleaseSent.IsZero() && r.State != lifecycle.Removed {
			wishers = append(wishers, c)
		}
	}
	return p.Each(len(wishers), func(n int) error {
		for _, w := range open(wishers[n].i) {
			if err := p.grant(ctx, wishers[n], w); err != nil {
				return err
			}
		}
		return nil
	})
}

// grant writes down that a wish is about to be sent, sends it, and writes down
// what came of it. Both calls may be repeated: a conversion is made once, and
// the wish's own ID is the token of a renewal. One whose answer stays unknown
// is not sent again after the send window.
func (p *pass) grant(ctx context.Context, c *aCase, w wish) error {
	if again := c.m.asked.Add(p.Waits.Retry); !c.m.asked.IsZero() && p.now.Before(again) {
		c.m.due = again
		return nil
	}
	sent, repeated := sentTime(c.i, w), true
	if sent == nil {
		now := metav1.NewMicroTime(p.now)
		sent, repeated = &now, false
		c.setWish(api.WishResult{Kind: w.kind, ID: w.id, SentTime: sent})
		version := c.i.ResourceVersion
		if err := p.write(ctx, c); err != nil {
			return err
		}
		if c.i.ResourceVersion == version {
			return nil // somebody else wrote first, and that wakes us
		}
	}
	result := api.WishResult{Kind: w.kind, ID: w.id, SentTime: sent, Done: true}
	if repeated && p.now.Sub(sent.Time) >= p.Waits.SendWindow {
		result.Code, result.Message = string(fault.CloudNoAnswer), "its answer was lost; whether it was done the charge type and the expiry of the instance tell"
	} else if err := p.send(ctx, c, w); err != nil {
		c.m.asked = p.now
		if outcome := cloud.Classify(err); outcome != cloud.Refused && outcome != cloud.Mismatch {
			c.m.due = p.now.Add(p.Waits.Retry)
			return nil
		}
		f := fault.Of(err)
		result.Code, result.Message = string(f.Code), clip(f.Message, 1000)
	}
	c.m.asked = p.now
	c.setWish(result)
	p.Sweeper.Soon()
	return p.write(ctx, c)
}

// send asks the cloud for one wish.
func (p *pass) send(ctx context.Context, c *aCase, w wish) error {
	var err error
	ctx = cloud.WithCause(ctx, fmt.Sprintf("wish %s of instance %s", w.id, c.i.Name))
	if w.kind == wishConvert {
		err = p.Billing.Convert(ctx, c.i.Name, w.to, w.period)
	} else {
		err = p.Billing.Renew(ctx, c.i.Name, w.period, w.id)
	}
	if err != nil {
		return fmt.Errorf("%s instance %s: %w", w.kind, c.i.Name, err)
	}
	return nil
}

// sentTime is when a wish was first sent; nil where it was not.
func sentTime(i *api.Instance, w wish) *metav1.MicroTime {
	for n := range i.Status.Wishes {
		if r := &i.Status.Wishes[n]; r.Kind == w.kind && r.ID == w.id {
			return r.SentTime
		}
	}
	return nil
}

// setWish puts the newest wish of its kind into the status.
func (c *aCase) setWish(r api.WishResult) {
	st := c.status()
	c.lock = true
	for n := range st.Wishes {
		if st.Wishes[n].Kind == r.Kind {
			st.Wishes[n] = r
			return
		}
	}
	st.Wishes = append(st.Wishes, r)
}
