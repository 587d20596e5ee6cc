package region

import (
	"math"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// hoursPerMonth is what a month of a subscription costs, in hours of
// pay-as-you-go, where the scenario names no price.
const hoursPerMonth = 400

func (r *Region) spotMarket(t *scenario.InstanceType) float64 {
	if t.SpotPerHour > 0 {
		return t.SpotPerHour
	}
	return round(t.PricePerHour / 5)
}

func monthly(t *scenario.InstanceType) float64 {
	if t.PricePerMonth > 0 {
		return t.PricePerMonth
	}
	return round(t.PricePerHour * hoursPerMonth)
}

// round keeps six decimals, which is what prices have at most.
func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }

func (r *Region) describePrice(p *args) (any, *Error) {
	if v := p.oneOf("ResourceType", "instance"); v != "instance" {
		return nil, p.err
	}
	name := p.need("InstanceType")
	amount, period := p.int("Amount", 1, 1, 1000), p.int("Period", 1, 1, 60)
	unit := p.oneOf("PriceUnit", "Hour", "Day", "Week", "Month", "Year")
	spot := p.oneOf("SpotStrategy", noSpot, "SpotWithPriceLimit", "SpotAsPriceGo") != noSpot
	disks := &Launch{}
	if p.Params["SystemDisk.Category"] != "" {
		r.readDisks(disks, p)
	}
	if p.err != nil {
		return nil, p.err
	}
	t := r.world.Type(name)
	if t == nil {
		return nil, refuse(400, "InvalidInstanceType.ValueNotSupported", "The specified InstanceType %s does not exist.", name)
	}
	if spot && (unit != "Hour" || period != 1) {
		return nil, invalid("PriceUnit", "spot prices are told for one hour")
	}
	times := float64(amount * period)
	whole := perUnit(t.PricePerHour, monthly(t), unit)
	now := whole
	if spot {
		now = r.spotMarket(t)
	}
	a := &priceAnswer{RequestId: p.requestID}
	a.PriceInfo.Rules.Rule = []priceRule{}
	details := append([]detailInfo{detail("instanceType", whole*times, now*times)}, r.diskPrices(disks, unit, times)...)
	a.PriceInfo.Price = total(details, r.world.Account.Currency)
	return a, nil
}

// diskPrices are the prices of the disks that were asked for.
func (r *Region) diskPrices(l *Launch, unit string, times float64) []detailInfo {
	var out []detailInfo
	for k, d := range append([]Disk{l.SystemDisk}, l.DataDisks...) {
		if c := r.world.DiskCategory(d.Category); c != nil {
			v := c.PricePerGiBHour * float64(d.SizeGiB)
			v = perUnit(v, v*hoursPerMonth, unit) * times
			out = append(out, detail([]string{"systemDisk", "dataDisk"}[min(k, 1)], v, v))
		}
	}
	return out
}

func detail(resource string, original, trade float64) detailInfo {
	return detailInfo{resource, round(original), round(original - trade), round(trade)}
}

func total(details []detailInfo, currency string) priceDetail {
	out := priceDetail{Currency: currency}
	for _, d := range details {
		out.OriginalPrice = round(out.OriginalPrice + d.OriginalPrice)
		out.DiscountPrice = round(out.DiscountPrice + d.DiscountPrice)
		out.TradePrice = round(out.TradePrice + d.TradePrice)
	}
	out.DetailInfos.DetailInfo = details
	return out
}

// perUnit is the price of one hour or day of pay-as-you-go, or of one week,
// month or year of a subscription.
func perUnit(hour, month float64, unit string) float64 {
	switch unit {
	case "Day":
		return hour * 24
	case "Week":
		return month / 4
	case "Month":
		return month
	case "Year":
		return month * 12
	}
	return hour
}

// historySpan reads from when to when prices are asked for: at most 30 days
// back, the last three hours where nothing is said.
func (r *Region) historySpan(p *args) (start, end time.Time, bad *Error) {
	start, end = r.now.Add(-3*time.Hour), r.now
	for name, at := range map[string]*time.Time{"EndTime": &end, "StartTime": &start} {
		if v := p.Params[name]; v != "" {
			parsed, err := time.Parse(time.RFC3339, v)
			if err != nil {
				return start, end, invalid(name, "it is not written like 2026-01-02T15:04:05Z")
			}
			*at = parsed
		}
	}
	if p.Params["EndTime"] != "" && p.Params["StartTime"] == "" {
		start = end.Add(-3 * time.Hour)
	}
	if oldest := r.now.AddDate(0, 0, -30); start.Before(oldest) {
		start = oldest
	}
	return start, end, nil
}

// describeSpotPriceHistory tells the market price, which does not move here:
// one entry an hour.
func (r *Region) describeSpotPriceHistory(p *args) (any, *Error) {
	t := r.world.Type(p.need("InstanceType"))
	p.need("NetworkType")
	if p.err != nil {
		return nil, p.err
	}
	if t == nil {
		return nil, refuse(400, "InvalidInstanceType.ValueNotSupported", "The specified InstanceType does not exist.")
	}
	start, end, bad := r.historySpan(p)
	if bad != nil {
		return nil, bad
	}
	a := &spotHistoryAnswer{RequestId: p.requestID, Currency: r.world.Account.Currency}
	a.SpotPrices.SpotPriceType = []spotPrice{}
	from := p.int("Offset", 0, 0, 1<<30)
	n := 0
	for at := end.Truncate(time.Hour); !at.Before(start); at = at.Add(-time.Hour) {
		for _, z := range r.world.Zones {
			if (p.Params["ZoneId"] != "" && p.Params["ZoneId"] != z) || !r.sold(z, t) {
				continue
			}
			if n++; n <= from {
				continue
			}
			if len(a.SpotPrices.SpotPriceType) == 1000 {
				a.NextOffset = n - 1
				return a, nil
			}
			a.SpotPrices.SpotPriceType = append(a.SpotPrices.SpotPriceType, spotPrice{ZoneId: z, InstanceType: t.Name, IoOptimized: "optimized",
				NetworkType: "vpc", Timestamp: second(at), SpotPrice: r.spotMarket(t), OriginPrice: t.PricePerHour})
		}
	}
	return a, nil
}

func commaList(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}
