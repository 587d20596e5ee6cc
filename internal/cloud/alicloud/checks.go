package alicloud

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// VSwitches looks vSwitches up: those of the VPCs in one list, others by id.
func (p *Provider) VSwitches(ctx context.Context, ids ...string) ([]cloud.VSwitch, error) {
	var all []cloud.VSwitch
	for _, vpc := range p.opts.VPCs {
		some, err := p.vSwitches(ctx, params{"VpcId": vpc})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	if len(ids) == 0 {
		if len(p.opts.VPCs) == 0 {
			return p.vSwitches(ctx, params{})
		}
		return all, nil
	}
	byID := map[string]cloud.VSwitch{}
	for _, v := range all {
		byID[v.ID] = v
	}
	var out []cloud.VSwitch
	for _, id := range ids {
		v, ok := byID[id]
		if !ok {
			some, err := p.vSwitches(ctx, params{"VSwitchId": id})
			if err != nil && !absent(err) {
				return nil, err
			}
			if len(some) != 1 || some[0].ID != id {
				continue
			}
			v = some[0]
		}
		out = append(out, v)
	}
	return out, nil
}

func (p *Provider) vSwitches(ctx context.Context, in params) ([]cloud.VSwitch, error) {
	in["PageSize"] = "50"
	var all []cloud.VSwitch
	for page := 1; ; page++ {
		in["PageNumber"] = strconv.Itoa(page)
		var out struct {
			TotalCount int
			VSwitches  struct {
				VSwitch []struct {
					VSwitchID               string `json:"VSwitchId"`
					VpcID                   string `json:"VpcId"`
					ZoneID                  string `json:"ZoneId"`
					CidrBlock               string
					AvailableIPAddressCount int `json:"AvailableIpAddressCount"`
				}
			}
		}
		if err := p.read(ctx, "VSwitches", "vpc", "DescribeVSwitches", in, &out); err != nil {
			return nil, err
		}
		for _, v := range out.VSwitches.VSwitch {
			all = append(all, cloud.VSwitch{ID: v.VSwitchID, Zone: v.ZoneID, VPC: v.VpcID, CIDR: v.CidrBlock, FreeAddresses: v.AvailableIPAddressCount})
		}
		if len(out.VSwitches.VSwitch) == 0 || len(all) >= out.TotalCount {
			return all, nil
		}
	}
}

// absent tells whether a look was refused because the thing does not exist.
func absent(err error) bool {
	f := fault.Of(err)
	return f != nil && cloud.Classify(err) == cloud.Refused && strings.HasSuffix(f.WireCode, ".NotFound") &&
		f.Code != fault.AccessKeyNotFound && f.WireCode != "InvalidAction.NotFound"
}

// Images looks images up.
func (p *Provider) Images(ctx context.Context, ids ...string) ([]cloud.Image, error) {
	in := params{"PageSize": "100", "PageNumber": "1"}
	in.optional("ImageId", strings.Join(ids, ","))
	var out struct {
		Images struct {
			Image []struct {
				ImageID      string `json:"ImageId"`
				ImageName    string
				OSName       string
				Architecture string
				BootMode     string
				Description  string
			}
		}
	}
	if err := p.read(ctx, "Images", "ecs", "DescribeImages", in, &out); err != nil {
		if absent(err) {
			return nil, nil
		}
		return nil, err
	}
	var all []cloud.Image
	for _, i := range out.Images.Image {
		image := cloud.Image{ID: i.ImageID, Name: i.ImageName, OS: i.OSName, Architecture: architecture(i.Architecture), BootMode: i.BootMode}
		if strings.Contains(i.Description, "vTPM") || strings.Contains(i.Description, "vSGX") {
			image.Trusted = cut(i.Description, maxTrusted)
		}
		all = append(all, image)
	}
	return all, nil
}

// maxTrusted is the longest description of what an image supports that is
// passed on. Unit: bytes.
const maxTrusted = 64

// KeyPairs looks key pairs up.
func (p *Provider) KeyPairs(ctx context.Context, names ...string) ([]string, error) {
	wanted := names
	if len(names) == 0 {
		wanted = []string{""}
	}
	var all []string
	for _, name := range wanted {
		in := params{"PageSize": "50", "PageNumber": "1"}
		in.optional("KeyPairName", name)
		var out struct {
			KeyPairs struct {
				KeyPair []struct{ KeyPairName string }
			}
		}
		if err := p.read(ctx, "KeyPairs", "ecs", "DescribeKeyPairs", in, &out); err != nil {
			if absent(err) {
				continue
			}
			return nil, err
		}
		for _, k := range out.KeyPairs.KeyPair {
			if name == "" || k.KeyPairName == name {
				all = append(all, k.KeyPairName)
			}
		}
	}
	return all, nil
}

// SecurityGroups looks security groups up.
func (p *Provider) SecurityGroups(ctx context.Context, ids ...string) ([]cloud.SecurityGroup, error) {
	if len(ids) == 0 {
		return p.listGroups(ctx)
	}
	kinds := map[string]bool{}
	text, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	listed, err := p.groups(ctx, params{"SecurityGroupIds": string(text)})
	if err != nil && !absent(err) {
		return nil, err
	}
	for _, g := range listed {
		kinds[g.ID] = g.Enterprise
	}
	var all []cloud.SecurityGroup
	for _, id := range ids {
		g, err := p.group(ctx, id)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		g.Enterprise = kinds[id]
		all = append(all, g)
	}
	return all, nil
}

func (p *Provider) listGroups(ctx context.Context) ([]cloud.SecurityGroup, error) {
	if len(p.opts.VPCs) == 0 {
		return p.groups(ctx, params{})
	}
	var all []cloud.SecurityGroup
	for _, vpc := range p.opts.VPCs {
		some, err := p.groups(ctx, params{"VpcId": vpc})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// groups reads up to 100 groups without their rules.
func (p *Provider) groups(ctx context.Context, in params) ([]cloud.SecurityGroup, error) {
	in["MaxResults"] = "100"
	var out struct {
		SecurityGroups struct {
			SecurityGroup []struct {
				SecurityGroupID   string `json:"SecurityGroupId"`
				VpcID             string `json:"VpcId"`
				SecurityGroupType string
			}
		}
	}
	if err := p.read(ctx, "SecurityGroups", "ecs", "DescribeSecurityGroups", in, &out); err != nil {
		return nil, err
	}
	var all []cloud.SecurityGroup
	for _, g := range out.SecurityGroups.SecurityGroup {
		all = append(all, cloud.SecurityGroup{ID: g.SecurityGroupID, VPC: g.VpcID, Enterprise: g.SecurityGroupType == "enterprise"})
	}
	return all, nil
}

// group reads the outbound rules of one group.
func (p *Provider) group(ctx context.Context, id string) (cloud.SecurityGroup, error) {
	var out struct {
		SecurityGroupID string `json:"SecurityGroupId"`
		VpcID           string `json:"VpcId"`
		Permissions     struct {
			Permission []struct {
				Direction, IPProtocol, PortRange, Policy string
				DestCidrIP                               string `json:"DestCidrIp"`
				Ipv6DestCidrIP                           string `json:"Ipv6DestCidrIp"`
				DestGroupID                              string `json:"DestGroupId"`
				DestPrefixListID                         string `json:"DestPrefixListId"`
				Priority                                 json.RawMessage
			}
		}
	}
	in := params{"SecurityGroupId": id, "Direction": "egress", "NicType": "intranet"}
	if err := p.read(ctx, "SecurityGroups", "ecs", "DescribeSecurityGroupAttribute", in, &out); err != nil {
		return cloud.SecurityGroup{}, err
	}
	g := cloud.SecurityGroup{ID: out.SecurityGroupID, VPC: out.VpcID}
	for _, r := range out.Permissions.Permission {
		// Rules about groups and prefix lists cannot be judged by address.
		if r.Direction != "egress" || r.DestGroupID != "" || r.DestPrefixListID != "" {
			continue
		}
		rule := cloud.EgressRule{Accept: strings.EqualFold(r.Policy, "accept"), Protocol: strings.ToLower(r.IPProtocol), CIDR: r.DestCidrIP, Priority: 1}
		if rule.CIDR == "" {
			rule.CIDR = r.Ipv6DestCidrIP
		}
		if n, err := strconv.Atoi(strings.Trim(string(r.Priority), `"`)); err == nil {
			rule.Priority = n
		}
		rule.FromPort, rule.ToPort = ports(r.PortRange)
		g.Egress = append(g.Egress, rule)
	}
	return g, nil
}

// ports reads "22/22"; what cannot be read is every port.
func ports(s string) (from, to int) {
	a, b, _ := strings.Cut(s, "/")
	from, err1 := strconv.Atoi(a)
	to, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil {
		return -1, -1
	}
	return from, to
}
