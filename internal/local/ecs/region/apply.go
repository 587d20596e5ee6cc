package region

import (
	"fmt"
	"slices"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// Scenario returns the scenario as it is now: what was read and what controls
// have changed since, with what is left in stock.
func (r *Region) Scenario() scenario.Scenario {
	s := r.world.Scenario
	s.Stock = slices.Clone(s.Stock)
	for k, e := range s.Stock {
		if e.Count >= 0 {
			s.Stock[k].Count = r.left(e.Zone, e.Type, e.Spot)
		}
	}
	s.DiskStock = slices.Clone(s.DiskStock)
	for k, e := range s.DiskStock {
		if e.Count >= 0 {
			s.DiskStock[k].Count = r.disksLeft(e.Zone, e.Category)
		}
	}
	return s
}

// Apply replaces the scenario while the region runs. Instances stay as they
// are.
func (r *Region) Apply(s scenario.Scenario) (string, error) {
	r.now = r.o.Now()
	if err := r.apply(s); err != nil {
		return "", err
	}
	r.touch(bucketWorld, keyWorld)
	return fmt.Sprintf("scenario applied: %d zones, %d vSwitches, %d instance types, %d images, %d stock entries",
		len(s.Zones), len(s.VSwitches), len(s.InstanceTypes), len(s.Images), len(s.Stock)), nil
}

func (r *Region) apply(s scenario.Scenario) error {
	if r.world.Region != "" && s.Region != r.world.Region {
		return fmt.Errorf("apply scenario: the region is %s and cannot become %s; use another --dir", r.world.Region, s.Region)
	}
	for id, a := range r.vSwitches {
		v := s.VSwitch(id)
		if len(a.used) > 0 && (v == nil || v.CIDR != r.world.VSwitch(id).CIDR) {
			return fmt.Errorf("apply scenario: vSwitch %s holds %d instances; keep it, with its cidr", id, len(a.used))
		}
		if len(a.used) == 0 {
			delete(r.vSwitches, id)
		}
	}
	r.world.Scenario = s
	r.openVSwitches()
	r.keepTotals()
	return nil
}
