package alicloud

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
)

// Tag sets tags in batches.
func (p *Provider) Tag(ctx context.Context, tags map[string]string, ids ...string) error {
	var errs []error
	for _, some := range batches(ids, perTag) {
		in := params{"ResourceType": "instance"}.list("ResourceId", some)
		in.tags(1, tags)
		errs = append(errs, p.mutate(ctx, "Tag", "TagResources", in, &struct{}{}))
	}
	return errors.Join(errs...)
}

// Untag takes tags off in batches. Where a batch is refused for an instance
// that is gone, it goes on with those that are there.
func (p *Provider) Untag(ctx context.Context, keys []string, ids ...string) error {
	var errs []error
	for _, some := range batches(ids, perTag) {
		errs = append(errs, p.untag(ctx, keys, some))
	}
	return errors.Join(errs...)
}

func (p *Provider) untag(ctx context.Context, keys, ids []string) error {
	in := params{"ResourceType": "instance"}.list("ResourceId", ids).list("TagKey", keys)
	err := p.mutate(ctx, "Untag", "UntagResources", in, &struct{}{})
	if err == nil || cloud.Classify(err) != cloud.Refused || !ofOne(err) {
		return err
	}
	left, lookErr := p.still(ctx, ids)
	switch {
	case lookErr != nil || len(left) == len(ids):
		return err
	case len(left) == 0:
		return nil
	}
	return p.untag(ctx, keys, left)
}

// Convert changes how an instance is billed, after a look whether it has to.
func (p *Provider) Convert(ctx context.Context, id string, to cloud.ChargeType, t cloud.Period) error {
	found, err := p.Find(ctx, id)
	if err != nil {
		return err
	}
	if len(found) == 1 && found[0].ChargeType == to {
		return nil
	}
	ids, err := json.Marshal([]string{id})
	if err != nil {
		return err
	}
	in := params{"InstanceIds": string(ids), "AutoPay": "true", "IncludeDataDisks": "true", "InstanceChargeType": "PostPaid"}
	switch to {
	case cloud.PayAsYouGo:
	case cloud.Subscription:
		in["InstanceChargeType"] = "PrePaid"
		in.period(t)
		delete(in, "AutoRenew")
		delete(in, "AutoRenewPeriod")
	default:
		return invalid("Convert", "an existing instance cannot be made a spot instance")
	}
	return p.mutate(ctx, "Convert", "ModifyInstanceChargeType", in, &struct{}{})
}

// Renew prolongs a subscription.
func (p *Provider) Renew(ctx context.Context, id string, t cloud.Period, once string) error {
	if !token(once) {
		return invalid("Renew", "the token is not of 1 to 64 ASCII characters")
	}
	in := params{"InstanceId": id, "ClientToken": once}
	in.period(t)
	delete(in, "AutoRenew")
	delete(in, "AutoRenewPeriod")
	return p.mutate(ctx, "Renew", "RenewInstance", in, &struct{}{})
}
