package scalinggroup

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// group is one look at a group: itself, its activities, its instances.
type group struct {
	*Reconciler
	g          *api.ScalingGroup
	activities []api.ScalingActivity
	instances  []api.Instance
}

// observe reads the activities first, then the group, then the instances, so
// that whatever another activity did meanwhile has taken the name that this
// plan will want (rule 2).
func (r *Reconciler) observe(ctx context.Context, from client.Reader, name string) (*group, error) {
	mine := client.MatchingLabels{api.LabelGroup: name}
	var activities api.ScalingActivityList
	if err := from.List(ctx, &activities, mine); err != nil {
		return nil, fmt.Errorf("list activities of %s: %w", name, err)
	}
	out := &group{Reconciler: r, g: &api.ScalingGroup{}, activities: activities.Items}
	err := from.Get(ctx, types.NamespacedName{Name: name}, out.g)
	if apierrors.IsNotFound(err) || (err == nil && out.g.DeletionTimestamp != nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read group %s: %w", name, err)
	}
	var instances api.InstanceList
	if err := from.List(ctx, &instances, mine); err != nil {
		return nil, fmt.Errorf("list instances of %s: %w", name, err)
	}
	out.instances = instances.Items
	slices.SortFunc(out.activities, func(a, b api.ScalingActivity) int { return int(a.Spec.Number - b.Spec.Number) })
	return out, nil
}

// open is the activity that may still send.
func (g *group) open() *api.ScalingActivity {
	for i := range g.activities {
		if !g.activities[i].Status.Done {
			return &g.activities[i]
		}
	}
	return nil
}

// snapshot is the group as the planner sees it.
func (g *group) snapshot(now time.Time) scaling.Snapshot {
	spec := &g.g.Spec
	s := scaling.Snapshot{
		Now: now, Settings: settings(spec), Desired: int(spec.DesiredCapacity),
		Uncertain: g.uncertain(), Busy: g.open() != nil, Emptying: spec.Emptying, Frozen: spec.Frozen,
		KeepFailed: int(spec.KeepFailed), KeepFailedFor: g.Waits.KeepFailed, Refusals: g.refusals(now),
	}
	if s.Frozen == "" && g.Guard != nil {
		s.Frozen = g.Guard(g.g)
	}
	if s.Frozen == "" && g.g.Status.AccountID == "" {
		s.Frozen = "the cloud account is not known yet: " + fault.Lookup(fault.CloudUnreachable).Cause
	}
	disk := diskNames(spec)
	for _, p := range g.g.Status.ResourcePools {
		s.Pools = append(s.Pools, scaling.ResourcePool{VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType,
			ChargeType: scaling.ChargeType(p.ChargeType), Price: scaling.Micros(p.PricePerHour), VCPU: int(p.VCPU), FreeAddresses: int(p.FreeAddresses),
			SoldOut: soldOut(p.Stock), Constraint: fault.Code(p.Constraint), Disk: disk})
	}
	for i := range g.instances {
		s.Instances = append(s.Instances, g.instance(&g.instances[i]))
	}
	for _, t := range spec.Transfers {
		s.Transfers = append(s.Transfers, scaling.Transfer{Instance: t.Instance, In: t.Direction == api.TransferIn, Release: t.Release, Task: t.Task})
	}
	return s
}

// soldOut says which grades of stock give nothing.
func soldOut(stock string) bool {
	switch scaling.Stock(stock) {
	case scaling.WithoutStock, scaling.ClosedWithoutStock, scaling.NotOffered:
		return true
	}
	return false
}

func diskNames(s *api.ScalingGroupSpec) string {
	names := s.SystemDisk.Category
	for _, d := range s.DataDisks {
		names += "," + d.Category
	}
	return names
}

func settings(s *api.ScalingGroupSpec) scaling.Settings {
	out := scaling.Settings{Policy: scaling.Policy(s.ScalingPolicy.Type), TypeFirst: s.ScalingPolicy.TypeFirst,
		StrictBalance: s.ScalingPolicy.StrictBalance, Charge: scaling.ChargeType(s.Billing.ChargeType), SpotPools: 2, Compensate: true}
	if out.Charge == "" {
		out.Charge = scaling.PayAsYouGo
	}
	if c := s.ScalingPolicy.CostOptimization; c != nil {
		out.OnDemandBase, out.OnDemandPercent = int(c.OnDemandBaseCapacity), int(c.OnDemandPercentageAboveBaseCapacity)
		if c.SpotInstancePools > 0 {
			out.SpotPools = int(c.SpotInstancePools)
		}
		out.Compensate = c.CompensateWithOnDemand == nil || *c.CompensateWithOnDemand
	}
	return out
}

// instance is one record as the planner sees it.
func (g *group) instance(i *api.Instance) scaling.Instance {
	out := scaling.Instance{
		Name: i.Name, Zone: i.Spec.Placement.Zone, VSwitch: i.Spec.Placement.VSwitch, InstanceType: i.Spec.Placement.InstanceType,
		ChargeType: scaling.ChargeType(i.Spec.Placement.ChargeType), Price: scaling.Micros(i.Spec.Placement.PricePerHour), VCPU: g.vcpu(i.Spec.Placement.InstanceType),
		Created: i.CreationTimestamp.Time, Seen: i.Status.SeenTime != nil, Running: i.Status.CloudStatus == "Running",
		FailedToJoin: i.Status.FailedTime != nil && i.Status.JoinedTime == nil, ReleaseFirst: i.Spec.ReleaseFirst,
		Kept: kept(i, g.g.Spec.ManageAttached), ReleaseSent: i.Status.ReleaseSentTime != nil,
		Unknown: i.Spec.CreationType == api.CreatedUnknown, Removed: i.Status.LifecycleState == api.InstanceRemoved,
	}
	if m := i.Spec.Release; m != nil {
		out.Marked, out.Named = m.Time.Time, m.Task != "" || m.TakeOut
	}
	return out
}

func (g *group) vcpu(instanceType string) int {
	for _, p := range g.g.Status.ResourcePools {
		if p.InstanceType == instanceType {
			return int(p.VCPU)
		}
	}
	return 0
}

// kept says why an instance may not be released by scaling in.
func kept(i *api.Instance, manageAttached bool) string {
	charge := i.Status.ChargeType
	if charge == "" {
		charge = i.Spec.Placement.ChargeType
	}
	switch {
	case charge == api.ChargeSubscription:
		return "subscription"
	case i.Spec.Protected:
		return "protected"
	case i.Spec.Standby:
		return "standby"
	case i.Spec.CreationType == api.CreatedAttached && !manageAttached:
		return "attached"
	case i.Status.ReleaseProtected:
		return "release-protected"
	case i.Spec.HeldBy != "":
		return "held by another task"
	}
	return ""
}

// uncertain is how many instances unsettled pieces may have made that no record
// knows yet.
func (g *group) uncertain() int {
	recorded := map[string]map[int32]int{}
	for i := range g.instances {
		s := g.instances[i].Spec
		if recorded[s.ActivityUID] == nil {
			recorded[s.ActivityUID] = map[int32]int{}
		}
		recorded[s.ActivityUID][s.Piece]++
	}
	n := 0
	for a := range g.activities {
		for p, piece := range g.activities[a].Status.Pieces {
			if piece.State == api.PieceUncertain {
				n += max(int(piece.Amount)-recorded[string(g.activities[a].UID)][int32(p)], 0)
			}
		}
	}
	return n
}

func nowTime(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }
