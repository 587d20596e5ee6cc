package ecs

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// runInstances creates instances, under the vendor's rules for client tokens.
func runInstances(r *Region, p params) (object, *wireError) {
	r.mu.Lock()
	ids, made, refused := r.run(p)
	r.mu.Unlock()
	if refused != nil {
		return nil, refused
	}
	for _, i := range made {
		if err := r.start(i); err != nil {
			r.Log.Error("machine did not start", "instance", i.ID, "error", err)
		}
	}
	return object{"InstanceIdSets": object{"InstanceIdSet": ids}}, nil
}

// run is runInstances under the lock.
func (r *Region) run(p params) (ids []string, made []*Instance, refused *wireError) {
	token, hash := p["ClientToken"], p.hash()
	if len(token) > 64 {
		return nil, nil, refuse(400, "InvalidParameter.ClientToken", "The specified parameter clientToken is not valid.")
	}
	if e := r.tokens[token]; token != "" && e != nil {
		if e.Hash != hash {
			return nil, nil, refuse(400, "IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request.")
		}
		return e.IDs, nil, e.Refuse
	}
	now := r.Now()
	l, refused := r.launch(p)
	if refused == nil && p["DryRun"] == "true" {
		return nil, nil, refuse(400, "DryRunOperation", "Request validation has been passed with DryRun flag set.")
	}
	c := change{tokens: map[string]*tokenEntry{}}
	if refused == nil {
		made, refused = r.create(l, now)
		c.put, c.userData = made, l.userData
	}
	for _, i := range made {
		ids = append(ids, i.ID)
	}
	if token != "" {
		c.tokens[token] = &tokenEntry{Hash: hash, IDs: ids, Refuse: refused, At: now}
	}
	if err := r.Store.write(c); err != nil {
		for _, i := range made {
			delete(r.addresses, i.IP)
		}
		return nil, nil, refuse(500, "InternalError", "%v", err)
	}
	for _, i := range made {
		r.add(i)
	}
	if token != "" {
		r.tokens[token] = c.tokens[token]
	}
	return ids, made, refused
}

// hash is over every parameter that makes the request what it is.
func (p params) hash() string {
	skip := []string{"Signature", "SignatureNonce", "Timestamp", "AccessKeyId", "SignatureMethod", "SignatureVersion", "SecurityToken", "SignatureType", "ClientToken", "Format"}
	keys := make([]string, 0, len(p))
	for k := range p {
		if !slices.Contains(skip, k) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	h := sha256.New()
	for _, k := range keys {
		fmt.Fprintf(h, "%d:%s=%d:%s", len(k), k, len(p[k]), p[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// launch is a checked request.
type launch struct {
	p           params
	t           *InstanceType
	v           *VSwitch
	amount, min int
	userData    []byte
	tags        map[string]string
	groups      []string
}

// launch checks what can be known without stock.
func (r *Region) launch(p params) (launch, *wireError) {
	l := launch{p: p, amount: 1, tags: p.tags("Tag"), groups: append(p.list("SecurityGroupIds"), p.list("SecurityGroupId")...)}
	if s := p["SecurityGroupId"]; s != "" {
		l.groups = append(l.groups, s)
	}
	var err error
	if s := p["Amount"]; s != "" {
		if l.amount, err = strconv.Atoi(s); err != nil || l.amount < 1 || l.amount > 100 {
			return l, refuse(400, "InvalidParameter.Amount", "The specified Amount is not valid: 1 to 100.")
		}
	}
	l.min = l.amount
	if s := p["MinAmount"]; s != "" {
		if l.min, err = strconv.Atoi(s); err != nil || l.min < 1 || l.min > l.amount {
			return l, refuse(400, "InvalidParameter.MinAmount", "The specified MinAmount is not valid.")
		}
	}
	if l.userData, err = base64.StdEncoding.DecodeString(p["UserData"]); err != nil {
		return l, refuse(400, "InvalidUserData.Base64FormatInvalid", "The specified UserData is not Base64.")
	}
	if len(l.userData) > 32<<10 {
		return l, refuse(400, "InvalidUserData.SizeExceeded", "The specified UserData exceeds 32 KB before Base64.")
	}
	if l.t = r.Scenario.instanceType(p["InstanceType"]); l.t == nil {
		return l, refuse(400, "InvalidInstanceType.ValueNotSupported", "The specified InstanceType does not exist or beyond the permitted range.")
	}
	if l.v = r.Scenario.vSwitch(p["VSwitchId"]); l.v == nil {
		return l, refuse(404, "InvalidVSwitchId.NotFound", "The specified VSwitchId does not exist.")
	}
	return l, r.fits(l)
}

// fits checks image, disks, groups, key and tags against each other.
func (r *Region) fits(l launch) *wireError {
	image := r.Scenario.image(l.p["ImageId"])
	switch {
	case image == nil:
		return refuse(404, "InvalidImageId.NotFound", "The specified ImageId does not exist.")
	case image.Arch != l.t.arch():
		return refuse(400, "InvalidInstanceType.NotSupported", "The specified instanceType is not supported by the image architecture.")
	case l.t.UEFIOnly && image.BootMode == "BIOS":
		return refuse(403, "InvalidParameter.NotMatch", "Image bootMode BIOS does not match instanceType bootMode")
	case !l.t.in(l.v.Zone):
		return refuse(403, "InvalidResourceType.NotSupported", "User doesn't support type %s in zone %s.", l.t.ID, l.v.Zone)
	case l.p["ZoneId"] != "" && l.p["ZoneId"] != l.v.Zone:
		return refuse(403, "InvalidVSwitchId.ZoneMismatch", "The specified VSwitchId is not in the specified Zone.")
	case len(l.groups) == 0:
		return missing("SecurityGroupId")
	case len(l.tags) > 20:
		return refuse(400, "InvalidTagCount", "The number of tags exceeds 20.")
	case l.p["KeyPairName"] != "" && !slices.Contains(r.Scenario.KeyPairs, l.p["KeyPairName"]):
		return refuse(404, "InvalidKeyPairName.NotFound", "The specified KeyPairName does not exist.")
	}
	for _, g := range l.groups {
		if r.Scenario.securityGroup(g) == nil {
			return refuse(404, "InvalidSecurityGroupId.NotFound", "The specified SecurityGroupId does not exist.")
		}
	}
	if c := l.p["SystemDisk.Category"]; c != "" && !slices.Contains(r.Scenario.DiskCategories, c) {
		return refuse(400, "InvalidSystemDiskCategory.ValueNotSupported", "The specified parameter SystemDisk.Category is not valid.")
	}
	if l.p["SystemDisk.Encrypted"] == "true" && l.p["SystemDisk.Category"] != "cloud_essd" {
		return refuse(400, "NotSupportSnapshotEncrypted.DiskCategory", "The encrypted system disk needs an enterprise SSD.")
	}
	return nil
}

// create takes stock and addresses, as many as there are, at least min.
func (r *Region) create(l launch, now time.Time) ([]*Instance, *wireError) {
	n := l.amount
	if b := r.Scenario.Balance; b != nil && *b <= 0 {
		return nil, refuse(403, "InvalidAccountStatus.NotEnoughBalance", "Your account does not have enough balance.")
	}
	if left := r.MaxNodes - len(r.order); n > left {
		if n = left; n < l.min {
			return nil, refuse(403, "QuotaExceed.ElasticQuota", "This local region holds at most %d instances: start it with a larger --max-nodes (poolkeeper local down, then poolkeeper local up --max-nodes N).", r.MaxNodes)
		}
	}
	if q, ok := r.Scenario.Quota[l.t.ID]; ok {
		have := 0
		for _, i := range r.order {
			if i.Type == l.t.ID {
				have++
			}
		}
		if n = min(n, q-have); n < l.min {
			return nil, refuse(403, "QuotaExceed.ElasticQuota", "The number of the specified ECS instances has exceeded the quota of the specified instance type.")
		}
	}
	stock := l.v.Zone + "/" + l.t.ID
	if n = min(n, r.left(l.v.Zone, l.t.ID)); n < l.min {
		return nil, refuse(403, "OperationDenied.NoStock", "The resource is out of stock in the specified zone. Please try other types, or choose other regions and zones.")
	}
	var out []*Instance
	for range n {
		ip, ok := r.address(l.v)
		if !ok {
			break
		}
		out = append(out, r.instance(l, ip, now))
	}
	if len(out) < l.min {
		for _, i := range out {
			delete(r.addresses, i.IP)
		}
		return nil, refuse(400, "InvalidVSwitchId.IpNotEnough", "The specified VSwitch has not enough IP addresses.")
	}
	if _, ok := r.Scenario.Stock[stock]; ok {
		r.Scenario.Stock[stock] -= len(out)
	}
	return out, nil
}

// instance is one new instance.
func (r *Region) instance(l launch, ip string, now time.Time) *Instance {
	r.serial++
	i := &Instance{ID: newID(), Type: l.t.ID, Zone: l.v.Zone, VSwitch: l.v.ID, VPC: l.v.VPC, Image: l.p["ImageId"],
		Name: l.p["InstanceName"], IP: ip, Groups: l.groups, Tags: l.tags, Created: now, RunningAt: now.Add(r.boot()),
		KeyPair: l.p["KeyPairName"], UserData: userDataKey(l.userData), Serial: r.serial,
		SpotStrategy: "NoSpot", Protected: l.p["DeletionProtection"] == "true"}
	i.HostName = strings.ReplaceAll(l.p["HostName"], "${instance_id}", i.ID)
	if s := l.p["SpotStrategy"]; s != "" {
		i.SpotStrategy = s
		i.SpotPriceLimit, _ = strconv.ParseFloat(l.p["SpotPriceLimit"], 64)
	}
	if l.p["InstanceChargeType"] == "PrePaid" {
		i.Subscription = true
		n, _ := strconv.Atoi(l.p["Period"])
		if l.p["PeriodUnit"] == "Week" {
			i.Expires = now.AddDate(0, 0, 7*max(n, 1))
		} else {
			i.Expires = now.AddDate(0, max(n, 1), 0)
		}
	}
	return i
}

// list reads Name.1, Name.2 ...
func (p params) list(name string) []string {
	var out []string
	for n := 1; p[name+"."+strconv.Itoa(n)] != ""; n++ {
		out = append(out, p[name+"."+strconv.Itoa(n)])
	}
	return out
}

// tags reads Name.1.Key and Name.1.Value ...
func (p params) tags(name string) map[string]string {
	out := map[string]string{}
	for n := 1; p[name+"."+strconv.Itoa(n)+".Key"] != ""; n++ {
		out[p[name+"."+strconv.Itoa(n)+".Key"]] = p[name+"."+strconv.Itoa(n)+".Value"]
	}
	return out
}
