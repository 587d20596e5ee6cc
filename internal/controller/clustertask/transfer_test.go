package clustertask_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/clustertask"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// carryOut does what activity and instance controllers do with the entries of
// the pool: what goes out is marked and then gone or Removed, what comes in is
// recorded.
func (b *bench) carryOut() {
	b.Helper()
	for _, t := range b.pool().Spec.Transfers {
		i := b.instance(t.Instance)
		switch {
		case t.Direction == api.TransferIn && i == nil:
			if _, there := b.region.seen[t.Instance]; there {
				b.has(t.Instance, func(i *api.Instance) { i.Spec.CreationType = api.CreatedAttached })
			}
		case t.Direction == api.TransferIn || i == nil || i.Status.LifecycleState == api.InstanceRemoved:
		case t.Release && i.Status.ChargeType != api.ChargeSubscription:
			delete(b.region.seen, t.Instance)
			i.Finalizers = nil
			b.ok(b.Update(b.Context(), i))
			b.ok(b.Delete(b.Context(), i))
		default:
			i.Status.LifecycleState = api.InstanceRemoved
			b.ok(b.Status().Update(b.Context(), i))
			b.region.seen[t.Instance] = clustertask.Seen{}
		}
	}
}

func three(t *testing.T) *bench {
	b := newBench(t)
	for n := range 3 {
		b.has(fmt.Sprintf("i-%d", n+1), nil)
	}
	return b
}

func entries(p *api.NodePool) string {
	var out []string
	for _, t := range p.Spec.Transfers {
		out = append(out, string(t.Direction)+" "+t.Instance)
	}
	return strings.Join(out, ", ")
}

func TestRemoveGoesInWavesAndLowersTheNumber(t *testing.T) {
	b := three(t)
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) {
		s.Instances, s.Release, s.DrainLimitSeconds = []string{"i-1", "i-2", "i-1"}, true, 60
	})
	b.looks("rm", 2)
	p, i := b.pool(), b.instance("i-1")
	if p.Spec.ExpectedNodes != 2 || entries(p) != "Out i-1" || i.Spec.HeldBy != string(b.task("rm").UID) {
		t.Fatalf("expected %d, entries %s, held by %q", p.Spec.ExpectedNodes, entries(p), i.Spec.HeldBy)
	}
	if e := p.Spec.Transfers[0]; !e.Release || e.Drain != api.DrainRequired || e.DrainLimitSeconds != 60 || e.Task != string(b.task("rm").UID) {
		t.Fatalf("entry: %+v", e)
	}
	b.looks("rm", 3)
	if p := b.pool(); p.Spec.ExpectedNodes != 2 || entries(p) != "Out i-1" {
		t.Fatalf("the next wave began early: %d, %s", p.Spec.ExpectedNodes, entries(p))
	}
	b.carryOut()
	b.writes = nil
	b.looks("rm", 1)
	if task := b.task("rm"); !task.Status.WaveDone || entries(b.pool()) != "Out i-1" {
		t.Fatalf("entries go only after the status says done: %+v, %s", task.Status, entries(b.pool()))
	}
	b.looks("rm", 1)
	if entries(b.pool()) != "" {
		t.Fatal("entries stay")
	}
	b.looks("rm", 2)
	if p := b.pool(); p.Spec.ExpectedNodes != 1 || entries(p) != "Out i-2" {
		t.Fatalf("second wave: %d, %s", p.Spec.ExpectedNodes, entries(p))
	}
	b.carryOut()
	b.looks("rm", 5)
	task := b.state("rm", api.TaskSuccess)
	if p := b.pool(); p.Spec.ExpectedNodes != 1 || len(p.Spec.Transfers) != 0 || results(task) != "i-1=success i-2=success" {
		t.Fatalf("expected %d, %s", p.Spec.ExpectedNodes, results(task))
	}
	if len(task.Finalizers) != 0 {
		t.Fatal("an ended task is held")
	}
}

func TestRemoveTogetherAndKeepTheNumber(t *testing.T) {
	b := three(t)
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) {
		s.Instances, s.Release, s.KeepExpected, s.Concurrency, s.Drain = []string{"i-1", "i-2"}, true, true, 5, api.DrainOff
	})
	b.looks("rm", 2)
	if p := b.pool(); p.Spec.ExpectedNodes != 3 || entries(p) != "Out i-1, Out i-2" || p.Spec.Transfers[0].Drain != api.DrainOff {
		t.Fatalf("expected %d, entries %s", p.Spec.ExpectedNodes, entries(p))
	}
	b.carryOut()
	b.looks("rm", 4)
	b.state("rm", api.TaskSuccess)
}

func TestKeptOnesAreOnlyTakenOutAndNamed(t *testing.T) {
	b := three(t)
	i := b.instance("i-1")
	i.Status.ChargeType = api.ChargeSubscription
	b.ok(b.Status().Update(t.Context(), i))
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) { s.Instances, s.Release = []string{"i-1"}, true })
	b.looks("rm", 2)
	b.carryOut()
	b.region.seen["i-1"] = clustertask.Seen{Ours: true} // the untag call has not landed
	b.looks("rm", 5)
	b.state("rm", api.TaskRunning)
	b.region.seen["i-1"] = clustertask.Seen{}
	b.looks("rm", 4)
	task := b.state("rm", api.TaskSuccess)
	b.says(task.Status.Instances[0].Message, "subscription", "costing", "by hand")
	if b.instance("i-1").Spec.HeldBy != "" {
		t.Fatal("the record is still held")
	}
}

func TestWhatIsLeftOutChangesNoNumber(t *testing.T) {
	b := newBench(t)
	b.has("i-going", func(i *api.Instance) { i.Spec.Release = &api.ReleaseMark{Activity: "a", Reason: "scale in"} })
	b.has("i-held", func(i *api.Instance) { i.Spec.HeldBy = "another-task" })
	b.has("i-other", func(i *api.Instance) { i.Spec.Pool = "db" })
	b.has("i-unknown", func(i *api.Instance) { i.Spec.CreationType = api.CreatedUnknown })
	b.has("i-out", func(i *api.Instance) { i.Status.LifecycleState = api.InstanceRemoved })
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) {
		s.Instances = []string{"i-going", "i-held", "i-other", "i-unknown", "i-out", "i-gone"}
	})
	b.looks("rm", 3)
	task := b.state("rm", api.TaskFailed)
	for _, r := range task.Status.Instances {
		if r.State != "leftOut" || r.Message == "" {
			t.Errorf("%+v", r)
		}
	}
	if p := b.pool(); p.Spec.ExpectedNodes != 3 || p.Generation != 1 {
		t.Fatalf("the pool was changed: %+v", p.Spec)
	}
	if b.instance("i-held").Spec.HeldBy != "another-task" {
		t.Fatal("the hold of another task was taken")
	}
}

func TestRemoveNeverGoesBelowTheMinimum(t *testing.T) {
	b := three(t)
	p := b.pool()
	p.Spec.MinNodes = 2
	b.ok(b.Update(t.Context(), p))
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) {
		s.Instances, s.Release, s.Concurrency = []string{"i-1", "i-2"}, true, 2
	})
	b.looks("rm", 2)
	b.carryOut()
	b.looks("rm", 5)
	task := b.task("rm")
	if p := b.pool(); p.Spec.ExpectedNodes != 2 || results(task) != "i-1=success i-2=leftOut" {
		t.Fatalf("expected %d, %s", p.Spec.ExpectedNodes, results(task))
	}
	b.says(task.Status.Instances[1].Message, "minNodes")
	if i := b.instance("i-2"); i.Spec.HeldBy != "" {
		t.Fatal("what was left out is held")
	}
}

func TestWaitsUntilTheCloudShowsIt(t *testing.T) {
	b := three(t)
	b.region.seen["i-1"] = clustertask.Seen{} // there, without our tags
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) { s.Instances = []string{"i-1"} })
	b.looks("rm", 4)
	if task := b.state("rm", api.TaskRunning); results(task) != "i-1=waiting" || b.instance("i-1").Spec.HeldBy != "" {
		t.Fatalf("%s", results(task))
	}
	b.region.down = true
	b.looks("rm", 2)
	b.region.down = false
	b.region.seen["i-1"] = clustertask.Seen{Ours: true}
	b.looks("rm", 2)
	if entries(b.pool()) != "Out i-1" {
		t.Fatal("not begun")
	}
}

// draining marks an instance as the engine does, with a drain that began.
func (b *bench) draining(id string, blocked string) {
	b.Helper()
	i := b.instance(id)
	i.Spec.Release = &api.ReleaseMark{Activity: "web-a1", Task: "t", Drain: api.DrainRequired, DrainLimitSeconds: 60}
	b.ok(b.Update(b.Context(), i))
	began := metav1.NewTime(b.clock.T)
	i.Status.DrainFor, i.Status.DrainStartTime, i.Status.PodsLeft, i.Status.DrainBlocked = "web-a1", &began, 3, blocked
	b.ok(b.Status().Update(b.Context(), i))
}

// stopped says of an instance that its required drain came to its limit.
func (b *bench) stopped(id string) {
	b.Helper()
	i := b.instance(id)
	meta.SetStatusCondition(&i.Status.Conditions, metav1.Condition{Type: api.ConditionDrainStopped, Status: metav1.ConditionTrue, Reason: api.ReasonDrainLimit})
	b.ok(b.Status().Update(b.Context(), i))
}

// A node whose earlier removal is being taken back is waited for, and what that
// left of its drain is not the new one's.
func TestRemovedAgainWhileTheMarkIsTakenOff(t *testing.T) {
	b := three(t)
	b.draining("i-1", "pod default/db: budget db")
	b.stopped("i-1")
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) { s.Instances, s.Release = []string{"i-1"}, true })
	b.looks("rm", 3)
	if task := b.state("rm", api.TaskRunning); results(task) != "i-1=waiting" || entries(b.pool()) != "" {
		t.Fatalf("marked yet: %s, entries %s", results(task), entries(b.pool()))
	}
	i := b.instance("i-1")
	i.Spec.Release = nil
	b.ok(b.Update(b.Context(), i))
	b.looks("rm", 3)
	i = b.instance("i-1")
	i.Spec.Release = &api.ReleaseMark{Activity: "web-a2", Task: string(b.task("rm").UID), Drain: api.DrainRequired}
	b.ok(b.Update(b.Context(), i))
	b.looks("rm", 2)
	if task := b.state("rm", api.TaskRunning); entries(b.pool()) != "Out i-1" {
		t.Fatalf("the drain before stopped, and this one ends: %s, entries %s", results(task), entries(b.pool()))
	}
}

// With nothing to drain the task says so.
func TestRemoveOfANodeThatIsGoneSaysSo(t *testing.T) {
	b := three(t)
	i := b.instance("i-1")
	i.Status.NodeState = api.NodeUnknown
	b.ok(b.Status().Update(b.Context(), i))
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) { s.Instances, s.Release = []string{"i-1"}, true })
	b.looks("rm", 3)
	said := 0
	for _, e := range b.task("rm").Status.Events {
		if e.Message == "i-1: nothing to drain, its Node object is gone" {
			said++
		}
	}
	if said != 1 {
		t.Fatalf("said %d times: %+v", said, b.task("rm").Status.Events)
	}
}

func TestDrainAtItsLimitGivesNumberAndEntryBack(t *testing.T) {
	b := three(t)
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) {
		s.Instances, s.Release, s.DrainLimitSeconds = []string{"i-1", "i-2"}, true, 60
	})
	b.looks("rm", 2)
	b.draining("i-1", "pod default/db: budget db")
	b.looks("rm", 3)
	b.state("rm", api.TaskRunning)
	b.clock.Pass(time.Minute)
	b.looks("rm", 1)
	b.state("rm", api.TaskRunning) // its controller has not said yet that it stopped
	b.stopped("i-1")
	b.writes = nil
	b.looks("rm", 1)
	if p := b.pool(); p.Spec.ExpectedNodes != 3 || entries(p) != "" {
		t.Fatalf("expected %d, entries %s", p.Spec.ExpectedNodes, entries(p))
	}
	if b.instance("i-1").Spec.HeldBy == "" {
		t.Fatal("the hold went before the entry")
	}
	b.looks("rm", 4)
	task := b.state("rm", api.TaskFailed)
	if results(task) != "i-1=failed i-2=leftOut" || b.instance("i-1").Spec.HeldBy != "" {
		t.Fatalf("%s", results(task))
	}
	b.says(task.Status.Instances[0].Message, "not drained within 1m0s", "pod default/db: budget db", "Nothing was released")
	if e := task.Status.Error; e == nil || e.Code != string(fault.DrainLimit) || len(task.Status.Causes) != 1 {
		t.Fatalf("error %+v, causes %+v", e, task.Status.Causes)
	}
	c := task.Status.Causes[0]
	if c.Instance != "i-1" || c.Count != 1 {
		t.Errorf("cause %+v", c)
	}
	b.says(c.Message, "pod default/db: budget db")
	b.says(c.Solution, "--drain=false", "it waited for pod default/db: budget db")
}

func TestNumberThatSomebodySetAnewStands(t *testing.T) {
	b := three(t)
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) { s.Instances, s.Release = []string{"i-1"}, true })
	b.looks("rm", 2)
	b.number(7)
	b.asks("web-abcdef-g3", api.TaskScale, func(s *api.ClusterTaskSpec) { s.PoolGeneration = b.pool().Generation })
	task := b.task("rm")
	task.Spec.Cancel = true
	b.ok(b.Update(t.Context(), task))
	b.looks("rm", 4)
	if p := b.pool(); p.Spec.ExpectedNodes != 7 || entries(p) != "" {
		t.Fatalf("expected %d, entries %q", p.Spec.ExpectedNodes, entries(p))
	}
	b.state("rm", api.TaskCanceled)
}

func TestCancelTakesBackWhatItStillCan(t *testing.T) {
	b := three(t)
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) {
		s.Instances, s.Release, s.Concurrency = []string{"i-1", "i-2", "i-3"}, true, 2
	})
	b.looks("rm", 2)
	sent := metav1.NewMicroTime(b.clock.T)
	i := b.instance("i-1")
	i.Status.ReleaseSentTime = &sent
	b.ok(b.Status().Update(t.Context(), i))
	task := b.task("rm")
	task.Spec.Cancel = true
	b.ok(b.Update(t.Context(), task))
	b.looks("rm", 2)
	if p := b.pool(); p.Spec.ExpectedNodes != 2 || entries(p) != "Out i-1" {
		t.Fatalf("expected %d, entries %s", p.Spec.ExpectedNodes, entries(p))
	}
	b.carryOut()
	b.looks("rm", 5)
	if task := b.state("rm", api.TaskCanceled); results(task) != "i-1=success i-2=failed i-3=leftOut" || b.pool().Spec.ExpectedNodes != 2 {
		t.Fatalf("%s", results(task))
	}
}

func TestDeletingARunningTaskCancelsIt(t *testing.T) {
	b := three(t)
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) { s.Instances = []string{"i-1"} })
	b.looks("rm", 2)
	b.ok(b.Delete(t.Context(), b.task("rm")))
	b.looks("rm", 6)
	if b.read("rm", &api.ClusterTask{}) || b.pool().Spec.ExpectedNodes != 3 || entries(b.pool()) != "" || b.instance("i-1").Spec.HeldBy != "" {
		t.Fatalf("expected %d, entries %q", b.pool().Spec.ExpectedNodes, entries(b.pool()))
	}
}

func TestAttachRaisesTheNumberOnce(t *testing.T) {
	b := three(t)
	b.region.seen["i-8"], b.region.seen["i-9"] = clustertask.Seen{}, clustertask.Seen{}
	b.region.seen["i-db"] = clustertask.Seen{Ours: true, Pool: "db"}
	b.asks("in", api.TaskAttach, func(s *api.ClusterTaskSpec) { s.Instances = []string{"i-8", "i-9", "i-1", "i-db", "i-none"} })
	b.looks("in", 2)
	if p := b.pool(); p.Spec.ExpectedNodes != 5 || entries(p) != "In i-8, In i-9" {
		t.Fatalf("expected %d, entries %s", p.Spec.ExpectedNodes, entries(p))
	}
	delete(b.region.seen, "i-9") // it goes before it is recorded: a new one takes its place
	b.carryOut()
	b.looks("in", 5)
	task := b.task("in")
	if got := results(task); got != "i-8=success i-9=success i-1=leftOut i-db=leftOut i-none=failed" || b.pool().Spec.ExpectedNodes != 5 {
		t.Fatalf("%s, expected %d", got, b.pool().Spec.ExpectedNodes)
	}
	b.says(task.Status.Instances[0].Message, "its Node is in the cluster already")
	b.says(task.Status.Instances[1].Message, "gone", "a new one")
	if len(b.offered) != 1 || b.offered[0] != "web in" {
		t.Fatalf("join commands: %q", b.offered)
	}
	b.state("in", api.TaskFailed)
}

func TestAttachWaitsForAnEntryThatIsStillListed(t *testing.T) {
	b := three(t)
	b.region.seen["i-8"] = clustertask.Seen{}
	p := b.pool()
	p.Spec.Transfers = []api.Transfer{{Instance: "i-8", Task: "other", Direction: api.TransferOut}}
	b.ok(b.Update(t.Context(), p))
	b.asks("in", api.TaskAttach, func(s *api.ClusterTaskSpec) { s.Instances = []string{"i-8"} })
	b.looks("in", 3)
	if b.pool().Spec.ExpectedNodes != 3 {
		t.Fatal("it did not wait")
	}
	p = b.pool()
	p.Spec.Transfers = nil
	b.ok(b.Update(t.Context(), p))
	b.looks("in", 1)
	if entries(b.pool()) != "In i-8" {
		t.Fatal("not begun")
	}
}

// TestCrashAtEachWrite ends a removal right before, and right after, each of
// its writes, with another process going on: the number falls exactly once per
// instance, nothing else is touched, and nothing stays held.
func TestCrashAtEachWrite(t *testing.T) {
	crash := errors.New("the process was killed")
	for _, after := range []bool{false, true} {
		total := 0
		for at := 0; at <= total; at++ { // the first run has no crash and counts
			b := three(t)
			b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) { s.Instances, s.Release = []string{"i-1", "i-2"}, true })
			n, inside := 0, false
			base := b.r.Client
			hit := func(do func() error) error {
				n++
				if n != at {
					return do()
				}
				inside = true
				if after {
					if err := do(); err != nil {
						return err
					}
				}
				return crash
			}
			b.r.Client = interceptor.NewClient(base.(client.WithWatch), interceptor.Funcs{
				Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
					return hit(func() error { return c.Patch(ctx, o, p, opts...) })
				},
				SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
					return hit(func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
				},
			})
			for range 40 {
				if err := b.try("rm"); err != nil {
					if !errors.Is(err, crash) {
						t.Fatal(err)
					}
					client := b.r.Client
					b.r = b.reconciler() // another process goes on
					b.r.Client = client
				}
				b.carryOut()
				b.clock.Pass(2 * time.Second)
			}
			if at == 0 {
				total, inside = n, true
			}
			task := b.state("rm", api.TaskSuccess)
			if p := b.pool(); p.Spec.ExpectedNodes != 1 || entries(p) != "" || results(task) != "i-1=success i-2=success" {
				t.Fatalf("crash at write %d (after: %v): expected %d, entries %q, %s", at, after, p.Spec.ExpectedNodes, entries(p), results(task))
			}
			if i := b.instance("i-3"); i == nil || i.Spec.HeldBy != "" || !inside {
				t.Fatalf("crash at write %d: i-3 is %+v, hit %v", at, i, inside)
			}
		}
		if total < 10 {
			t.Fatalf("only %d writes were hit", total)
		}
	}
}

// TestTwoLeaders lets a second process apply a wave between the first one's
// reads of the pool and of the task.
func TestTwoLeaders(t *testing.T) {
	b := three(t)
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) { s.Instances, s.Release = []string{"i-1"}, true })
	b.ok(b.try("rm"))
	other := b.reconciler()
	once := false
	b.r.Live = interceptor.NewClient(b.WithWatch, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, task := o.(*api.ClusterTask); task && !once {
				once = true
				if _, err := other.Reconcile(ctx, requestFor("rm")); err != nil {
					return err
				}
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	b.looks("rm", 1)
	if p := b.pool(); !once || p.Spec.ExpectedNodes != 2 || entries(p) != "Out i-1" || results(b.task("rm")) != "i-1=running" {
		t.Fatalf("expected %d, entries %q, %s", p.Spec.ExpectedNodes, entries(p), results(b.task("rm")))
	}
	b.carryOut()
	b.looks("rm", 5)
	b.state("rm", api.TaskSuccess)
	if b.pool().Spec.ExpectedNodes != 2 {
		t.Fatalf("expected %d", b.pool().Spec.ExpectedNodes)
	}
}
