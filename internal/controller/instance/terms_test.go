package instance_test

import (
	"errors"
	"testing"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
)

// priced makes a record that of an instance that was created at a price.
func priced(i *api.Instance) {
	i.Spec.Placement = api.Placement{VSwitch: "vsw-a", Zone: "zone-a", InstanceType: "ecs.c7.large", ChargeType: api.ChargePayAsYouGo, PricePerHour: "1.25", Currency: "CNY"}
}

func TestAConversionBeginsNewTerms(t *testing.T) {
	b := newBench(t)
	b.cloud.SetPrice("ecs.c7.large", 1_000_000)
	b.has(priced, "i-1", "i-2", "i-3")
	b.settle(1)
	if terms := b.instance("i-1").Status.Terms; terms != nil || b.count("cloud ResourcePools") > 0 {
		t.Fatalf("nobody converted it: %+v", terms)
	}
	b.change("i-1", func(i *api.Instance) { i.Spec.Convert = &api.ConvertWish{ID: "t1", To: api.ChargeSubscription} })
	asked := b.now.Add(6 * time.Second)
	b.cloud.Change("i-2", func(i *cloud.Instance) { i.ChargeType = cloud.Subscription })
	b.settle(3)
	for id, ended := range map[string]string{"i-1": "when we asked for it", "i-2": "when the sweep began that showed it"} {
		st := b.instance(id).Status
		if len(st.Terms) != 1 || st.ChargeType != api.ChargeSubscription || !st.Terms[0].SinceTime.Time.Equal(asked.Truncate(time.Second)) {
			t.Fatalf("%s, converted %s (%s): %+v", id, ended, asked, st)
		}
		if got := st.Terms[0]; got.PricePerHour != "0.6" || got.Currency != "CNY" || got.ChargeType != api.ChargeSubscription || got.SpentBefore != "" {
			t.Errorf("%s: %+v", id, got)
		}
	}
	if terms := b.instance("i-3").Status.Terms; terms != nil {
		t.Errorf("i-3 was not converted: %+v", terms)
	}
	calls := b.count("cloud ResourcePools")
	b.settle(3)
	if calls > 2 || b.count("cloud ResourcePools") != calls {
		t.Errorf("prices were asked for %d times, then %d", calls, b.count("cloud ResourcePools"))
	}
	b.cloud.Change("i-1", func(i *cloud.Instance) { i.ChargeType = cloud.PayAsYouGo })
	back := b.now.Add(6 * time.Second)
	b.settle(2)
	if got := b.instance("i-1").Status.Terms; len(got) != 2 || got[1].PricePerHour != "1" || !got[1].SinceTime.Time.Equal(back.Truncate(time.Second)) {
		t.Errorf("converted back at %s: %+v", back, got)
	}
}

// A price that the cloud does not tell holds nothing up, and is asked for again.
func TestAnUnknownPriceIsAskedForAgain(t *testing.T) {
	b := newBench(t)
	b.cloud.SetPrice("ecs.c7.large", 1_000_000)
	b.has(priced, "i-1")
	b.cloud.Change("i-1", func(i *cloud.Instance) { i.ChargeType = cloud.Subscription })
	silent := true
	b.broken = func(call string, m cloudtest.Moment) error {
		if silent && call == "cloud ResourcePools" {
			return errors.New("not now")
		}
		return nil
	}
	b.settle(1)
	st := b.instance("i-1").Status
	if len(st.Terms) != 1 || st.Terms[0].PricePerHour != "" || st.ChargeType != api.ChargeSubscription {
		t.Fatalf("without a price: %+v", st)
	}
	began := st.Terms[0].SinceTime
	silent = false
	b.ok(b.sweep(2 * time.Minute))
	if got := b.instance("i-1").Status.Terms; len(got) != 1 || got[0].PricePerHour != "0.6" || !got[0].SinceTime.Equal(&began) {
		t.Errorf("once it is told: %+v, began %s", got, began)
	}
}
