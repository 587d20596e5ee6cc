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
	e := scaling.Outlook(planned(g, nil, nil, g.Spec.DesiredCapacity, clock.Now))
	if len(e.Pools) == 0 {
		return v
	}
	v.Word, v.Score = e.Word, e.Sum
	score := map[string]int{} // what only earlier settings named is not asked, and scores nothing
	for _, p := range e.Pools {
		score[p.Pool.VSwitch+"/"+p.Pool.InstanceType+"/"+view.BillingWord(v1alpha1.ChargeType(p.Pool.ChargeType))] = p.Score
	}
	for i := range v.Pools {
		c := &v.Pools[i]
		c.Score = score[c.VSwitch+"/"+c.InstanceType+"/"+c.Billing]
	}
	return v
}
