package controller

import (
	"context"
	"slices"
	"testing"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
	"github.com/poolkeeper/poolkeeper/internal/controller/scalinggroup"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// sure looks up misfits of its own, whatever the cloud answers to a trial.
type sure struct {
	Provider
	misfits []cloud.Misfit
	tries   int
}

func (s *sure) Fits(ctx context.Context, image string, disks []cloud.Disk, types ...string) (cloud.Fit, error) {
	fit, err := s.Provider.Fits(ctx, image, disks, types...)
	fit.Misfits = append(fit.Misfits, s.misfits...)
	return fit, err
}

func (s *sure) Try(ctx context.Context, l cloud.Launch) error {
	s.tries++
	return s.Provider.Try(ctx, l)
}

type marketBench struct {
	*testing.T
	*sure
	fake *cloudtest.Fake
	m    *market
	now  time.Time
}

func newMarketBench(t *testing.T, change func(w *cloudtest.World), misfits ...cloud.Misfit) *marketBench {
	w := cloudtest.DefaultWorld()
	if change != nil {
		change(&w)
	}
	b := &marketBench{T: t, now: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	b.fake = cloudtest.NewFake(cloudtest.Options{World: &w})
	b.sure = &sure{Provider: b.fake, misfits: misfits}
	b.m = newMarket(b.sure, func() time.Time { return b.now }, 30*time.Minute)
	return b
}

func (b *marketBench) ask(refused bool, types ...string) scalinggroup.Outlook {
	b.Helper()
	s := &api.LaunchSettings{VSwitches: []string{"vsw-b", "vsw-a"}, InstanceTypes: types, ImageID: "image-1", SecurityGroups: []string{"sg-1"},
		SystemDisk: api.Disk{Category: "cloud_essd", SizeGiB: 40}}
	out, err := b.m.Outlook(b.Context(), s, []api.ChargeType{api.ChargePayAsYouGo}, refused)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

func TestMisfitsAreToldInTheCloudsWords(t *testing.T) {
	b := newMarketBench(t, nil)
	for range 2 {
		out := b.ask(false, "ecs.g7.xlarge", "ecs.g8y.xlarge")
		if len(out.Pools) != 4 || out.Pools[0].VSwitch != "vsw-b" || out.Pools[0].Constraint != "" || out.Pools[1].Constraint != string(fault.InstanceTypeNotSupported) {
			t.Errorf("pools %+v", out.Pools)
		}
		if len(out.Misfits) != 1 || out.Misfits[0].InstanceType != "ecs.g8y.xlarge" || out.Misfits[0].Zone != "" || out.Misfits[0].RequestID == "" ||
			out.Misfits[0].Message != "The specified instanceType is not supported by the image architecture." {
			t.Errorf("misfits %+v", out.Misfits)
		}
		if out.Image == nil || out.Image.OS != "Debian 13" || out.Image.BootMode != "UEFI-Preferred" {
			t.Errorf("image %+v", out.Image)
		}
		if len(out.Fits) != 3 || out.Fits[0].Zone != "zone-b" || out.Fits[2].VSwitch != "vsw-c" || slices.Contains(out.Fits[0].InstanceTypes, "ecs.g7.xlarge") || !slices.Contains(out.Fits[0].InstanceTypes, "ecs.c7.large") {
			t.Errorf("what fits instead: %+v", out.Fits)
		}
	}
	if b.tries != 2 {
		t.Errorf("the cloud was tried %d times for two resource pools looked at twice", b.tries)
	}
	b.now = b.now.Add(31 * time.Minute)
	if b.ask(false, "ecs.g8y.xlarge"); b.tries != 4 {
		t.Errorf("after half an hour it was tried %d times", b.tries)
	}
}

func TestATrialThatIsNotRefusedEndsAMisfit(t *testing.T) {
	b := newMarketBench(t, nil, cloud.Misfit{InstanceType: "ecs.g7.xlarge", Fault: fault.New(fault.ImageTypeNotSupported, "")})
	if out := b.ask(false, "ecs.g7.xlarge"); out.Pools[0].Constraint != "" || len(out.Misfits) != 0 || len(out.Fits) != 0 {
		t.Errorf("%+v", out)
	}
}

func TestATrialThatSpeaksOfSomethingElseChangesNothing(t *testing.T) {
	b := newMarketBench(t, func(w *cloudtest.World) {
		for o := range w.Stock {
			if o.InstanceType == "ecs.g7.xlarge" {
				w.Stock[o] = 0
			}
		}
	}, cloud.Misfit{InstanceType: "ecs.g7.xlarge", Fault: fault.New(fault.ImageTypeNotSupported, "")})
	out := b.ask(false, "ecs.g7.xlarge")
	if out.Pools[0].Constraint != string(fault.ImageTypeNotSupported) || len(out.Misfits) != 1 || out.Misfits[0].Message != "" {
		t.Errorf("the cloud spoke of stock: %+v", out)
	}
}

func TestWhatAZoneDoesNotOffer(t *testing.T) {
	b := newMarketBench(t, func(w *cloudtest.World) {
		delete(w.Stock, cloudtest.Offer{Zone: "zone-b", InstanceType: "ecs.g7.xlarge"})
	})
	out := b.ask(false, "ecs.g7.xlarge")
	if out.Pools[0].Constraint != string(fault.ResourceTypeNotSupported) || out.Pools[1].Constraint != "" {
		t.Errorf("pools %+v", out.Pools)
	}
	if len(out.Misfits) != 1 || out.Misfits[0].Zone != "zone-b" || out.Misfits[0].Message == "" {
		t.Errorf("misfits %+v", out.Misfits)
	}
}

func TestWhatFitsIsLookedUpWhereItIsAsked(t *testing.T) {
	b := newMarketBench(t, nil)
	if out := b.ask(false, "ecs.g7.xlarge"); len(out.Fits) != 0 {
		t.Errorf("nothing was refused, and yet: %+v", out.Fits)
	}
	if out := b.ask(true, "ecs.g7.xlarge"); len(out.Fits) != 3 {
		t.Errorf("after a refusal: %+v", out.Fits)
	}
}

func TestWhereElseATypeIsInStock(t *testing.T) {
	b := newMarketBench(t, func(w *cloudtest.World) {
		for _, z := range []string{"zone-a", "zone-b"} {
			w.Stock[cloudtest.Offer{Zone: z, InstanceType: "ecs.g7.xlarge"}] = 0
		}
		w.Stock[cloudtest.Offer{Zone: "zone-c", InstanceType: "ecs.g7.xlarge"}] = 5
		w.VSwitches = append(w.VSwitches, cloud.VSwitch{ID: "vsw-0-full", Zone: "zone-c"}, cloud.VSwitch{ID: "vsw-z", Zone: "zone-c", FreeAddresses: 9})
	})
	out := b.ask(true, "ecs.g7.xlarge")
	var other []string
	for _, f := range out.Fits {
		if f.VSwitch != "" {
			other = append(other, f.Zone+"/"+f.VSwitch)
		}
	}
	if len(other) != 1 || other[0] != "zone-c/vsw-c" {
		t.Errorf("what would help: %v of %+v", other, out.Fits)
	}
}

func TestAnotherImageThatStartsTheType(t *testing.T) {
	b := newMarketBench(t, func(w *cloudtest.World) {
		w.Images = append(w.Images, cloud.Image{ID: "image-2", Architecture: "x86_64"}, cloud.Image{ID: "image-arm", Architecture: "arm64"})
	})
	if out := b.ask(false, "ecs.g8y.xlarge"); len(out.Misfits) != 1 || out.Misfits[0].OtherImage != "image-arm" {
		t.Errorf("%+v", out.Misfits)
	}
	if out := newMarketBench(t, nil).ask(false, "ecs.g8y.xlarge"); len(out.Misfits) != 1 || out.Misfits[0].OtherImage != "" {
		t.Errorf("where none starts it: %+v", out.Misfits)
	}
}
