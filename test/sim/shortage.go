package sim

import (
	"fmt"
	"slices"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// wantedTypes are the instance types that pools ask for.
var wantedTypes = []string{"ecs.g7.xlarge", "ecs.c7.xlarge"}

// told tells of a change in the cloud that somebody made.
func (p *people) told(said string, err error) {
	if err != nil {
		p.violate("people", "%v", err)
		return
	}
	p.note(true, "people: %s", said)
}

// passing lets something end a while later, unless the trouble stops before,
// which ends it too.
func (p *people) passing(end func()) {
	p.at(p.now.Add(p.trouble.upTo(25*time.Minute)), "", func() {
		if !p.calm {
			end()
		}
	})
}

// noStock leaves little of what pools ask for, in a zone or in all; often it
// comes back.
func (p *people) noStock() {
	zone := p.region.Scenario().Zones[p.random.IntN(len(p.region.Scenario().Zones))]
	if p.random.IntN(2) == 0 {
		zone = "all"
	}
	for _, kind := range wantedTypes {
		p.told(p.region.SetStock(region.StockChange{Zone: zone, Type: kind, Count: p.random.IntN(3), Closed: p.random.IntN(4) == 0}))
	}
	if p.random.IntN(2) == 0 {
		p.passing(p.restock)
	}
}

func (p *people) restock() {
	for _, kind := range wantedTypes {
		p.told(p.region.SetStock(region.StockChange{Zone: "all", Type: kind, Count: -1}))
	}
}

// quota bounds instances of a type, vCPUs of a zone or instances of the account
// for a while.
func (p *people) quota() {
	zones := p.region.Scenario().Zones
	bound := []region.QuotaChange{
		{Type: wantedTypes[p.random.IntN(len(wantedTypes))], Count: p.random.IntN(4)},
		{Zone: zones[p.random.IntN(len(zones))], Count: 4 * p.random.IntN(4)},
		{Account: "instances", Count: 1 + p.random.IntN(5)},
		{Account: "disks", Count: 1 + p.random.IntN(5)},
	}[p.random.IntN(4)]
	p.told(p.region.SetQuota(bound))
	bound.Count = -1
	p.passing(func() { p.told(p.region.SetQuota(bound)) })
}

// enough is more money than any history needs.
var enough = 100_000.0

// balance leaves the account without money for a while.
func (p *people) balance() {
	little := 1.0
	p.told(p.region.SetBalance([]region.BalanceChange{{Amount: &little}, {CreditUsedUp: true}, {Arrears: true}}[p.random.IntN(3)]))
	p.passing(p.payIn)
}

func (p *people) payIn() { p.told(p.region.SetBalance(region.BalanceChange{Amount: &enough})) }

// addresses leaves a vSwitch few free addresses for a while.
func (p *people) addresses() {
	v := p.region.Scenario().VSwitches[p.random.IntN(3)].ID
	p.told(p.region.SetFree(region.VSwitchChange{ID: v, Free: p.random.IntN(3)}))
	p.passing(func() { p.freeAddresses(v) })
}

func (p *people) freeAddresses(id string) {
	p.told(p.region.SetFree(region.VSwitchChange{ID: id, Free: 1000}))
}

// price makes an instance type dearer or cheaper, on demand or on the spot
// market; prices stay as they became.
func (p *people) price() {
	s := p.region.Scenario()
	s.InstanceTypes = slices.Clone(s.InstanceTypes)
	t := s.Type(wantedTypes[p.random.IntN(len(wantedTypes))])
	times := []float64{0.5, 0.8, 1.005, 1.25, 3}[p.random.IntN(5)]
	what, is := "on demand", &t.PricePerHour
	if p.random.IntN(2) == 0 {
		what, is = "spot", &t.SpotPerHour
		*is = max(*is, t.PricePerHour/5)
	}
	*is *= times
	_, err := p.region.Apply(s)
	p.told(fmt.Sprintf("%s costs %.3f an hour %s", t.Name, *is, what), err)
}

// reclaim has the cloud take a spot instance back, after its notice.
func (p *people) reclaim() {
	if i, ok := p.one(); ok {
		if said, err := p.region.Control(i.ID, "reclaim"); err == nil {
			p.told(said, nil)
		}
	}
}

// plenty ends every shortage.
func (p *people) plenty() {
	p.restock()
	p.payIn()
	s := p.region.Scenario()
	s.VSwitches = slices.Clone(s.VSwitches)
	for n := range s.VSwitches {
		s.VSwitches[n].Taken = 0
	}
	s.Quotas = scenario.Quotas{}
	_, err := p.region.Apply(s)
	p.told("there is plenty of everything", err)
}

// untold says which price the group has not written down as it is now; a
// hundredth makes no difference (I12).
func (c *checker) untold(g *api.ScalingGroup) string {
	s := c.region.Scenario()
	for _, r := range g.Status.ResourcePools {
		t := s.Type(r.InstanceType)
		now := t.PricePerHour
		if r.ChargeType == api.ChargeSpot {
			if now /= 5; t.SpotPerHour > 0 {
				now = t.SpotPerHour
			}
		}
		if told := float64(scaling.Micros(r.PricePerHour)) / 1e6; told < now*0.985 || told > now*1.015 {
			return fmt.Sprintf("%s in %s is said to cost %q an hour, and costs %.3f", r.InstanceType, r.VSwitch, r.PricePerHour, now)
		}
	}
	return ""
}
