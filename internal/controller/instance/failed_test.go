package instance_test

import (
	"context"
	"strings"
	"testing"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/instancerecord"
	"github.com/poolkeeper/poolkeeper/internal/view/snapshot"
)

// late has one machine that runs and has not joined, past the time when its
// console is first read.
func (b *bench) late(id, console string) *api.Instance {
	b.ok(b.kube.Create(b.Context(), recorded(id)))
	b.cloud.Add(tagged(id, cloud.Running))
	b.settle(2)
	b.cloud.WriteConsole(id, console)
	for range 4 {
		b.ok(b.sweep(time.Minute))
	}
	return b.instance(id)
}

// Whatever step a join fails at is named, with exit code and what the machine
// says, and its secrets are not.
func TestTheStepThatFailedIsNamed(t *testing.T) {
	for _, step := range bootstrap.Steps() {
		t.Run(string(step), func(t *testing.T) {
			b := newBench(t)
			i := b.late("i-1", "[    0.1] Linux version\n"+
				"<13>Mar  1 09:00:01 cloud-init: poolkeeper step=network outcome=ok exit=0 duration=12ms instance=i-1\n"+
				"<13>Mar  1 09:00:02 cloud-init: poolkeeper step="+string(step)+" outcome=failed exit=42 duration=7ms it broke, password=hunter2value\n")
			s := i.Status
			if s.NodeState != api.NodeFailed || s.Code != string(fault.FailedJoinCluster) || s.Step != string(step) {
				t.Fatalf("state %s, code %s, step %s", s.NodeState, s.Code, s.Step)
			}
			if want := "stopped at step " + step.Words() + ", exit code 42: it broke"; !strings.HasPrefix(s.Message, want) {
				t.Errorf("message is %q, want %q", s.Message, want)
			}
			if !strings.Contains(s.Log, "step="+string(step)+" outcome=failed") || strings.Contains(s.Log+s.Message+s.Summary, "hunter2value") {
				t.Errorf("log is %q", s.Log)
			}
		})
	}
}

// A reset of MIG partitions that does not end in time is told from one that the
// machine itself says failed: only the first may yet end.
func TestAResetThatDoesNotEndIsMarked(t *testing.T) {
	const (
		reset   = "<13>Mar  1 09:00:02 cloud-init: poolkeeper step=mig-reset outcome="
		waiting = reset + "waiting resetting MIG partitions, at most 2400 s\n"
	)
	for name, c := range map[string]struct {
		console string
		want    bool
		message string
	}{
		"it is under way at the deadline":      {waiting, true, "stopped at step MIG reset: it did not end within the join deadline"},
		"the machine no longer waits for it":   {waiting + reset + "failed exit=124 duration=7ms x\n", true, "stopped at step MIG reset, exit code 124: x"},
		"the machine could not reset it":       {reset + "failed exit=5 duration=7ms x\n", false, "stopped at step MIG reset, exit code 5: x"},
		"it ended, and a later step goes on":   {waiting + reset + "ok exit=0 duration=7ms partitions reset\n", false, "the join deadline passed"},
		"the machine says nothing of its join": {"[    0.1] Linux version\n", false, "the join deadline passed"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			i := b.late("i-1", c.console)
			for n := 0; n < 30 && i.Status.FailedTime == nil; n++ {
				b.ok(b.sweep(time.Minute))
				i = b.instance("i-1")
			}
			s := i.Status
			if s.FailedTime == nil || s.Code != string(fault.FailedJoinCluster) || s.Resetting != c.want || s.Message != c.message {
				t.Errorf("failed %v, code %s, resetting %v, message %q", s.FailedTime, s.Code, s.Resetting, s.Message)
			}
		})
	}
}

// A machine that never ran is told so, with what the cloud says of it.
func TestOneThatNeverRanIsNamed(t *testing.T) {
	b := newBench(t)
	b.ok(b.kube.Create(b.Context(), recorded("i-1")))
	b.cloud.Add(tagged("i-1", cloud.Stopped))
	for range 12 {
		b.ok(b.sweep(time.Minute))
	}
	s := b.instance("i-1").Status
	if s.Code != string(fault.StartInstanceFailed) || s.Message != "i-1 never ran: the cloud shows it Stopped" || s.Summary != s.Message {
		t.Fatalf("status: %+v", s)
	}
}

// A pass that a call holds up for minutes finds a record that was made meanwhile:
// it is as young as it is, and not taken for gone where no list shows it yet.
func TestARecordIsNoOlderThanThePassThatWasHeldUp(t *testing.T) {
	b := newBench(t)
	b.ok(b.sweep(time.Minute))
	held := false
	b.r.Allowed = func(context.Context, string) error {
		if held {
			return nil
		}
		held = true
		for range 10 {
			b.now = b.now.Add(time.Minute)
			b.ok(b.sweeper.Sweep(b.Context()))
		}
		b.ok(b.kube.Create(b.Context(), recorded("i-1")))
		return nil
	}
	b.r.TouchAll("web")
	_, err := b.pass()
	b.ok(err)
	b.settle(3)
	if i := b.instance("i-1"); !held || i == nil || i.Status.FailedTime != nil {
		t.Fatalf("a record of 18 seconds is given up: %+v", i)
	}
}

// A machine that was taken for gone, and is shown running after all, failed to
// join: it is replaced like any other that did.
func TestOneThatRunsAfterItWasGivenUpFailedToJoin(t *testing.T) {
	b := newBench(t)
	b.ok(b.kube.Create(b.Context(), recorded("i-1")))
	for range 6 {
		b.ok(b.sweep(time.Minute))
	}
	if i := b.instance("i-1"); i == nil || !instancerecord.NeverRan(&i.Status) || snapshot.Failed(i) {
		t.Fatalf("while nothing shows it: %+v", i)
	}
	b.cloud.Add(tagged("i-1", cloud.Running))
	b.settle(2)
	if i := b.instance("i-1"); i == nil || instancerecord.NeverRan(&i.Status) || !snapshot.Failed(i) {
		t.Fatalf("when it runs: %+v", i)
	}
}
