package region

import (
	"slices"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

func (r *Region) describeInstanceTypes(p *args) (any, *Error) {
	names, family, arch := p.list("InstanceTypes"), p.Params["InstanceTypeFamily"], p.Params["CpuArchitecture"]
	if len(names) > 10 {
		return nil, refuse(400, "InvalidInstanceTypes.SizeExceeded", "At most 10 InstanceTypes can be specified.")
	}
	size := p.int("MaxResults", 100, 1, 100)
	after, ok := readPageToken(p.Params["NextToken"])
	if !ok {
		return nil, refuse(400, "InvalidParameter.NextToken", "The specified NextToken is not valid.")
	}
	a := &typesAnswer{RequestId: p.requestID}
	a.InstanceTypes.InstanceType = []typeAnswer{}
	for k := int(after); k < len(r.world.InstanceTypes); k++ {
		t := &r.world.InstanceTypes[k]
		if (len(names) > 0 && !slices.Contains(names, t.Name)) || (family != "" && family != t.Family) || (arch != "" && arch != wireArch(t.Arch)) {
			continue
		}
		if len(a.InstanceTypes.InstanceType) == size {
			a.NextToken = pageToken(uint64(k))
			break
		}
		a.InstanceTypes.InstanceType = append(a.InstanceTypes.InstanceType, showType(t))
	}
	return a, nil
}

// wireArch is how instance types name an architecture; images say x86_64.
func wireArch(arch string) string {
	if arch == "arm64" {
		return "ARM"
	}
	return "X86"
}

func showType(t *scenario.InstanceType) typeAnswer {
	a := typeAnswer{InstanceTypeId: t.Name, InstanceTypeFamily: t.Family, InstanceFamilyLevel: "EnterpriseLevel",
		InstanceCategory: "General-purpose", CpuArchitecture: wireArch(t.Arch), CpuCoreCount: t.VCPU, MemorySize: float64(t.MemoryMiB) / 1024,
		GPUAmount: t.GPUs, GPUSpec: t.GPU, NvmeSupport: "supported", EniQuantity: 4, EniPrivateIpAddressQuantity: 15, DiskQuantity: 17}
	a.SupportedBootModes.SupportedBootMode = t.BootModes
	return a
}

func (r *Region) describeAvailableResource(p *args) (any, *Error) {
	what := p.need("DestinationResource")
	zone, name := p.Params["ZoneId"], p.Params["InstanceType"]
	if p.err == nil && !slices.Contains([]string{"Zone", "IoOptimized", "InstanceType", "Network", "SystemDisk", "DataDisk"}, what) {
		return nil, refuse(400, "InvalidDestinationResource.ValueNotSupported", "The specified DestinationResource is not valid.")
	}
	if what == "SystemDisk" && name == "" {
		p.fail(missing("InstanceType"))
	}
	if zone != "" && !slices.Contains(r.world.Zones, zone) {
		p.fail(refuse(404, "InvalidZoneId.NotFound", "The specified ZoneId %s does not exist.", zone))
	}
	spot := p.Params["SpotStrategy"] != "" && p.Params["SpotStrategy"] != noSpot
	if p.err != nil {
		return nil, p.err
	}
	a := &availableAnswer{RequestId: p.requestID}
	a.AvailableZones.AvailableZone = []availableZone{}
	for _, z := range r.world.Zones {
		if zone != "" && zone != z {
			continue
		}
		got := availableResource{Type: what}
		switch what {
		case "SystemDisk", "DataDisk":
			got.SupportedResources.SupportedResource = r.offerDisks(z, name)
		case "InstanceType":
			got.SupportedResources.SupportedResource = r.offerTypes(z, name, p.Params["SystemDiskCategory"], spot)
		default:
			got.SupportedResources.SupportedResource = []supportedResource{graded(z, 1, false)}
		}
		if len(got.SupportedResources.SupportedResource) > 0 {
			a.AvailableZones.AvailableZone = append(a.AvailableZones.AvailableZone, r.offerZone(z, got))
		}
	}
	return a, nil
}

// offerZone is a zone with what it has; it is sold out when all of that is.
func (r *Region) offerZone(zone string, got availableResource) availableZone {
	best := supportedResource{Status: "SoldOut", StatusCategory: "WithoutStock"}
	for _, s := range got.SupportedResources.SupportedResource {
		if s.Status == "Available" && (best.Status != "Available" || s.StatusCategory == "WithStock") {
			best = s
		}
	}
	z := availableZone{RegionId: r.world.Region, ZoneId: zone, Status: best.Status, StatusCategory: best.StatusCategory}
	z.AvailableResources.AvailableResource = []availableResource{got}
	return z
}

// offerTypes are the types that a zone offers, those that take a disk category
// where one is named.
func (r *Region) offerTypes(zone, name, disk string, spot bool) []supportedResource {
	var out []supportedResource
	for k := range r.world.InstanceTypes {
		t := &r.world.InstanceTypes[k]
		takes := disk == "" || len(t.DiskCategories) == 0 || slices.Contains(t.DiskCategories, disk)
		if (name != "" && name != t.Name) || !takes || !r.sold(zone, t) {
			continue
		}
		s, _ := r.stockOf(zone, t.Name, spot)
		out = append(out, graded(t.Name, r.left(zone, t.Name, spot), s != nil && s.Closed))
	}
	return out
}

func (r *Region) offerDisks(zone, name string) []supportedResource {
	var fit []string
	if t := r.world.Type(name); t != nil {
		fit = t.DiskCategories
	}
	var out []supportedResource
	for _, c := range r.world.DiskCategories {
		if (len(c.Zones) > 0 && !slices.Contains(c.Zones, zone)) || (len(fit) > 0 && !slices.Contains(fit, c.Name)) {
			continue
		}
		s := r.diskStock(zone, c.Name)
		g := graded(c.Name, r.disksLeft(zone, c.Name), s != nil && s.Closed)
		g.Min, g.Max, g.Unit = c.MinGiB, c.MaxGiB, "GiB"
		out = append(out, g)
	}
	return out
}

// graded says in the vendor's words how much is left.
func graded(value string, left int, closed bool) supportedResource {
	s := supportedResource{Value: value, Status: "Available", StatusCategory: "WithStock"}
	switch {
	case left <= 0 && closed:
		s.Status, s.StatusCategory = "SoldOut", "ClosedWithoutStock"
	case left <= 0:
		s.Status, s.StatusCategory = "SoldOut", "WithoutStock"
	case closed:
		s.StatusCategory = "ClosedWithStock"
	}
	return s
}

func (r *Region) describeImages(p *args) (any, *Error) {
	size, page := p.int("PageSize", 10, 1, 100), p.int("PageNumber", 1, 1, 1<<30)
	ids, name, arch := commaList(p.Params["ImageId"]), p.Params["ImageName"], p.Params["Architecture"]
	a := &imagesAnswer{RequestId: p.requestID, RegionId: r.world.Region, PageNumber: page, PageSize: size}
	a.Images.Image = []imageAnswer{}
	for _, m := range r.world.Images {
		if (len(ids) > 0 && !slices.Contains(ids, m.ID)) || (name != "" && !matchesName(name, m.Name)) || (arch != "" && arch != m.Arch) {
			continue
		}
		if a.TotalCount/size == page-1 {
			a.Images.Image = append(a.Images.Image, showImage(&m))
		}
		a.TotalCount++
	}
	return a, nil
}

func showImage(m *scenario.Image) imageAnswer {
	a := imageAnswer{ImageId: m.ID, ImageName: m.Name, ImageOwnerAlias: "system", OSName: m.OS, OSNameEn: m.OS, OSType: "linux", Platform: m.Platform,
		Architecture: m.Arch, BootMode: m.BootMode, Status: "Available", Usage: "none", Progress: "100%", CreationTime: "2026-01-01T00:00:00Z",
		Size: m.SizeGiB, IsSupportCloudinit: true, IsSupportIoOptimized: true, IsPublic: true, Description: trusted(m)}
	a.Features.NvmeSupport, a.Features.ImdsSupport = "supported", "v2"
	a.DiskDeviceMappings.DiskDeviceMapping, a.Tags.Tag = []struct{}{}, []struct{}{}
	return a
}

func trusted(m *scenario.Image) string {
	switch {
	case m.VTPM && m.VSGX:
		return "Supports vTPM and vSGX"
	case m.VTPM:
		return "Supports vTPM"
	case m.VSGX:
		return "Supports vSGX"
	}
	return ""
}

func (r *Region) describeImageSupport(p *args) (any, *Error) {
	m := r.world.Image(p.need("ImageId"))
	if p.err != nil {
		return nil, p.err
	}
	if m == nil {
		return nil, refuse(404, "InvalidImageId.NotFound", "The specified ImageId does not exist.")
	}
	a := &imageSupportAnswer{RequestId: p.requestID, RegionId: r.world.Region, ImageId: m.ID}
	a.InstanceTypes.InstanceType = []typeAnswer{}
	for k := range r.world.InstanceTypes {
		if t := &r.world.InstanceTypes[k]; fits(t, m) == nil {
			a.InstanceTypes.InstanceType = append(a.InstanceTypes.InstanceType, showType(t))
		}
	}
	return a, nil
}
