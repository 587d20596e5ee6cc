// Package snapshot turns a scaling group, its activities and its Instances into
// what the planner decides on, for the controller and for previews alike, so
// that both decide the same. In come objects as they were read and the waits,
// out comes a value. It never reads a cluster, a cloud or a clock, and changes
// nothing that it is given.
package snapshot

import (
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Of is a group as the planner sees it. What stands in no object is left out:
// when stock is read again, and what only the guard of the cloud knows.
func Of(g *v1alpha1.ScalingGroup, activities []v1alpha1.ScalingActivity, instances []v1alpha1.Instance, now time.Time, w wait.Settings) scaling.Snapshot {
	spec := &g.Spec
	r := reader(g, now)
	s := scaling.Snapshot{
		Now: now, Settings: Settings(spec), Desired: int(spec.DesiredCapacity), Pools: r.pools, Refusals: Refusals(g.Status.Refusals),
		Emptying: spec.Emptying, Frozen: spec.Frozen, Rebalance: spec.RebalanceCount > g.Status.RebalancedCount,
		New: len(activities) == 0, Max: int(spec.MaxSize), Generation: spec.SettingsGeneration, KeepFailed: int(spec.KeepFailed), KeepFailedFor: w.KeepFailed,
	}
	if spec.Drain.Mode == v1alpha1.DrainRequired {
		s.Undrained = spec.Undrained
	}
	s.Uncertain, s.UncertainByZone = uncertain(g, activities, instances)
	for i := range activities {
		s.Busy = s.Busy || Ours(g, activities[i].Spec.GroupUID) && !activities[i].Status.Done
		r.remember(&activities[i])
	}
	s.Left = left(g, activities)
	s.Instances = make([]scaling.Instance, 0, len(instances))
	for i := range instances {
		one := r.instance(&instances[i])
		one.Lost = instances[i].Spec.CreationType == v1alpha1.CreatedUnknown && Lost(activities, instances[i].Spec.ActivityUID, one.Name)
		s.Instances = append(s.Instances, one)
	}
	if c := (scaling.Ceiling{Creations: int(spec.MaxCreationsPerHour), Spend: scaling.Micros(spec.MaxSpendPerHour)}); c.Creations > 0 || c.Spend > 0 {
		c.Used = r.used(s.Instances, activities, instances, false)
		s.Ceilings = append(s.Ceilings, c)
	}
	for _, t := range spec.Transfers {
		s.Transfers = append(s.Transfers, scaling.Transfer{Instance: t.Instance, In: t.Direction == v1alpha1.TransferIn, Release: t.Release, Task: t.Task})
	}
	return s
}

// Lost says whether a piece of the activity of that UID names an instance, which
// therefore had a record once.
func Lost(activities []v1alpha1.ScalingActivity, uid, name string) bool {
	for i := range activities {
		if string(activities[i].UID) != uid {
			continue
		}
		return slices.ContainsFunc(activities[i].Status.Pieces, func(p v1alpha1.Piece) bool { return slices.Contains(p.Instances, name) })
	}
	return false
}

// left is what the newest activity took away to be replaced: the number was the
// same in the one before, and nobody named what goes.
func left(g *v1alpha1.ScalingGroup, activities []v1alpha1.ScalingActivity) scaling.Left {
	var before, last *v1alpha1.ScalingActivitySpec
	for i := range activities {
		if Ours(g, activities[i].Spec.GroupUID) {
			before, last = last, &activities[i].Spec
		}
	}
	if before == nil || before.Wanted != last.Wanted || last.Wanted != g.Spec.DesiredCapacity {
		return scaling.Left{}
	}
	gone := slices.Concat(last.Release, last.TakeOut)
	if slices.ContainsFunc(gone, func(l v1alpha1.Leaving) bool { return l.Task != "" }) {
		return scaling.Left{}
	}
	return scaling.Left{Count: len(gone), Cause: last.Cause}
}

// Ours says whether an object with this group UID is of the group, and not of
// an earlier one of its name.
func Ours(g *v1alpha1.ScalingGroup, uid string) bool {
	return uid == "" || g.UID == "" || uid == string(g.UID)
}

// Settings are the policy of a group with its refinements.
func Settings(s *v1alpha1.ScalingGroupSpec) scaling.Settings {
	out := scaling.Settings{
		Policy: scaling.Policy(s.ScalingPolicy.Type), TypeFirst: s.ScalingPolicy.TypeFirst, StrictBalance: s.ScalingPolicy.StrictBalance,
		Charge: scaling.ChargeType(s.Billing.ChargeType), SpotPools: 2, Compensate: true,
	}
	if out.Policy == "" {
		out.Policy = scaling.Priority
	}
	if out.Charge == "" {
		out.Charge = scaling.PayAsYouGo
	}
	if c := s.ScalingPolicy.CostOptimization; c != nil {
		out.OnDemandBase, out.OnDemandPercent = int(c.OnDemandBaseCapacity), int(c.OnDemandPercentageAboveBaseCapacity)
		out.Compensate = c.CompensateWithOnDemand == nil || *c.CompensateWithOnDemand
		if c.SpotInstancePools > 0 {
			out.SpotPools = int(c.SpotInstancePools)
		}
	}
	return out
}

// Disks names the disk categories that a group asks for.
func Disks(s *v1alpha1.ScalingGroupSpec) string {
	names := []string{s.SystemDisk.Category}
	for _, d := range s.DataDisks {
		names = append(names, d.Category)
	}
	return strings.Join(names, ",")
}

// Pools are the resource pools that a group's settings name, in their order:
// vSwitch by vSwitch, type by type. What was read for settings that are no
// longer so is left out.
func Pools(g *v1alpha1.ScalingGroup) []scaling.ResourcePool {
	return PoolsOf(&g.Spec, g.Status.ResourcePools)
}

// PoolsOf are resource pools as they were read, in the order of the settings.
func PoolsOf(s *v1alpha1.ScalingGroupSpec, read []v1alpha1.ResourcePoolStatus) []scaling.ResourcePool {
	disk, vSwitches, types := Disks(s), places(s.VSwitches), places(s.InstanceTypes)
	type placed struct {
		scaling.ResourcePool
		vSwitch, instanceType int
	}
	list := make([]placed, 0, len(read))
	for _, p := range read {
		v, known := vSwitches[p.VSwitch]
		t, knownType := types[p.InstanceType]
		if len(vSwitches) > 0 && !known || len(types) > 0 && !knownType {
			continue
		}
		list = append(list, placed{vSwitch: v, instanceType: t, ResourcePool: scaling.ResourcePool{
			VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType, ChargeType: orOnDemand(p.ChargeType),
			Stock: scaling.Stock(p.Stock), Price: scaling.Micros(p.PricePerHour), VCPU: int(p.VCPU),
			FreeAddresses: int(p.FreeAddresses), Constraint: fault.Code(p.Constraint), Disk: disk,
		}})
	}
	slices.SortStableFunc(list, func(a, b placed) int {
		if a.vSwitch != b.vSwitch {
			return a.vSwitch - b.vSwitch
		}
		return a.instanceType - b.instanceType
	})
	out := make([]scaling.ResourcePool, 0, len(list))
	for _, p := range list {
		out = append(out, p.ResourcePool)
	}
	return out
}

func places(list []string) map[string]int {
	out := map[string]int{}
	for n, s := range list {
		out[s] = n
	}
	return out
}

func orOnDemand(c v1alpha1.ChargeType) scaling.ChargeType {
	if c == "" {
		return scaling.PayAsYouGo
	}
	return scaling.ChargeType(c)
}

// Refusals are remembered refusals as the planner reads them.
func Refusals(list []v1alpha1.Refusal) []scaling.Refusal {
	out := make([]scaling.Refusal, 0, len(list))
	for i := range list {
		r := &list[i]
		out = append(out, scaling.Refusal{
			Code: fault.Code(r.Code), Place: Place(r), All: r.Scope == string(fault.ScopeGroup),
			First: r.FirstTime.Time, Last: r.LastTime.Time, Until: r.UntilTime.Time,
			Count: int(r.Count), Generation: r.SettingsGeneration, Burnt: scaling.Micros(r.Burnt),
		})
	}
	return out
}

// Place is what a remembered refusal speaks of.
func Place(r *v1alpha1.Refusal) fault.Place {
	return fault.Place{VSwitch: r.VSwitch, Zone: r.Zone, InstanceType: r.InstanceType, ChargeType: string(r.ChargeType), Disk: r.Disk}
}
