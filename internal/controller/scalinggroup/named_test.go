package scalinggroup_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// byTask marks an instance as an activity does that a task's entry led to.
func (b *bench) byTask(name, task string) {
	b.Helper()
	i := &api.Instance{}
	b.get(name, i)
	i.Spec.HeldBy = task
	i.Spec.Release = &api.ReleaseMark{Activity: "web-a2", Time: metav1.NewMicroTime(b.clock.Now()), Task: task, Drain: api.DrainRequired}
	if err := b.Update(b.Context(), i); err != nil {
		b.Fatal(err)
	}
}

// A task that failed or was canceled takes its entry and its share of the
// number back in one update: the mark is taken off, and nothing is created in
// its place (rule 13).
func TestWhatATaskTookBackIsCalledBack(t *testing.T) {
	b := newBench(t, nil)
	b.up()
	name := b.instances()[0].Name
	b.edit(func(g *api.ScalingGroup) {
		g.Spec.DesiredCapacity = 2
		g.Spec.Transfers = []api.Transfer{{Instance: name, Task: "t1", Direction: api.TransferOut, Release: true, Drain: api.DrainRequired}}
	})
	b.byTask(name, "t1")
	if b.later(2 * time.Second); b.open() != nil {
		t.Fatalf("decides while the task goes on: %+v", b.open().Spec)
	}
	b.edit(func(g *api.ScalingGroup) { g.Spec.DesiredCapacity, g.Spec.Transfers = 3, nil })
	for range 3 {
		b.later(2 * time.Second)
	}
	i := &api.Instance{}
	if b.get(name, i); i.Spec.Release != nil {
		t.Errorf("%s stays marked", name)
	}
	if a := b.open(); a != nil || b.group().Status.Counted != 3 {
		t.Errorf("counted %d, and open is %+v", b.group().Status.Counted, a)
	}
}
