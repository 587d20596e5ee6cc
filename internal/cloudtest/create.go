package cloudtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Encode writes launch settings down in a form that only the Fake reads.
func (f *Fake) Encode(l cloud.Launch) ([]byte, error) { return json.Marshal(l) }

// Create creates instances once for each token.
func (f *Fake) Create(ctx context.Context, r cloud.Request) (ids []string, err error) {
	err = f.call(ctx, "Create", func(now time.Time) error {
		if err := valid(r); err != nil {
			return err
		}
		content := fmt.Sprintf("%q %q %v %d", r.Body, r.UserData, r.Tags, r.Amount)
		a, known := f.tokens[r.Token]
		if known && now.Sub(a.at) < f.opts.TokenLife {
			if a.content != content {
				return cloud.Fail("Create", cloud.Mismatch, &fault.Fault{Code: fault.TokenMismatch, WireCode: fault.TokenMismatch.Wire(),
					Message: "Request uses a client token in a previous request but is not identical to that request."}, nil)
			}
		} else {
			a = answer{content: content, at: now}
			a.ids, a.fault = f.create(r, now)
			f.tokens[r.Token] = a
		}
		if a.fault != nil {
			again := *a.fault
			return cloud.Fail("Create", cloud.Refused, &again, nil)
		}
		ids = append([]string(nil), a.ids...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

func valid(r cloud.Request) error {
	bad := ""
	switch {
	case r.Amount < 1 || r.Amount > 100:
		bad = fmt.Sprintf("amount %d is not between 1 and 100", r.Amount)
	case r.Token == "" || len(r.Token) > 64:
		bad = fmt.Sprintf("a token of %d characters is not between 1 and 64", len(r.Token))
	case len(r.UserData) > 32<<10:
		bad = fmt.Sprintf("user data of %d bytes is over 32 KiB", len(r.UserData))
	default:
		return nil
	}
	return cloud.Fail("Create", cloud.NotSent, fault.New(fault.RequestInvalid, bad), nil)
}

// create makes as many instances as there is room for.
func (f *Fake) create(r cloud.Request, now time.Time) ([]string, *fault.Fault) {
	var l cloud.Launch
	if err := json.Unmarshal(r.Body, &l); err != nil {
		return nil, &fault.Fault{Code: "MissingParameter", WireCode: "MissingParameter", Message: "the body is not one of this cloud"}
	}
	if ft := f.refused(l); ft != nil {
		return nil, ft
	}
	n, short := f.room(l, r.Amount)
	if n == 0 {
		return nil, short
	}
	ids := make([]string, n)
	for i := range ids {
		ids[i] = f.make(l, r, now)
	}
	return ids, nil
}

func wire(c fault.Code, format string, args ...any) *fault.Fault {
	return &fault.Fault{Code: c, WireCode: c.Wire(), Message: fmt.Sprintf(format, args...), RequestID: "fake"}
}

// refused says why nothing at all can be created with these settings.
func (f *Fake) refused(l cloud.Launch) *fault.Fault {
	v, t, img := f.world.vSwitch(l.VSwitch), f.world.instanceType(l.InstanceType), f.world.image(l.ImageID)
	switch {
	case f.balance != "":
		return wire(f.balance, "Your account does not have enough balance.")
	case v == nil:
		return wire(fault.VSwitchNotFound, "The specified vSwitch does not exist.")
	case img == nil:
		return wire(fault.ImageNotFound, "The specified ImageId does not exist.")
	case t == nil:
		return wire(fault.TypeValueNotSupported, "The specified InstanceType beyond the permitted range.")
	case t.Architecture != img.Architecture:
		return wire(fault.InstanceTypeNotSupported, "The specified instanceType is not supported by the image architecture.")
	}
	o := Offer{v.Zone, t.Name}
	if f.world.grade(o) == cloud.NotOffered {
		return wire(fault.ResourceTypeNotSupported, "This resource type is not supported; please try other resource types.")
	}
	if l.ChargeType == cloud.Spot && l.SpotPriceLimit.Micros > 0 && l.SpotPriceLimit.Micros < f.world.price(o, cloud.Spot).Micros {
		return wire(fault.SpotPriceLimitLow, "The specified spotPriceLimit can't be lower than current public price.")
	}
	return nil
}

// room returns how many of these may be created, and what limits it.
func (f *Fake) room(l cloud.Launch, amount int) (int, *fault.Fault) {
	v := f.world.vSwitch(l.VSwitch)
	n, why := amount, (*fault.Fault)(nil)
	limit := func(m int, ft *fault.Fault) {
		if m < n {
			n, why = max(m, 0), ft
		}
	}
	limit(f.world.Stock[Offer{v.Zone, l.InstanceType}],
		wire(fault.NoStock, "The requested resource is sold out in the specified zone; try other types of resources or other regions and zones."))
	limit(v.FreeAddresses, wire(fault.PrivateIPAddress, "The specified vSwitch %s has not enough IpAddress.", v.ID))
	if q, ok := f.world.Quota[l.InstanceType]; ok {
		have := 0
		for _, m := range f.instances {
			if m.InstanceType == l.InstanceType {
				have++
			}
		}
		limit(q-have, wire(fault.ElasticQuota, "The number of the specified ECS instances has exceeded the quota of the specified instance type."))
	}
	return n, why
}

// make makes one instance and takes what it needs.
func (f *Fake) make(l cloud.Launch, r cloud.Request, now time.Time) string {
	v := f.world.vSwitch(l.VSwitch)
	f.world.Stock[Offer{v.Zone, l.InstanceType}]--
	v.FreeAddresses--
	f.next++
	tags := copyTags(l.Tags)
	for k, val := range r.Tags {
		tags[k] = val
	}
	m := &machine{
		Instance: cloud.Instance{
			ID: fmt.Sprintf("i-%08d", f.next), VPC: v.VPC, VSwitch: v.ID, Zone: v.Zone,
			InstanceType: l.InstanceType, ImageID: l.ImageID, Status: cloud.Pending,
			PrivateIP: address(v.CIDR, f.next), ChargeType: l.ChargeType, Tags: tags,
			CreationTime: now.UTC().Truncate(time.Second),
		},
		made: now, visible: now.Add(f.opts.VisibleAfter), ready: now.Add(f.opts.BootTime),
		userData: append([]byte(nil), r.UserData...), launch: l,
	}
	switch l.ChargeType {
	case "":
		m.ChargeType = cloud.PayAsYouGo
	case cloud.Spot:
		m.SpotPriceLimit = l.SpotPriceLimit
	case cloud.Subscription:
		m.ExpiredTime = after(now, l.Period)
	}
	f.instances[m.ID] = m
	return m.ID
}

// address returns the n-th address of a network.
func address(cidr string, n int) string {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || !p.Addr().Is4() {
		return ""
	}
	a := p.Addr().As4()
	v := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	v += uint32(n) % (1 << (32 - p.Bits()))
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}).String()
}

func after(now time.Time, p cloud.Period) time.Time {
	n := max(p.Count, 1)
	if p.Unit == "Week" {
		return now.AddDate(0, 0, 7*n)
	}
	return now.AddDate(0, n, 0)
}
