package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// Zones says how many of the instances each zone of a pool has, and by how many
// the fullest exceeds the emptiest. Unit: instances. The zones of the group, which
// may be nil, are named also where they have none.
func Zones(pool string, g *v1alpha1.ScalingGroup, list []v1alpha1.Instance) (text string, apart int) {
	n := map[string]int{}
	if g != nil {
		for _, rp := range g.Status.ResourcePools {
			n[rp.Zone] = 0
		}
	}
	for k := range list {
		i := &list[k]
		if i.Spec.Pool == pool && i.Spec.Release == nil && i.Status.LifecycleState != v1alpha1.InstanceRemoved && i.Spec.CreationType != v1alpha1.CreatedUnknown {
			n[i.Spec.Placement.Zone]++
		}
	}
	var parts []string
	var counts []int
	for zone, k := range n {
		parts, counts = append(parts, fmt.Sprintf("zone %s has %d", zone, k)), append(counts, k)
	}
	if len(counts) == 0 {
		return "no zone is known yet", 0
	}
	slices.Sort(parts)
	return strings.Join(parts, ", "), slices.Max(counts) - slices.Min(counts)
}
