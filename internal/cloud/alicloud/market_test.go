package alicloud_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

type object = map[string]any

// offers wraps resources of a zone as DescribeAvailableResource does.
func offers(zone, kind string, resources ...object) object {
	return object{"ZoneId": zone, "Status": "Available", "AvailableResources": object{"AvailableResource": []any{
		object{"Type": kind, "SupportedResources": object{"SupportedResource": resources}},
	}}}
}

func supports(value, status, category string) object {
	return object{"Value": value, "Status": status, "StatusCategory": category}
}

// market answers as a region with two zones and two types.
func market(action string, in url.Values) (int, any) {
	switch action {
	case "DescribeVSwitches":
		return 200, object{"TotalCount": 2, "VSwitches": object{"VSwitch": []any{
			object{"VSwitchId": "vsw-a", "VpcId": "vpc-1", "ZoneId": "a", "CidrBlock": "10.0.0.0/24", "AvailableIpAddressCount": 200},
			object{"VSwitchId": "vsw-b", "VpcId": "vpc-1", "ZoneId": "b", "CidrBlock": "10.0.1.0/24", "AvailableIpAddressCount": 0},
		}}}
	case "DescribeInstanceTypes":
		return 200, object{"InstanceTypes": object{"InstanceType": []any{
			object{"InstanceTypeId": "ecs.g7.large", "InstanceTypeFamily": "ecs.g7", "CpuCoreCount": 2, "MemorySize": 8.0, "CpuArchitecture": "X86"},
			object{"InstanceTypeId": "ecs.g8y.large", "InstanceTypeFamily": "ecs.g8y", "CpuCoreCount": 2, "MemorySize": 8.0, "CpuArchitecture": "ARM"},
			object{"InstanceTypeId": "ecs.t6.small", "InstanceTypeFamily": "ecs.t6", "CpuCoreCount": 1, "MemorySize": 0.5, "CpuArchitecture": "X86"},
		}}}
	case "DescribeAvailableResource":
		return 200, object{"AvailableZones": object{"AvailableZone": available(in)}}
	case "DescribePrice":
		price := object{"OriginalPrice": 2.5, "TradePrice": 1.25, "DiscountPrice": 1.25, "Currency": "CNY", "DetailInfos": object{"DetailInfo": []any{
			object{"Resource": "instanceType", "TradePrice": 1.0}, object{"Resource": "systemDisk", "TradePrice": 0.25},
		}}}
		if in.Get("PriceUnit") == "Month" {
			price = object{"TradePrice": 360, "Currency": "CNY"}
		}
		return 200, object{"PriceInfo": object{"Price": price}}
	case "DescribeSpotPriceHistory":
		return 200, object{"Currency": "CNY", "SpotPrices": object{"SpotPriceType": []any{
			object{"ZoneId": "a", "SpotPrice": 0.3, "Timestamp": "2026-07-01T12:00:00Z"},
			object{"ZoneId": "a", "SpotPrice": 0.2, "Timestamp": "2026-07-01T13:00:00Z"},
			object{"ZoneId": "a", "SpotPrice": 0.4, "Timestamp": "2026-07-01T11:00:00Z"},
		}}}
	case "DescribeImages":
		return 200, object{"Images": object{"Image": []any{
			object{"ImageId": "img-1", "OSName": "Debian 13", "Architecture": "x86_64", "BootMode": "BIOS"},
		}}}
	case "DescribeImageSupportInstanceTypes":
		return 200, object{"InstanceTypes": object{"InstanceType": []any{object{"InstanceTypeId": "ecs.g7.large"}}}}
	}
	return 404, wireError("InvalidAction.NotFound")
}

func available(in url.Values) []any {
	switch {
	case in.Get("DestinationResource") == "SystemDisk":
		return []any{offers("a", "SystemDisk", supports("cloud_essd", "Available", "WithStock"), supports("cloud_ssd", "SoldOut", "WithoutStock"))}
	case in.Get("SpotStrategy") == "SpotAsPriceGo":
		return []any{offers("a", "InstanceType", supports("ecs.g7.large", "Available", "ClosedWithStock"))}
	}
	return []any{
		offers("a", "InstanceType", supports("ecs.g7.large", "Available", "WithStock"), supports("ecs.g8y.large", "SoldOut", "ClosedWithoutStock")),
		offers("b", "InstanceType", supports("ecs.g7.large", "SoldOut", "WithoutStock")),
	}
}

func TestResourcePools(t *testing.T) {
	w := newWorld(t, market)
	ask := func() []cloud.ResourcePool {
		pools, err := w.ResourcePools(t.Context(), []string{"vsw-a", "vsw-b"}, []string{"ecs.g7.large", "ecs.g8y.large"},
			cloud.PayAsYouGo, cloud.Spot, cloud.Subscription)
		if err != nil {
			t.Fatal(err)
		}
		return pools
	}
	var got []string
	for _, p := range ask() {
		code := fault.Code("")
		if p.Constraint != nil {
			code = p.Constraint.Code
		}
		got = append(got, fmt.Sprintf("%s %s %s %s: %s, %s, %d free, %d/%d %s",
			p.VSwitch, p.Zone, p.InstanceType, p.ChargeType, p.Stock, p.Price, p.FreeAddresses, p.VCPU, p.MemoryMiB, code))
	}
	want := []string{
		"vsw-a a ecs.g7.large PayAsYouGo: WithStock, 1 CNY, 200 free, 2/8192 ",
		"vsw-a a ecs.g8y.large PayAsYouGo: ClosedWithoutStock, 1 CNY, 200 free, 2/8192 ",
		"vsw-b b ecs.g7.large PayAsYouGo: WithoutStock, 1 CNY, 0 free, 2/8192 ",
		"vsw-b b ecs.g8y.large PayAsYouGo: NotOffered, unknown, 0 free, 2/8192 InvalidResourceType.NotSupported",
		"vsw-a a ecs.g7.large Spot: ClosedWithStock, 0.2 CNY, 200 free, 2/8192 ",
		"vsw-a a ecs.g8y.large Spot: NotOffered, unknown, 200 free, 2/8192 InvalidResourceType.NotSupported",
		"vsw-b b ecs.g7.large Spot: NotOffered, unknown, 0 free, 2/8192 InvalidResourceType.NotSupported",
		"vsw-b b ecs.g8y.large Spot: NotOffered, unknown, 0 free, 2/8192 InvalidResourceType.NotSupported",
		"vsw-a a ecs.g7.large Subscription: WithStock, 0.5 CNY, 200 free, 2/8192 ",
		"vsw-a a ecs.g8y.large Subscription: ClosedWithoutStock, 0.5 CNY, 200 free, 2/8192 ",
		"vsw-b b ecs.g7.large Subscription: WithoutStock, 0.5 CNY, 0 free, 2/8192 ",
		"vsw-b b ecs.g8y.large Subscription: NotOffered, unknown, 0 free, 2/8192 InvalidResourceType.NotSupported",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	first := w.wire.calls()
	ask()
	again := w.wire.calls()
	for action, n := range map[string]int{"DescribeAvailableResource": 3, "DescribeVSwitches": 1, "DescribePrice": 0, "DescribeInstanceTypes": 0, "DescribeSpotPriceHistory": 0} {
		if again[action]-first[action] != n {
			t.Errorf("%s: %d calls the second time, want %d", action, again[action]-first[action], n)
		}
	}
	w.now = w.now.Add(10 * time.Minute)
	ask()
	if n := w.wire.calls()["DescribeSpotPriceHistory"] - again["DescribeSpotPriceHistory"]; n != 1 {
		t.Errorf("market prices are read %d times after 10 minutes", n)
	}
}

func TestFits(t *testing.T) {
	w := newWorld(t, market)
	cases := map[string]struct {
		disk string
		want map[string]fault.Code
	}{
		"all fits":                {"cloud_essd", map[string]fault.Code{"ecs.g8y.large": fault.InstanceTypeNotSupported, "ecs.t6.small": fault.ImageTypeNotSupported}},
		"the disk is sold out":    {"cloud_ssd", map[string]fault.Code{"ecs.g7.large": fault.DiskTypeNoStock, "ecs.g8y.large": fault.InstanceTypeNotSupported, "ecs.t6.small": fault.ImageTypeNotSupported}},
		"the disk is not offered": {"cloud_none", map[string]fault.Code{"ecs.g7.large": fault.ParameterConflict, "ecs.g8y.large": fault.InstanceTypeNotSupported, "ecs.t6.small": fault.ImageTypeNotSupported}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := w.Fits(t.Context(), "img-1", []cloud.Disk{{Category: c.disk}}, "ecs.g7.large", "ecs.g8y.large", "ecs.t6.small")
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]fault.Code{}
			for _, m := range found.Misfits {
				got[m.InstanceType] = m.Fault.Code
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if found.Image.OS != "Debian 13" || found.Image.BootMode != "BIOS" || !slices.Equal(found.Types, []string{"ecs.g7.large"}) {
				t.Errorf("%+v", found)
			}
		})
	}
}
