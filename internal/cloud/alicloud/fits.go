package alicloud

import (
	"context"
	"fmt"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Fits tells which instance types do not go together with image and disks.
func (p *Provider) Fits(ctx context.Context, image string, disks []cloud.Disk, instanceTypes ...string) (map[string]*fault.Fault, error) {
	images, err := p.Images(ctx, image)
	if err != nil {
		return nil, err
	}
	if len(images) == 0 {
		return nil, cloud.Fail("Fits", cloud.Refused, fault.New(fault.ImageNotFound, ""), nil)
	}
	types, err := p.InstanceTypes(ctx, instanceTypes...)
	if err != nil {
		return nil, err
	}
	supported, err := p.startedBy(ctx, image)
	if err != nil {
		return nil, err
	}
	out := map[string]*fault.Fault{}
	for _, t := range types {
		f := imageFault(images[0], t, supported)
		if f == nil {
			if f, err = p.diskFault(ctx, t.Name, disks); err != nil {
				return nil, err
			}
		}
		if f != nil {
			out[t.Name] = f
		}
	}
	return out, nil
}

// startedBy returns the instance types that start an image.
func (p *Provider) startedBy(ctx context.Context, image string) (map[string]bool, error) {
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
	all := map[string]bool{}
	for _, t := range out.InstanceTypes.InstanceType {
		all[t.InstanceTypeID] = true
	}
	return all, nil
}

// imageFault says why an image does not start on a type, nil where it does.
func imageFault(i cloud.Image, t cloud.InstanceType, supported map[string]bool) *fault.Fault {
	if supported[t.Name] {
		return nil
	}
	code := fault.ImageTypeNotSupported
	if i.Architecture != "" && t.Architecture != "" && i.Architecture != t.Architecture {
		code = fault.InstanceTypeNotSupported
	}
	fits := make([]string, 0, len(supported))
	for name := range supported {
		fits = append(fits, name)
	}
	f := fault.New(code, "")
	f.Details = fault.Details{
		fault.DetailInstanceType: t.Name,
		fault.DetailImage:        describeImage(i),
		fault.DetailFits:         fault.List(near(t.Name, fits)),
	}
	return f
}

func describeImage(i cloud.Image) string {
	parts := []string{i.ID}
	for _, s := range []string{i.OS, i.Architecture, i.BootMode} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}

// diskFault says why a disk does not go with a type in any zone.
func (p *Provider) diskFault(ctx context.Context, instanceType string, disks []cloud.Disk) (*fault.Fault, error) {
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
		if code := diskCode(zones, kind, d.Category); code != "" {
			f := fault.New(code, fmt.Sprintf("%s is not to be had as %s of %s", d.Category, kind, instanceType))
			f.Details = fault.Details{fault.DetailDisk: d.Category, fault.DetailInstanceType: instanceType}
			return f, nil
		}
	}
	return nil, nil
}

// diskCode tells whether a category is offered and in stock in some zone. An
// answer that speaks of no disks at all rules nothing out.
func diskCode(zones []availableZone, kind, category string) fault.Code {
	told, offered := false, false
	for _, z := range zones {
		for _, r := range z.resources(kind) {
			told = true
			if r.Value != category {
				continue
			}
			offered = true
			if s := grade(r.Status, r.StatusCategory); s != cloud.WithoutStock && s != cloud.ClosedWithoutStock {
				return ""
			}
		}
	}
	switch {
	case !told:
		return ""
	case offered:
		return fault.DiskTypeNoStock
	}
	return fault.ParameterConflict
}
