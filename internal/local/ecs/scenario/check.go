package scenario

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Check finds everything in a scenario that cannot be. All is reported at once.
func (s *Scenario) Check() error {
	c := checker{s: s}
	if s.Region == "" || len(s.Zones) == 0 {
		c.add("region, zones", "name a region and at least one zone")
	}
	c.networks()
	c.types()
	c.rest()
	return errors.Join(c.errs...)
}

type checker struct {
	s    *Scenario
	errs []error
}

func (c *checker) add(path, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("check scenario: %s: %s", path, fmt.Sprintf(format, args...)))
}

func (c *checker) zones(path string, zones ...string) {
	for _, z := range zones {
		if !slices.Contains(c.s.Zones, z) {
			c.add(path, "zone %q is not one of %s", z, strings.Join(c.s.Zones, ", "))
		}
	}
}

func (c *checker) unique(path string, seen map[string]bool, id string) {
	if id == "" || seen[id] {
		c.add(path, "%q is empty or there twice", id)
	}
	seen[id] = true
}

func (c *checker) networks() {
	vpcs, seen := map[string]bool{}, map[string]bool{}
	for i, v := range c.s.VPCs {
		c.unique(fmt.Sprintf("vpcs[%d].id", i), vpcs, v.ID)
	}
	for i, v := range c.s.VSwitches {
		path := fmt.Sprintf("vSwitches[%d]", i)
		c.unique(path+".id", seen, v.ID)
		c.zones(path+".zone", v.Zone)
		p, err := netip.ParsePrefix(v.CIDR)
		if err != nil || !p.Addr().Is4() || p.Bits() < 16 || p.Bits() > 29 {
			c.add(path+".cidr", "%q is not an IPv4 block from /16 to /29", v.CIDR)
		}
		if !vpcs[v.VPC] {
			c.add(path+".vpc", "%q is not in vpcs", v.VPC)
		}
		if v.Taken < 0 {
			c.add(path+".taken", "it is negative")
		}
	}
	groups := map[string]bool{}
	for i, g := range c.s.SecurityGroups {
		path := fmt.Sprintf("securityGroups[%d]", i)
		c.unique(path+".id", groups, g.ID)
		if !vpcs[g.VPC] {
			c.add(path+".vpc", "%q is not in vpcs", g.VPC)
		}
		for j, r := range g.Egress {
			if err := r.Check(); err != nil {
				c.add(fmt.Sprintf("%s.egress[%d]", path, j), "%s", err)
			}
		}
	}
}

// Check says what is wrong with a rule.
func (r Rule) Check() error {
	_, _, portsErr := r.PortRange()
	_, cidrErr := r.Prefix()
	switch {
	case r.Policy != "Accept" && r.Policy != "Drop":
		return fmt.Errorf("policy %q is neither Accept nor Drop", r.Policy)
	case r.Priority < 1 || r.Priority > 100:
		return fmt.Errorf("priority %d is not from 1 to 100", r.Priority)
	case !slices.Contains([]string{"ALL", "TCP", "UDP", "ICMP", "GRE"}, r.Protocol):
		return fmt.Errorf("protocol %q is none of ALL, TCP, UDP, ICMP, GRE", r.Protocol)
	case portsErr != nil:
		return portsErr
	}
	return cidrErr
}

// PortRange returns the ports of a rule, -1 and -1 for all.
func (r Rule) PortRange() (from, to int, err error) {
	a, b, _ := strings.Cut(r.Ports, "/")
	from, err1 := strconv.Atoi(a)
	to, err2 := strconv.Atoi(b)
	all := from == -1 && to == -1
	if err1 != nil || err2 != nil || (!all && (from < 1 || to < from || to > 65535)) {
		return 0, 0, fmt.Errorf("ports %q are not written from/to, or -1/-1", r.Ports)
	}
	return from, to, nil
}

// Prefix returns the addresses of a rule.
func (r Rule) Prefix() (netip.Prefix, error) {
	if a, err := netip.ParseAddr(r.CIDR); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(r.CIDR)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("cidr %q is neither an address nor a block of addresses", r.CIDR)
	}
	return p.Masked(), nil
}

func (c *checker) types() {
	categories, seen := map[string]bool{}, map[string]bool{}
	for i, d := range c.s.DiskCategories {
		path := fmt.Sprintf("diskCategories[%d]", i)
		c.unique(path+".name", categories, d.Name)
		c.zones(path+".zones", d.Zones...)
	}
	for i, t := range c.s.InstanceTypes {
		path := fmt.Sprintf("instanceTypes[%d]", i)
		c.unique(path+".name", seen, t.Name)
		c.zones(path+".zones", t.Zones...)
		if t.VCPU < 1 || t.MemoryMiB < 1 || t.PricePerHour < 0 {
			c.add(path, "vcpu and memoryMiB are at least 1, pricePerHour not negative")
		}
		if t.Arch != "x86_64" && t.Arch != "arm64" {
			c.add(path+".arch", "%q is neither x86_64 nor arm64", t.Arch)
		}
		for _, m := range t.BootModes {
			if m != "BIOS" && m != "UEFI" {
				c.add(path+".bootModes", "%q is neither BIOS nor UEFI", m)
			}
		}
		for _, d := range t.DiskCategories {
			if !categories[d] {
				c.add(path+".diskCategories", "%q is not in diskCategories", d)
			}
		}
	}
	images := map[string]bool{}
	for i, m := range c.s.Images {
		path := fmt.Sprintf("images[%d]", i)
		c.unique(path+".id", images, m.ID)
		if !slices.Contains([]string{"BIOS", "UEFI", "UEFI-Preferred"}, m.BootMode) {
			c.add(path+".bootMode", "%q is none of BIOS, UEFI, UEFI-Preferred", m.BootMode)
		}
	}
}

func (c *checker) rest() {
	for i, s := range c.s.Stock {
		path := fmt.Sprintf("stock[%d]", i)
		c.zones(path+".zone", s.Zone)
		if c.s.Type(s.Type) == nil {
			c.add(path+".type", "%q is not in instanceTypes", s.Type)
		}
		if s.Count < -1 {
			c.add(path+".count", "write the number left, -1 for plenty")
		}
	}
	for i, s := range c.s.DiskStock {
		path := fmt.Sprintf("diskStock[%d]", i)
		c.zones(path+".zone", s.Zone)
		if c.s.DiskCategory(s.Category) == nil {
			c.add(path+".category", "%q is not in diskCategories", s.Category)
		}
		if s.Count < -1 {
			c.add(path+".count", "write the number left, -1 for plenty")
		}
	}
	for t := range c.s.Quotas.Types {
		if c.s.Type(t) == nil {
			c.add("quotas.types", "%q is not in instanceTypes", t)
		}
	}
	for z := range c.s.Quotas.VCPUs {
		c.zones("quotas.vcpus", z)
	}
	if c.s.Account.Currency != "CNY" && c.s.Account.Currency != "USD" {
		c.add("account.currency", "%q is neither CNY nor USD", c.s.Account.Currency)
	}
}

// find returns the element of a list with a name, nil where there is none.
func find[T any](list []T, name string, of func(*T) string) *T {
	for i := range list {
		if of(&list[i]) == name {
			return &list[i]
		}
	}
	return nil
}

// Type finds an instance type, nil where there is none.
func (s *Scenario) Type(name string) *InstanceType {
	return find(s.InstanceTypes, name, func(t *InstanceType) string { return t.Name })
}

// Image finds an image, nil where there is none.
func (s *Scenario) Image(id string) *Image {
	return find(s.Images, id, func(t *Image) string { return t.ID })
}

// VSwitch finds a vSwitch, nil where there is none.
func (s *Scenario) VSwitch(id string) *VSwitch {
	return find(s.VSwitches, id, func(t *VSwitch) string { return t.ID })
}

// DiskCategory finds a disk category, nil where there is none.
func (s *Scenario) DiskCategory(name string) *DiskCategory {
	return find(s.DiskCategories, name, func(t *DiskCategory) string { return t.Name })
}

// SecurityGroup finds a security group, nil where there is none.
func (s *Scenario) SecurityGroup(id string) *SecurityGroup {
	return find(s.SecurityGroups, id, func(t *SecurityGroup) string { return t.ID })
}

// DeploymentSet finds a deployment set, nil where there is none.
func (s *Scenario) DeploymentSet(id string) *DeploymentSet {
	return find(s.DeploymentSets, id, func(t *DeploymentSet) string { return t.ID })
}

// Key finds a KMS key, nil where there is none.
func (s *Scenario) Key(id string) *KMSKey {
	return find(s.KMS.Keys, id, func(t *KMSKey) string { return t.ID })
}
