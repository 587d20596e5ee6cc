package ecs

import (
	"slices"
	"strconv"
	"strings"
)

func describeInstanceTypes(r *Region, p params) (object, *wireError) {
	want := p.list("InstanceTypes")
	list := []object{}
	for i := range r.Scenario.InstanceTypes {
		t := &r.Scenario.InstanceTypes[i]
		if len(want) > 0 && !slices.Contains(want, t.ID) {
			continue
		}
		arch := "X86"
		if t.arch() == "arm64" {
			arch = "ARM"
		}
		family := t.ID[:strings.LastIndex(t.ID, ".")]
		list = append(list, object{"InstanceTypeId": t.ID, "InstanceTypeFamily": family, "CpuCoreCount": t.VCPU, "MemorySize": t.MemoryGiB,
			"GPUAmount": t.GPUs, "CpuArchitecture": arch, "SupportedBootModes": object{"SupportedBootMode": t.bootModes()}})
	}
	return object{"NextToken": "", "InstanceTypes": object{"InstanceType": list}}, nil
}

func (t *InstanceType) bootModes() []string {
	if t.UEFIOnly {
		return []string{"UEFI"}
	}
	return []string{"BIOS", "UEFI"}
}

// describeAvailable tells what each zone sells and whether there is stock.
func describeAvailable(r *Region, p params) (object, *wireError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var zones []object
	for _, z := range r.Scenario.Zones {
		if p["ZoneId"] != "" && p["ZoneId"] != z {
			continue
		}
		list := []object{}
		if dest := p["DestinationResource"]; dest == "SystemDisk" || dest == "DataDisk" {
			for _, c := range r.Scenario.DiskCategories {
				list = append(list, offer(c, 1))
			}
		} else {
			for i := range r.Scenario.InstanceTypes {
				t := &r.Scenario.InstanceTypes[i]
				if t.in(z) && (p["InstanceType"] == "" || p["InstanceType"] == t.ID) {
					list = append(list, offer(t.ID, r.left(z, t.ID)))
				}
			}
		}
		zones = append(zones, object{"ZoneId": z, "RegionId": r.Scenario.Region, "Status": "Available", "StatusCategory": "WithStock",
			"AvailableResources": object{"AvailableResource": []object{{"Type": p["DestinationResource"], "SupportedResources": object{"SupportedResource": list}}}}})
	}
	return object{"AvailableZones": object{"AvailableZone": zones}}, nil
}

func offer(value string, left int) object {
	if left <= 0 {
		return object{"Value": value, "Status": "SoldOut", "StatusCategory": "WithoutStock"}
	}
	return object{"Value": value, "Status": "Available", "StatusCategory": "WithStock"}
}

// spotShare is what a spot instance costs of the price on demand.
const spotShare = 0.3

func describePrice(r *Region, p params) (object, *wireError) {
	t := r.Scenario.instanceType(p["InstanceType"])
	if t == nil {
		return nil, refuse(400, "InvalidInstanceType.ValueNotSupported", "The specified InstanceType does not exist or beyond the permitted range.")
	}
	n := 1.0
	if a, err := strconv.Atoi(p["Amount"]); err == nil && a > 0 {
		n = float64(a)
	}
	price := t.Price * n
	switch {
	case p["SpotStrategy"] != "" && p["SpotStrategy"] != "NoSpot":
		price *= spotShare
	case p["PriceUnit"] == "Month":
		price *= 24 * 30 * 0.65
	}
	return object{"PriceInfo": object{
		"Price": object{"OriginalPrice": price, "DiscountPrice": 0, "TradePrice": price, "Currency": r.Scenario.Currency,
			"DetailInfos": object{"DetailInfo": []object{{"Resource": "instanceType", "OriginalPrice": price, "DiscountPrice": 0, "TradePrice": price}}}},
		"Rules": object{"Rule": []object{}}}}, nil
}

func describeSpotPrices(r *Region, p params) (object, *wireError) {
	t := r.Scenario.instanceType(p["InstanceType"])
	if t == nil {
		return nil, refuse(400, "InvalidInstanceType.ValueNotSupported", "The specified InstanceType does not exist or beyond the permitted range.")
	}
	list := []object{}
	for _, z := range r.Scenario.Zones {
		list = append(list, object{"ZoneId": z, "InstanceType": t.ID, "SpotPrice": t.Price * spotShare, "OriginPrice": t.Price,
			"Timestamp": r.Now().UTC().Format("2006-01-02T15:04:05Z"), "NetworkType": "vpc", "IoOptimized": "optimized"})
	}
	return object{"Currency": r.Scenario.Currency, "NextOffset": 0, "SpotPrices": object{"SpotPriceType": list}}, nil
}

func describeImages(r *Region, p params) (object, *wireError) {
	var want []string
	if s := p["ImageId"]; s != "" {
		want = strings.Split(s, ",")
	}
	list := []object{}
	for _, i := range r.Scenario.Images {
		if want != nil && !slices.Contains(want, i.ID) {
			continue
		}
		list = append(list, object{"ImageId": i.ID, "ImageName": i.Name, "OSName": i.OS, "OSNameEn": i.OS, "Architecture": i.Arch, "BootMode": i.BootMode,
			"Status": "Available", "OSType": "linux", "ImageOwnerAlias": "system", "SupportCloudinit": true, "Size": 20})
	}
	return object{"TotalCount": len(list), "PageNumber": 1, "PageSize": 100, "RegionId": r.Scenario.Region, "Images": object{"Image": list}}, nil
}

func describeImageTypes(r *Region, p params) (object, *wireError) {
	image := r.Scenario.image(p["ImageId"])
	if image == nil {
		return nil, refuse(404, "InvalidImageId.NotFound", "The specified ImageId does not exist.")
	}
	list := []object{}
	for i := range r.Scenario.InstanceTypes {
		t := &r.Scenario.InstanceTypes[i]
		if t.arch() == image.Arch && !(t.UEFIOnly && image.BootMode == "BIOS") {
			list = append(list, object{"InstanceTypeId": t.ID, "CpuCoreCount": t.VCPU, "MemorySize": t.MemoryGiB})
		}
	}
	return object{"ImageId": image.ID, "RegionId": r.Scenario.Region, "InstanceTypes": object{"InstanceType": list}}, nil
}

func describeSecurityGroups(r *Region, p params) (object, *wireError) {
	list := []object{}
	for _, g := range r.Scenario.SecurityGroups {
		if s := p["SecurityGroupIds"]; (s != "" && !strings.Contains(s, `"`+g.ID+`"`)) || (p["SecurityGroupId"] != "" && p["SecurityGroupId"] != g.ID) || (p["VpcId"] != "" && p["VpcId"] != g.VPC) {
			continue
		}
		list = append(list, object{"SecurityGroupId": g.ID, "SecurityGroupName": g.ID, "VpcId": g.VPC, "SecurityGroupType": "normal"})
	}
	return object{"TotalCount": len(list), "PageNumber": 1, "PageSize": 50, "NextToken": "", "RegionId": r.Scenario.Region, "SecurityGroups": object{"SecurityGroup": list}}, nil
}

func describeSecurityGroup(r *Region, p params) (object, *wireError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.Scenario.securityGroup(p["SecurityGroupId"])
	if g == nil {
		return nil, refuse(404, "InvalidSecurityGroupId.NotFound", "The specified SecurityGroupId does not exist.")
	}
	rules := []object{}
	for n, e := range g.Egress {
		rules = append(rules, object{"Direction": "egress", "IpProtocol": "TCP", "PortRange": e.Ports, "DestCidrIp": e.CIDR,
			"Policy": strings.ToUpper(e.Policy[:1]) + e.Policy[1:], "Priority": strconv.Itoa(n + 1), "NicType": "intranet"})
	}
	return object{"SecurityGroupId": g.ID, "SecurityGroupName": g.ID, "VpcId": g.VPC, "RegionId": r.Scenario.Region, "InnerAccessPolicy": "Accept",
		"Permissions": object{"Permission": rules}}, nil
}

func describeKeyPairs(r *Region, p params) (object, *wireError) {
	list := []object{}
	for _, k := range r.Scenario.KeyPairs {
		if p["KeyPairName"] == "" || p["KeyPairName"] == k {
			list = append(list, object{"KeyPairName": k})
		}
	}
	return object{"TotalCount": len(list), "PageNumber": 1, "PageSize": 50, "KeyPairs": object{"KeyPair": list}}, nil
}

func describeZones(r *Region, _ params) (object, *wireError) {
	list := []object{}
	for _, z := range r.Scenario.Zones {
		list = append(list, object{"ZoneId": z, "LocalName": z})
	}
	return object{"Zones": object{"Zone": list}}, nil
}

func describeVSwitches(r *Region, p params) (object, *wireError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []object{}
	for i := range r.Scenario.VSwitches {
		v := &r.Scenario.VSwitches[i]
		if s := p["VSwitchId"]; (s != "" && !slices.Contains(strings.Split(s, ","), v.ID)) || (p["VpcId"] != "" && p["VpcId"] != v.VPC) || (p["ZoneId"] != "" && p["ZoneId"] != v.Zone) {
			continue
		}
		list = append(list, object{"VSwitchId": v.ID, "VpcId": v.VPC, "ZoneId": v.Zone, "CidrBlock": v.CIDR, "Status": "Available",
			"AvailableIpAddressCount": r.free(v), "VSwitchName": v.ID})
	}
	return object{"TotalCount": len(list), "PageNumber": 1, "PageSize": 50, "VSwitches": object{"VSwitch": list}}, nil
}

func describeVPCs(r *Region, _ params) (object, *wireError) {
	list := []object{}
	for _, v := range r.Scenario.VPCs {
		list = append(list, object{"VpcId": v.ID, "CidrBlock": v.CIDR, "Status": "Available", "RegionId": r.Scenario.Region})
	}
	return object{"TotalCount": len(list), "PageNumber": 1, "PageSize": 50, "Vpcs": object{"Vpc": list}}, nil
}

func callerIdentity(r *Region, _ params) (object, *wireError) {
	return object{"AccountId": r.AccountID, "UserId": r.AccountID, "PrincipalId": r.AccountID, "IdentityType": "Account",
		"Arn": "acs:ram::" + r.AccountID + ":root"}, nil
}
