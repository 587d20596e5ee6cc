package region

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

type permission struct {
	Direction, Policy, IpProtocol, PortRange, Priority string
	DestCidrIp, SourceCidrIp, NicType, Description     string
	SecurityGroupRuleId                                string
}

type groupAttributeAnswer struct {
	RequestId, RegionId, VpcId, SecurityGroupId, SecurityGroupName, Description, InnerAccessPolicy string
	NextToken                                                                                      string
	Permissions                                                                                    struct{ Permission []permission }
}

func (r *Region) describeGroupAttribute(p *args) (any, *Error) {
	g := r.world.SecurityGroup(p.need("SecurityGroupId"))
	direction := p.oneOf("Direction", "all", "egress", "ingress")
	if p.err != nil {
		return nil, p.err
	}
	if g == nil {
		return nil, refuse(404, "InvalidSecurityGroupId.NotFound", "The specified SecurityGroupId does not exist.")
	}
	a := &groupAttributeAnswer{RequestId: p.requestID, RegionId: r.world.Region, VpcId: g.VPC, SecurityGroupId: g.ID,
		SecurityGroupName: g.ID, InnerAccessPolicy: "Accept"}
	a.Permissions.Permission = []permission{}
	for k, rule := range g.Egress {
		if direction == "ingress" {
			break
		}
		a.Permissions.Permission = append(a.Permissions.Permission, permission{Direction: "egress", Policy: rule.Policy, IpProtocol: rule.Protocol,
			PortRange: rule.Ports, Priority: strconv.Itoa(rule.Priority), DestCidrIp: rule.CIDR, NicType: "intranet",
			SecurityGroupRuleId: fmt.Sprintf("sgr-%s-%d", g.ID, k)})
	}
	return a, nil
}

type groupsAnswer struct {
	RequestId, RegionId, NextToken   string
	TotalCount, PageNumber, PageSize int
	SecurityGroups                   struct{ SecurityGroup []groupAnswer }
}

type groupAnswer struct {
	SecurityGroupId, SecurityGroupName, SecurityGroupType, VpcId, Description, CreationTime string
	EcsCount, AvailableInstanceAmount, RuleCount                                            int
}

func (r *Region) describeGroups(p *args) (any, *Error) {
	size, page := p.int("PageSize", p.int("MaxResults", 10, 1, 100), 1, 100), p.int("PageNumber", 1, 1, 1<<30)
	var ids []string
	if text := p.Params["SecurityGroupIds"]; text != "" && json.Unmarshal([]byte(text), &ids) != nil {
		p.fail(invalid("SecurityGroupIds", "it is not a JSON array"))
	}
	if one := p.Params["SecurityGroupId"]; one != "" {
		ids = append(ids, one)
	}
	if p.err != nil {
		return nil, p.err
	}
	a := &groupsAnswer{RequestId: p.requestID, RegionId: r.world.Region, PageNumber: page, PageSize: size}
	a.SecurityGroups.SecurityGroup = []groupAnswer{}
	for _, g := range r.world.SecurityGroups {
		if (len(ids) > 0 && !slices.Contains(ids, g.ID)) || (p.Params["VpcId"] != "" && p.Params["VpcId"] != g.VPC) {
			continue
		}
		if a.TotalCount/size == page-1 {
			s := groupAnswer{SecurityGroupId: g.ID, SecurityGroupName: g.ID, SecurityGroupType: "normal", VpcId: g.VPC,
				CreationTime: "2026-01-01T00:00:00Z", EcsCount: r.count["group/"+g.ID], RuleCount: len(g.Egress)}
			if g.Enterprise {
				s.SecurityGroupType = "enterprise"
			}
			s.AvailableInstanceAmount = max(0, g.Limit-s.EcsCount)
			a.SecurityGroups.SecurityGroup = append(a.SecurityGroups.SecurityGroup, s)
		}
		a.TotalCount++
	}
	return a, nil
}

type vSwitchesAnswer struct {
	RequestId                        string
	TotalCount, PageNumber, PageSize int
	VSwitches                        struct{ VSwitch []vSwitchAnswer }
}

type vSwitchAnswer struct {
	VSwitchId, VSwitchName, VpcId, ZoneId, CidrBlock, Status, CreationTime, Description string
	AvailableIpAddressCount                                                             int
	IsDefault                                                                           bool
}

func (r *Region) describeVSwitches(p *args) (any, *Error) {
	size, page := p.int("PageSize", 10, 1, 50), p.int("PageNumber", 1, 1, 1<<30)
	if p.err != nil {
		return nil, p.err
	}
	ids := commaList(p.Params["VSwitchId"])
	a := &vSwitchesAnswer{RequestId: p.requestID, PageNumber: page, PageSize: size}
	a.VSwitches.VSwitch = []vSwitchAnswer{}
	for _, v := range r.world.VSwitches {
		if (len(ids) > 0 && !slices.Contains(ids, v.ID)) || (p.Params["VpcId"] != "" && p.Params["VpcId"] != v.VPC) ||
			(p.Params["ZoneId"] != "" && p.Params["ZoneId"] != v.Zone) {
			continue
		}
		if a.TotalCount/size == page-1 {
			a.VSwitches.VSwitch = append(a.VSwitches.VSwitch, vSwitchAnswer{VSwitchId: v.ID, VSwitchName: v.ID, VpcId: v.VPC, ZoneId: v.Zone,
				CidrBlock: v.CIDR, Status: "Available", CreationTime: "2026-01-01T00:00:00Z", AvailableIpAddressCount: r.freeAddresses(&v)})
		}
		a.TotalCount++
	}
	return a, nil
}

type vpcsAnswer struct {
	RequestId                        string
	TotalCount, PageNumber, PageSize int
	Vpcs                             struct{ Vpc []vpcDetail }
}

type vpcDetail struct {
	VpcId, VpcName, RegionId, CidrBlock, Status, CreationTime string
	IsDefault                                                 bool
	VSwitchIds                                                struct{ VSwitchId []string }
}

func (r *Region) describeVpcs(p *args) (any, *Error) {
	size, page := p.int("PageSize", 10, 1, 50), p.int("PageNumber", 1, 1, 1<<30)
	if p.err != nil {
		return nil, p.err
	}
	ids := commaList(p.Params["VpcId"])
	a := &vpcsAnswer{RequestId: p.requestID, PageNumber: page, PageSize: size}
	a.Vpcs.Vpc = []vpcDetail{}
	for _, v := range r.world.VPCs {
		if len(ids) > 0 && !slices.Contains(ids, v.ID) {
			continue
		}
		d := vpcDetail{VpcId: v.ID, VpcName: v.ID, RegionId: r.world.Region, CidrBlock: v.CIDR, Status: "Available", CreationTime: "2026-01-01T00:00:00Z"}
		for _, s := range r.world.VSwitches {
			if s.VPC == v.ID {
				d.VSwitchIds.VSwitchId = append(d.VSwitchIds.VSwitchId, s.ID)
			}
		}
		if a.TotalCount/size == page-1 {
			a.Vpcs.Vpc = append(a.Vpcs.Vpc, d)
		}
		a.TotalCount++
	}
	return a, nil
}

var errTimedOut = errors.New("connection timed out")

// Reach says whether the security groups of an instance let it open a TCP
// connection. What is neither an address nor localhost counts as outside.
func (r *Region) Reach(id string, host string, port int) error {
	i := r.instances[id]
	if i == nil {
		return errors.New("network is unreachable")
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	to, err := netip.ParseAddr(host)
	if err != nil {
		to = netip.IPv4Unspecified()
	}
	if to == metadataAddress {
		return nil
	}
	best, allowed := 101, false
	for _, g := range i.Groups {
		s := r.world.SecurityGroup(g)
		if s == nil {
			continue
		}
		allowed = allowed || !s.Enterprise
	}
	for _, g := range i.Groups {
		s := r.world.SecurityGroup(g)
		for k := 0; s != nil && k < len(s.Egress); k++ {
			rule := s.Egress[k]
			if concerns(rule, to, port) && (rule.Priority < best || (rule.Priority == best && rule.Policy == "Drop")) {
				best, allowed = rule.Priority, rule.Policy == "Accept"
			}
		}
	}
	if !allowed {
		return errTimedOut
	}
	return nil
}

// metadataAddress is reached whatever the rules say.
var metadataAddress = netip.MustParseAddr("100.100.100.200")

func concerns(rule scenario.Rule, to netip.Addr, port int) bool {
	if rule.Protocol != "ALL" && rule.Protocol != "TCP" {
		return false
	}
	from, last, err := rule.PortRange()
	if err != nil || (from != -1 && rule.Protocol != "ALL" && (port < from || port > last)) {
		return false
	}
	prefix, err := rule.Prefix()
	return err == nil && prefix.Contains(to)
}
