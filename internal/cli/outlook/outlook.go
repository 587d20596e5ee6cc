// Package outlook writes down what a cloud says of resource pools as the status
// of a scaling group holds it. In come the settings of a pool and a way to ask the
// cloud with a person's own credentials; it decides and keeps nothing.
package outlook

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
)

// Market is what is asked of the cloud.
type Market interface {
	cloud.Checks
	// ResourcePools tells stock, price and free addresses.
	ResourcePools(ctx context.Context, vSwitches, instanceTypes []string, charge ...cloud.ChargeType) ([]cloud.ResourcePool, error)
}

// Read asks the cloud for the outlook of the instance types of some settings in
// some vSwitches.
func Read(ctx context.Context, m Market, s *v1alpha1.LaunchSettings, vSwitches []string, now time.Time) ([]v1alpha1.ResourcePoolStatus, error) {
	list, err := m.ResourcePools(ctx, vSwitches, s.InstanceTypes, chargesOf(s)...)
	if err != nil {
		return nil, err
	}
	fit, err := m.Fits(ctx, s.ImageID, disksOf(s), s.InstanceTypes...)
	if err != nil {
		return nil, err
	}
	var out []v1alpha1.ResourcePoolStatus
	for _, p := range list {
		st := v1alpha1.ResourcePoolStatus{
			VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType, ChargeType: v1alpha1.ChargeType(p.ChargeType), Stock: string(p.Stock),
			VCPU: int32(p.VCPU), MemoryMiB: p.MemoryMiB, FreeAddresses: int32(p.FreeAddresses), CheckedTime: &metav1.Time{Time: now},
		}
		if p.Price.Known() {
			st.PricePerHour, st.Currency = p.Price.Decimal(), p.Price.Currency
		}
		if p.Constraint != nil {
			st.Constraint = string(p.Constraint.Code)
		} else if miss := fit.Of(p.InstanceType, p.Zone); miss != nil {
			st.Constraint = string(miss.Fault.Code)
		}
		out = append(out, st)
	}
	return out, nil
}

// chargesOf are the charge types that a pool asks for.
func chargesOf(s *v1alpha1.LaunchSettings) []cloud.ChargeType {
	switch c := cloud.ChargeType(s.Billing.ChargeType); c {
	case "":
		return []cloud.ChargeType{cloud.PayAsYouGo}
	case cloud.Spot:
		return []cloud.ChargeType{cloud.Spot, cloud.PayAsYouGo}
	default:
		return []cloud.ChargeType{c}
	}
}

// disksOf are the disks of a machine.
func disksOf(s *v1alpha1.LaunchSettings) []cloud.Disk {
	var out []cloud.Disk
	for _, d := range append([]v1alpha1.Disk{s.SystemDisk}, s.DataDisks...) {
		out = append(out, cloud.Disk{Category: d.Category, SizeGiB: int(d.SizeGiB), PerformanceLevel: d.PerformanceLevel, Encrypted: d.Encrypted, KMSKeyID: d.KMSKeyID})
	}
	return out
}
