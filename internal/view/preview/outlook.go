package preview

import (
	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// Strength is the elastic strength of a group as the planner reckons it now,
// on what its status knows.
func Strength(g *v1alpha1.ScalingGroup, clock view.Clock) view.Strength {
	v := view.NewStrength(g, clock)
	e := scaling.Outlook(snapshot(g, nil, g.Spec.DesiredCapacity, clock.Now))
	if len(e.Pools) == 0 {
		return v
	}
	v.Word, v.Score = e.Word, e.Sum
	for i := range v.Pools { // both are in the order of the status
		v.Pools[i].Score = e.Pools[i].Score
	}
	return v
}
