package view

import (
	"fmt"
	"strings"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// ScalePlan says what another expected number means for a pool, as far as its
// objects tell: how many instances come or go, what is asked first or who goes
// first, who is kept, and the price. The group may be nil.
func ScalePlan(p *v1alpha1.NodePool, g *v1alpha1.ScalingGroup, to int32, clock Clock) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d -> %d\n", p.Name, p.Spec.ExpectedNodes, to)
	have := p.Status.Counts.Instances + p.Status.Counts.Uncertain
	if drop := p.Spec.ExpectedNodes - max(to, have); drop > 0 {
		fmt.Fprintf(&b, "  drop     %d not created yet\n", drop)
	}
	switch {
	case to > have:
		fmt.Fprintf(&b, "  create   %d\n", to-have)
		writeCandidates(&b, p, g, to-have, clock)
	case to < have:
		writeRelease(&b, p, have-to)
	default:
		b.WriteString("  nothing to create or to release: it has that many instances\n")
	}
	return b.String()
}

// maxCandidates bounds the resource pools that a plan shows.
const maxCandidates = 8

func writeCandidates(b *strings.Builder, p *v1alpha1.NodePool, g *v1alpha1.ScalingGroup, n int32, clock Clock) {
	if g == nil || len(g.Status.ResourcePools) == 0 {
		b.WriteString("           what the cloud can give is not known yet\n")
		return
	}
	s := NewStrength(g, clock)
	for i, c := range s.Pools {
		if i == maxCandidates {
			fmt.Fprintf(b, "           and %d more: poolkeeper strength get %s\n", len(s.Pools)-i, p.Name)
			break
		}
		price := ""
		if c.Price != nil {
			price = fmt.Sprintf("%s %s/h each", c.Price.Currency, c.Price.PerHour)
		}
		fmt.Fprintf(b, "           %s\n", joinNonEmpty("  ", c.VSwitch, c.InstanceType, c.Word, price))
	}
	if unit, ok := firstPrice(s); ok && p.Status.Price != nil {
		if sum, ok := AddPerHour(p.Status.Price.PerHour, unit.PerHour, n); ok {
			fmt.Fprintf(b, "  price    %s %s/h -> about %s/h\n", unit.Currency, p.Status.Price.PerHour, sum)
		}
	}
}

// firstPrice is the unit price of the first resource pool that can give.
func firstPrice(s Strength) (Price, bool) {
	for _, c := range s.Pools {
		if c.Price != nil && (c.tone == ToneOK || c.tone == ToneWarn) {
			return *c.Price, true
		}
	}
	return Price{}, false
}

// releaseOrder says who goes first under each policy.
var releaseOrder = map[v1alpha1.ScalingPolicyType]string{
	v1alpha1.PolicyPriority:              "the newest first",
	v1alpha1.PolicyDistributionBalancing: "from the fullest zone, the newest first",
	v1alpha1.PolicyCostOptimization:      "the dearest per vCPU first",
}

func writeRelease(b *strings.Builder, p *v1alpha1.NodePool, n int32) {
	policy := p.Spec.ScalingPolicy.Type
	if policy == "" {
		policy = v1alpha1.PolicyPriority
	}
	fmt.Fprintf(b, "  release  %d, with their disks: those marked release-first, those that failed to join, then %s\n", n, releaseOrder[policy])
	c := p.Status.Counts
	var kept []string
	for _, k := range []struct {
		n    int32
		what string
	}{{c.Subscription, "subscription"}, {c.Protected, "protected"}, {c.Standby, "standby"}, {c.Attached, "attached"}} {
		if k.n > 0 {
			kept = append(kept, fmt.Sprintf("%d %s", k.n, k.what))
		}
	}
	if len(kept) > 0 {
		fmt.Fprintf(b, "  kept     %s\n", strings.Join(kept, ", "))
	}
	if p.Spec.Drain.Mode != v1alpha1.DrainOff {
		fmt.Fprintf(b, "  drain    %s, before each release\n", orDefault(string(p.Spec.Drain.Mode), string(v1alpha1.DrainBestEffort)))
	}
}

func orDefault(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
