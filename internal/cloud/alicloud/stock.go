package alicloud

import (
	"context"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// ResourcePools reads stock, prices and free addresses. One call of the cloud
// for each charge type tells the stock of all types in all zones.
func (p *Provider) ResourcePools(ctx context.Context, vSwitches, instanceTypes []string, charge ...cloud.ChargeType) ([]cloud.ResourcePool, error) {
	if len(charge) == 0 {
		charge = []cloud.ChargeType{cloud.PayAsYouGo}
	}
	places, err := p.VSwitches(ctx, vSwitches...)
	if err != nil {
		return nil, err
	}
	types, err := p.InstanceTypes(ctx, instanceTypes...)
	if err != nil {
		return nil, err
	}
	var pools []cloud.ResourcePool
	for _, c := range charge {
		in := params{}
		if len(instanceTypes) == 1 {
			in["InstanceType"] = instanceTypes[0]
		}
		stock, err := p.stock(ctx, "ResourcePools", c, in)
		if err != nil {
			return nil, err
		}
		for _, v := range vSwitches {
			for _, t := range instanceTypes {
				pool := compose(v, t, c, places, types, stock)
				if pool.Constraint == nil {
					if pool.Price, err = p.price(ctx, priceKey{t, pool.Zone, c}); err != nil {
						return nil, cloud.Fail("ResourcePools", cloud.NotSent, fault.New(fault.CloudNotSent, ""), err)
					}
				}
				pools = append(pools, pool)
			}
		}
	}
	return pools, nil
}

// offer names an instance type in a zone.
type offer struct{ zone, instanceType string }

// compose puts together what is known of one resource pool.
func compose(vSwitch, instanceType string, c cloud.ChargeType, places []cloud.VSwitch, types []cloud.InstanceType, stock map[offer]cloud.Stock) cloud.ResourcePool {
	pool := cloud.ResourcePool{
		VSwitch: vSwitch, InstanceType: instanceType, ChargeType: c,
		Stock: cloud.NotOffered, FreeAddresses: -1,
	}
	for _, v := range places {
		if v.ID == vSwitch {
			pool.Zone, pool.FreeAddresses = v.Zone, v.FreeAddresses
		}
	}
	for _, t := range types {
		if t.Name == instanceType {
			pool.VCPU, pool.MemoryMiB = t.VCPU, t.MemoryMiB
		}
	}
	if s, ok := stock[offer{pool.Zone, instanceType}]; ok {
		pool.Stock = s
	}
	switch {
	case pool.Zone == "":
		pool.Stock = cloud.StockUnknown
		pool.Constraint = fault.New(fault.VSwitchNotFound, "")
	case pool.VCPU == 0:
		pool.Constraint = fault.New(fault.TypeValueNotSupported, "")
	case pool.Stock == cloud.NotOffered:
		pool.Constraint = fault.New(fault.ResourceTypeNotSupported, "")
	}
	return pool
}

// stock asks what is left, billed in one way, of what the parameters narrow it
// down to.
func (p *Provider) stock(ctx context.Context, call string, c cloud.ChargeType, in params) (map[offer]cloud.Stock, error) {
	in["DestinationResource"], in["IoOptimized"], in["InstanceChargeType"], in["SpotStrategy"] = "InstanceType", "optimized", "PostPaid", "NoSpot"
	switch c {
	case cloud.Spot:
		in["SpotStrategy"] = "SpotAsPriceGo"
	case cloud.Subscription:
		in["InstanceChargeType"] = "PrePaid"
		delete(in, "SpotStrategy")
	}
	zones, err := p.available(ctx, call, in)
	if err != nil {
		return nil, err
	}
	out := map[offer]cloud.Stock{}
	for _, z := range zones {
		for _, r := range z.resources("InstanceType") {
			s := grade(r.Status, r.StatusCategory)
			if z.Status == "SoldOut" && s == cloud.WithStock {
				s = cloud.WithoutStock
			}
			out[offer{z.ZoneID, r.Value}] = s
		}
	}
	return out, nil
}

// grade reads a stock category; where it is missing the status stands for it.
func grade(status, category string) cloud.Stock {
	switch s := cloud.Stock(category); s {
	case cloud.WithStock, cloud.ClosedWithStock, cloud.WithoutStock, cloud.ClosedWithoutStock:
		return s
	}
	switch status {
	case "Available":
		return cloud.WithStock
	case "SoldOut":
		return cloud.WithoutStock
	}
	return cloud.StockUnknown
}

// availableZone is one zone of DescribeAvailableResource.
type availableZone struct {
	ZoneID             string `json:"ZoneId"`
	Status             string
	AvailableResources struct {
		AvailableResource []struct {
			Type               string
			SupportedResources struct {
				SupportedResource []supported
			}
		}
	}
}

type supported struct{ Value, Status, StatusCategory string }

func (z availableZone) resources(kind string) (all []supported) {
	for _, a := range z.AvailableResources.AvailableResource {
		if a.Type == kind || a.Type == "" {
			all = append(all, a.SupportedResources.SupportedResource...)
		}
	}
	return all
}

func (p *Provider) available(ctx context.Context, call string, in params) ([]availableZone, error) {
	var out struct {
		AvailableZones struct{ AvailableZone []availableZone }
	}
	if err := p.read(ctx, call, "ecs", "DescribeAvailableResource", in, &out); err != nil {
		return nil, err
	}
	return out.AvailableZones.AvailableZone, nil
}
