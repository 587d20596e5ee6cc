package alicloud

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

const (
	perPage    = 100
	perRelease = 50
	perTag     = 50
	maxConsole = 64 << 10
)

// Create sends one RunInstances.
func (p *Provider) Create(ctx context.Context, r cloud.Request) ([]string, error) {
	in, err := sendable(r)
	if err != nil {
		return nil, err
	}
	var out struct {
		InstanceIDSets struct {
			InstanceIDSet []string `json:"InstanceIdSet"`
		} `json:"InstanceIdSets"`
	}
	if err := p.mutate(ctx, "Create", "RunInstances", in, &out); err != nil {
		return nil, err
	}
	ids := out.InstanceIDSets.InstanceIDSet
	if len(ids) == 0 {
		return nil, broken("Create", "the answer names no instance")
	}
	return ids, nil
}

// List sweeps the VPCs, page by page.
func (p *Provider) List(ctx context.Context) ([]cloud.Instance, error) {
	vpcs := p.opts.VPCs
	if len(vpcs) == 0 {
		vpcs = []string{""}
	}
	var all []cloud.Instance
	for _, vpc := range vpcs {
		in := params{}
		in.optional("VpcId", vpc)
		list, err := p.describe(ctx, "List", in)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return unique(all), nil
}

// Find looks by ids.
func (p *Provider) Find(ctx context.Context, ids ...string) ([]cloud.Instance, error) {
	var all []cloud.Instance
	for _, some := range batches(ids, perPage) {
		text, err := json.Marshal(some)
		if err != nil {
			return nil, err
		}
		list, err := p.describe(ctx, "Find", params{"InstanceIds": string(text)})
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return unique(all), nil
}

// describe reads every page of one DescribeInstances.
func (p *Provider) describe(ctx context.Context, call string, in params) ([]cloud.Instance, error) {
	in["MaxResults"] = strconv.Itoa(perPage)
	var all []cloud.Instance
	for seen := map[string]bool{}; ; {
		var page instancePage
		if err := p.read(ctx, call, "ecs", "DescribeInstances", in, &page); err != nil {
			return nil, err
		}
		for _, i := range page.Instances.Instance {
			all = append(all, i.instance())
		}
		if page.NextToken == "" {
			return all, nil
		}
		if seen[page.NextToken] {
			return nil, broken(call, "the pages of the list go round in a circle")
		}
		seen[page.NextToken] = true
		in["NextToken"] = page.NextToken
	}
}

// BootLog returns the end of the console output.
func (p *Provider) BootLog(ctx context.Context, id string) ([]byte, error) {
	var out struct{ ConsoleOutput string }
	if err := p.read(ctx, "BootLog", "ecs", "GetInstanceConsoleOutput", params{"InstanceId": id}, &out); err != nil {
		return nil, err
	}
	log, err := base64.StdEncoding.DecodeString(out.ConsoleOutput)
	if err != nil {
		return nil, broken("BootLog", "the console output is not base64")
	}
	return log[max(0, len(log)-maxConsole):], nil
}

// Release releases in batches; where a batch is refused it finds out which
// instance is to blame and releases the others.
func (p *Provider) Release(ctx context.Context, ids ...string) error {
	var errs []error
	for _, some := range batches(ids, perRelease) {
		errs = append(errs, p.release(ctx, some))
	}
	return errors.Join(errs...)
}

func (p *Provider) release(ctx context.Context, ids []string) error {
	in := params{"Force": "true"}.list("InstanceId", ids)
	err := p.mutate(ctx, "Release", "DeleteInstances", in, &struct{}{})
	if err == nil {
		return nil
	}
	if cloud.Classify(err) != cloud.Refused || !ofOne(err) {
		return nameAll(ids, err)
	}
	left, lookErr := p.still(ctx, ids)
	switch {
	case lookErr != nil:
		return nameAll(ids, err)
	case len(left) == 0:
		return nil
	case len(left) < len(ids):
		return p.release(ctx, left)
	case len(left) == 1:
		return nameAll(left, err)
	}
	half := len(left) / 2
	return errors.Join(p.release(ctx, left[:half]), p.release(ctx, left[half:]))
}

// ofOne tells whether a refusal speaks of single instances, so that the others
// of its batch may be released without it.
func ofOne(err error) bool {
	e := fault.Of(err).Entry()
	return e.Scope == fault.ScopeInstance || !e.Known
}

// still returns those that the cloud still shows, in their order.
func (p *Provider) still(ctx context.Context, ids []string) ([]string, error) {
	found, err := p.Find(ctx, ids...)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, i := range found {
		there[i.ID] = true
	}
	var left []string
	for _, id := range ids {
		if there[id] {
			left = append(left, id)
		}
	}
	return left, nil
}

func nameAll(ids []string, err error) error {
	var errs []error
	for _, id := range ids {
		errs = append(errs, &cloud.ReleaseError{ID: id, Err: err})
	}
	return errors.Join(errs...)
}

// batches cuts ids, each once, into parts of at most so many.
func batches(ids []string, most int) (out [][]string) {
	seen := map[string]bool{}
	for _, id := range ids {
		if id == "" || seen[id] {
			continue
		}
		seen[id] = true
		if len(out) == 0 || len(out[len(out)-1]) == most {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], id)
	}
	return out
}

func unique(list []cloud.Instance) []cloud.Instance {
	seen := make(map[string]bool, len(list))
	out := list[:0]
	for _, i := range list {
		if i.ID != "" && !seen[i.ID] {
			seen[i.ID] = true
			out = append(out, i)
		}
	}
	return out
}

// instancePage is one page of DescribeInstances.
type instancePage struct {
	NextToken string
	Instances struct{ Instance []wireInstance }
}

type wireInstance struct {
	InstanceID    string `json:"InstanceId"`
	ZoneID        string `json:"ZoneId"`
	InstanceType  string
	ImageID       string `json:"ImageId"`
	Status        string
	VpcAttributes struct {
		VpcID            string `json:"VpcId"`
		VSwitchID        string `json:"VSwitchId"`
		PrivateIPAddress struct {
			IPAddress []string `json:"IpAddress"`
		} `json:"PrivateIpAddress"`
	}
	InstanceChargeType string
	SpotStrategy       string
	SpotPriceLimit     number
	CreationTime       string
	ExpiredTime        string
	DeletionProtection bool
	Tags               struct {
		Tag []struct{ Key, Value, TagKey, TagValue string }
	}
	OperationLocks struct {
		LockReason []struct{ LockReason string }
	}
}

func (w wireInstance) instance() cloud.Instance {
	i := cloud.Instance{
		ID: w.InstanceID, VPC: w.VpcAttributes.VpcID, VSwitch: w.VpcAttributes.VSwitchID, Zone: w.ZoneID,
		InstanceType: w.InstanceType, ImageID: w.ImageID, Status: cloud.Status(w.Status),
		ChargeType: cloud.PayAsYouGo, Tags: map[string]string{},
		CreationTime: moment(w.CreationTime), ReleaseProtected: w.DeletionProtection,
	}
	if ips := w.VpcAttributes.PrivateIPAddress.IPAddress; len(ips) > 0 {
		i.PrivateIP = ips[0]
	}
	switch {
	case w.InstanceChargeType == "PrePaid":
		i.ChargeType, i.ExpiredTime = cloud.Subscription, moment(w.ExpiredTime)
	case w.SpotStrategy != "" && w.SpotStrategy != "NoSpot":
		i.ChargeType = cloud.Spot
	}
	if limit, err := cloud.ParsePrice(string(w.SpotPriceLimit), ""); err == nil && w.SpotStrategy == "SpotWithPriceLimit" {
		i.SpotPriceLimit = limit
	}
	for _, t := range w.Tags.Tag {
		if t.TagKey != "" {
			i.Tags[t.TagKey] = t.TagValue
		} else if t.Key != "" {
			i.Tags[t.Key] = t.Value
		}
	}
	for _, l := range w.OperationLocks.LockReason {
		i.OperationLocks = append(i.OperationLocks, l.LockReason)
	}
	return i
}

// moment reads the vendor's times, with seconds or without.
func moment(s string) time.Time {
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04Z"} {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
