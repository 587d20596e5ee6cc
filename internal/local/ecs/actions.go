package ecs

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

const ecsVersion, vpcVersion, stsVersion = "2014-05-26 ", "2016-04-28 ", "2015-04-01 "

// actions are what the region answers, by version and action.
var actions = map[string]func(*Region, params) (object, *wireError){
	ecsVersion + "RunInstances":                      runInstances,
	ecsVersion + "DescribeInstances":                 describeInstances,
	ecsVersion + "DeleteInstances":                   deleteInstances,
	ecsVersion + "StopInstances":                     stopInstances,
	ecsVersion + "StartInstances":                    startInstances,
	ecsVersion + "GetInstanceConsoleOutput":          consoleOutput,
	ecsVersion + "TagResources":                      tagResources,
	ecsVersion + "UntagResources":                    untagResources,
	ecsVersion + "ListTagResources":                  listTagResources,
	ecsVersion + "DescribeUserData":                  describeUserData,
	ecsVersion + "ModifyInstanceChargeType":          modifyChargeType,
	ecsVersion + "RenewInstance":                     renewInstance,
	ecsVersion + "DescribeInstanceTypes":             describeInstanceTypes,
	ecsVersion + "DescribeAvailableResource":         describeAvailable,
	ecsVersion + "DescribePrice":                     describePrice,
	ecsVersion + "DescribeSpotPriceHistory":          describeSpotPrices,
	ecsVersion + "DescribeImages":                    describeImages,
	ecsVersion + "DescribeImageSupportInstanceTypes": describeImageTypes,
	ecsVersion + "DescribeSecurityGroups":            describeSecurityGroups,
	ecsVersion + "DescribeSecurityGroupAttribute":    describeSecurityGroup,
	ecsVersion + "DescribeKeyPairs":                  describeKeyPairs,
	ecsVersion + "DescribeZones":                     describeZones,
	vpcVersion + "DescribeVSwitches":                 describeVSwitches,
	vpcVersion + "DescribeVpcs":                      describeVPCs,
	stsVersion + "GetCallerIdentity":                 callerIdentity,
}

const wireTime = "2006-01-02T15:04Z"

// maxTagged is the most that a list filtered by tags matches.
const maxTagged = 1000

// describeInstances lists by id, VPC, vSwitch, status and tags; pages by
// NextToken (stable under change: it is the serial of the last one) or number.
func describeInstances(r *Region, p params) (object, *wireError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	var ids []string
	if s := p["InstanceIds"]; s != "" {
		if err := json.Unmarshal([]byte(s), &ids); err != nil || len(ids) > 100 {
			return nil, refuse(400, "InvalidInstanceIds.Malformed", "The amount of specified instance IDs exceeds 100, or they are no JSON list.")
		}
	}
	size, paged := 10, p["MaxResults"] != "" || p["NextToken"] != ""
	for _, name := range []string{"PageSize", "MaxResults"} {
		if n, err := strconv.Atoi(p[name]); err == nil && n > 0 {
			size = min(n, 100)
		}
	}
	after := int64(0)
	if t := p["NextToken"]; t != "" {
		raw, err := base64.RawURLEncoding.DecodeString(t)
		n, err2 := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || err2 != nil {
			return nil, refuse(400, "InvalidParameter.NextToken", "The specified NextToken is not valid.")
		}
		after = n
	}
	page := 1
	if n, err := strconv.Atoi(p["PageNumber"]); err == nil && n > 0 {
		page = n
	}
	match := r.matching(p, ids, now)
	total := len(match)
	out := object{"PageSize": size, "PageNumber": page, "NextToken": ""}
	if paged {
		from, _ := slices.BinarySearchFunc(match, after+1, func(i *Instance, s int64) int { return int(i.Serial - s) })
		match = match[from:]
		if len(match) > size {
			match = match[:size]
			out["NextToken"] = base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(match[size-1].Serial, 10)))
		}
		total = 0
	} else {
		match = match[min((page-1)*size, len(match)):min(page*size, len(match))]
	}
	list := make([]object, 0, len(match))
	for _, i := range match {
		list = append(list, r.shown(i, now))
	}
	out["TotalCount"], out["Instances"] = total, object{"Instance": list}
	return out, nil
}

// matching are the instances that a list asks for, in the order of creation.
func (r *Region) matching(p params, ids []string, now time.Time) []*Instance {
	tags := p.tags("Tag")
	var out []*Instance
	for _, i := range r.order {
		switch {
		case p["VpcId"] != "" && i.VPC != p["VpcId"],
			p["VSwitchId"] != "" && i.VSwitch != p["VSwitchId"],
			p["ZoneId"] != "" && i.Zone != p["ZoneId"],
			p["Status"] != "" && r.status(i, now) != p["Status"],
			ids != nil && !slices.Contains(ids, i.ID):
			continue
		}
		if !i.tagged(tags) {
			continue
		}
		if out = append(out, i); len(tags) > 0 && len(out) == maxTagged {
			break
		}
	}
	return out
}

func (i *Instance) tagged(want map[string]string) bool {
	for k, v := range want {
		if have, ok := i.Tags[k]; !ok || (v != "" && have != v) {
			return false
		}
	}
	return true
}

// shown is one instance as the wire shows it.
func (r *Region) shown(i *Instance, now time.Time) object {
	tags := make([]object, 0, len(i.Tags))
	for k, v := range i.Tags {
		tags = append(tags, object{"TagKey": k, "TagValue": v})
	}
	charge, expires := "PostPaid", "2099-12-31T15:59Z"
	if i.Subscription {
		charge, expires = "PrePaid", i.Expires.UTC().Format(wireTime)
	}
	t := r.Scenario.instanceType(i.Type)
	cpu, memory := 0, 0
	if t != nil {
		cpu, memory = t.VCPU, int(t.MemoryGiB*1024)
	}
	return object{
		"InstanceId": i.ID, "InstanceName": i.Name, "HostName": i.HostName, "InstanceType": i.Type, "ImageId": i.Image,
		"RegionId": r.Scenario.Region, "ZoneId": i.Zone, "Status": r.status(i, now), "Cpu": cpu, "Memory": memory,
		"CreationTime": i.Created.UTC().Format(wireTime), "ExpiredTime": expires, "InstanceChargeType": charge,
		"SpotStrategy": i.SpotStrategy, "SpotPriceLimit": i.SpotPriceLimit, "DeletionProtection": i.Protected, "KeyPairName": i.KeyPair,
		"SecurityGroupIds": object{"SecurityGroupId": i.Groups}, "Tags": object{"Tag": tags},
		"VpcAttributes":  object{"VpcId": i.VPC, "VSwitchId": i.VSwitch, "PrivateIpAddress": object{"IpAddress": []string{i.IP}}},
		"OperationLocks": object{"LockReason": []object{}}, "InstanceNetworkType": "vpc",
	}
}

// deleteInstances releases instances with their disks. One that cannot be
// released refuses the whole call.
func deleteInstances(r *Region, p params) (object, *wireError) {
	ids := p.list("InstanceId")
	if len(ids) == 0 || len(ids) > 100 {
		return nil, missing("InstanceId.1")
	}
	r.mu.Lock()
	now := r.Now()
	var gone []*Instance
	for _, id := range ids {
		i := r.instances[id]
		var refused *wireError
		switch {
		case i == nil:
			refused = refuse(404, "InvalidInstanceId.NotFound", "The specified InstanceId %s does not exist.", id)
		case i.Protected:
			refused = refuse(403, "InvalidOperation.DeletionProtection", "The operation is not allowed due to deletion protection of %s.", id)
		case i.Subscription && now.Before(i.Expires):
			refused = refuse(403, "InvalidParameter.InstanceChargeType", "The subscription of %s has not expired.", id)
		case r.status(i, now) == "Starting":
			refused = refuse(403, "IncorrectInstanceStatus.Initializing", "The specified instance %s is initializing.", id)
		case r.status(i, now) == "Running" && p["Force"] != "true":
			refused = refuse(403, "IncorrectInstanceStatus", "The current status of %s does not support this operation.", id)
		}
		if refused != nil {
			r.mu.Unlock()
			return nil, refused
		}
		gone = append(gone, i)
	}
	if p["DryRun"] == "true" {
		r.mu.Unlock()
		return nil, refuse(400, "DRYRUN.SUCCESS", "The DryRun succeeded.")
	}
	if err := r.Store.write(change{remove: ids}); err != nil {
		r.mu.Unlock()
		return nil, refuse(500, "InternalError", "%v", err)
	}
	for _, i := range gone {
		delete(r.instances, i.ID)
		delete(r.addresses, i.IP)
		if key := i.Zone + "/" + i.Type; r.Scenario.Stock != nil {
			if _, ok := r.Scenario.Stock[key]; ok {
				r.Scenario.Stock[key]++
			}
		}
	}
	r.order = slices.DeleteFunc(r.order, func(i *Instance) bool { return r.instances[i.ID] == nil })
	r.mu.Unlock()
	for _, id := range ids {
		if err := r.host.Release(id); err != nil {
			r.Log.Error("machine was not released", "instance", id, "error", err)
		}
	}
	return object{}, nil
}

// power stops or starts instances.
func (r *Region) power(ids []string, stopped bool) *wireError {
	for _, id := range ids {
		r.mu.Lock()
		i := r.instances[id]
		if i == nil {
			r.mu.Unlock()
			return refuse(404, "InvalidInstanceId.NotFound", "The specified InstanceId %s does not exist.", id)
		}
		i.Stopped = stopped
		if !stopped {
			i.RunningAt = r.Now().Add(r.boot())
		}
		err := r.Store.write(change{put: []*Instance{i}})
		r.mu.Unlock()
		if err == nil && stopped {
			err = r.host.Stop(id)
		} else if err == nil {
			err = r.start(i)
		}
		if err != nil {
			return refuse(500, "InternalError", "%v", err)
		}
	}
	return nil
}

func stopInstances(r *Region, p params) (object, *wireError) {
	return object{"InstanceResponses": object{"InstanceResponse": []object{}}}, r.power(p.list("InstanceId"), true)
}

func startInstances(r *Region, p params) (object, *wireError) {
	return object{"InstanceResponses": object{"InstanceResponse": []object{}}}, r.power(p.list("InstanceId"), false)
}

func consoleOutput(r *Region, p params) (object, *wireError) {
	r.mu.Lock()
	i := r.instances[p["InstanceId"]]
	r.mu.Unlock()
	if i == nil {
		return nil, refuse(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
	}
	return object{"InstanceId": i.ID, "ConsoleOutput": base64.StdEncoding.EncodeToString(r.host.Console(i.ID)),
		"LastUpdateTime": r.Now().In(time.FixedZone("", 8*3600)).Format("2006-01-02 15:04:05")}, nil
}

// retag changes the tags of instances in one step.
func (r *Region) retag(ids []string, change1 func(map[string]string)) *wireError {
	r.mu.Lock()
	defer r.mu.Unlock()
	var put []*Instance
	for _, id := range ids {
		i := r.instances[id]
		if i == nil {
			return refuse(404, "InvalidResourceId.NotFound", "The specified ResourceIds are not found in our records: %s.", id)
		}
		tags := map[string]string{}
		for k, v := range i.Tags {
			tags[k] = v
		}
		change1(tags)
		if len(tags) > 20 {
			return refuse(400, "NumberExceed.Tags", "The maximum number of tags is exceeded.")
		}
		i.Tags = tags
		put = append(put, i)
	}
	if err := r.Store.write(change{put: put}); err != nil {
		return refuse(500, "InternalError", "%v", err)
	}
	return nil
}

func tagResources(r *Region, p params) (object, *wireError) {
	return object{}, r.retag(p.list("ResourceId"), func(t map[string]string) {
		for k, v := range p.tags("Tag") {
			t[k] = v
		}
	})
}

func untagResources(r *Region, p params) (object, *wireError) {
	keys := p.list("TagKey")
	return object{}, r.retag(p.list("ResourceId"), func(t map[string]string) {
		for k := range t {
			if p["All"] == "true" || slices.Contains(keys, k) {
				delete(t, k)
			}
		}
	})
}

func listTagResources(r *Region, p params) (object, *wireError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids, want := p.list("ResourceId"), p.tags("Tag")
	list := []object{}
	for _, i := range r.order {
		if (len(ids) > 0 && !slices.Contains(ids, i.ID)) || !i.tagged(want) {
			continue
		}
		for k, v := range i.Tags {
			list = append(list, object{"ResourceId": i.ID, "ResourceType": "instance", "TagKey": k, "TagValue": v})
		}
	}
	return object{"NextToken": "", "TagResources": object{"TagResource": list}}, nil
}

func describeUserData(r *Region, p params) (object, *wireError) {
	r.mu.Lock()
	i := r.instances[p["InstanceId"]]
	r.mu.Unlock()
	if i == nil {
		return nil, refuse(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
	}
	return object{"InstanceId": i.ID, "RegionId": r.Scenario.Region, "UserData": base64.StdEncoding.EncodeToString(r.Store.userData(i.UserData))}, nil
}

// billed changes how instances are billed.
func (r *Region) billed(ids []string, p params, do func(i *Instance, until time.Time)) *wireError {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, _ := strconv.Atoi(p["Period"])
	for _, id := range ids {
		i := r.instances[id]
		if i == nil {
			return refuse(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
		}
		from := r.Now()
		if i.Subscription && i.Expires.After(from) {
			from = i.Expires
		}
		until := from.AddDate(0, max(n, 1), 0)
		if strings.EqualFold(p["PeriodUnit"], "Week") {
			until = from.AddDate(0, 0, 7*max(n, 1))
		}
		do(i, until)
		if err := r.Store.write(change{put: []*Instance{i}}); err != nil {
			return refuse(500, "InternalError", "%v", err)
		}
	}
	return nil
}

func modifyChargeType(r *Region, p params) (object, *wireError) {
	var ids []string
	if err := json.Unmarshal([]byte(p["InstanceIds"]), &ids); err != nil {
		return nil, missing("InstanceIds")
	}
	return object{}, r.billed(ids, p, func(i *Instance, until time.Time) {
		if i.Subscription = p["InstanceChargeType"] == "PrePaid"; i.Subscription {
			i.Expires = until
		}
	})
}

// renewInstance prolongs a subscription, once for each client token.
func renewInstance(r *Region, p params) (object, *wireError) {
	token, hash := "renew/"+p["ClientToken"], p.hash()
	r.mu.Lock()
	known := r.tokens[token]
	r.mu.Unlock()
	switch {
	case p["ClientToken"] == "" || known == nil:
	case known.Hash != hash:
		return nil, refuse(400, "IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request.")
	default:
		return object{}, known.Refuse
	}
	refused := r.billed([]string{p["InstanceId"]}, p, func(i *Instance, until time.Time) { i.Expires = until })
	if p["ClientToken"] == "" {
		return object{}, refused
	}
	e := &tokenEntry{Hash: hash, Refuse: refused, At: r.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.Store.write(change{tokens: map[string]*tokenEntry{token: e}}); err != nil {
		return nil, refuse(500, "InternalError", "%v", err)
	}
	r.tokens[token] = e
	return object{}, refused
}
