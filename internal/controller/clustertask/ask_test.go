package clustertask_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/clustertask"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// balances makes the pool one that keeps its zones even.
func balances(b *bench) {
	p := b.pool()
	p.Spec.ScalingPolicy.Type = api.PolicyDistributionBalancing
	b.ok(b.Update(b.Context(), p))
}

// runs opens an activity of the pool's group.
func (b *bench) runs(name string, done bool) {
	b.Helper()
	a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: name}}
	a.Spec.Group, a.Spec.GroupUID, a.Spec.Pool, a.Spec.Number, a.Spec.Cause = "web", "group-uid", "web", 7, "scale out from 3 to 5"
	b.ok(b.Create(b.Context(), a))
	start := metav1.NewTime(b.clock.T)
	a.Status.Done, a.Status.StartTime = done, &start
	b.ok(b.Status().Update(b.Context(), a))
}

func TestRebalanceAsksOnceAndFollowsTheGroup(t *testing.T) {
	b := newBench(t)
	balances(b)
	b.runs("web-a7", true)
	b.asks("even", api.TaskRebalance, nil)
	b.looks("even", 3)
	if got := b.pool().Annotations[api.AnnotationRebalanceCount]; got != "1" {
		t.Fatalf("asked for %q", got)
	}
	b.group(func(g *api.ScalingGroup) {
		g.Status.Imbalance, g.Status.Why = 4, &api.Why{Sentence: "the rebalance goes on when every machine has joined"}
	})
	b.looks("even", 1)
	b.says(b.state("even", api.TaskRunning).Status.Progress, "zones differ by 4", "when every machine has joined")
	b.group(func(g *api.ScalingGroup) { g.Status.RebalancedCount, g.Status.Why = 1, nil })
	b.looks("even", 2)
	b.state("even", api.TaskSuccess)
}

// A rebalance beside an open activity, or beside another rebalance, is refused:
// it says which runs and since when, and nothing is half done.
func TestRebalanceIsRefusedBesideWhatRuns(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(*bench)
		says   []string
	}{
		"an open activity": {func(b *bench) { b.runs("web-a7", false) }, []string{"web-a7", "scale out from 3 to 5", "since 2026-03-01 09:00:00 UTC", "Nothing was changed", "when it has ended"}},
		"another rebalance": {func(b *bench) {
			b.asks("first", api.TaskRebalance, nil)
			b.looks("first", 3)
			b.state("first", api.TaskRunning)
		}, []string{"task first", "since 2026-03-01 09:00:00 UTC"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			balances(b)
			tc.before(b)
			asked := b.pool().Annotations[api.AnnotationRebalanceCount]
			b.asks("even", api.TaskRebalance, nil)
			b.looks("even", 3)
			task := b.state("even", api.TaskFailed)
			if task.Status.Error.Code != string(fault.ScalingActivityInProgress) || len(task.Status.Causes) != 1 || b.pool().Annotations[api.AnnotationRebalanceCount] != asked {
				t.Fatalf("%+v %+v", task.Status.Error, task.Status.Causes)
			}
			b.says(task.Status.Error.Message, tc.says...)
			b.says(task.Status.Causes[0].Solution, "ask again", "running: ")
		})
	}
}

func TestRebalanceNeedsABalancingPool(t *testing.T) {
	b := newBench(t)
	b.asks("even", api.TaskRebalance, nil)
	b.looks("even", 3)
	b.says(b.state("even", api.TaskFailed).Status.Error.Message, "DistributionBalancing")
}

func TestThawAsksOnceAndWaitsForTheGroup(t *testing.T) {
	b := newBench(t)
	b.asks("thaw", api.TaskThaw, nil)
	b.looks("thaw", 4)
	if got := b.pool().Annotations[api.AnnotationThawCount]; got != "1" {
		t.Fatalf("asked for %q", got)
	}
	b.state("thaw", api.TaskRunning)
	b.group(func(g *api.ScalingGroup) { g.Status.ThawedCount = 1 })
	b.looks("thaw", 1)
	b.state("thaw", api.TaskSuccess)
}

func TestAskThatIsCanceledOrNeverHonoured(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(*bench)
		want api.TaskState
		says string
	}{
		"canceled before": {func(b *bench) { b.cancel("thaw") }, api.TaskCanceled, "before anything"},
		"canceled after":  {func(b *bench) { b.looks("thaw", 2); b.cancel("thaw") }, api.TaskCanceled, "goes on"},
		"never honoured": {func(b *bench) {
			b.looks("thaw", 2)
			b.group(func(g *api.ScalingGroup) { g.Status.Why = &api.Why{Code: "Account.Arrearage", Sentence: "in arrears"} })
			b.clock.Pass(2 * time.Hour)
		}, api.TaskFailed, "in arrears"},
		"deleted": {func(b *bench) {
			p := b.pool()
			p.Finalizers = []string{api.Finalizer}
			b.ok(b.Update(b.Context(), p))
			b.ok(b.Delete(b.Context(), p))
		}, api.TaskCanceled, "being deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.asks("thaw", api.TaskThaw, nil)
			tc.do(b)
			b.looks("thaw", 3)
			b.says(b.state("thaw", tc.want).Status.Error.Message, tc.says)
		})
	}
}

func (b *bench) cancel(name string) {
	b.Helper()
	k := b.task(name)
	k.Spec.Cancel = true
	b.ok(b.Update(b.Context(), k))
}

func prepaid(i *api.Instance) { i.Status.ChargeType = api.ChargeSubscription }

// grants does what controller/instance makes of the wishes of one instance.
func (b *bench) grants(id string, r api.WishResult) {
	b.Helper()
	i := b.instance(id)
	i.Status.Wishes = []api.WishResult{r}
	b.ok(b.Status().Update(b.Context(), i))
}

func convert(ids ...string) func(*api.ClusterTaskSpec) {
	return func(s *api.ClusterTaskSpec) { s.Instances, s.ConvertTo = ids, api.ChargePayAsYouGo }
}

func TestConvertWishesOnceAndTellsEachResult(t *testing.T) {
	b := newBench(t)
	b.has("i-granted", prepaid)
	b.has("i-refused", prepaid)
	b.has("i-again", prepaid)
	b.has("i-payg", func(i *api.Instance) { i.Status.ChargeType = api.ChargePayAsYouGo })
	b.has("i-out", func(i *api.Instance) { prepaid(i); i.Status.LifecycleState = api.InstanceRemoved })
	b.asks("convert", api.TaskConvert, convert("i-granted", "i-refused", "i-again", "i-payg", "i-out", "i-none"))
	b.looks("convert", 3)
	task := b.state("convert", api.TaskRunning)
	for _, id := range []string{"i-granted", "i-refused", "i-again"} {
		if c := b.instance(id).Spec.Convert; c == nil || c.ID != string(task.UID) || c.To != api.ChargePayAsYouGo || c.PeriodMonths != 0 {
			t.Fatalf("%s wishes %+v", id, c)
		}
	}
	if results(task) != "i-granted=running i-refused=running i-again=running i-payg=success i-out=leftOut i-none=leftOut" {
		t.Fatal(results(task))
	}
	b.grants("i-granted", api.WishResult{Kind: "Convert", ID: string(task.UID), Done: true})
	b.grants("i-refused", api.WishResult{Kind: "Convert", ID: string(task.UID), Done: true, Code: "ChargeTypeViolation", Message: "not yet"})
	b.grants("i-again", api.WishResult{Kind: "Convert", ID: string(task.UID), Done: true, Code: "ChargeTypeViolation", Message: "not yet"})
	b.looks("convert", 2)
	task = b.state("convert", api.TaskFailed)
	if results(task) != "i-granted=success i-refused=failed i-again=failed i-payg=success i-out=leftOut i-none=leftOut" {
		t.Fatal(results(task))
	}
	if c := task.Status.Causes; len(c) != 1 || c[0].Count != 2 || c[0].Solution == "" || c[0].Instance != "i-refused" || task.Status.Error.Code != "ChargeTypeViolation" {
		t.Fatalf("%+v %+v", c, task.Status.Error)
	}
	b.says(task.Status.Error.Message, "i-refused", "not yet")
	b.says(task.Status.Progress, "2 of 6 done", "2 failed", "2 left out")
}

func TestRenewOnlySubscriptionsAndAfterAnEarlierWish(t *testing.T) {
	b := newBench(t)
	b.has("i-payg", nil)
	b.has("i-sub", func(i *api.Instance) { prepaid(i); i.Spec.Renew = &api.RenewWish{PeriodMonths: 1, ID: "other"} })
	b.asks("renew", api.TaskRenew, func(s *api.ClusterTaskSpec) { s.Instances, s.PeriodMonths = []string{"i-payg", "i-sub"}, 6 })
	b.looks("renew", 3)
	task := b.state("renew", api.TaskRunning)
	if i := b.instance("i-sub"); i.Spec.Renew.ID != "other" || results(task) != "i-payg=leftOut i-sub=waiting" {
		t.Fatalf("%+v %s", i.Spec.Renew, results(task))
	}
	b.grants("i-sub", api.WishResult{Kind: "Renew", ID: "other", Done: true})
	b.looks("renew", 2)
	if r := b.instance("i-sub").Spec.Renew; r.ID != string(task.UID) || r.PeriodMonths != 6 {
		t.Fatalf("%+v", r)
	}
	b.grants("i-sub", api.WishResult{Kind: "Renew", ID: string(task.UID), Done: true})
	b.looks("renew", 2)
	if task = b.state("renew", api.TaskSuccess); results(task) != "i-payg=leftOut i-sub=success" {
		t.Fatal(results(task))
	}
}

// A wish that nobody answers ends with the task's time, and one that another
// task replaced is told.
func TestWishThatIsNotAnswered(t *testing.T) {
	b := newBench(t)
	b.has("i-1", prepaid)
	b.has("i-2", prepaid)
	b.asks("convert", api.TaskConvert, convert("i-1", "i-2"))
	b.looks("convert", 3)
	i := b.instance("i-2")
	i.Spec.Convert.ID = "newer"
	b.ok(b.Update(b.Context(), i))
	b.clock.Pass(2 * time.Hour)
	b.looks("convert", 2)
	task := b.state("convert", api.TaskFailed)
	b.says(task.Status.Instances[0].Message, "not done in time")
	b.says(task.Status.Instances[1].Message, "another task")
}

// A process that is killed before or after any write wishes once.
func TestWishCrashAtEachWrite(t *testing.T) {
	crash := errors.New("the process was killed")
	for _, after := range []bool{false, true} {
		total := 0
		for at := 0; at <= total; at++ { // the first run has no crash and counts
			b := newBench(t)
			b.has("i-1", prepaid)
			b.has("i-2", prepaid)
			b.asks("convert", api.TaskConvert, convert("i-1", "i-2"))
			n, wishes := 0, map[string]int{}
			base, ok := b.r.Client.(client.WithWatch)
			if !ok {
				t.Fatal("no client with a watch")
			}
			hit := func(do func() error) error {
				if n++; n != at {
					return do()
				}
				if after {
					if err := do(); err != nil {
						return err
					}
				}
				return crash
			}
			b.r.Client = interceptor.NewClient(base, interceptor.Funcs{
				Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
					return hit(func() error { wishes[o.GetName()]++; return c.Patch(ctx, o, p, opts...) })
				},
				SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
					return hit(func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
				},
			})
			for range 12 {
				if err := b.try("convert"); err != nil && !errors.Is(err, crash) {
					t.Fatal(err)
				}
				for _, id := range []string{"i-1", "i-2"} {
					if c := b.instance(id).Spec.Convert; c != nil {
						b.grants(id, api.WishResult{Kind: "Convert", ID: c.ID, Done: true})
					}
				}
				b.clock.Pass(2 * time.Second)
			}
			if at == 0 {
				total = n
			}
			if task := b.state("convert", api.TaskSuccess); results(task) != "i-1=success i-2=success" || fmt.Sprint(wishes) != "map[i-1:1 i-2:1]" {
				t.Fatalf("crash at write %d (after: %v): %s, %v", at, after, results(task), wishes)
			}
		}
		if total < 4 {
			t.Fatalf("only %d writes were hit", total)
		}
	}
}

// What the cloud refuses to let in goes back: number and entry.
func TestAttachThatTheActivityLeftOutGivesTheNumberBack(t *testing.T) {
	b := newBench(t)
	b.region.seen["i-new"] = clustertask.Seen{}
	b.asks("attach", api.TaskAttach, of("i-new"))
	b.looks("attach", 4)
	if p := b.pool(); p.Spec.ExpectedNodes != 4 || len(p.Spec.Transfers) != 1 {
		t.Fatalf("%+v", p.Spec)
	}
	a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: "web-a8"}}
	a.Spec.Group, a.Spec.Pool, a.Spec.Number, a.Spec.BringIn = "web", "web", 8, []string{"i-new"}
	b.ok(b.Create(b.Context(), a))
	start := metav1.NewTime(b.clock.T)
	a.Status.StartTime, a.Status.LeftOut = &start, []api.LeftOut{{Instance: "i-new", Reason: "its tags were refused: no (NoPermission)"}}
	b.ok(b.Status().Update(b.Context(), a))
	b.looks("attach", 4)
	task := b.state("attach", api.TaskFailed)
	if p := b.pool(); p.Spec.ExpectedNodes != 3 || len(p.Spec.Transfers) != 0 {
		t.Fatalf("%+v", p.Spec)
	}
	b.says(task.Status.Error.Message, "NoPermission")
}
