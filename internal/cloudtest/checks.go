package cloudtest

import (
	"context"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// ResourcePools tells stock, price and free addresses.
func (f *Fake) ResourcePools(ctx context.Context, vSwitches, instanceTypes []string, charge ...cloud.ChargeType) (pools []cloud.ResourcePool, err error) {
	if len(charge) == 0 {
		charge = []cloud.ChargeType{cloud.PayAsYouGo}
	}
	err = f.call(ctx, "ResourcePools", func(time.Time) error {
		for _, v := range vSwitches {
			for _, t := range instanceTypes {
				for _, c := range charge {
					pools = append(pools, f.pool(v, t, c))
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pools, nil
}

func (f *Fake) pool(vSwitch, instanceType string, charge cloud.ChargeType) cloud.ResourcePool {
	p := cloud.ResourcePool{VSwitch: vSwitch, InstanceType: instanceType, ChargeType: charge, Stock: cloud.StockUnknown, FreeAddresses: -1}
	t := f.world.instanceType(instanceType)
	if t == nil {
		p.Stock = cloud.NotOffered
		p.Constraint = wire(fault.TypeValueNotSupported, "The specified InstanceType beyond the permitted range.")
	} else {
		p.VCPU, p.MemoryMiB = t.VCPU, t.MemoryMiB
	}
	v := f.world.vSwitch(vSwitch)
	if v == nil {
		p.Constraint = wire(fault.VSwitchNotFound, "The specified vSwitch does not exist.")
		return p
	}
	p.Zone, p.FreeAddresses = v.Zone, v.FreeAddresses
	o := Offer{v.Zone, instanceType}
	p.Stock = f.world.grade(o)
	p.Price = f.world.price(o, charge)
	if p.Stock == cloud.NotOffered && p.Constraint == nil {
		p.Constraint = wire(fault.ResourceTypeNotSupported, "This resource type is not supported; please try other resource types.")
	}
	return p
}

// VSwitches looks vSwitches up.
func (f *Fake) VSwitches(ctx context.Context, ids ...string) (out []cloud.VSwitch, err error) {
	err = f.call(ctx, "VSwitches", func(time.Time) error {
		out = chosen(f.world.VSwitches, ids, func(v cloud.VSwitch) string { return v.ID })
		return nil
	})
	return out, err
}

// Images looks images up.
func (f *Fake) Images(ctx context.Context, ids ...string) (out []cloud.Image, err error) {
	err = f.call(ctx, "Images", func(time.Time) error {
		out = chosen(f.world.Images, ids, func(i cloud.Image) string { return i.ID })
		return nil
	})
	return out, err
}

// SecurityGroups looks security groups up.
func (f *Fake) SecurityGroups(ctx context.Context, ids ...string) (out []cloud.SecurityGroup, err error) {
	err = f.call(ctx, "SecurityGroups", func(time.Time) error {
		out = chosen(f.world.Groups, ids, func(g cloud.SecurityGroup) string { return g.ID })
		return nil
	})
	return out, err
}

// InstanceTypes looks instance types up.
func (f *Fake) InstanceTypes(ctx context.Context, names ...string) (out []cloud.InstanceType, err error) {
	err = f.call(ctx, "InstanceTypes", func(time.Time) error {
		out = chosen(f.world.Types, names, func(t cloud.InstanceType) string { return t.Name })
		return nil
	})
	return out, err
}

// KeyPairs looks key pairs up.
func (f *Fake) KeyPairs(ctx context.Context, names ...string) (out []string, err error) {
	err = f.call(ctx, "KeyPairs", func(time.Time) error {
		out = chosen(f.world.KeyPairs, names, func(k string) string { return k })
		return nil
	})
	return out, err
}

// Fits tells which types do not go together with an image.
func (f *Fake) Fits(ctx context.Context, image string, _ []cloud.Disk, instanceTypes ...string) (cloud.Fit, error) {
	var out cloud.Fit
	err := f.call(ctx, "Fits", func(time.Time) error {
		img := f.world.image(image)
		if img == nil {
			return refuse("Fits", fault.ImageNotFound, "The specified ImageId does not exist.")
		}
		out.Image = *img
		for _, t := range f.world.Types {
			if t.Architecture == img.Architecture {
				out.Types = append(out.Types, t.Name)
			}
		}
		for _, name := range instanceTypes {
			if t := f.world.instanceType(name); t != nil && t.Architecture != img.Architecture {
				out.Misfits = append(out.Misfits, cloud.Misfit{InstanceType: name, Fault: fault.New(fault.InstanceTypeNotSupported, "")})
			}
		}
		return nil
	})
	if err != nil {
		return cloud.Fit{}, err
	}
	return out, nil
}

// Try tells what Create would be refused with.
func (f *Fake) Try(ctx context.Context, l cloud.Launch) error {
	return f.call(ctx, "Try", func(time.Time) error {
		ft := f.refused(l)
		if ft == nil {
			if n, short := f.room(l, 1); n == 0 {
				ft = short
			}
		}
		if ft == nil {
			return nil
		}
		return cloud.Fail("Try", cloud.Refused, ft, nil)
	})
}

// Sold returns the types in stock.
func (f *Fake) Sold(ctx context.Context, _ cloud.ChargeType, _ string, zones ...string) (map[string][]string, error) {
	out := map[string][]string{}
	err := f.call(ctx, "Sold", func(time.Time) error {
		for _, z := range zones {
			for _, t := range f.world.Types {
				if s := f.world.grade(Offer{z, t.Name}); s == cloud.WithStock || s == cloud.ClosedWithStock {
					out[z] = append(out[z], t.Name)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// chosen returns those with one of the keys, or all where no key is given.
func chosen[T any](all []T, keys []string, key func(T) string) []T {
	if len(keys) == 0 {
		return append([]T(nil), all...)
	}
	want := map[string]bool{}
	for _, k := range keys {
		want[k] = true
	}
	var out []T
	for _, x := range all {
		if want[key(x)] {
			out = append(out, x)
		}
	}
	return out
}
