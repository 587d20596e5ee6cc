package snapshot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Details are what is known of a group at a place, for the advice of the
// catalogue.
func Details(g *v1alpha1.ScalingGroup, at fault.Place) fault.Details {
	d := fault.Details{
		fault.DetailPool: g.Spec.Pool, fault.DetailZone: at.Zone, fault.DetailVSwitch: at.VSwitch,
		fault.DetailInstanceType: at.InstanceType, fault.DetailDisk: strings.ReplaceAll(at.Disk, ",", ", "),
		fault.DetailKey: g.Spec.SystemDisk.KMSKeyID, fault.DetailRole: g.Spec.RAMRole,
	}
	if i := g.Status.Image; i != nil && i.ID == g.Spec.ImageID {
		d[fault.DetailImage] = describe(i)
	}
	if n := g.Spec.SystemDisk.SizeGiB; n > 0 {
		d[fault.DetailGiB] = fmt.Sprint(n)
	}
	if n := strings.LastIndexByte(at.InstanceType, '.'); n > 0 {
		d[fault.DetailFamily] = at.InstanceType[:n]
	}
	fits(d, g.Status.Fits, at.Zone)
	otherVSwitch(d, g.Status.Fits, at.Zone)
	offered(d, g, at)
	return d
}

// fits names what is in stock and fits in a zone, or in all of them.
func fits(d fault.Details, list []v1alpha1.ZoneFits, zone string) {
	var zones, names []string
	for _, z := range list {
		if zone != "" && zone != z.Zone || len(z.InstanceTypes) == 0 {
			continue
		}
		zones = append(zones, z.Zone)
		for _, t := range z.InstanceTypes {
			if !slices.Contains(names, t) {
				names = append(names, t)
			}
		}
	}
	if len(names) > 0 {
		d[fault.DetailFits], d[fault.DetailFit] = fault.List(names), names[0]
	}
	if zone == "" {
		d[fault.DetailZone] = strings.Join(zones, ", ")
	}
}

// otherVSwitch names a vSwitch that would help: in another zone, else in this.
func otherVSwitch(d fault.Details, list []v1alpha1.ZoneFits, zone string) {
	for _, z := range list {
		if z.VSwitch != "" && (z.Zone != zone || d[fault.DetailOtherVSwitch] == "") {
			d[fault.DetailOtherVSwitch] = z.VSwitch
			if z.Zone != zone {
				return
			}
		}
	}
}

// offered names the disk categories that go with an instance type, where the
// system disk is none of them what it could be, and an image that starts it.
func offered(d fault.Details, g *v1alpha1.ScalingGroup, at fault.Place) {
	for i := range g.Status.Misfits {
		m := &g.Status.Misfits[i]
		if m.InstanceType != at.InstanceType || m.Zone != "" && m.Zone != at.Zone {
			continue
		}
		if m.OtherImage != "" {
			d[fault.DetailOtherImage] = m.OtherImage
		}
		if len(m.Offered) == 0 || d[fault.DetailOffered] != "" {
			continue
		}
		d[fault.DetailOffered] = fault.List(m.Offered)
		if s := &g.Spec.SystemDisk; !slices.Contains(m.Offered, s.Category) && s.SizeGiB > 0 {
			best := m.Offered[0]
			if slices.Contains(m.Offered, "cloud_essd") {
				best = "cloud_essd"
			}
			d[fault.DetailSystemDisk] = fmt.Sprintf("%s:%d", best, s.SizeGiB)
		}
	}
}

// describe is an image with OS, architecture, boot mode and trusted support.
func describe(i *v1alpha1.ImageStatus) string {
	parts := []string{i.OS, i.Architecture, "", i.Trusted}
	if i.BootMode != "" {
		parts[2] = "boot mode " + i.BootMode
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	if len(parts) == 0 {
		return i.ID
	}
	return i.ID + " (" + strings.Join(parts, ", ") + ")"
}
