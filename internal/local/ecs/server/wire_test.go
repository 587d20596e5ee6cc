package server

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/ecs"
)

// An instance goes from nothing to running to released, and the machine with it.
func TestLifeOfAnInstance(t *testing.T) {
	b := newBench(t, "")
	ids := b.running(3, func(r *ecs.RunInstancesRequest) {
		r.HostName, r.InstanceName, r.HttpTokens = "n-${instance_id}", "web-[7,3]", "required"
		r.KeyPairName = "local-key"
	})
	i := b.show(ids[1])
	if i.HostName != "n-"+ids[1] || i.InstanceName != "web-008" || i.Status != "Running" || i.ZoneId != "cn-local-a" ||
		i.VpcAttributes.VpcId != "vpc-local" || len(i.VpcAttributes.PrivateIpAddress.IpAddress) != 1 || i.MetadataOptions.HttpTokens != "required" ||
		i.Tags.Tag[0].TagKey != "pool" || i.Tags.Tag[0].TagValue != "web" || i.SecurityGroupIds.SecurityGroupId[0] != "sg-local" ||
		i.InstanceChargeType != "PostPaid" || i.ExpiredTime != "2099-12-31T15:59Z" || i.Cpu != 2 || i.Memory != 8192 {
		t.Fatalf("shown as %+v", i)
	}
	if s := b.rack.on[ids[1]]; string(s.UserData) != "#!/bin/sh\n" || s.PrivateIP != i.VpcAttributes.PrivateIpAddress.IpAddress[0] || s.HostName != i.HostName || s.VCPU != 2 {
		t.Fatalf("the machine is %+v", s)
	}
	d := ecs.CreateDeleteInstancesRequest()
	d.InstanceId = &ids
	_, err := b.client.DeleteInstances(d)
	refused(t, err, 403, "IncorrectInstanceStatus", ids[0])
	d.Force = requests.NewBoolean(true)
	if _, err := b.client.DeleteInstances(d); err != nil {
		t.Fatal(err)
	}
	b.until("all are gone", func() bool { return b.show(ids[0]) == nil && b.show(ids[2]) == nil && b.rack.released(ids[1]) })
	_, err = b.client.DeleteInstances(d)
	refused(t, err, 404, "InvalidInstanceId.NotFound", ids[0])
}

// The same token gives the first answer again, a refusal too; another request
// under it is refused.
func TestClientToken(t *testing.T) {
	b := newBench(t, "stock: [{zone: cn-local-b, type: ecs.g7.large, count: 0}]")
	token := func(r *ecs.RunInstancesRequest) { r.ClientToken = "t-1" }
	first := b.run(launch(2, token))
	if again := b.run(launch(2, token)); !slices.Equal(first, again) {
		t.Fatalf("the second answer is %v, the first was %v", again, first)
	}
	_, err := b.client.RunInstances(launch(3, token))
	refused(t, err, 400, "IdempotentParameterMismatch", "token")
	out := func(r *ecs.RunInstancesRequest) { r.ClientToken, r.VSwitchId = "t-2", "vsw-b" }
	_, err = b.client.RunInstances(launch(1, out))
	refused(t, err, 403, "OperationDenied.NoStock", "sold out")
	b.control("POST", "stock", `{"zone":"cn-local-b","type":"ecs.g7.large","count":5}`)
	_, err = b.client.RunInstances(launch(1, out))
	refused(t, err, 403, "OperationDenied.NoStock", "sold out")
	out2 := func(r *ecs.RunInstancesRequest) { r.ClientToken, r.VSwitchId = "t-3", "vsw-b" }
	if ids := b.run(launch(1, out2)); len(ids) != 1 {
		t.Fatalf("a new token got %v", ids)
	}
	b.stop()
	b.start(Options{MaxNodes: 5000})
	if again := b.run(launch(2, token)); !slices.Equal(first, again) {
		t.Fatalf("after a restart the answer is %v, the first was %v", again, first)
	}
}

// Without MinAmount all or nothing, with it what there is.
func TestMinAmount(t *testing.T) {
	b := newBench(t, "stock: [{zone: cn-local-a, type: ecs.g7.large, count: 3}]")
	_, err := b.client.RunInstances(launch(5))
	refused(t, err, 403, "OperationDenied.NoStock", "")
	_, err = b.client.RunInstances(launch(5, func(r *ecs.RunInstancesRequest) { r.MinAmount = "4" }))
	refused(t, err, 403, "OperationDenied.NoStock", "")
	if ids := b.run(launch(5, func(r *ecs.RunInstancesRequest) { r.MinAmount = "1" })); len(ids) != 3 {
		t.Fatalf("got %d", len(ids))
	}
	_, err = b.client.RunInstances(launch(1, func(r *ecs.RunInstancesRequest) { r.MinAmount = "1" }))
	refused(t, err, 403, "OperationDenied.NoStock", "")
	for _, amount := range []string{"0", "101", "x"} {
		_, err = b.client.RunInstances(launch(1, func(r *ecs.RunInstancesRequest) { r.Amount = requests.Integer(amount) }))
		refused(t, err, 400, "InvalidParameter", "Amount")
	}
}

// Pages neither repeat nor skip an instance that stays, whatever happens on
// the way.
func TestPagingUnderChange(t *testing.T) {
	b := newBench(t, "")
	stays := b.running(60)
	goes := b.running(30)
	stays = append(stays, b.running(60)...)
	seen := map[string]int{}
	r := ecs.CreateDescribeInstancesRequest()
	r.VpcId, r.MaxResults = "vpc-local", "10"
	for page := 0; ; page++ {
		a, err := b.client.DescribeInstances(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range a.Instances.Instance {
			seen[i.InstanceId]++
		}
		if r.NextToken = a.NextToken; a.NextToken == "" {
			break
		}
		if page == 2 {
			d := ecs.CreateDeleteInstancesRequest()
			d.InstanceId, d.Force = &goes, requests.NewBoolean(true)
			if _, err := b.client.DeleteInstances(d); err != nil {
				t.Fatal(err)
			}
			b.until("they are gone", func() bool { return b.rack.released(goes[29]) })
			b.running(5)
		}
	}
	for _, id := range stays {
		if seen[id] != 1 {
			t.Fatalf("%s was seen %d times", id, seen[id])
		}
	}
}

// A list filtered by tags ends at 1,000 instances; one by VPC does not.
func TestTagFilterEnds(t *testing.T) {
	b := newBench(t, "")
	for range 11 {
		b.run(launch(100))
	}
	count := func(change func(*ecs.DescribeInstancesRequest)) int {
		r := ecs.CreateDescribeInstancesRequest()
		r.MaxResults = "100"
		change(r)
		ids := map[string]bool{}
		for {
			a, err := b.client.DescribeInstances(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range a.Instances.Instance {
				ids[i.InstanceId] = true
			}
			if r.NextToken = a.NextToken; a.NextToken == "" {
				return len(ids)
			}
		}
	}
	if n := count(func(r *ecs.DescribeInstancesRequest) {
		r.Tag = &[]ecs.DescribeInstancesTag{{Key: "pool", Value: "web"}}
	}); n != 1000 {
		t.Errorf("by tag %d", n)
	}
	if n := count(func(r *ecs.DescribeInstancesRequest) { r.VpcId = "vpc-local" }); n != 1100 {
		t.Errorf("by VPC %d", n)
	}
}

// Other filters, ids and numbered pages.
func TestDescribeInstances(t *testing.T) {
	b := newBench(t, "")
	ids := b.running(5)
	other := b.running(3, func(r *ecs.RunInstancesRequest) { r.VSwitchId, r.Tag = "vsw-b", nil })
	for name, c := range map[string]struct {
		change func(*ecs.DescribeInstancesRequest)
		want   int
	}{
		"by vSwitch":     {func(r *ecs.DescribeInstancesRequest) { r.VSwitchId = "vsw-b" }, 3},
		"by zone":        {func(r *ecs.DescribeInstancesRequest) { r.ZoneId = "cn-local-a" }, 5},
		"by state":       {func(r *ecs.DescribeInstancesRequest) { r.Status = "Stopped" }, 0},
		"by charge type": {func(r *ecs.DescribeInstancesRequest) { r.InstanceChargeType = "PostPaid" }, 8},
		"by tag key":     {func(r *ecs.DescribeInstancesRequest) { r.Tag = &[]ecs.DescribeInstancesTag{{Key: "pool"}} }, 5},
		"by ids, one of them unknown": {func(r *ecs.DescribeInstancesRequest) {
			r.InstanceIds = fmt.Sprintf("[%q,%q,%q]", ids[0], other[0], "i-unknown")
		}, 2},
		"last page": {func(r *ecs.DescribeInstancesRequest) { r.PageSize, r.PageNumber = "3", "3" }, 2},
	} {
		r := ecs.CreateDescribeInstancesRequest()
		r.PageSize = "100"
		c.change(r)
		a, err := b.client.DescribeInstances(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Instances.Instance) != c.want {
			t.Errorf("%s: %d, want %d", name, len(a.Instances.Instance), c.want)
		}
	}
	r := ecs.CreateDescribeInstancesRequest()
	r.InstanceIds = "[]"
	_, err := b.client.DescribeInstances(r)
	refused(t, err, 400, "InvalidInstanceIds.Malformed", "")
}

// What was answered survives an end of the process, machines come up again.
func TestRestart(t *testing.T) {
	b := newBench(t, "stock: [{zone: cn-local-a, type: ecs.g7.large, count: 10}]")
	ids := b.running(4)
	if err := b.Disks().Write(ids[0], map[string][]byte{"/etc/key": []byte("secret"), "/tmp/x": []byte("1")}); err != nil {
		t.Fatal(err)
	}
	if err := b.Disks().Write("i-orphan", map[string][]byte{"/a": []byte("1")}); err != nil {
		t.Fatal(err)
	}
	before := b.show(ids[0])
	key := b.identity.credentials
	b.stop()
	b.start(Options{MaxNodes: 5000})
	if b.identity.credentials != key {
		t.Error("the access key changed")
	}
	b.until("all machines run again", func() bool { return b.rack.runs(ids[0]) && b.rack.runs(ids[3]) })
	after := b.show(ids[0])
	if after.VpcAttributes.PrivateIpAddress.IpAddress[0] != before.VpcAttributes.PrivateIpAddress.IpAddress[0] || after.SerialNumber != before.SerialNumber {
		t.Errorf("another instance: %+v", after)
	}
	if string(b.rack.on[ids[0]].UserData) != "#!/bin/sh\n" {
		t.Error("the user data is lost")
	}
	files, err := b.Disks().Read(ids[0])
	if err != nil || string(files["/etc/key"]) != "secret" || len(files) != 2 {
		t.Errorf("the disk is %q, %v", files, err)
	}
	if files, err = b.Disks().Read("i-orphan"); err != nil || len(files) != 0 {
		t.Errorf("the disk of nobody is %q, %v", files, err)
	}
	if ids := b.run(launch(100, func(r *ecs.RunInstancesRequest) { r.MinAmount = "1" })); len(ids) != 6 {
		t.Errorf("%d left in stock, want 6", len(ids))
	}
}

// IDs and addresses are never given twice.
func TestUniqueness(t *testing.T) {
	b := newBench(t, "")
	ids, ips := map[string]bool{}, map[string]bool{}
	for range 5 {
		for _, id := range b.running(100) {
			ids[id] = true
		}
	}
	b.rack.mu.Lock()
	defer b.rack.mu.Unlock()
	for s := range maps.Values(b.rack.on) {
		ips[s.PrivateIP] = true
	}
	if len(ids) != 500 || len(ips) != 500 {
		t.Errorf("%d ids, %d addresses", len(ids), len(ips))
	}
}
