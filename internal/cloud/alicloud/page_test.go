package alicloud

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// page is one page of DescribeInstances as the vendor writes it.
func page(n int) []byte {
	one := `{"ImageId":"aliyun_3_x64_20G.vhd","InstanceTypeFamily":"ecs.g7","VlanId":"","NetworkInterfaces":{"NetworkInterface":[{"NetworkInterfaceId":"eni-bp67acfmxazb4p%04[1]d","PrimaryIpAddress":"10.0.1.%[2]d","Type":"Primary","MacAddress":"00:16:3e:0f:73:f5"}]},"InstanceId":"i-bp67acfmxazb4p%04[1]d","EipAddress":{"IsSupportUnassociate":false,"InternetChargeType":"","IpAddress":"","Bandwidth":0,"AllocationId":""},"ZoneId":"cn-hangzhou-g","IoOptimized":true,"Memory":16384,"VSwitchId":"vsw-bp1","SpotPriceLimit":0,"Status":"Running","InstanceType":"ecs.g7.xlarge","VpcAttributes":{"PrivateIpAddress":{"IpAddress":["10.0.1.%[2]d"]},"NatIpAddress":"","VSwitchId":"vsw-bp1","VpcId":"vpc-bp1"},"InstanceChargeType":"PostPaid","OperationLocks":{"LockReason":[]},"CreationTime":"2026-03-01T09:00Z","ExpiredTime":"2099-12-31T15:59Z","DeletionProtection":false,"Tags":{"Tag":[{"TagKey":"poolkeeper.io/cluster","TagValue":"0b9e0c5e-5f5c-4d2e-9a3e-0f6a3d0e6b7a"},{"TagKey":"poolkeeper.io/pool","TagValue":"demo"},{"TagKey":"poolkeeper.io/group-uid","TagValue":"0b9e0c5e-5f5c-4d2e-9a3e-0f6a3d0e6b7a"},{"TagKey":"poolkeeper.io/activity-uid","TagValue":"0b9e0c5e-5f5c-4d2e-9a3e-0f6a3d0e6b7a"},{"TagKey":"poolkeeper.io/piece","TagValue":"1"}]},"Recyclable":false,"SecurityGroupIds":{"SecurityGroupId":["sg-bp67"]}}`
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(one, i, i%250))
	}
	return []byte(`{"RequestId":"r","NextToken":"t","Instances":{"Instance":[` + strings.Join(all, ",") + `]}}`)
}

func BenchmarkPage(b *testing.B) {
	body := page(100)
	for b.Loop() {
		var p instancePage
		if err := unmarshal(body, &p); err != nil || len(p.Instances.Instance) != 100 {
			b.Fatal(err)
		}
	}
}

// Both readers take the same from a page, whatever stands in it.
func TestAPageIsReadAsAnyAnswer(t *testing.T) {
	whole := string(page(3))
	for what, body := range map[string]string{
		"as it comes":      whole,
		"a number as text": strings.ReplaceAll(whole, `"SpotPriceLimit":0`, `"SpotPriceLimit":"0.12"`),
		"nulls":            strings.NewReplacer(`"SpotPriceLimit":0`, `"SpotPriceLimit":null`, `{"LockReason":[]}`, "null").Replace(whole),
		"a name twice":     strings.ReplaceAll(whole, `"Status":"Running"`, `"Status":"Pending","Status":"Running"`),
		"bytes of chance":  strings.ReplaceAll(whole, `"demo"`, "\"\xff\""),
		"nothing":          `{}`,
	} {
		var fast, slow instancePage
		if err := unmarshal([]byte(body), &fast); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := json.Unmarshal([]byte(body), &slow); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(fast, slow) {
			t.Errorf("%s:\n%+v\n%+v", what, fast, slow)
		}
	}
	if unmarshal([]byte(whole[:len(whole)-2]), &instancePage{}) == nil {
		t.Error("takes half a page")
	}
}
