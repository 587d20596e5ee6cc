package alicloud

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Limits of the vendor.
const (
	maxUserData = 32 << 10
	maxAmount   = 100
	maxToken    = 64
	maxTags     = 20
)

// written is a request as it is kept. Every later version reads every form
// that was ever written; a form is never changed, only another one added.
type written struct {
	Form   int    `json:"form"`
	Params params `json:"params"`
}

// Encode writes launch settings down as the parameters that go on the wire.
func (p *Provider) Encode(l cloud.Launch) ([]byte, error) {
	in := params{
		"RegionId":     p.opts.Region,
		"VSwitchId":    l.VSwitch,
		"InstanceType": l.InstanceType,
		"ImageId":      l.ImageID,
		"MinAmount":    "1",
		// Only a process with root on the machine itself is to get its identity.
		"HttpEndpoint":            "enabled",
		"HttpTokens":              "required",
		"HttpPutResponseHopLimit": "1",
	}
	for k, v := range map[string]string{
		"ZoneId": l.Zone, "KeyPairName": l.KeyPair, "Password": l.Password, "DeploymentSetId": l.DeploymentSet,
		"RamRoleName": l.RAMRole, "InstanceName": l.Name, "HostName": l.HostName,
	} {
		in.optional(k, v)
	}
	in.list("SecurityGroupIds", l.SecurityGroups)
	if err := in.billing(l); err != nil {
		return nil, err
	}
	in.disk("SystemDisk", l.SystemDisk)
	for i, d := range l.DataDisks {
		name := fmt.Sprintf("DataDisk.%d", i+1)
		in.disk(name, d)
		in[name+".DeleteWithInstance"] = "true"
	}
	if len(l.Tags) > maxTags {
		return nil, invalid("Encode", fmt.Sprintf("%d tags are more than %d", len(l.Tags), maxTags))
	}
	in.tags(1, l.Tags)
	return json.Marshal(written{Form: 1, Params: in})
}

func (p params) optional(name, value string) {
	if value != "" {
		p[name] = value
	}
}

func (p params) billing(l cloud.Launch) error {
	switch l.ChargeType {
	case cloud.PayAsYouGo, "":
		p["InstanceChargeType"], p["SpotStrategy"] = "PostPaid", "NoSpot"
	case cloud.Subscription:
		p["InstanceChargeType"] = "PrePaid"
		p.period(l.Period)
	case cloud.Spot:
		p["InstanceChargeType"], p["SpotStrategy"] = "PostPaid", "SpotAsPriceGo"
		p["SpotDuration"] = strconv.Itoa(l.SpotProtectedHours)
		if l.SpotPriceLimit.Micros > 0 {
			p["SpotStrategy"] = "SpotWithPriceLimit"
			p["SpotPriceLimit"] = l.SpotPriceLimit.Decimal()
		}
	default:
		return invalid("Encode", fmt.Sprintf("charge type %q is not one of this cloud", l.ChargeType))
	}
	return nil
}

func (p params) period(t cloud.Period) {
	p["Period"] = strconv.Itoa(max(t.Count, 1))
	p["PeriodUnit"] = "Month"
	p.optional("PeriodUnit", t.Unit)
	p["AutoRenew"] = strconv.FormatBool(t.AutoRenew)
	if t.AutoRenew {
		p["AutoRenewPeriod"] = p["Period"]
	}
}

func (p params) disk(name string, d cloud.Disk) {
	p.optional(name+".Category", d.Category)
	p.optional(name+".PerformanceLevel", d.PerformanceLevel)
	p.optional(name+".KMSKeyId", d.KMSKeyID)
	if d.SizeGiB > 0 {
		p[name+".Size"] = strconv.Itoa(d.SizeGiB)
	}
	if d.Encrypted {
		p[name+".Encrypted"] = "true"
	}
}

// tags adds tags from a number on, in the order of their keys.
func (p params) tags(first int, tags map[string]string) {
	keys := make([]string, 0, len(tags))
	for k := range tags {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for i, k := range keys {
		p[fmt.Sprintf("Tag.%d.Key", first+i)] = k
		p[fmt.Sprintf("Tag.%d.Value", first+i)] = tags[k]
	}
}

// sendable returns the parameters of one send: those of the body and those
// that the body leaves out.
func sendable(r cloud.Request) (params, error) {
	var w written
	if err := json.Unmarshal(r.Body, &w); err != nil || w.Form != 1 || len(w.Params) == 0 {
		return nil, invalid("Create", "the request was not written by a version that this one knows")
	}
	n := 0
	for w.Params[fmt.Sprintf("Tag.%d.Key", n+1)] != "" {
		n++
	}
	switch {
	case r.Amount < 1 || r.Amount > maxAmount:
		return nil, invalid("Create", fmt.Sprintf("amount %d is not between 1 and %d", r.Amount, maxAmount))
	case !token(r.Token):
		return nil, invalid("Create", fmt.Sprintf("the token is not of 1 to %d ASCII characters", maxToken))
	case len(r.UserData) > maxUserData:
		return nil, invalid("Create", fmt.Sprintf("user data of %d bytes is over 32 KiB: shorten the pool's own scripts", len(r.UserData)))
	case n+len(r.Tags) > maxTags:
		return nil, invalid("Create", fmt.Sprintf("%d tags are more than %d", n+len(r.Tags), maxTags))
	}
	w.Params.tags(n+1, r.Tags)
	w.Params["Amount"] = strconv.Itoa(r.Amount)
	w.Params["ClientToken"] = r.Token
	if len(r.UserData) > 0 {
		w.Params["UserData"] = base64.StdEncoding.EncodeToString(r.UserData)
	}
	return w.Params, nil
}

func token(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxToken
}

func invalid(call, why string) *cloud.Error {
	return cloud.Fail(call, cloud.NotSent, fault.New(fault.RequestInvalid, why), nil)
}
