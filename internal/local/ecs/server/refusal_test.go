package server

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/ecs"
)

type change = func(*ecs.RunInstancesRequest)

func typed(name string) change { return func(r *ecs.RunInstancesRequest) { r.InstanceType = name } }

func image(id string) change { return func(r *ecs.RunInstancesRequest) { r.ImageId = id } }

func disk(category string) change {
	return func(r *ecs.RunInstancesRequest) { r.SystemDiskCategory = category }
}

func encrypted(key string) change {
	return func(r *ecs.RunInstancesRequest) { r.SystemDisk.Encrypted, r.SystemDisk.KMSKeyId = "true", key }
}

// Every refusal that state can bring about, with the vendor's code and status.
func TestRefusals(t *testing.T) {
	b := newBench(t, "")
	stock := func(s string) string { return "stock: [{zone: cn-local-a, type: ecs.g7.large, " + s + "}]" }
	for name, c := range map[string]struct {
		scenario string
		change   change
		status   int
		code     string
		text     string
	}{
		"no stock":          {stock("count: 0"), nil, 403, "OperationDenied.NoStock", "sold out"},
		"no stock for good": {stock("count: 0, closed: true"), nil, 403, "Zone.NotOnSale", "no longer available"},
		"not offered":       {stock("count: 0, notOffered: true"), nil, 403, "InvalidResourceType.NotSupported", "[ecs.g7.large] not exists in [cn-local-a]"},
		"not in this zone":  {"", func(r *ecs.RunInstancesRequest) { r.InstanceType, r.VSwitchId = "ecs.ebmgn7e.32xlarge", "vsw-b" }, 403, "InvalidResourceType.NotSupported", "cn-local-b"},
		"no spot stock":     {stock("spot: true, count: 0"), func(r *ecs.RunInstancesRequest) { r.SpotStrategy = "SpotAsPriceGo" }, 403, "OperationDenied.NoStock", ""},
		"no such type":      {"", typed("ecs.none.large"), 400, "InvalidInstanceType.ValueNotSupported", "ecs.none.large"},
		"type unauthorized": {"", typed("ecs.r8a.4xlarge"), 400, "InvalidInstanceType.ValueUnauthorized", "ecs.r8a.4xlarge"},
		"boot mode": {"", func(r *ecs.RunInstancesRequest) {
			r.InstanceType, r.ImageId = "ecs.g8i.xlarge", "ubuntu_22_04_x64_20G_bios_local.vhd"
		}, 403, "InvalidParameter.NotMatch", "Image bootMode BIOS does not match instanceType bootMode"},
		"vTPM":                 {"", typed("ecs.g6t.xlarge"), 403, "InvalidParameter.NotMatch", "The specified instanceType only support vTPM image."},
		"vSGX":                 {"", typed("ecs.g7t.xlarge"), 403, "InvalidImage.NotSupported", "The specified image does not support vSGX instance."},
		"architecture":         {"", typed("ecs.g8y.large"), 400, "InvalidInstanceType.NotSupported", "The specified instanceType is not supported by the image architecture."},
		"system disk and type": {"", func(r *ecs.RunInstancesRequest) { r.InstanceType, r.SystemDiskCategory = "ecs.g8i.xlarge", "cloud_ssd" }, 400, "InvalidParameter.Conflict", "The specified disk category (cloud_ssd) is not support the specified instance type."},
		"data disk and type": {"", func(r *ecs.RunInstancesRequest) {
			r.InstanceType = "ecs.g8i.xlarge"
			r.DataDisk = &[]ecs.RunInstancesDataDisk{{Category: "cloud_ssd", Size: "40"}}
		}, 403, "InvalidDiskCategory.NotSupported", "(cloud_ssd) is not support the specified instance type."},
		"no such disk category":  {"", disk("cloud_none"), 403, "InvalidSystemDiskCategory.ValueNotSupported", "cloud_none"},
		"no disk stock":          {"diskStock: [{zone: cn-local-a, category: cloud_essd, count: 0}]", nil, 403, "OperationDenied.NoStock", "disk category cloud_essd"},
		"no disks for good":      {"diskStock: [{zone: cn-local-a, category: cloud_essd, count: 0, closed: true}]", nil, 403, "OperationDenied.ZoneSystemCategoryNotMatch", ""},
		"encrypted, no ESSD":     {"", func(r *ecs.RunInstancesRequest) { disk("cloud_ssd")(r); encrypted("")(r) }, 400, "NotSupportSnapshotEncrypted.DiskCategory", "ESSD"},
		"KMS off":                {"kms: {inactive: true}", encrypted("key-local"), 400, "InvalidParameter.KmsNotEnabled", ""},
		"KMS key disabled":       {"kms: {keys: [{id: key-local, disabled: true}]}", encrypted("key-local"), 403, "InvalidParameter.KMSKeyId.CMKNotEnabled", "key-local"},
		"KMS role missing":       {"roles: []", encrypted("key-local"), 403, "InvalidParameter.KMSKeyId.KMSUnauthorized", ""},
		"quota of the type":      {"quotas: {types: {ecs.g7.large: 0}}", nil, 403, "QuotaExceed.ElasticQuota", "instance type"},
		"quota of vCPUs":         {"quotas: {vcpus: {cn-local-a: 1}}", nil, 403, "QuotaExceed.ElasticQuota", "vCPUs"},
		"quota of disk space":    {"quotas: {diskGiB: 39}", nil, 403, "QuotaExceed.DiskCapacity", ""},
		"addresses used up":      {"vSwitches: [{id: vsw-a, zone: cn-local-a, vpc: vpc-local, cidr: 10.0.0.0/29, taken: 4}]", nil, 400, "QuotaExceeded.PrivateIpAddress", "vsw-a"},
		"balance too low":        {"account: {balance: 99.99}", nil, 403, "InvalidAccountStatus.NotEnoughBalance", ""},
		"credit used up":         {"account: {creditUsedUp: true}", nil, 403, "InsufficientBalance", ""},
		"arrears":                {"account: {arrears: true}", nil, 400, "Account.Arrearage", ""},
		"no such vSwitch":        {"", func(r *ecs.RunInstancesRequest) { r.VSwitchId = "vsw-x" }, 404, "InvalidVSwitchId.NotFound", "vsw-x"},
		"no such security group": {"", func(r *ecs.RunInstancesRequest) { r.SecurityGroupIds = &[]string{"sg-x"} }, 404, "InvalidSecurityGroupId.NotFound", "sg-x"},
		"no such image":          {"", image("img-x"), 404, "InvalidImageId.NotFound", "img-x"},
		"no such key pair":       {"", func(r *ecs.RunInstancesRequest) { r.KeyPairName = "k-x" }, 404, "InvalidKeyPairName.NotFound", "k-x"},
		"deployment set full":    {"deploymentSets: [{id: ds-local, limit: 0}]", func(r *ecs.RunInstancesRequest) { r.DeploymentSetId = "ds-local" }, 403, "QuotaExceed.DeploymentSetInstanceQuotaFull", "ds-local"},
		"security group full":    {"securityGroups: [{id: sg-local, vpc: vpc-local, limit: 1}]", func(r *ecs.RunInstancesRequest) { r.Amount = "2" }, 403, "SecurityGroupInstanceLimitExceed", "sg-local"},
		"spot limit too low": {"", func(r *ecs.RunInstancesRequest) {
			r.SpotStrategy, r.SpotPriceLimit = "SpotWithPriceLimit", "0.099"
		}, 400, "InvalidSpotPriceLimit.LowerThanPublicPrice", ""},
		"type offline":       {"instanceTypes: [{name: ecs.g7.large, family: ecs.g7, vcpu: 2, memoryMiB: 8192, arch: x86_64, bootModes: [UEFI], pricePerHour: 1, offline: true}]", nil, 403, "InstanceType.Offline", ""},
		"permission missing": {"account: {deniedActions: [RunInstances]}", nil, 403, "Forbidden.RAM", "RunInstances"},
		"role not passed on": {"account: {deniedActions: ['ram:PassRole']}", func(r *ecs.RunInstancesRequest) { r.RamRoleName = "AliyunECSDiskEncryptDefaultRole" }, 403, "InvalidUser.PassRoleForbidden", "pass a RAM role"},
		"dry run":            {"", func(r *ecs.RunInstancesRequest) { r.DryRun = "true" }, 400, "DryRunOperation", ""},
		"too much user data": {"", func(r *ecs.RunInstancesRequest) {
			r.UserData = base64.StdEncoding.EncodeToString(make([]byte, 32<<10+1))
		}, 400, "InvalidUserData.SizeExceeded", ""},
		"user data no base64":  {"", func(r *ecs.RunInstancesRequest) { r.UserData = "%" }, 400, "InvalidUserData.Base64FormatInvalid", ""},
		"key of the vendor":    {"", func(r *ecs.RunInstancesRequest) { r.Tag = &[]ecs.RunInstancesTag{{Key: "acs:x"}} }, 400, "InvalidTagKey.Malformed", "acs:x"},
		"21 tags":              {"", func(r *ecs.RunInstancesRequest) { r.Tag = manyTags(21) }, 400, "InvalidTagCount", ""},
		"subscription, no end": {"", func(r *ecs.RunInstancesRequest) { r.InstanceChargeType = "PrePaid" }, 400, "MissingParameter", "Period"},
		"protected subscription": {"", func(r *ecs.RunInstancesRequest) {
			r.InstanceChargeType, r.Period, r.DeletionProtection = "PrePaid", "1", "true"
		}, 403, "InvalidChargeType.ValueNotSupported", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b.apply(c.scenario)
			r := launch(1)
			if c.change != nil {
				c.change(r)
			}
			_, err := b.client.RunInstances(r)
			refused(t, err, c.status, c.code, c.text)
		})
	}
	b.apply("")
	if n := len(b.run(launch(1, func(r *ecs.RunInstancesRequest) { r.Tag = manyTags(20) }))); n != 1 {
		t.Errorf("after all of it %d instances", n)
	}
}

func manyTags(n int) *[]ecs.RunInstancesTag {
	var out []ecs.RunInstancesTag
	for i := range n {
		out = append(out, ecs.RunInstancesTag{Key: fmt.Sprint("k", i), Value: "v"})
	}
	return &out
}

// Beyond --max-nodes the refusal says what to do.
func TestMaxNodes(t *testing.T) {
	b := &bench{T: t, dir: t.TempDir()}
	b.start(Options{Scenario: []byte(fast), MaxNodes: 2})
	defer b.stop()
	_, err := b.client.RunInstances(launch(3))
	refused(t, err, 403, "QuotaExceed.ElasticQuota", "`poolkeeper local up --max-nodes N`")
	if n := len(b.run(launch(3, func(r *ecs.RunInstancesRequest) { r.MinAmount = "1" }))); n != 2 {
		t.Errorf("%d instances", n)
	}
}

// Beyond the bound of a minute calls are throttled until it is over.
func TestThrottling(t *testing.T) {
	b := newBench(t, "throttle: {DescribeVpcs: 0, RunInstances: 2}\ninstancesPerMinute: 150")
	_, err := b.client.RunInstances(launch(100))
	for err == nil {
		_, err = b.client.RunInstances(launch(100))
	}
	refused(t, err, 400, "Throttling.User", "")
	b.apply("throttle: {RunInstances: 1}")
	_, err = b.client.RunInstances(launch(1))
	for err == nil {
		_, err = b.client.RunInstances(launch(1))
	}
	refused(t, err, 400, "Throttling.User", "")
	if i := b.show("i-none"); i != nil {
		t.Error("other operations are throttled too")
	}
}

// What is wrong with a release is told, and nothing is released.
func TestReleaseRefusals(t *testing.T) {
	b := newBench(t, "")
	good := b.running(1)[0]
	protected := b.running(1, func(r *ecs.RunInstancesRequest) { r.DeletionProtection = "true" })[0]
	paid := b.running(1, func(r *ecs.RunInstancesRequest) {
		r.InstanceChargeType, r.Period, r.PeriodUnit = "PrePaid", "1", "Month"
	})[0]
	b.control("POST", "faults", `{"machine":"never-start","times":1}`)
	off := b.run(launch(1))[0]
	b.until("its start failed", func() bool { return b.show(off).Status == "Stopped" })
	for bad, want := range map[string]string{protected: "InvalidOperation.DeletionProtection", paid: "ChargeTypeViolation"} {
		r := ecs.CreateDeleteInstancesRequest()
		r.InstanceId, r.Force = &[]string{good, bad}, requests.NewBoolean(true)
		_, err := b.client.DeleteInstances(r)
		refused(t, err, 403, want, bad)
	}
	many := strings.Split(strings.Repeat("i-x,", 100)+"i-x", ",")
	r := ecs.CreateDeleteInstancesRequest()
	r.InstanceId = &many
	_, err := b.client.DeleteInstances(r)
	refused(t, err, 400, "InvalidParameter.InstanceId", "100")
	r = ecs.CreateDeleteInstancesRequest()
	r.InstanceId, r.Force, r.DryRun = &[]string{good}, "true", "true"
	_, err = b.client.DeleteInstances(r)
	refused(t, err, 400, "DRYRUN.SUCCESS", "")
	if b.show(good) == nil || b.rack.released(good) {
		t.Error("the good one was released with the bad one")
	}
}
