package scalinggroup

import (
	"context"
	"slices"
	"time"

	logf "sigs.k8s.io/controller-runtime/pkg/log"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view/snapshot"
)

// nextLook is when the resource pools are read again: on a schedule, sooner
// while instances are missing, at once for new settings, after a refusal and
// where a person asks to resume or to rebalance.
func (g *group) nextLook() time.Time {
	k := g.kept
	switch {
	case k.resume != g.g.Spec.ResumeCount || k.rebalance != g.g.Spec.RebalanceCount:
		return g.now
	case k.failed.After(k.read):
		return k.failed.Add(g.Waits.SettingsRetry)
	case k.read.IsZero() || k.generation != g.g.Spec.SettingsGeneration || k.refused.After(k.read):
		return g.now
	}
	age := g.Waits.Stock
	if g.short() {
		age /= 10
	}
	return k.read.Add(age)
}

// short says whether fewer instances stay than are desired.
func (g *group) short() bool {
	n := 0
	for i := range g.instances {
		if i := &g.instances[i]; i.Spec.Release == nil && i.Status.LifecycleState != api.InstanceRemoved {
			n++
		}
	}
	return n < int(g.g.Spec.DesiredCapacity)
}

// raised says whether the number was raised since the last look, and what is
// known of the resource pools is not of just now.
func (g *group) raised() bool {
	more := g.g.Spec.DesiredCapacity > g.kept.desired
	g.kept.desired = g.g.Spec.DesiredCapacity
	return more && g.now.Sub(g.kept.read) > g.Waits.Stock/60
}

// askMarket reads the resource pools where that is due, and before a scale-out.
// Where they cannot be read, what is known stays.
func (g *group) askMarket(ctx context.Context) {
	if g.g.Spec.Emptying || g.g.Spec.Frozen != "" || !g.raised() && g.nextLook().After(g.now) {
		return
	}
	k := g.kept
	k.resume, k.rebalance = g.g.Spec.ResumeCount, g.g.Spec.RebalanceCount
	outlook, err := g.Market.Outlook(ctx, &g.g.Spec.LaunchSettings, charges(&g.g.Spec), len(g.g.Status.Refusals) > 0)
	if err != nil {
		if k.failedFor == nil {
			logf.FromContext(ctx).Error(err, "could not read the resource pools", "group", g.g.Name)
		}
		k.failed, k.failedFor = g.now, err
		return
	}
	k.outlook, k.read, k.generation, k.failedFor = outlook, g.now, g.g.Spec.SettingsGeneration, nil
}

// outlook takes over what was read where it differs in what matters, and ends
// the wait for stock that came back.
func (g *group) outlook() {
	k, st := g.kept, &g.g.Status
	if k.read.IsZero() || k.generation != g.g.Spec.SettingsGeneration {
		return
	}
	before, now := snapshot.Pools(g.g), snapshot.PoolsOf(&g.g.Spec, k.outlook.Pools)
	g.setRefusals(scaling.Restocked(snapshot.Refusals(st.Refusals), before, now), nil)
	if moved(st.ResourcePools, k.outlook.Pools) {
		st.ResourcePools = slices.Clone(k.outlook.Pools)
		g.stampPools()
	}
	st.Image, st.Misfits, st.Fits = k.outlook.Image, k.outlook.Misfits, k.outlook.Fits
}

// stampPools writes down when the resource pools were read.
func (g *group) stampPools() {
	if g.kept.read.IsZero() {
		return
	}
	at := nowTime(g.kept.read.Truncate(time.Second))
	for i := range g.g.Status.ResourcePools {
		g.g.Status.ResourcePools[i].CheckedTime = at
	}
}

// moved says whether resource pools differ in what matters: which they are, a
// grade, a constraint, a price by more than a hundredth, free addresses by half.
func moved(old, now []api.ResourcePoolStatus) bool {
	return !slices.EqualFunc(old, now, func(a, b api.ResourcePoolStatus) bool {
		rest, other := a, b
		rest.PricePerHour, rest.FreeAddresses, rest.CheckedTime = "", 0, nil
		other.PricePerHour, other.FreeAddresses, other.CheckedTime = "", 0, nil
		return rest == other && near(scaling.Micros(a.PricePerHour), scaling.Micros(b.PricePerHour), 100) &&
			near(int64(a.FreeAddresses), int64(b.FreeAddresses), 2)
	})
}

// near says whether two numbers differ by at most the n-th part of the first.
// To and from nothing, or something not known, is never near.
func near(a, b int64, n int64) bool {
	if a <= 0 || b <= 0 {
		return a == b
	}
	return max(a-b, b-a)*n <= a
}

// charges are the charge types that a group may ask for.
func charges(s *api.ScalingGroupSpec) []api.ChargeType {
	switch s.Billing.ChargeType {
	case api.ChargeSpot:
		return []api.ChargeType{api.ChargeSpot, api.ChargePayAsYouGo}
	case "":
		return []api.ChargeType{api.ChargePayAsYouGo}
	}
	return []api.ChargeType{s.Billing.ChargeType}
}
