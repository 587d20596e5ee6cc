package alicloud

import (
	"context"
	"encoding/json"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
)

// hoursPerMonth spreads the price of a month, as the vendor's bills do.
const hoursPerMonth = 30 * 24

// price returns the hourly price of one instance, without disks; no currency
// where the cloud does not tell one. Only the end of ctx is an error.
func (p *Provider) price(ctx context.Context, k priceKey) (cloud.Price, error) {
	if k.charge != cloud.Spot {
		k.zone = ""
	}
	if v, ok := p.keptPrice(k); ok {
		return v, nil
	}
	life := p.opts.FactsLife
	if k.charge == cloud.Spot {
		life /= 12
		if err := p.market(ctx, k.instanceType, life); err != nil {
			return cloud.Price{}, err
		}
		if v, ok := p.keptPrice(k); ok {
			return v, nil
		}
	}
	v, err := p.list(ctx, k)
	if err != nil {
		return cloud.Price{}, ctx.Err()
	}
	p.keepPrice(k, v, life)
	return v, nil
}

// list asks for the listed price.
func (p *Provider) list(ctx context.Context, k priceKey) (cloud.Price, error) {
	in := params{
		"ResourceType": "instance", "InstanceType": k.instanceType, "InstanceNetworkType": "vpc",
		"IoOptimized": "optimized", "PriceUnit": "Hour", "Period": "1", "Amount": "1", "SpotStrategy": "NoSpot",
	}
	in.optional("ZoneId", k.zone)
	switch k.charge {
	case cloud.Spot:
		in["SpotStrategy"] = "SpotAsPriceGo"
	case cloud.Subscription:
		in["PriceUnit"] = "Month"
	}
	var out priceAnswer
	if err := p.read(ctx, "ResourcePools", "ecs", "DescribePrice", in, &out); err != nil {
		return cloud.Price{}, err
	}
	amount := out.PriceInfo.Price.TradePrice
	for _, d := range out.PriceInfo.Price.DetailInfos.DetailInfo {
		if d.Resource == "instanceType" && d.TradePrice != "" {
			amount = d.TradePrice
		}
	}
	v, err := cloud.ParsePrice(amount.String(), out.PriceInfo.Price.Currency)
	if k.charge == cloud.Subscription {
		v.Micros /= hoursPerMonth
	}
	return v, err
}

type priceAnswer struct {
	PriceInfo struct {
		Price struct {
			TradePrice  json.Number
			Currency    string
			DetailInfos struct {
				DetailInfo []struct {
					Resource   string
					TradePrice json.Number
				}
			}
		}
	}
}

// market reads the newest market price of a type in every zone, where the
// cloud tells them; a refusal is passed over, since list asks then.
func (p *Provider) market(ctx context.Context, instanceType string, life time.Duration) error {
	in := params{
		"NetworkType": "vpc", "InstanceType": instanceType, "IoOptimized": "optimized", "OSType": "linux",
		"StartTime": p.opts.Now().UTC().Add(-24 * time.Hour).Format("2006-01-02T15:04:05Z"),
	}
	var out struct {
		Currency   string
		SpotPrices struct {
			SpotPriceType []struct {
				ZoneID    string `json:"ZoneId"`
				SpotPrice json.Number
				Timestamp string
			}
		}
	}
	if err := p.read(ctx, "ResourcePools", "ecs", "DescribeSpotPriceHistory", in, &out); err != nil {
		return ctx.Err()
	}
	newest := map[string]string{}
	for _, s := range out.SpotPrices.SpotPriceType {
		v, err := cloud.ParsePrice(s.SpotPrice.String(), out.Currency)
		if err == nil && s.Timestamp >= newest[s.ZoneID] {
			newest[s.ZoneID] = s.Timestamp
			p.keepPrice(priceKey{instanceType, s.ZoneID, cloud.Spot}, v, life)
		}
	}
	return nil
}

func (p *Provider) keptPrice(k priceKey) (cloud.Price, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.facts.prices[k]
	return v.value, ok && p.opts.Now().Before(v.until)
}

func (p *Provider) keepPrice(k priceKey, v cloud.Price, life time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.facts.prices[k] = kept[cloud.Price]{v, p.opts.Now().Add(life)}
}
