package region

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tagMatches is how many instances a list filtered by tags ends at.
const tagMatches = 1000

// filter is what DescribeInstances is asked for.
type filter struct {
	ids                                             map[string]bool
	vpc, vSwitch, zone, status, charge, kind, group string
	image, name, keyPair                            string
	tags                                            map[string]string
}

func (r *Region) describeInstances(p *args) (any, *Error) {
	f := filter{vpc: p.Params["VpcId"], vSwitch: p.Params["VSwitchId"], zone: p.Params["ZoneId"], status: p.Params["Status"],
		charge: p.Params["InstanceChargeType"], kind: p.Params["InstanceType"], group: p.Params["SecurityGroupId"],
		image: p.Params["ImageId"], name: p.Params["InstanceName"], keyPair: p.Params["KeyPairName"], tags: p.tags()}
	if text := p.Params["InstanceIds"]; text != "" {
		var ids []string
		if json.Unmarshal([]byte(text), &ids) != nil || len(ids) == 0 || len(ids) > 100 {
			return nil, refuse(400, "InvalidInstanceIds.Malformed", "The specified InstanceIds is not a JSON array of 1 to 100 ids.")
		}
		f.ids = map[string]bool{}
		for _, id := range ids {
			f.ids[id] = true
		}
	}
	if p.Params["MaxResults"] != "" || p.Params["NextToken"] != "" {
		return r.nextPage(p, f)
	}
	return r.numberedPage(p, f)
}

// nextPage goes through the instances in the order of their creation, so that
// changes on the way neither repeat nor skip one that stays.
func (r *Region) nextPage(p *args, f filter) (any, *Error) {
	size := p.int("MaxResults", 10, 1, 100)
	after, ok := readPageToken(p.Params["NextToken"])
	if !ok {
		return nil, refuse(400, "InvalidParameter.NextToken", "The specified NextToken is not valid.")
	}
	if p.err != nil {
		return nil, p.err
	}
	a := &describeInstancesAnswer{RequestId: p.requestID, PageNumber: 1, PageSize: size}
	a.Instances.Instance = []instanceAnswer{}
	var last uint64
	r.each(f, after, func(i *Instance) bool {
		if len(a.Instances.Instance) == size {
			a.NextToken = pageToken(last)
			return false
		}
		last = i.Seq
		a.Instances.Instance = append(a.Instances.Instance, r.show(i))
		return true
	})
	return a, nil
}

func pageToken(after uint64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "after:%d", after))
}

func readPageToken(text string) (uint64, bool) {
	if text == "" {
		return 0, true
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	n, ok := strings.CutPrefix(string(b), "after:")
	seq, err2 := strconv.ParseUint(n, 10, 64)
	return seq, err == nil && ok && err2 == nil
}

func (r *Region) numberedPage(p *args, f filter) (any, *Error) {
	size, page := p.int("PageSize", 10, 1, 100), p.int("PageNumber", 1, 1, 1<<30)
	if f.ids != nil && p.Params["PageSize"] == "" {
		size = 100
	}
	if p.err != nil {
		return nil, p.err
	}
	a := &describeInstancesAnswer{RequestId: p.requestID, PageNumber: page, PageSize: size}
	a.Instances.Instance = []instanceAnswer{}
	r.each(f, 0, func(i *Instance) bool {
		if a.TotalCount/size == page-1 {
			a.Instances.Instance = append(a.Instances.Instance, r.show(i))
		}
		a.TotalCount++
		return true
	})
	return a, nil
}

// each visits the matching instances that are visible, behind a place in the
// order, until visit says no.
func (r *Region) each(f filter, after uint64, visit func(*Instance) bool) {
	if f.ids != nil {
		r.eachByID(f, after, visit)
		return
	}
	from, matched := 0, 0
	if len(f.tags) == 0 {
		from, _ = r.position(after + 1)
	}
	for _, i := range r.order[from:] {
		if !r.visible(i) || !f.matches(i) {
			continue
		}
		if matched++; len(f.tags) > 0 && matched > tagMatches {
			return
		}
		if i.Seq > after && !visit(i) {
			return
		}
	}
}

func (r *Region) eachByID(f filter, after uint64, visit func(*Instance) bool) {
	var found []*Instance
	for id := range f.ids {
		if i := r.instances[id]; i != nil && i.Seq > after && r.visible(i) && f.matches(i) {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b *Instance) int { return int(int64(a.Seq) - int64(b.Seq)) })
	for _, i := range found {
		if !visit(i) {
			return
		}
	}
}

func (r *Region) visible(i *Instance) bool {
	return !r.now.Before(i.Created.Add(r.wait(r.world.Times.Visible)))
}

func (f *filter) matches(i *Instance) bool {
	l := i.launch
	for _, c := range [...][2]string{{f.vpc, l.VPC}, {f.vSwitch, l.VSwitch}, {f.zone, l.Zone}, {f.status, i.Status},
		{f.charge, i.Charge}, {f.kind, l.Type.Name}, {f.image, l.Image.ID}, {f.keyPair, l.KeyPair}} {
		if c[0] != "" && c[0] != c[1] {
			return false
		}
	}
	if (f.group != "" && !slices.Contains(i.Groups, f.group)) || (f.name != "" && !matchesName(f.name, i.Name)) {
		return false
	}
	for k, v := range f.tags {
		have, ok := i.Tags[k]
		if !ok || (v != "" && v != have) {
			return false
		}
	}
	return true
}

func matchesName(pattern, name string) bool {
	if start, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, start)
	}
	return pattern == name
}

// show writes an instance as the wire does.
func (r *Region) show(i *Instance) instanceAnswer {
	l := i.launch
	a := instanceAnswer{InstanceId: i.ID, InstanceName: i.Name, Description: l.Description, HostName: i.HostName, RegionId: r.world.Region,
		ZoneId: l.Zone, InstanceType: l.Type.Name, InstanceTypeFamily: l.Type.Family, Cpu: l.Type.VCPU, Memory: l.Type.MemoryMiB,
		GPUAmount: l.Type.GPUs, GPUSpec: l.Type.GPU, ImageId: l.Image.ID, OSName: l.Image.OS, OSNameEn: l.Image.OS, OSType: "linux",
		Status: i.Status, CreationTime: minute(i.Created), ExpiredTime: forever, InstanceChargeType: i.Charge,
		SpotStrategy: l.SpotStrategy, SpotPriceLimit: l.SpotLimit, SpotDuration: l.SpotDuration, DeletionProtection: i.Protected,
		DeviceAvailable: true, IoOptimized: true, KeyPairName: l.KeyPair, DeploymentSetId: l.DeploymentSet, SerialNumber: serial(i),
		InstanceNetworkType: "vpc", StoppedMode: "Not-applicable", InternetChargeType: "PayByTraffic"}
	if !i.Started.IsZero() {
		a.StartTime = minute(i.Started)
	}
	if i.Charge == prePaid {
		a.ExpiredTime = minute(i.Expires)
	}
	a.SecurityGroupIds.SecurityGroupId = i.Groups
	a.InnerIpAddress.IpAddress, a.PublicIpAddress.IpAddress = []string{}, []string{}
	a.VpcAttributes = vpcAnswer{VpcId: l.VPC, VSwitchId: l.VSwitch, PrivateIpAddress: ipList{[]string{i.IP}}}
	n := interfaceAnswer{NetworkInterfaceId: "eni-" + i.ID[2:], MacAddress: mac(i), PrimaryIpAddress: i.IP, Type: "Primary"}
	n.PrivateIpSets.PrivateIpSet = []privateIP{{i.IP, true}}
	a.NetworkInterfaces.NetworkInterface = []interfaceAnswer{n}
	a.MetadataOptions = metadataAnswer{l.HTTPEndpoint, l.HTTPTokens, l.HopLimit}
	a.Tags.Tag = make([]instanceTag, 0, len(i.Tags))
	for _, k := range slices.Sorted(maps.Keys(i.Tags)) {
		a.Tags.Tag = append(a.Tags.Tag, instanceTag{k, i.Tags[k]})
	}
	a.OperationLocks.LockReason = r.locks(i)
	return a
}

const forever = "2099-12-31T15:59Z"

func (r *Region) locks(i *Instance) []lockAnswer {
	out := []lockAnswer{}
	if !i.Terminates.IsZero() {
		out = append(out, lockAnswer{LockReason: "Recycling"})
	}
	if i.Charge == prePaid && due(i.Expires, r.now) {
		out = append(out, lockAnswer{LockReason: "financial"})
	}
	return out
}

// serial and mac are made from the private address, which is unique.
func serial(i *Instance) string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", i.Seq, i.Created.UnixMilli())
}

func mac(i *Instance) string {
	var b [4]byte
	fmt.Sscanf(i.IP, "%d.%d.%d.%d", &b[0], &b[1], &b[2], &b[3])
	return fmt.Sprintf("00:16:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
}

func (r *Region) consoleOutput(p *args) (any, *Error) {
	i, err := r.find(p.need("InstanceId"))
	if err != nil {
		return nil, err
	}
	return &ConsoleOutput{RequestId: p.requestID, InstanceId: i.ID,
		LastUpdateTime: r.now.In(time.FixedZone("", 8*3600)).Format("2006-01-02 15:04:05")}, nil
}

func (r *Region) describeUserData(p *args) (any, *Error) {
	i, err := r.find(p.need("InstanceId"))
	if err != nil {
		return nil, err
	}
	return &struct{ RequestId, RegionId, InstanceId, UserData string }{p.requestID, r.world.Region, i.ID,
		base64.StdEncoding.EncodeToString(i.launch.data)}, nil
}

func (r *Region) find(id string) (*Instance, *Error) {
	if id == "" {
		return nil, missing("InstanceId")
	}
	if i := r.instances[id]; i != nil {
		return i, nil
	}
	return nil, refuse(404, "InvalidInstanceId.NotFound", "The specified InstanceId %s does not exist.", id)
}
