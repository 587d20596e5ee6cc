package cloud

import (
	"net/netip"
	"strings"
)

// EgressRule is one outbound rule of a security group.
type EgressRule struct {
	// Accept allows, else the rule refuses.
	Accept bool
	// Priority: the lower goes first; among equals refusing goes first.
	Priority int
	// Protocol is all, tcp, udp, icmp or gre, in lower case.
	Protocol string
	// FromPort and ToPort bound the ports; -1 to -1 is every port.
	FromPort, ToPort int
	// CIDR of the addresses, empty for every address of IPv4.
	CIDR string
}

// AllowsEgress tells whether a machine in the group may reach this TCP port of
// every address of this prefix (a single address is a prefix too). A rule that
// speaks of a part of the prefix counts against it where it refuses, and not
// for it where it allows.
func (g SecurityGroup) AllowsEgress(to netip.Prefix, port int) bool {
	best, allowed := 1<<31-1, !g.Enterprise
	for _, r := range g.Egress {
		if !r.concerns(port) || !r.meets(to) {
			continue
		}
		if r.Priority < best || (r.Priority == best && !r.Accept) {
			best, allowed = r.Priority, r.Accept
		}
	}
	return allowed
}

func (r EgressRule) concerns(port int) bool {
	switch strings.ToLower(r.Protocol) {
	case "all", "":
		return true
	case "tcp":
		return r.FromPort < 0 || (r.FromPort <= port && port <= r.ToPort)
	}
	return false
}

func (r EgressRule) meets(to netip.Prefix) bool {
	cidr := r.CIDR
	if cidr == "" {
		cidr = "0.0.0.0/0"
	}
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		a, err := netip.ParseAddr(cidr)
		if err != nil {
			return false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if r.Accept {
		return p.Contains(to.Addr()) && p.Bits() <= to.Bits()
	}
	return p.Overlaps(to)
}

// EgressAllowed tells whether a machine in all of these groups may reach a
// port of these addresses: the rules of all groups count together, and what no
// rule speaks of is allowed where one of the groups is a basic one.
func EgressAllowed(groups []SecurityGroup, to netip.Prefix, port int) bool {
	if len(groups) == 0 {
		return true
	}
	all := SecurityGroup{Enterprise: true}
	for _, g := range groups {
		all.Enterprise = all.Enterprise && g.Enterprise
		all.Egress = append(all.Egress, g.Egress...)
	}
	return all.AllowsEgress(to, port)
}
