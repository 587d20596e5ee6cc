package cloudtest

import (
	"fmt"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Offer names an instance type in a zone.
type Offer struct {
	Zone         string
	InstanceType string
}

// World is what the cloud has to give.
type World struct {
	VPC       string
	VSwitches []cloud.VSwitch
	Types     []cloud.InstanceType
	Images    []cloud.Image
	Groups    []cloud.SecurityGroup
	KeyPairs  []string
	// Stock says how many instances are left. An offer that is not here is not
	// offered.
	Stock map[Offer]int
	// Closed offers are not replenished.
	Closed map[Offer]bool
	// Prices per hour of pay-as-you-go instances by type; spot costs a fifth
	// unless SpotPrices say otherwise.
	Prices     map[string]cloud.Price
	SpotPrices map[Offer]cloud.Price
	// Roles are the roles of the account.
	Roles []string
	// Quota of instances by type; a type that is not here has none.
	Quota map[string]int
}

// DefaultWorld has three zones with a vSwitch each (vsw-a, vsw-b, vsw-c in
// zone-a, zone-b, zone-c), three instance types of x86_64 and one of arm64,
// all in stock, one image (image-1), one security group (sg-1), one key pair
// (key-1).
func DefaultWorld() World {
	w := World{
		VPC: "vpc-1",
		Types: []cloud.InstanceType{
			{Name: "ecs.c7.large", Family: "ecs.c7", VCPU: 2, MemoryMiB: 4 << 10, Architecture: "x86_64"},
			{Name: "ecs.g7.xlarge", Family: "ecs.g7", VCPU: 4, MemoryMiB: 16 << 10, Architecture: "x86_64"},
			{Name: "ecs.r7.2xlarge", Family: "ecs.r7", VCPU: 8, MemoryMiB: 64 << 10, Architecture: "x86_64"},
			{Name: "ecs.g8y.xlarge", Family: "ecs.g8y", VCPU: 4, MemoryMiB: 16 << 10, Architecture: "arm64"},
		},
		Images: []cloud.Image{{ID: "image-1", Name: "debian", OS: "Debian 13", Architecture: "x86_64", BootMode: "UEFI-Preferred"}},
		Groups: []cloud.SecurityGroup{{ID: "sg-1", VPC: "vpc-1"}},
		Stock:  map[Offer]int{}, Closed: map[Offer]bool{},
		KeyPairs: []string{"key-1"}, Roles: []string{fault.DrainRole},
		Prices: map[string]cloud.Price{
			"ecs.c7.large":   {Micros: 400_000, Currency: "CNY"},
			"ecs.g7.xlarge":  {Micros: 1_000_000, Currency: "CNY"},
			"ecs.r7.2xlarge": {Micros: 2_600_000, Currency: "CNY"},
			"ecs.g8y.xlarge": {Micros: 800_000, Currency: "CNY"},
		},
		SpotPrices: map[Offer]cloud.Price{},
		Quota:      map[string]int{},
	}
	for i, z := range []string{"a", "b", "c"} {
		w.VSwitches = append(w.VSwitches, cloud.VSwitch{
			ID: "vsw-" + z, Zone: "zone-" + z, VPC: w.VPC,
			CIDR: fmt.Sprintf("10.%d.0.0/16", i), FreeAddresses: 65532,
		})
		for _, t := range w.Types {
			w.Stock[Offer{"zone-" + z, t.Name}] = 10_000
		}
	}
	return w
}

func (w World) copied() World {
	c := w
	c.VSwitches = append([]cloud.VSwitch(nil), w.VSwitches...)
	c.Types = append([]cloud.InstanceType(nil), w.Types...)
	c.Images = append([]cloud.Image(nil), w.Images...)
	c.Groups = append([]cloud.SecurityGroup(nil), w.Groups...)
	c.Roles = append([]string(nil), w.Roles...)
	c.KeyPairs = append([]string(nil), w.KeyPairs...)
	c.Stock = copyMap(w.Stock)
	c.Closed = copyMap(w.Closed)
	c.Prices = copyMap(w.Prices)
	c.SpotPrices = copyMap(w.SpotPrices)
	c.Quota = copyMap(w.Quota)
	return c
}

func copyMap[K comparable, V any](m map[K]V) map[K]V {
	out := make(map[K]V, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func (w *World) vSwitch(id string) *cloud.VSwitch {
	for i := range w.VSwitches {
		if w.VSwitches[i].ID == id {
			return &w.VSwitches[i]
		}
	}
	return nil
}

func (w *World) instanceType(name string) *cloud.InstanceType {
	for i := range w.Types {
		if w.Types[i].Name == name {
			return &w.Types[i]
		}
	}
	return nil
}

func (w *World) image(id string) *cloud.Image {
	for i := range w.Images {
		if w.Images[i].ID == id {
			return &w.Images[i]
		}
	}
	return nil
}

func (w *World) price(o Offer, charge cloud.ChargeType) cloud.Price {
	p := w.Prices[o.InstanceType]
	switch charge {
	case cloud.Spot:
		if s, ok := w.SpotPrices[o]; ok {
			return s
		}
		p.Micros /= 5
	case cloud.Subscription:
		p.Micros = p.Micros * 6 / 10
	}
	return p
}

func (w *World) grade(o Offer) cloud.Stock {
	n, offered := w.Stock[o]
	switch {
	case !offered:
		return cloud.NotOffered
	case n > 0 && w.Closed[o]:
		return cloud.ClosedWithStock
	case n > 0:
		return cloud.WithStock
	case w.Closed[o]:
		return cloud.ClosedWithoutStock
	}
	return cloud.WithoutStock
}
