package server

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/bssopenapi"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/ecs"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/kms"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/ram"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/vpc"
)

// do fails the test on an error; the answer goes through.
func do[T any](b *bench) func(T, error) T {
	return func(v T, err error) T {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
}

// Types, images and what goes together, as the vendor's SDK reads them.
func TestCatalogue(t *testing.T) {
	b := newBench(t, "")
	types := do[*ecs.DescribeInstanceTypesResponse](b)(b.client.DescribeInstanceTypes(ecs.CreateDescribeInstanceTypesRequest()))
	if n := len(types.InstanceTypes.InstanceType); n < 20 || types.NextToken != "" {
		t.Fatalf("%d types, next %q", n, types.NextToken)
	}
	r := ecs.CreateDescribeInstanceTypesRequest()
	r.InstanceTypes = &[]string{"ecs.g8y.xlarge", "ecs.ebmgn7e.32xlarge"}
	r.MaxResults = "1"
	one := do[*ecs.DescribeInstanceTypesResponse](b)(b.client.DescribeInstanceTypes(r))
	first := one.InstanceTypes.InstanceType[0]
	if first.InstanceTypeId != "ecs.g8y.xlarge" || first.CpuArchitecture != "ARM" || first.CpuCoreCount != 4 || first.MemorySize != 16 || one.NextToken == "" {
		t.Errorf("%+v", one)
	}
	r.NextToken = one.NextToken
	two := do[*ecs.DescribeInstanceTypesResponse](b)(b.client.DescribeInstanceTypes(r))
	if second := two.InstanceTypes.InstanceType[0]; second.GPUAmount != 8 || second.SupportedBootModes.SupportedBootMode[0] != "UEFI" || two.NextToken != "" {
		t.Errorf("%+v", two)
	}
	m := ecs.CreateDescribeImagesRequest()
	m.ImageId = "aliyun_3_x64_20G_local.vhd,ubuntu_24_04_arm64_20G_local.vhd"
	images := do[*ecs.DescribeImagesResponse](b)(b.client.DescribeImages(m))
	if len(images.Images.Image) != 2 || images.Images.Image[1].Architecture != "arm64" || images.Images.Image[0].BootMode != "UEFI-Preferred" {
		t.Errorf("%+v", images.Images)
	}
	s := ecs.CreateDescribeImageSupportInstanceTypesRequest()
	s.ImageId = "ubuntu_22_04_x64_20G_bios_local.vhd"
	fit := do[*ecs.DescribeImageSupportInstanceTypesResponse](b)(b.client.DescribeImageSupportInstanceTypes(s))
	names := map[string]bool{}
	for _, k := range fit.InstanceTypes.InstanceType {
		names[k.InstanceTypeId] = true
	}
	if !names["ecs.g5.xlarge"] || !names["ecs.g7.large"] || names["ecs.g8i.xlarge"] || names["ecs.g8y.large"] || names["ecs.g6t.xlarge"] {
		t.Errorf("fit: %v", names)
	}
}

// Stock in the vendor's four categories, per zone, type and disk.
func TestAvailableResource(t *testing.T) {
	b := newBench(t, `
stock:
- {zone: cn-local-a, type: ecs.g7.large, count: 0}
- {zone: cn-local-b, type: ecs.g7.large, count: 2, closed: true}
- {zone: cn-local-c, type: ecs.g7.large, count: 0, closed: true}
- {zone: cn-local-a, type: ecs.g7.large, spot: true, count: 4}
- {zone: cn-local-b, type: ecs.c7.large, count: 0, notOffered: true}
diskStock: [{zone: cn-local-b, category: cloud_essd, count: 0}]
`)
	look := func(change func(*ecs.DescribeAvailableResourceRequest)) map[string]string {
		r := ecs.CreateDescribeAvailableResourceRequest()
		r.DestinationResource = "InstanceType"
		change(r)
		out := map[string]string{}
		for _, z := range do[*ecs.DescribeAvailableResourceResponse](b)(b.client.DescribeAvailableResource(r)).AvailableZones.AvailableZone {
			for _, a := range z.AvailableResources.AvailableResource {
				for _, s := range a.SupportedResources.SupportedResource {
					out[z.ZoneId+"/"+s.Value] = s.Status + "/" + s.StatusCategory
				}
			}
		}
		return out
	}
	got := look(func(r *ecs.DescribeAvailableResourceRequest) {})
	for key, want := range map[string]string{"cn-local-a/ecs.g7.large": "SoldOut/WithoutStock", "cn-local-b/ecs.g7.large": "Available/ClosedWithStock",
		"cn-local-c/ecs.g7.large": "SoldOut/ClosedWithoutStock", "cn-local-a/ecs.c7.large": "Available/WithStock", "cn-local-b/ecs.c7.large": ""} {
		if got[key] != want {
			t.Errorf("%s: %q, want %q", key, got[key], want)
		}
	}
	spot := look(func(r *ecs.DescribeAvailableResourceRequest) { r.SpotStrategy = "SpotAsPriceGo" })
	if v := spot["cn-local-a/ecs.g7.large"]; v != "Available/WithStock" {
		t.Errorf("spot: %s", v)
	}
	disks := look(func(r *ecs.DescribeAvailableResourceRequest) {
		r.DestinationResource, r.InstanceType, r.ZoneId = "SystemDisk", "ecs.g8i.xlarge", "cn-local-b"
	})
	if disks["cn-local-b/cloud_essd"] != "SoldOut/WithoutStock" || disks["cn-local-b/cloud_auto"] != "Available/WithStock" || disks["cn-local-b/cloud_ssd"] != "" {
		t.Errorf("disks: %v", disks)
	}
	r := ecs.CreateDescribeAvailableResourceRequest()
	r.DestinationResource = "SystemDisk"
	_, err := b.client.DescribeAvailableResource(r)
	refused(t, err, 400, "MissingParameter", "InstanceType")
}

// Prices by charge type, amount and disks.
func TestPrices(t *testing.T) {
	b := newBench(t, "account: {currency: USD}")
	price := func(change func(*ecs.DescribePriceRequest)) ecs.Price {
		r := ecs.CreateDescribePriceRequest()
		r.ResourceType, r.InstanceType, r.PriceUnit, r.Period = "instance", "ecs.g7.xlarge", "Hour", "1"
		change(r)
		return do[*ecs.DescribePriceResponse](b)(b.client.DescribePrice(r)).PriceInfo.Price
	}
	if p := price(func(*ecs.DescribePriceRequest) {}); p.TradePrice != 1 || p.Currency != "USD" || p.DetailInfos.DetailInfo[0].Resource != "instanceType" {
		t.Errorf("an hour: %+v", p)
	}
	if p := price(func(r *ecs.DescribePriceRequest) { r.SpotStrategy = "SpotAsPriceGo" }); p.TradePrice != 0.2 || p.OriginalPrice != 1 {
		t.Errorf("a spot hour: %+v", p)
	}
	if p := price(func(r *ecs.DescribePriceRequest) { r.PriceUnit, r.Period = "Month", "2" }); p.TradePrice != 800 {
		t.Errorf("two months: %+v", p)
	}
	p := price(func(r *ecs.DescribePriceRequest) {
		r.Amount, r.SystemDiskCategory, r.SystemDiskSize = "10", "cloud_essd", "100"
	})
	if p.TradePrice != 12.1 || len(p.DetailInfos.DetailInfo) != 2 || p.DetailInfos.DetailInfo[1].TradePrice != 2.1 {
		t.Errorf("ten with disks: %+v", p)
	}
	h := ecs.CreateDescribeSpotPriceHistoryRequest()
	h.InstanceType, h.NetworkType, h.ZoneId = "ecs.g7.xlarge", "vpc", "cn-local-a"
	history := do[*ecs.DescribeSpotPriceHistoryResponse](b)(b.client.DescribeSpotPriceHistory(h))
	if n := len(history.SpotPrices.SpotPriceType); n < 3 || history.SpotPrices.SpotPriceType[0].SpotPrice != 0.2 || history.SpotPrices.SpotPriceType[0].OriginPrice != 1 {
		t.Errorf("history: %+v", history.SpotPrices)
	}
}

// Tags go on, come off and are listed.
func TestTags(t *testing.T) {
	b := newBench(t, "")
	ids := b.running(2)
	r := ecs.CreateTagResourcesRequest()
	r.ResourceType, r.ResourceId = "instance", &ids
	r.Tag = &[]ecs.TagResourcesTag{{Key: "pool", Value: "db"}, {Key: "more", Value: "1"}}
	do[*ecs.TagResourcesResponse](b)(b.client.TagResources(r))
	l := ecs.CreateListTagResourcesRequest()
	l.ResourceType = "instance"
	l.Tag = &[]ecs.ListTagResourcesTag{{Key: "pool", Value: "db"}}
	if got := do[*ecs.ListTagResourcesResponse](b)(b.client.ListTagResources(l)).TagResources.TagResource; len(got) != 4 || got[0].TagKey != "more" {
		t.Errorf("listed %+v", got)
	}
	u := ecs.CreateUntagResourcesRequest()
	u.ResourceType, u.ResourceId, u.TagKey = "instance", &[]string{ids[0]}, &[]string{"pool"}
	do[*ecs.UntagResourcesResponse](b)(b.client.UntagResources(u))
	if got := b.show(ids[0]).Tags.Tag; len(got) != 1 || got[0].TagKey != "more" {
		t.Errorf("left %+v", got)
	}
	if got := b.show(ids[1]).Tags.Tag; len(got) != 2 {
		t.Errorf("the other lost tags: %+v", got)
	}
	r = ecs.CreateTagResourcesRequest()
	r.ResourceType, r.ResourceId, r.Tag = "instance", &[]string{"i-x"}, &[]ecs.TagResourcesTag{{Key: "a"}}
	_, err := b.client.TagResources(r)
	refused(t, err, 404, "InvalidResourceId.NotFound", "i-x")
}

// Machines are stopped, started, rebooted; the console is base64.
func TestPower(t *testing.T) {
	b := newBench(t, "")
	id := b.running(1)[0]
	stop := ecs.CreateStopInstancesRequest()
	stop.InstanceId = &[]string{id}
	if a := do[*ecs.StopInstancesResponse](b)(b.client.StopInstances(stop)); a.InstanceResponses.InstanceResponse[0].PreviousStatus != "Running" {
		t.Errorf("%+v", a.InstanceResponses)
	}
	b.until("it is stopped", func() bool { return b.show(id).Status == "Stopped" && !b.rack.runs(id) })
	start := ecs.CreateStartInstanceRequest()
	start.InstanceId = id
	do[*ecs.StartInstanceResponse](b)(b.client.StartInstance(start))
	b.until("it runs again", func() bool { return b.rack.runs(id) })
	boot := ecs.CreateRebootInstanceRequest()
	boot.InstanceId = id
	do[*ecs.RebootInstanceResponse](b)(b.client.RebootInstance(boot))
	b.until("it has rebooted", func() bool {
		b.rack.mu.Lock()
		defer b.rack.mu.Unlock()
		return b.rack.started[id] == 3
	})
	c := ecs.CreateGetInstanceConsoleOutputRequest()
	c.InstanceId = id
	text, err := base64.StdEncoding.DecodeString(do[*ecs.GetInstanceConsoleOutputResponse](b)(b.client.GetInstanceConsoleOutput(c)).ConsoleOutput)
	if err != nil || string(text) != "console of "+id {
		t.Errorf("console %q, %v", text, err)
	}
	u := ecs.CreateDescribeUserDataRequest()
	u.InstanceId = id
	if got := do[*ecs.DescribeUserDataResponse](b)(b.client.DescribeUserData(u)); got.UserData != base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n")) {
		t.Errorf("user data %+v", got)
	}
	one := ecs.CreateStopInstanceRequest()
	one.InstanceId = id
	do[*ecs.StopInstanceResponse](b)(b.client.StopInstance(one))
	b.until("it is stopped", func() bool { return b.show(id).Status == "Stopped" })
	gone := ecs.CreateDeleteInstanceRequest()
	gone.InstanceId = id
	do[*ecs.DeleteInstanceResponse](b)(b.client.DeleteInstance(gone))
	b.until("it is gone", func() bool { return b.show(id) == nil })
	_, err = b.client.GetInstanceConsoleOutput(c)
	refused(t, err, 404, "InvalidInstanceId.NotFound", id)
}

// Charge types change, subscriptions are renewed and run out.
func TestSubscription(t *testing.T) {
	b := newBench(t, "")
	paid := func(r *ecs.RunInstancesRequest) {
		r.InstanceChargeType, r.Period, r.PeriodUnit = "PrePaid", "1", "Week"
	}
	ids := b.running(2, paid)
	before := b.show(ids[0])
	renew := ecs.CreateRenewInstanceRequest()
	renew.InstanceId, renew.Period, renew.PeriodUnit, renew.ClientToken = ids[0], "2", "Week", "r-1"
	first := do[*ecs.RenewInstanceResponse](b)(b.client.RenewInstance(renew))
	if again := do[*ecs.RenewInstanceResponse](b)(b.client.RenewInstance(renew)); again.OrderId != first.OrderId || first.OrderId == "" {
		t.Errorf("orders %q and %q", first.OrderId, again.OrderId)
	}
	if after := b.show(ids[0]); !(after.ExpiredTime > before.ExpiredTime) || after.InstanceChargeType != "PrePaid" {
		t.Errorf("from %s to %s", before.ExpiredTime, after.ExpiredTime)
	}
	convert := ecs.CreateModifyInstanceChargeTypeRequest()
	convert.InstanceIds, convert.InstanceChargeType = `["`+ids[0]+`"]`, "PostPaid"
	do[*ecs.ModifyInstanceChargeTypeResponse](b)(b.client.ModifyInstanceChargeType(convert))
	if i := b.show(ids[0]); i.InstanceChargeType != "PostPaid" || i.ExpiredTime != "2099-12-31T15:59Z" {
		t.Errorf("converted to %s until %s", i.InstanceChargeType, i.ExpiredTime)
	}
	b.control("POST", "instances/"+ids[1]+"/expire", "")
	b.until("it has stopped", func() bool { return b.show(ids[1]).Status == "Stopped" })
	if locks := b.show(ids[1]).OperationLocks.LockReason; len(locks) != 1 || locks[0].LockReason != "financial" {
		t.Errorf("locks %+v", locks)
	}
	end := ecs.CreateDeleteInstancesRequest()
	end.InstanceId, end.TerminateSubscription = &[]string{ids[1]}, requests.NewBoolean(true)
	do[*ecs.DeleteInstancesResponse](b)(b.client.DeleteInstances(end))
	b.until("it is gone", func() bool { return b.show(ids[1]) == nil })
	b.control("PUT", "scenario", "times: {pending: 0s, starting: 0s, stop: 0s, release: 0s, expiredRelease: 10ms}")
	last := b.running(1, paid)[0]
	b.control("POST", "instances/"+last+"/expire", "")
	b.until("it was released by itself", func() bool { return b.show(last) == nil && b.rack.released(last) })
}

// Attributes of instances, networks, keys, roles and money.
func TestTheRest(t *testing.T) {
	b := newBench(t, "")
	id := b.running(1)[0]
	m := ecs.CreateModifyInstanceAttributeRequest()
	m.InstanceId, m.DeletionProtection, m.InstanceName = id, "true", "renamed"
	do[*ecs.ModifyInstanceAttributeResponse](b)(b.client.ModifyInstanceAttribute(m))
	if i := b.show(id); !i.DeletionProtection || i.InstanceName != "renamed" {
		t.Errorf("%+v", i)
	}
	g := ecs.CreateDescribeSecurityGroupAttributeRequest()
	g.SecurityGroupId, g.Direction = "sg-local", "egress"
	if a := do[*ecs.DescribeSecurityGroupAttributeResponse](b)(b.client.DescribeSecurityGroupAttribute(g)); a.VpcId != "vpc-local" || a.Permissions.Permission[0].Policy != "Accept" || a.Permissions.Permission[0].Priority != "100" {
		t.Errorf("%+v", a)
	}
	groups := do[*ecs.DescribeSecurityGroupsResponse](b)(b.client.DescribeSecurityGroups(ecs.CreateDescribeSecurityGroupsRequest()))
	if groups.TotalCount != 1 || groups.SecurityGroups.SecurityGroup[0].EcsCount != 1 {
		t.Errorf("%+v", groups.SecurityGroups)
	}
	if keys := do[*ecs.DescribeKeyPairsResponse](b)(b.client.DescribeKeyPairs(ecs.CreateDescribeKeyPairsRequest())); keys.KeyPairs.KeyPair[0].KeyPairName != "local-key" {
		t.Errorf("%+v", keys)
	}
	if zones := do[*ecs.DescribeZonesResponse](b)(b.client.DescribeZones(ecs.CreateDescribeZonesRequest())); len(zones.Zones.Zone) != 3 {
		t.Errorf("%+v", zones)
	}
	if regions := do[*ecs.DescribeRegionsResponse](b)(b.client.DescribeRegions(ecs.CreateDescribeRegionsRequest())); regions.Regions.Region[0].RegionId != "cn-local" {
		t.Errorf("%+v", regions)
	}
	do[*ecs.DescribeAccountAttributesResponse](b)(b.client.DescribeAccountAttributes(ecs.CreateDescribeAccountAttributesRequest()))
	host, key := strings.TrimPrefix(b.url, "http://"), b.identity.credentials
	network := do[*vpc.Client](b)(vpc.NewClientWithAccessKey("cn-local", key.AccessKeyID, key.AccessKeySecret))
	v := vpc.CreateDescribeVSwitchesRequest()
	v.Domain, v.Scheme, v.VpcId, v.PageSize = host, "HTTP", "vpc-local", "50"
	switches := do[*vpc.DescribeVSwitchesResponse](b)(network.DescribeVSwitches(v))
	if len(switches.VSwitches.VSwitch) != 3 || switches.VSwitches.VSwitch[0].AvailableIpAddressCount != 4091 || switches.VSwitches.VSwitch[0].CidrBlock != "10.0.0.0/20" {
		t.Errorf("%+v", switches.VSwitches)
	}
	vs := vpc.CreateDescribeVpcsRequest()
	vs.Domain, vs.Scheme = host, "HTTP"
	if a := do[*vpc.DescribeVpcsResponse](b)(network.DescribeVpcs(vs)); len(a.Vpcs.Vpc[0].VSwitchIds.VSwitchId) != 3 {
		t.Errorf("%+v", a)
	}
}

// KMS, RAM and the bill's balance, for checks ahead.
func TestOtherProducts(t *testing.T) {
	b := newBench(t, "")
	host, key := strings.TrimPrefix(b.url, "http://"), b.identity.credentials
	k := kms.CreateDescribeKeyRequest()
	k.Domain, k.Scheme, k.KeyId = host, "HTTP", "key-local"
	keys := do[*kms.Client](b)(kms.NewClientWithAccessKey("cn-local", key.AccessKeyID, key.AccessKeySecret))
	if a := do[*kms.DescribeKeyResponse](b)(keys.DescribeKey(k)); a.KeyMetadata.KeyState != "Enabled" {
		t.Errorf("%+v", a)
	}
	b.control("POST", "kms", `{"name":"key-local","on":false}`)
	if a := do[*kms.DescribeKeyResponse](b)(keys.DescribeKey(k)); a.KeyMetadata.KeyState != "Disabled" {
		t.Errorf("%+v", a)
	}
	r := ram.CreateGetRoleRequest()
	r.Domain, r.Scheme, r.RoleName = host, "HTTP", "AliyunOOSLifecycleHook4CSRole"
	roles := do[*ram.Client](b)(ram.NewClientWithAccessKey("cn-local", key.AccessKeyID, key.AccessKeySecret))
	if a := do[*ram.GetRoleResponse](b)(roles.GetRole(r)); a.Role.RoleName != "AliyunOOSLifecycleHook4CSRole" {
		t.Errorf("%+v", a)
	}
	b.control("POST", "role", `{"name":"AliyunOOSLifecycleHook4CSRole","on":false}`)
	_, err := roles.GetRole(r)
	refused(t, err, 404, "EntityNotExist.Role", "")
	q := bssopenapi.CreateQueryAccountBalanceRequest()
	q.Domain, q.Scheme = host, "HTTP"
	money := do[*bssopenapi.Client](b)(bssopenapi.NewClientWithAccessKey("cn-local", key.AccessKeyID, key.AccessKeySecret))
	if a := do[*bssopenapi.QueryAccountBalanceResponse](b)(money.QueryAccountBalance(q)); a.Data.AvailableAmount != "100000.00" {
		t.Errorf("%+v", a)
	}
}
