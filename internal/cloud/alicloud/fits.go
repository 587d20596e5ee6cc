package alicloud

import (
	"context"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Fits tells which instance types do not go together with image and disks.
func (p *Provider) Fits(ctx context.Context, image string, disks []cloud.Disk, instanceTypes ...string) (cloud.Fit, error) {
	images, err := p.Images(ctx, image)
	if err != nil {
		return cloud.Fit{}, err
	}
	if len(images) == 0 {
		return cloud.Fit{}, cloud.Fail("Fits", cloud.Refused, fault.New(fault.ImageNotFound, ""), nil)
	}
	types, err := p.InstanceTypes(ctx, instanceTypes...)
	if err != nil {
		return cloud.Fit{}, err
	}
	supported, err := p.startedBy(ctx, image)
	if err != nil {
		return cloud.Fit{}, err
	}
	fit := cloud.Fit{Image: images[0], Types: supported}
	if len(instanceTypes) > 0 {
		fit.Types = near(instanceTypes[0], supported)
	}
	for _, t := range types {
		if !slices.Contains(supported, t.Name) {
			fit.Misfits = append(fit.Misfits, cloud.Misfit{InstanceType: t.Name, Fault: fault.New(imageCode(images[0], t), "")})
			continue
		}
		some, err := p.diskMisfits(ctx, t.Name, disks)
		if err != nil {
			return cloud.Fit{}, err
		}
		fit.Misfits = append(fit.Misfits, some...)
	}
	return fit, nil
}

// startedBy returns the instance types that start an image.
func (p *Provider) startedBy(ctx context.Context, image string) ([]string, error) {
	var out struct {
		InstanceTypes struct {
			InstanceType []struct {
				InstanceTypeID string `json:"InstanceTypeId"`
			}
		}
	}
	in := params{"ImageId": image, "ActionType": "CreateEcs"}
	if err := p.read(ctx, "Fits", "ecs", "DescribeImageSupportInstanceTypes", in, &out); err != nil {
		return nil, err
	}
	var all []string
	for _, t := range out.InstanceTypes.InstanceType {
		all = append(all, t.InstanceTypeID)
	}
	return all, nil
}

// imageCode is why an image does not start on a type, as far as what is known
// of both tells.
func imageCode(i cloud.Image, t cloud.InstanceType) fault.Code {
	switch {
	case i.Architecture != "" && t.Architecture != "" && i.Architecture != t.Architecture:
		return fault.InstanceTypeNotSupported
	case (i.BootMode == "BIOS" || i.BootMode == "UEFI") && len(t.BootModes) > 0 && !slices.Contains(t.BootModes, i.BootMode):
		return fault.NotMatchBootMode
	}
	return fault.ImageTypeNotSupported
}

// diskMisfits says in which zones a type cannot be had with the disks.
func (p *Provider) diskMisfits(ctx context.Context, instanceType string, disks []cloud.Disk) ([]cloud.Misfit, error) {
	var all []cloud.Misfit
	for n, d := range disks {
		if d.Category == "" {
			continue
		}
		kind := "DataDisk"
		if n == 0 {
			kind = "SystemDisk"
		}
		in := params{
			"DestinationResource": kind, "InstanceType": instanceType, "IoOptimized": "optimized", "InstanceChargeType": "PostPaid",
		}
		if kind == "DataDisk" {
			in["SystemDiskCategory"] = disks[0].Category
		}
		zones, err := p.available(ctx, "Fits", in)
		if err != nil {
			return nil, err
		}
		for _, m := range withoutDisk(zones, kind, d.Category) {
			m.InstanceType = instanceType
			all = append(all, m)
		}
	}
	return all, nil
}

// withoutDisk tells where a disk category cannot be had: in some zones, or with
// this type at all. A zone that speaks of no disks rules nothing out.
func withoutDisk(zones []availableZone, kind, category string) []cloud.Misfit {
	var all []cloud.Misfit
	anywhere := false
	for _, z := range zones {
		var inStock []string
		told, offered := z.resources(kind), false
		for _, r := range told {
			offered = offered || r.Value == category
			if s := grade(r.Status, r.StatusCategory); s != cloud.WithoutStock && s != cloud.ClosedWithoutStock {
				inStock = append(inStock, r.Value)
			}
		}
		anywhere = anywhere || offered
		if len(told) == 0 || slices.Contains(inStock, category) {
			continue
		}
		code := fault.SystemDiskCategory
		if offered {
			code = fault.DiskTypeNoStock
		}
		all = append(all, cloud.Misfit{Zone: z.ZoneID, Fault: fault.New(code, ""), Offered: inStock})
	}
	if !anywhere && len(all) > 0 {
		m := cloud.Misfit{Fault: fault.New(fault.ParameterConflict, "")}
		for _, zone := range all {
			m.Offered = append(m.Offered, zone.Offered...)
		}
		slices.Sort(m.Offered)
		m.Offered = slices.Compact(m.Offered)
		return []cloud.Misfit{m}
	}
	return all
}

// Try asks for one instance as a dry run.
func (p *Provider) Try(ctx context.Context, l cloud.Launch) error {
	body, err := p.Encode(l)
	if err != nil {
		return err
	}
	in, err := sendable(cloud.Request{Body: body, Amount: 1, Token: "dry-run"})
	if err != nil {
		return err
	}
	delete(in, "ClientToken") // a dry run has no answer to keep
	in["DryRun"] = "true"
	err = p.read(ctx, "Try", "ecs", "RunInstances", in, &struct{}{})
	if f := fault.Of(err); f != nil && strings.HasPrefix(f.WireCode, "DryRun") {
		return nil
	}
	if err == nil {
		return broken("Try", "a dry run was answered as if it had made something")
	}
	return err
}

// Sold reads what is in stock; one call of the cloud tells it for all zones.
func (p *Provider) Sold(ctx context.Context, c cloud.ChargeType, systemDisk string, zones ...string) (map[string][]string, error) {
	in := params{}
	in.optional("SystemDiskCategory", systemDisk)
	all, err := p.stock(ctx, "Sold", c, in)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for o, s := range all {
		if slices.Contains(zones, o.zone) && (s == cloud.WithStock || s == cloud.ClosedWithStock) {
			out[o.zone] = append(out[o.zone], o.instanceType)
		}
	}
	for _, names := range out {
		slices.Sort(names)
	}
	return out, nil
}
