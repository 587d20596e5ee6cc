package ecs

import (
	_ "embed"
	"fmt"
	"net/netip"

	"sigs.k8s.io/yaml"
)

//go:embed region.yaml
var defaultScenario []byte

// Scenario is what a region sells and who may buy it. Prices are per hour.
type Scenario struct {
	Region         string          `json:"region"`
	Currency       string          `json:"currency"`
	BootSeconds    float64         `json:"bootSeconds"`
	Zones          []string        `json:"zones"`
	VPCs           []VPC           `json:"vpcs"`
	VSwitches      []VSwitch       `json:"vSwitches"`
	SecurityGroups []SecurityGroup `json:"securityGroups"`
	KeyPairs       []string        `json:"keyPairs"`
	Images         []Image         `json:"images"`
	DiskCategories []string        `json:"diskCategories"`
	InstanceTypes  []InstanceType  `json:"instanceTypes"`
	// Stock is how many instances are left, by "zone/type". Absent: plenty.
	Stock map[string]int `json:"stock,omitempty"`
	// Balance of the account. Absent: plenty.
	Balance *float64 `json:"balance,omitempty"`
	// Quota of instances of a type in the region. Absent: plenty.
	Quota map[string]int `json:"quota,omitempty"`
}

// VPC is a private network.
type VPC struct {
	ID   string `json:"id"`
	CIDR string `json:"cidr"`
}

// VSwitch is a part of a VPC in one zone.
type VSwitch struct {
	ID   string `json:"id"`
	Zone string `json:"zone"`
	VPC  string `json:"vpc"`
	CIDR string `json:"cidr"`
}

// SecurityGroup lets machines out, but for what its rules drop.
type SecurityGroup struct {
	ID     string       `json:"id"`
	VPC    string       `json:"vpc"`
	Egress []EgressRule `json:"egress,omitempty"`
}

// EgressRule accepts or drops outbound TCP to a CIDR and a port range.
type EgressRule struct {
	Policy string `json:"policy"` // accept or drop
	CIDR   string `json:"cidr"`
	Ports  string `json:"ports"` // "443/443", "-1/-1" for all
}

// Image is what machines start from.
type Image struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	BootMode string `json:"bootMode"`
}

// InstanceType is a kind of machine.
type InstanceType struct {
	ID        string   `json:"id"`
	VCPU      int      `json:"vCPU"`
	MemoryGiB float64  `json:"memoryGiB"`
	Price     float64  `json:"price"`
	Arch      string   `json:"arch,omitempty"`
	UEFIOnly  bool     `json:"uefiOnly,omitempty"`
	GPUs      int      `json:"gpus,omitempty"`
	Zones     []string `json:"zones,omitempty"` // absent: every zone
}

// ParseScenario reads a scenario; unknown keys and names that lead nowhere are
// refused.
func ParseScenario(text []byte) (*Scenario, error) {
	s := &Scenario{}
	if err := yaml.UnmarshalStrict(text, s); err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	zones := map[string]bool{}
	for _, z := range s.Zones {
		zones[z] = true
	}
	for _, v := range s.VSwitches {
		if !zones[v.Zone] {
			return nil, fmt.Errorf("read scenario: vSwitch %s is in zone %q, which is not among zones", v.ID, v.Zone)
		}
		if _, err := netip.ParsePrefix(v.CIDR); err != nil {
			return nil, fmt.Errorf("read scenario: vSwitch %s: %w", v.ID, err)
		}
	}
	if len(s.Zones) == 0 || len(s.VSwitches) == 0 || len(s.InstanceTypes) == 0 || len(s.Images) == 0 {
		return nil, fmt.Errorf("read scenario: zones, vSwitches, instanceTypes and images must not be empty")
	}
	return s, nil
}

func (s *Scenario) instanceType(id string) *InstanceType {
	for i := range s.InstanceTypes {
		if s.InstanceTypes[i].ID == id {
			return &s.InstanceTypes[i]
		}
	}
	return nil
}

func (s *Scenario) vSwitch(id string) *VSwitch {
	for i := range s.VSwitches {
		if s.VSwitches[i].ID == id {
			return &s.VSwitches[i]
		}
	}
	return nil
}

func (s *Scenario) image(id string) *Image {
	for i := range s.Images {
		if s.Images[i].ID == id {
			return &s.Images[i]
		}
	}
	return nil
}

func (s *Scenario) securityGroup(id string) *SecurityGroup {
	for i := range s.SecurityGroups {
		if s.SecurityGroups[i].ID == id {
			return &s.SecurityGroups[i]
		}
	}
	return nil
}

func (t *InstanceType) arch() string {
	if t.Arch == "" {
		return "x86_64"
	}
	return t.Arch
}

// in says whether a type is sold in a zone.
func (t *InstanceType) in(zone string) bool {
	if len(t.Zones) == 0 {
		return true
	}
	for _, z := range t.Zones {
		if z == zone {
			return true
		}
	}
	return false
}
