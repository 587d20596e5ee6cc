package preview

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// keepFailedFor is how long a machine that failed to join is kept to look at.
const keepFailedFor = 4 * time.Hour

// snapshot is a group with its instances as the planner sees them, for a
// preview of another desired number. Entries of tasks are taken as carried out.
func snapshot(g *v1alpha1.ScalingGroup, instances []v1alpha1.Instance, desired int32, now time.Time) scaling.Snapshot {
	spec := &g.Spec
	s := scaling.Snapshot{
		Now: now, Settings: settings(spec), Desired: int(desired), Frozen: spec.Frozen,
		Uncertain: int(g.Status.Uncertain), KeepFailed: int(spec.KeepFailed), KeepFailedFor: keepFailedFor,
	}
	if c := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionFrozen); s.Frozen == "" && c != nil && c.Status == metav1.ConditionTrue {
		s.NoRelease = orDefault(c.Message, "nothing is released while the pool is frozen")
	}
	vcpu := map[string]int{}
	for _, p := range g.Status.ResourcePools {
		vcpu[p.InstanceType] = int(p.VCPU)
		s.Pools = append(s.Pools, resourcePool(p, spec))
	}
	for _, r := range g.Status.Refusals {
		s.Refusals = append(s.Refusals, scaling.Refusal{
			Code: fault.Code(r.Code), Until: r.UntilTime.Time, Count: int(r.Count),
			Place: fault.Place{VSwitch: r.VSwitch, Zone: r.Zone, InstanceType: r.InstanceType, ChargeType: string(r.ChargeType), Disk: r.Disk},
		})
	}
	out := map[string]bool{}
	for _, t := range spec.Transfers {
		out[t.Instance] = t.Direction == v1alpha1.TransferOut
	}
	for k := range instances {
		if i := &instances[k]; i.Spec.Group == g.Name {
			v := planned(i, spec.ManageAttached, vcpu)
			if out[i.Name] && v.Marked.IsZero() {
				v.Marked, v.Named = now, true
			}
			s.Instances = append(s.Instances, v)
		}
	}
	return s
}

func settings(s *v1alpha1.ScalingGroupSpec) scaling.Settings {
	v := scaling.Settings{
		Policy:    scaling.Policy(orDefault(string(s.ScalingPolicy.Type), string(v1alpha1.PolicyPriority))),
		TypeFirst: s.ScalingPolicy.TypeFirst, StrictBalance: s.ScalingPolicy.StrictBalance,
		Charge:    scaling.ChargeType(orDefault(string(s.Billing.ChargeType), string(v1alpha1.ChargePayAsYouGo))),
		SpotPools: 2, Compensate: true,
	}
	if c := s.ScalingPolicy.CostOptimization; c != nil {
		v.OnDemandBase, v.OnDemandPercent = int(c.OnDemandBaseCapacity), int(c.OnDemandPercentageAboveBaseCapacity)
		v.Compensate = c.CompensateWithOnDemand == nil || *c.CompensateWithOnDemand
		if c.SpotInstancePools > 0 {
			v.SpotPools = int(c.SpotInstancePools)
		}
	}
	return v
}

func resourcePool(p v1alpha1.ResourcePoolStatus, spec *v1alpha1.ScalingGroupSpec) scaling.ResourcePool {
	disks := []string{spec.SystemDisk.Category}
	for _, d := range spec.DataDisks {
		disks = append(disks, d.Category)
	}
	soldOut := p.Stock == string(scaling.WithoutStock) || p.Stock == string(scaling.ClosedWithoutStock) || p.Stock == string(scaling.NotOffered)
	return scaling.ResourcePool{
		VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType,
		ChargeType: scaling.ChargeType(orDefault(string(p.ChargeType), string(v1alpha1.ChargePayAsYouGo))),
		Stock:      scaling.Stock(p.Stock), SoldOut: soldOut, Price: scaling.Micros(p.PricePerHour), VCPU: int(p.VCPU),
		FreeAddresses: int(p.FreeAddresses), Constraint: fault.Code(p.Constraint), Disk: strings.Join(disks, ","),
	}
}

// planned is one record as the planner sees it.
func planned(i *v1alpha1.Instance, manageAttached bool, vcpu map[string]int) scaling.Instance {
	p, st := i.Spec.Placement, &i.Status
	v := scaling.Instance{
		Name: i.Name, Zone: p.Zone, VSwitch: p.VSwitch, InstanceType: p.InstanceType, ChargeType: scaling.ChargeType(p.ChargeType),
		Price: scaling.Micros(p.PricePerHour), VCPU: vcpu[p.InstanceType], Created: i.CreationTimestamp.Time,
		Seen: st.SeenTime != nil, Running: st.CloudStatus == "Running", FailedToJoin: st.FailedTime != nil && st.JoinedTime == nil,
		Joined: st.JoinedTime != nil, ReleaseFirst: i.Spec.ReleaseFirst, Kept: keptWord(i, manageAttached), ReleaseSent: st.ReleaseSentTime != nil,
		Unknown: i.Spec.CreationType == v1alpha1.CreatedUnknown, Removed: st.LifecycleState == v1alpha1.InstanceRemoved,
	}
	if m := i.Spec.Release; m != nil {
		v.Marked, v.Named = m.Time.Time, m.Task != "" || m.TakeOut
	}
	return v
}

// keptWord is why an instance may not be released by scaling in.
func keptWord(i *v1alpha1.Instance, manageAttached bool) string {
	switch {
	case view.ChargeToday(i) == v1alpha1.ChargeSubscription:
		return scaling.KeptSubscription
	case i.Spec.Protected:
		return scaling.KeptProtected
	case i.Spec.Standby:
		return scaling.KeptStandby
	case i.Spec.CreationType == v1alpha1.CreatedAttached && !manageAttached:
		return scaling.KeptAttached
	case i.Status.ReleaseProtected:
		return scaling.KeptReleaseProtected
	case i.Spec.HeldBy != "":
		return scaling.KeptHeld
	}
	return ""
}
