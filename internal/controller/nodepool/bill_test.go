package nodepool_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
)

// costs are the lines of a pool's bill as the metrics tell it.
func costs(t *testing.T) map[string]float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(metrics.Bills)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetLabel()[2].GetValue() == "web" {
				out[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return out
}

// What was spent is told by how it is billed, counts what was released too,
// grows without a write, and goes with the pool.
func TestWhatWasSpentAddsUp(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	price := func(p string, as api.ChargeType) func(*api.Instance) {
		return func(i *api.Instance) {
			ready(i)
			i.Spec.Placement.PricePerHour, i.Spec.Placement.Currency, i.Spec.Placement.ChargeType, i.Status.ChargeType = p, "CNY", as, as
		}
	}
	one := b.instance("i-1", price("1.2", api.ChargePayAsYouGo))
	b.instance("i-2", price("0.3", api.ChargeSpot))
	b.settle(nil)
	b.later()
	first := b.pool().Status.Price
	b.clock.Pass(time.Hour)
	b.look()
	if d := cmp.Diff(first, b.pool().Status.Price); d != "" {
		t.Errorf("written although nothing changed: %s", d)
	}
	if got := costs(t); got["poolkeeper_pool_spent_total PayAsYouGo"] < 1.2 || got["poolkeeper_pool_spent_total PayAsYouGo"] > 1.21 || got["poolkeeper_pool_price_per_hour Spot"] != 0.3 {
		t.Errorf("metrics: %v", got)
	}
	one.Finalizers = nil
	if err := b.Update(b.Context(), one); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(b.Context(), one); err != nil {
		t.Fatal(err)
	}
	b.look()
	b.clock.Pass(time.Hour)
	p := b.pool().Status.Price
	if p.PerHour != "0.300" || len(p.Billing) != 2 || p.Billing[0].Instances != 0 || p.Billing[0].Spent[:4] != "1.20" || p.Billing[1].Spent[:4] != "0.30" {
		t.Errorf("price %+v", p)
	}
	if got := costs(t); got["poolkeeper_pool_spent_total PayAsYouGo"] > 1.21 || got["poolkeeper_pool_spent_total Spot"] < 0.6 || got["poolkeeper_pool_price_per_hour PayAsYouGo"] != 0 {
		t.Errorf("metrics: %v", got)
	}
}
