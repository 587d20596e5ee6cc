package cloudtest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// clock is a clock that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)} }

func launch() cloud.Launch {
	return cloud.Launch{
		VSwitch: "vsw-a", Zone: "zone-a", InstanceType: "ecs.g7.xlarge", ChargeType: cloud.PayAsYouGo,
		ImageID: "image-1", SecurityGroups: []string{"sg-1"}, SystemDisk: cloud.Disk{Category: "cloud_essd", SizeGiB: 40},
		Tags: cloud.Origin{ClusterID: "cluster", Pool: "web", GroupUID: "group"}.LaunchTags(),
	}
}

func TestConformanceOfFake(t *testing.T) {
	cloudtest.Run(t, func(t *testing.T) (cloud.Cloud, cloudtest.Controls) {
		c := newClock()
		f := cloudtest.NewFake(cloudtest.Options{Now: c.now, BootTime: 20 * time.Second, VisibleAfter: 10 * time.Second})
		return f, cloudtest.Controls{
			Launch: launch(), OtherVSwitch: "vsw-b", AccountID: "1000000000000001",
			SetStock: f.SetStock,
			Settle:   func() { c.t = c.t.Add(time.Minute) },
			MakeProtected: func(r cloud.Request) string {
				ids, err := f.Create(t.Context(), r)
				if err != nil || !f.Change(ids[0], func(i *cloud.Instance) { i.ReleaseProtected = true }) {
					t.Fatal(err)
				}
				return ids[0]
			},
			Throttle: func(on bool) {
				until := c.t
				if on {
					until = c.t.Add(time.Hour)
				}
				f.Throttle("Create", until)
			},
		}
	})
}

func request(t *testing.T, f *cloudtest.Fake, l cloud.Launch, n int, token string) cloud.Request {
	t.Helper()
	body, err := f.Encode(l)
	if err != nil {
		t.Fatal(err)
	}
	return cloud.Request{Body: body, Amount: n, Token: token}
}

func TestFakeLosesAnswersNotEffects(t *testing.T) {
	f := cloudtest.NewFake(cloudtest.Options{})
	f.Intercept = func(call string, m cloudtest.Moment) error {
		if call == "Create" && m == cloudtest.After {
			return cloudtest.Lost(call)
		}
		return nil
	}
	r := request(t, f, launch(), 3, "t")
	_, err := f.Create(t.Context(), r)
	if o := cloud.Classify(err); o != cloud.Unknown || o.ProvesNothingDone() || len(f.All()) != 3 {
		t.Fatalf("%s with %d instances: %v", o, len(f.All()), err)
	}
	f.Intercept = nil
	if ids, err := f.Create(t.Context(), r); err != nil || len(ids) != 3 || len(f.All()) != 3 {
		t.Fatalf("sent again: %v, %v, %d instances", ids, err, len(f.All()))
	}
}

func TestFakeForgetsTokens(t *testing.T) {
	c := newClock()
	f := cloudtest.NewFake(cloudtest.Options{Now: c.now})
	r := request(t, f, launch(), 1, "t")
	if _, err := f.Create(t.Context(), r); err != nil || len(f.All()) != 1 {
		t.Fatalf("at first: %d instances, %v", len(f.All()), err)
	}
	c.t = c.t.Add(59 * time.Minute)
	if _, err := f.Create(t.Context(), r); err != nil || len(f.All()) != 1 {
		t.Fatalf("within its life: %d instances, %v", len(f.All()), err)
	}
	c.t = c.t.Add(2 * time.Minute)
	if _, err := f.Create(t.Context(), r); err != nil || len(f.All()) != 2 {
		t.Fatalf("after its life: %d instances, %v", len(f.All()), err)
	}
}

func TestFakeRefusals(t *testing.T) {
	cases := map[string]struct {
		world  func(*cloudtest.Fake)
		launch func(*cloud.Launch)
		want   fault.Code
	}{
		"no addresses":  {world: func(f *cloudtest.Fake) { f.SetFreeAddresses("vsw-a", 0) }, want: fault.PrivateIPAddress},
		"quota used up": {world: func(f *cloudtest.Fake) { f.SetQuota("ecs.g7.xlarge", 0) }, want: fault.ElasticQuota},
		"no balance":    {world: func(f *cloudtest.Fake) { f.SetBalance(fault.Arrearage) }, want: fault.Arrearage},
		"other architecture": {
			launch: func(l *cloud.Launch) { l.InstanceType = "ecs.g8y.xlarge" }, want: fault.InstanceTypeNotSupported},
		"spot limit below the market": {
			launch: func(l *cloud.Launch) { l.ChargeType = cloud.Spot; l.SpotPriceLimit.Micros = 1000 }, want: fault.SpotPriceLimitLow},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := cloudtest.NewFake(cloudtest.Options{})
			l := launch()
			if c.world != nil {
				c.world(f)
			}
			if c.launch != nil {
				c.launch(&l)
			}
			_, err := f.Create(t.Context(), request(t, f, l, 2, "t"))
			if fault.CodeOf(err) != c.want || cloud.Classify(err) != cloud.Refused || len(f.All()) != 0 {
				t.Fatalf("%v, %d instances", err, len(f.All()))
			}
		})
	}
}

func TestFakeWorldIsConserved(t *testing.T) {
	f := cloudtest.NewFake(cloudtest.Options{})
	f.SetStock("zone-a", "ecs.g7.xlarge", 5)
	ids, err := f.Create(t.Context(), request(t, f, launch(), 5, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Create(t.Context(), request(t, f, launch(), 1, "b")); fault.CodeOf(err) != fault.NoStock {
		t.Fatalf("a sixth of five: %v", err)
	}
	f.Vanish(ids[0])
	if err := f.Release(t.Context(), ids[1:]...); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Create(t.Context(), request(t, f, launch(), 9, "c")); err != nil || len(got) != 5 {
		t.Fatalf("what was released is in stock again: %v, %v", got, err)
	}
}

func TestFakeIsDeterministic(t *testing.T) {
	history := func() string {
		f := cloudtest.NewFake(cloudtest.Options{})
		for i := range 20 {
			ids, err := f.Create(t.Context(), request(t, f, launch(), 1+i%3, fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			if i%4 == 0 {
				if err := f.Release(t.Context(), ids[0]); err != nil && len(cloud.ReleaseErrors(err)) == 0 {
					t.Fatal(err)
				}
			}
		}
		return fmt.Sprint(f.All())
	}
	if d := cmp.Diff(history(), history()); d != "" {
		t.Fatal(d)
	}
}

func TestClassifyTrustsOnlyProviders(t *testing.T) {
	if o := cloud.Classify(errors.New("anything")); o != cloud.Unknown {
		t.Fatalf("an error of nobody proves %s", o)
	}
	if o := cloud.Classify(fault.New(fault.NoStock, "")); o != cloud.Unknown {
		t.Fatalf("a fault without a provider's word proves %s", o)
	}
}
