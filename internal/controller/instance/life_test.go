package instance_test

import (
	"context"
	"strings"
	"testing"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
)

func TestTheWayUpTakesTwoWrites(t *testing.T) {
	b := newBench(t)
	for _, id := range ids(100) {
		b.ok(b.kube.Create(context.Background(), recorded(id)))
		b.cloud.Add(tagged(id, cloud.Starting))
	}
	b.calls = nil
	b.settle(2)
	b.want() // nothing to say while they start
	for _, id := range ids(100) {
		b.cloud.Change(id, func(i *cloud.Instance) { i.Status = cloud.Running })
	}
	b.settle(2)
	for _, id := range ids(100) {
		b.ready(id)
	}
	b.settle(3)
	if n := b.requests(); n != 200 || b.count("patch status") != 200 || b.count("cloud ") != 1 {
		t.Fatalf("%d requests, %d calls of the cloud, want 200 and one: %v", n, b.count("cloud "), b.calls[:10])
	}
	s := b.instance("i-0042").Status
	if s.SeenTime == nil || s.RunningTime == nil || s.JoinedTime == nil || s.PrivateIP != "10.0.0.7" || s.CloudStatus != "Running" ||
		s.LifecycleState != api.InstanceInService || s.NodeState != api.NodeReady {
		t.Fatalf("status: %+v", s)
	}
}

func TestOneWriteWhereItIsReadyAtTheFirstLook(t *testing.T) {
	b := newBench(t)
	b.ok(b.kube.Create(context.Background(), recorded("i-1")))
	b.cloud.Add(tagged("i-1", cloud.Running))
	b.ready("i-1")
	b.calls = nil
	b.settle(3)
	b.want("cloud Find", "patch status i-1")
	if s := b.instance("i-1").Status; s.LifecycleState != api.InstanceInService || s.SeenTime == nil {
		t.Fatalf("status: %+v", s)
	}
}

func TestTheWayDownOfAHundred(t *testing.T) {
	b := newBench(t)
	b.has(marked(api.ReleaseMark{Drain: api.DrainBestEffort}), ids(100)...)
	b.settle(5)
	if left := b.machines(); len(left) > 0 || len(b.nodes.Names()) > 0 || b.instance("i-0007") != nil {
		t.Fatalf("left: %v, nodes %v", left, b.nodes.Names())
	}
	// cordon, pods, one status write, delete node, delete record, its finalizer
	if n := b.requests(); n != 600 || b.count("patch status") != 100 {
		t.Errorf("%d requests, want 6 for each of 100", n)
	}
	// a look and a release call before, a look when it is gone; the fake takes
	// any number in one call
	if n := b.count("cloud "); n != 3 {
		t.Errorf("%d calls of the cloud, want 3", n)
	}
}

func TestReleasesWaitAMomentForOthers(t *testing.T) {
	b := newBench(t)
	b.has(marked(api.ReleaseMark{}), "i-1")
	b.ok(b.sweep(time.Second))
	b.want()
	res, err := b.pass()
	b.ok(err)
	if res.RequeueAfter <= 0 || res.RequeueAfter > time.Second {
		t.Fatalf("looks again after %v", res.RequeueAfter)
	}
	b.now = b.now.Add(res.RequeueAfter)
	_, err = b.pass()
	b.ok(err)
	b.want("cloud Find", "patch status i-1", "cloud Release", "node delete i-1")
}

func TestNothingIsWrittenAtRest(t *testing.T) {
	b := newBench(t)
	b.has(nil, ids(50)...)
	for range 50 {
		b.ok(b.sweep(30 * time.Second))
		if res, err := b.pass(); err != nil || res.RequeueAfter != 0 {
			t.Fatalf("looks again after %v: %v", res.RequeueAfter, err)
		}
	}
	b.want()
}

// A spot instance that the cloud gave notice to is said to be taken back, before
// and after it goes.
func TestASpotInstanceThatTheCloudTakesBackIsToldSo(t *testing.T) {
	b := newBench(t)
	b.ok(b.kube.Create(b.Context(), recorded("i-1")))
	one := tagged("i-1", cloud.Running)
	one.ChargeType = cloud.Spot
	b.cloud.Add(one)
	b.settle(3)
	if i := b.instance("i-1"); i.Status.RecallTime != nil {
		t.Fatalf("recalled at once: %+v", i.Status)
	}
	notice := func(locks ...string) {
		b.cloud.Change("i-1", func(i *cloud.Instance) { i.OperationLocks = locks })
		b.settle(2)
	}
	notice("Recycling")
	if i := b.instance("i-1"); i.Status.RecallTime == nil || !strings.Contains(i.Status.Summary, "takes this spot instance back") {
		t.Fatalf("no notice: %+v", i.Status)
	}
	notice()
	if i := b.instance("i-1"); i.Status.RecallTime != nil {
		t.Fatalf("the notice was withdrawn: %+v", i.Status)
	}
	notice("Recycling")
	b.now = b.now.Add(5 * time.Minute) // the notice comes so long before
	b.cloud.Vanish("i-1")
	b.settle(6)
	if b.instance("i-1") != nil || b.told("SpotInterrupted") != 1 {
		t.Errorf("its end was not told")
	}
	if lost := b.r.LostOf("web"); len(lost) != 1 || !strings.Contains(lost[0].Text, "taken back by the cloud") {
		t.Errorf("lost: %+v", lost)
	}
}
