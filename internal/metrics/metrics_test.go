package metrics

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// What is registered is on the page, under its name, and the other way round.
func TestThePageHasWhatIsRegistered(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	Register(r, func() []Pool {
		return []Pool{{Name: "web", Expected: 3, Nodes: map[string]int32{"inService": 2}, Code: "Account.Arrearage", Held: true}}
	})
	Bills.Tell("web", func() []Billed { return []Billed{{ChargeType: "Spot", Currency: "CNY", PerHour: 1.5, Spent: 2}} })
	defer Bills.Tell("web", nil)
	SweepErrors.Inc()
	got, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	text := Page()
	seen := map[string]bool{}
	for _, f := range got {
		seen[f.GetName()] = true
		if !strings.Contains(text, "### `"+f.GetName()+"`, a "+strings.ToLower(f.GetType().String())) {
			t.Errorf("%s is not on the page", f.GetName())
		}
	}
	for _, d := range slices.Concat(ofPools, ofBills) {
		if !seen[d.name] {
			t.Errorf("%s is on the page and nobody tells it", d.name)
		}
	}
	for _, d := range slices.Concat(page, ofPools, ofBills) {
		if d.help == "" || !strings.HasPrefix(d.name, "poolkeeper_") || d.kind == "counter" && !strings.HasSuffix(d.name, "_total") {
			t.Errorf("%+v", d)
		}
	}
}

// A pool that is gone has no series.
func TestPoolsThatAreGoneAreGone(t *testing.T) {
	pools := []Pool{{Name: "web", Expected: 1}}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(poolCollector{func() []Pool { return pools }})
	before, err := r.Gather()
	if err != nil || len(before) == 0 {
		t.Fatal(before, err)
	}
	pools = nil
	if after, err := r.Gather(); err != nil || len(after) != 0 {
		t.Errorf("%v, %v", after, err)
	}
}
