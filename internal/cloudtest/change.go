package cloudtest

import (
	"context"
	"errors"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Release releases instances; those not found are released already.
func (f *Fake) Release(ctx context.Context, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	return f.call(ctx, "Release", func(now time.Time) error {
		var errs []error
		for _, id := range ids {
			if m := f.instances[id]; m != nil {
				if err := f.release(m, now); err != nil {
					errs = append(errs, &cloud.ReleaseError{ID: id, Err: err})
				}
			}
		}
		return errors.Join(errs...)
	})
}

func (f *Fake) release(m *machine, now time.Time) error {
	m.settle(now)
	switch {
	case m.ReleaseProtected:
		return refuse("Release", fault.DeletionProtection, "The operation is not permitted because the instance is protected from release.")
	case m.ChargeType == cloud.Subscription && now.Before(m.ExpiredTime):
		return refuse("Release", fault.ChargeTypeViolation, "The operation is not permitted due to charge type of the instance.")
	case m.Status == cloud.Pending || m.Status == cloud.Starting:
		return refuse("Release", fault.InstanceBusy, "The current status of the resource does not support this operation.")
	}
	f.remove(m)
	return nil
}

func (f *Fake) remove(m *machine) {
	delete(f.instances, m.ID)
	if o := (Offer{m.Zone, m.InstanceType}); !f.world.Closed[o] {
		if _, offered := f.world.Stock[o]; offered {
			f.world.Stock[o]++
		}
	}
	if v := f.world.vSwitch(m.VSwitch); v != nil {
		v.FreeAddresses++
	}
}

// Tag sets tags on instances that exist.
func (f *Fake) Tag(ctx context.Context, tags map[string]string, ids ...string) error {
	return f.call(ctx, "Tag", func(time.Time) error {
		for _, id := range ids {
			if f.instances[id] == nil {
				return refuse("Tag", fault.InstanceNotFound, "The specified InstanceId does not exist: %s", id)
			}
		}
		for _, id := range ids {
			for k, v := range tags {
				f.instances[id].Tags[k] = v
			}
		}
		return nil
	})
}

// Untag takes tags off.
func (f *Fake) Untag(ctx context.Context, keys []string, ids ...string) error {
	return f.call(ctx, "Untag", func(time.Time) error {
		for _, id := range ids {
			if m := f.instances[id]; m != nil {
				for _, k := range keys {
					delete(m.Tags, k)
				}
			}
		}
		return nil
	})
}

// Convert changes how an instance is billed.
func (f *Fake) Convert(ctx context.Context, id string, to cloud.ChargeType, p cloud.Period) error {
	return f.call(ctx, "Convert", func(now time.Time) error {
		m := f.instances[id]
		switch {
		case m == nil:
			return refuse("Convert", fault.InstanceNotFound, "The specified InstanceId does not exist.")
		case m.ChargeType == cloud.Spot || to == cloud.Spot:
			return refuse("Convert", fault.ChargeTypeViolation, "The operation is not permitted due to charge type of the instance.")
		}
		m.ChargeType, m.ExpiredTime = to, time.Time{}
		if to == cloud.Subscription {
			m.ExpiredTime = after(now, p)
		}
		return nil
	})
}

// Renew prolongs a subscription, once for each token.
func (f *Fake) Renew(ctx context.Context, id string, p cloud.Period, token string) error {
	return f.call(ctx, "Renew", func(time.Time) error {
		m := f.instances[id]
		switch {
		case m == nil:
			return refuse("Renew", fault.InstanceNotFound, "The specified InstanceId does not exist.")
		case m.ChargeType != cloud.Subscription:
			return refuse("Renew", fault.ChargeTypeViolation, "The operation is not permitted due to charge type of the instance.")
		case f.renewals[token]:
			return nil
		}
		f.renewals[token] = true
		m.ExpiredTime = after(m.ExpiredTime, p)
		return nil
	})
}

// with runs one change of the world.
func (f *Fake) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// SetStock sets how many instances of a type are left in a zone.
func (f *Fake) SetStock(zone, instanceType string, n int) {
	f.with(func() { f.world.Stock[Offer{zone, instanceType}] = n })
}

// SetClosed makes an offer one that is not replenished.
func (f *Fake) SetClosed(zone, instanceType string, closed bool) {
	f.with(func() { f.world.Closed[Offer{zone, instanceType}] = closed })
}

// SetQuota bounds the instances of a type in the account; below 0 unbounds.
func (f *Fake) SetQuota(instanceType string, n int) {
	f.with(func() {
		delete(f.world.Quota, instanceType)
		if n >= 0 {
			f.world.Quota[instanceType] = n
		}
	})
}

// SetPrice sets the hourly price of a type in millionths.
func (f *Fake) SetPrice(instanceType string, micros int64) {
	f.with(func() { f.world.Prices[instanceType] = cloud.Price{Micros: micros, Currency: "CNY"} })
}

// SetSpotPrice sets the market price of a type in a zone in millionths.
func (f *Fake) SetSpotPrice(zone, instanceType string, micros int64) {
	f.with(func() {
		f.world.SpotPrices[Offer{zone, instanceType}] = cloud.Price{Micros: micros, Currency: "CNY"}
	})
}

// SetFreeAddresses sets how many addresses a vSwitch has left.
func (f *Fake) SetFreeAddresses(vSwitch string, n int) {
	f.with(func() {
		if v := f.world.vSwitch(vSwitch); v != nil {
			v.FreeAddresses = n
		}
	})
}

// SetBalance makes creating fail with this code of the account; an empty code
// ends it.
func (f *Fake) SetBalance(c fault.Code) { f.with(func() { f.balance = c }) }

// SetAccount makes the credentials those of another account.
func (f *Fake) SetAccount(id string) { f.with(func() { f.opts.AccountID = id }) }

// SetVisibleAfter sets how long instances created from now on stay unseen.
func (f *Fake) SetVisibleAfter(d time.Duration) { f.with(func() { f.opts.VisibleAfter = d }) }

// Throttle refuses calls of this name (empty: all) until a time.
func (f *Fake) Throttle(call string, until time.Time) {
	f.with(func() { f.throttled[call] = until })
}

// Add puts an instance there that the Fake did not create.
func (f *Fake) Add(i cloud.Instance) {
	f.with(func() {
		i.Tags = copyTags(i.Tags)
		f.instances[i.ID] = &machine{Instance: i, made: f.opts.Now()}
	})
}

// Change changes an instance behind everybody's back (stop it, protect it,
// take its tags off) and tells whether it was there.
func (f *Fake) Change(id string, change func(*cloud.Instance)) (there bool) {
	f.with(func() {
		m := f.instances[id]
		if there = m != nil; there {
			m.settle(f.opts.Now())
			change(&m.Instance)
		}
	})
	return there
}

// Vanish releases instances behind everybody's back, whatever protects them.
func (f *Fake) Vanish(ids ...string) {
	f.with(func() {
		for _, id := range ids {
			if m := f.instances[id]; m != nil {
				f.remove(m)
			}
		}
	})
}

// WriteConsole appends to the console of an instance.
func (f *Fake) WriteConsole(id string, text string) {
	f.with(func() {
		if m := f.instances[id]; m != nil {
			m.console = append(m.console, text...)
		}
	})
}

// All returns every instance there is, seen or not, by creation: what the
// cloud really holds and bills.
func (f *Fake) All() (all []cloud.Instance) {
	f.with(func() {
		for _, id := range f.sorted() {
			all = append(all, f.instances[id].shown(f.opts.Now()))
		}
	})
	return all
}

// UserData returns what an instance was created with.
func (f *Fake) UserData(id string) (data []byte) {
	f.with(func() {
		if m := f.instances[id]; m != nil {
			data = append(data, m.userData...)
		}
	})
	return data
}
