package clustertask_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"context"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// scaled is a bench where the number went from 3 to another, with its task.
func scaled(t *testing.T, to int32) *bench {
	b := newBench(t)
	b.number(to)
	b.passDown()
	b.report(func(c *api.PoolCounts) { c.Instances, c.InService = 3, 3 })
	b.asks("web-abcdef-g2", api.TaskScale, func(s *api.ClusterTaskSpec) {
		s.From, s.To, s.PoolGeneration, s.AskedBy, s.DeadlineSeconds = 3, to, 2, "alice", 3600
	})
	b.looks("web-abcdef-g2", 2)
	return b
}

func stages(t *api.ClusterTask) string {
	var out []string
	for _, s := range t.Status.Stages {
		out = append(out, s.Name+" "+string(s.State))
	}
	return strings.Join(out, ", ")
}

func TestScaleOutSucceedsWhenEveryNodeHasJoined(t *testing.T) {
	b := scaled(t, 8)
	steps := []struct {
		counts           api.PoolCounts
		progress, stages string
	}{
		{api.PoolCounts{Instances: 3, InService: 3}, "0 of 5 created, 0 joined", "Decide success, Create running, Join running"},
		{api.PoolCounts{Instances: 7, InService: 4, Joining: 3}, "4 of 5 created, 1 joined", "Decide success, Create running, Join running"},
		{api.PoolCounts{Instances: 8, InService: 6, Joining: 1, Failed: 1}, "5 of 5 created, 3 joined, 1 failed to join", "Decide success, Create success, Join running"},
	}
	for _, s := range steps {
		b.report(func(c *api.PoolCounts) { *c = s.counts })
		b.looks("web-abcdef-g2", 1)
		task := b.state("web-abcdef-g2", api.TaskRunning)
		if task.Status.Progress != s.progress || stages(task) != s.stages {
			t.Fatalf("progress %q, stages %q", task.Status.Progress, stages(task))
		}
	}
	// One was offline before and is no concern of this task.
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 8, InService: 7, Offline: 1} })
	b.looks("web-abcdef-g2", 1)
	task := b.state("web-abcdef-g2", api.TaskSuccess)
	if task.Status.Counts != (api.TaskCounts{Wanted: 5, Created: 5, Joined: 5}) || stages(task) != "Decide success, Create success, Join success" {
		t.Fatalf("%+v, %s", task.Status.Counts, stages(task))
	}
}

func TestScaleInSucceedsWhenTheLastIsGone(t *testing.T) {
	b := scaled(t, 1)
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 1, InService: 1, Removing: 2} })
	b.looks("web-abcdef-g2", 1)
	if got := b.state("web-abcdef-g2", api.TaskRunning).Status.Progress; got != "0 of 2 released" {
		t.Fatalf("progress: %s", got)
	}
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 1, InService: 1} })
	b.looks("web-abcdef-g2", 1)
	if task := b.state("web-abcdef-g2", api.TaskSuccess); task.Status.Counts.Released != 2 || stages(task) != "Decide success, Remove success" {
		t.Fatalf("%+v, %s", task.Status.Counts, stages(task))
	}
}

// The task ends once pool and group speak of one moment, with what was released
// and the way out of each that stays.
func TestScaleInThatMeetsOnlyKeptOnesEnds(t *testing.T) {
	b := scaled(t, 1)
	b.group(func(g *api.ScalingGroup) {
		g.Status.Counted = 2
		g.Status.Why = &api.Why{Code: "ScaleIn.OnlyKeptInstances", Sentence: "i-1 is a subscription", Solution: "i-1: poolkeeper instance convert i-1 --to PayAsYouGo"}
	})
	b.looks("web-abcdef-g2", 1)
	b.state("web-abcdef-g2", api.TaskRunning) // the pool still says 3
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 2, InService: 2, Removing: 1} })
	b.looks("web-abcdef-g2", 1)
	b.state("web-abcdef-g2", api.TaskRunning)
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 2, InService: 2} })
	b.looks("web-abcdef-g2", 1)
	st := b.state("web-abcdef-g2", api.TaskFailed).Status
	if st.Error.Code != "ScaleIn.OnlyKeptInstances" || len(st.Causes) != 1 || st.Progress != "1 of 2 released" {
		t.Fatalf("%+v", st)
	}
	b.says(st.Causes[0].Solution, "remove chosen nodes by name: i-1: poolkeeper instance convert i-1 --to PayAsYouGo")
}

// A running task says what is tried next; what was tried it tells of once.
func TestATaskTellsWhatWasTriedAndWhatIsNext(t *testing.T) {
	b := scaled(t, 8)
	a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: "web-a1", CreationTimestamp: metav1.NewTime(b.clock.T)}}
	a.Spec = api.ScalingActivitySpec{Group: "web", GroupUID: "group-uid", Pool: "web", Number: 1}
	b.ok(b.Create(b.Context(), a))
	a.Status = api.ScalingActivityStatus{Done: true, Summary: "vsw-a/g7: 2 created, then out of stock; vsw-b/c7: 1 created"}
	b.ok(b.Status().Update(b.Context(), a))
	p := b.pool()
	at := metav1.NewTime(b.clock.T.Add(5 * time.Minute))
	p.Status.Why = &api.Why{Code: "RecommendEmpty.InstanceTypeNoStock", Next: "the resource pools are asked again", NextTime: &at}
	b.ok(b.Status().Update(b.Context(), p))
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 6, InService: 6} })
	b.looks("web-abcdef-g2", 3)
	st := b.state("web-abcdef-g2", api.TaskRunning).Status
	b.says(st.Progress, "3 of 5 created, 3 joined; next: the resource pools are asked again at ")
	if len(st.Events) != 1 || st.Events[0].Message != "web-a1: "+a.Status.Summary {
		t.Errorf("events %+v", st.Events)
	}
	b.clock.Pass(time.Hour)
	b.looks("web-abcdef-g2", 1)
	if st = b.state("web-abcdef-g2", api.TaskFailed).Status; st.Progress != "3 of 5 created, 3 joined" {
		t.Errorf("progress %q", st.Progress)
	}
}

func TestNewerRequestSupersedes(t *testing.T) {
	b := scaled(t, 8)
	b.asks("web-abcdef-g3", api.TaskScale, func(s *api.ClusterTaskSpec) {
		s.From, s.To, s.PoolGeneration, s.AskedBy = 8, 5, 3, "bob"
	})
	b.looks("web-abcdef-g2", 1)
	b.says(b.state("web-abcdef-g2", api.TaskCanceled).Status.Error.Message, "superseded by web-abcdef-g3", "8 -> 5", "bob")
	b.looks("web-abcdef-g3", 2)
	b.state("web-abcdef-g3", api.TaskRunning)
}

func TestLaggingCacheNeverEndsASupersededTaskInSuccess(t *testing.T) {
	b := scaled(t, 8)
	b.number(3)
	b.asks("web-abcdef-g3", api.TaskScale, func(s *api.ClusterTaskSpec) { s.From, s.To, s.PoolGeneration = 8, 3, 3 })
	b.passDown()
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 3, InService: 3} })
	b.r.Client = interceptor.NewClient(b.WithWatch, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			err := c.List(ctx, l, opts...)
			if tasks, ok := l.(*api.ClusterTaskList); ok && err == nil { // the cache has not seen the newer task
				var old []api.ClusterTask
				for _, x := range tasks.Items {
					if x.Name != "web-abcdef-g3" {
						old = append(old, x)
					}
				}
				tasks.Items = old
			}
			return err
		},
	})
	b.looks("web-abcdef-g2", 1)
	b.state("web-abcdef-g2", api.TaskCanceled)
}

func TestTargetMovesWithTransfers(t *testing.T) {
	b := scaled(t, 8)
	b.number(7) // a task took one out: no scale task was made of it
	b.passDown()
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 7, InService: 7} })
	b.looks("web-abcdef-g2", 1)
	if task := b.state("web-abcdef-g2", api.TaskSuccess); task.Status.Target != 7 {
		t.Fatalf("target %d", task.Status.Target)
	}
}

func TestDeletedPoolCancels(t *testing.T) {
	b := scaled(t, 8)
	b.group(func(g *api.ScalingGroup) { g.Spec.Emptying = true })
	b.looks("web-abcdef-g2", 1)
	b.says(b.state("web-abcdef-g2", api.TaskCanceled).Status.Error.Message, "being deleted")
}

func TestOutOfTime(t *testing.T) {
	refused := func(b *bench) {
		a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: "web-a1", CreationTimestamp: metav1.NewTime(b.clock.T)}}
		a.Spec.Group, a.Spec.Pool, a.Spec.Number = "web", "web", 1
		b.ok(b.Create(b.Context(), a))
		a.Status.Done = true
		a.Status.Pieces = []api.Piece{
			{Amount: 5, State: api.PieceResolved, Code: "QuotaExceed.ElasticQuota", Message: "quota", RequestID: "R1"},
			{Amount: 5, State: api.PieceResolved, Code: "OperationDenied.NoStock", Message: "no stock", RequestID: "R2"},
			{Amount: 5, State: api.PieceResolved, Code: "OperationDenied.NoStock", Message: "no stock again", RequestID: "R3"},
		}
		b.ok(b.Status().Update(b.Context(), a))
	}
	cases := map[string]struct {
		counts api.PoolCounts
		setup  func(*bench)
		want   string
		says   []string
	}{
		"nothing came":             {api.PoolCounts{Instances: 3, InService: 3}, nil, "NodepoolScaleFailed.WaitForDesiredSizeTimeout", []string{"0 of 5 created", "goes on trying"}},
		"some came, nothing else":  {api.PoolCounts{Instances: 5, InService: 5}, nil, "NodepoolScaleFailed.PartialSuccess", []string{"2 of 5 created"}},
		"some came, some refused":  {api.PoolCounts{Instances: 5, InService: 5}, refused, "NodepoolScaleFailed.PartialSuccess", []string{"2 of 5 created", "stopped by OperationDenied.NoStock, QuotaExceed.ElasticQuota"}},
		"all came, one is joining": {api.PoolCounts{Instances: 8, InService: 7, Joining: 1}, nil, "NodepoolScaleFailed.WaitForDesiredSizeTimeout", []string{"5 of 5 created, 4 joined"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := scaled(t, 8)
			if c.setup != nil {
				c.setup(b)
			}
			b.report(func(p *api.PoolCounts) { *p = c.counts })
			b.looks("web-abcdef-g2", 1)
			b.state("web-abcdef-g2", api.TaskRunning)
			b.clock.Pass(time.Hour)
			b.looks("web-abcdef-g2", 1)
			task := b.state("web-abcdef-g2", api.TaskFailed)
			if task.Status.Error.Code != c.want {
				t.Fatalf("error: %+v", task.Status.Error)
			}
			b.says(task.Status.Error.Message, c.says...)
			last := task.Status.Causes[len(task.Status.Causes)-1]
			if last.Code != c.want || last.Cause == "" || last.Solution == "" {
				t.Fatalf("cause of the end: %+v", last)
			}
			if len(task.Status.Causes) > 1 {
				b.says(last.Solution, "QuotaExceed.ElasticQuota")
			}
			b.report(func(p *api.PoolCounts) { *p = api.PoolCounts{Instances: 8, InService: 8} })
			b.looks("web-abcdef-g2", 2)
			task = b.state("web-abcdef-g2", api.TaskFailed)
			told := task.Status.Events[len(task.Status.Events)-1]
			if told.Code != "ReachedLater" || len(b.events.Events) != 1 {
				t.Fatalf("later success: %+v, %d events", told, len(b.events.Events))
			}
		})
	}
}

func TestCausesNameEachCodeOnceWithItsSolution(t *testing.T) {
	b := scaled(t, 8)
	now := metav1.NewTime(b.clock.T)
	b.has("i-9", func(i *api.Instance) {
		i.Status = api.InstanceStatus{NodeState: api.NodeFailed, FailedTime: &now, Code: "NodepoolScaleFailed.FailedJoinCluster", Step: "reach-apiserver", Message: "connection refused", Log: "cloud-init[7]: 10.0.0.5:6443"}
	})
	before := metav1.NewTime(b.clock.T.Add(-time.Hour))
	b.has("i-0", func(i *api.Instance) {
		i.Status = api.InstanceStatus{NodeState: api.NodeFailed, FailedTime: &before, Code: "Old"}
	})
	for n, done := range map[int]bool{1: true, 2: false} {
		a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web-a%d", n), CreationTimestamp: before}}
		a.Spec.Group, a.Spec.Pool, a.Spec.Number = "web", "web", int64(n)
		b.ok(b.Create(b.Context(), a))
		a.Status.Done, a.Status.Code, a.Status.Message = done, []string{"", "Account.Arrearage", "RecommendEmpty.InstanceTypeNoStock"}[n], "text"
		b.ok(b.Status().Update(b.Context(), a))
	}
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 8, InService: 6, Failed: 2} })
	b.looks("web-abcdef-g2", 1)
	task := b.task("web-abcdef-g2")
	var codes []string
	for _, c := range task.Status.Causes {
		codes = append(codes, c.Code)
		if c.Cause == "" || c.Solution == "" {
			t.Errorf("%s has no cause or solution", c.Code)
		}
	}
	if got := strings.Join(codes, " "); got != "RecommendEmpty.InstanceTypeNoStock NodepoolScaleFailed.FailedJoinCluster" {
		t.Fatalf("causes: %s", got)
	}
	join := task.Status.Causes[1]
	b.says(join.Message, "reach-apiserver", "connection refused")
	if join.Instance != "i-9" || join.Log == "" || join.Count != 1 {
		t.Fatalf("%+v", join)
	}
	// Its machine is replaced; what was told stays told.
	i := b.instance("i-9")
	i.Finalizers = nil
	b.ok(b.Update(t.Context(), i))
	b.ok(b.Delete(t.Context(), i))
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 8, InService: 8} })
	b.looks("web-abcdef-g2", 1)
	if task := b.state("web-abcdef-g2", api.TaskSuccess); len(task.Status.Causes) != 2 {
		t.Fatalf("causes: %+v", task.Status.Causes)
	}
}

// A request without an answer is a cause while it is sent again, with when that
// is, and stays one after its success.
func TestARequestWithoutAnAnswerIsACause(t *testing.T) {
	b := scaled(t, 5)
	first, next := metav1.NewMicroTime(b.clock.T), metav1.NewMicroTime(b.clock.T.Add(8*time.Second))
	a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: "web-a1", CreationTimestamp: metav1.NewTime(b.clock.T)}}
	a.Spec.Group, a.Spec.Pool, a.Spec.Number, a.Spec.Wanted = "web", "web", 1, 5
	a.Spec.Candidates = []api.Candidate{{VSwitch: "vsw-a", InstanceType: "ecs.g7.xlarge"}}
	b.ok(b.Create(b.Context(), a))
	a.Status.Pieces = []api.Piece{{Amount: 2, State: api.PieceAnnounced, FirstSendTime: &first, NextSendTime: &next, Sends: 2, Unanswered: 2, Code: "Cloud.NoAnswer",
		Answers: []api.PieceAnswer{{Send: 1, Code: "Cloud.NoAnswer"}, {Send: 2, Code: "Cloud.NoAnswer"}}}}
	b.ok(b.Status().Update(b.Context(), a))
	b.looks("web-abcdef-g2", 1)
	list := b.state("web-abcdef-g2", api.TaskRunning).Status.Causes
	if len(list) != 1 || list[0].Code != "Cloud.NoAnswer" || list[0].Count != 2 || list[0].Solution == "" {
		t.Fatalf("%+v", list)
	}
	b.says(list[0].Message, "does not answer", "web-a1", "2 ecs.g7.xlarge in vsw-a", "2 times", "sent again at")

	p := &a.Status.Pieces[0]
	p.State, p.Code, p.NextSendTime, p.Instances = api.PieceResolved, "", nil, []string{"i-1", "i-2"}
	b.ok(b.Status().Update(b.Context(), a))
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 5, InService: 5} })
	b.looks("web-abcdef-g2", 1)
	if list := b.state("web-abcdef-g2", api.TaskSuccess).Status.Causes; len(list) != 1 || list[0].Code != "Cloud.NoAnswer" {
		t.Fatalf("%+v", list)
	}
}

// A machine that joins late is told with its step and its limit, and then with
// how long it took; one that nobody follows any longer is not left behind.
func TestATaskTellsWhoJoinsLate(t *testing.T) {
	b := scaled(t, 5)
	ran := metav1.NewTime(b.clock.T)
	joining := func(i *api.Instance) {
		i.Spec.JoinDeadlineSeconds = 2400
		i.Status = api.InstanceStatus{NodeState: api.NodeJoining, RunningTime: &ran, Step: "mig-reset"}
	}
	for _, id := range []string{"i-4", "i-5"} {
		b.has(id, joining)
	}
	b.clock.Pass(10 * time.Minute)
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 5, InService: 3, Joining: 2} })
	b.looks("web-abcdef-g2", 1)
	task := b.state("web-abcdef-g2", api.TaskRunning)
	if got, want := task.Status.Instances[0], (api.TaskInstance{Instance: "i-4", State: "running", Message: "joins late: MIG reset, up to 40 min"}); got != want || len(task.Status.Instances) != 2 {
		t.Fatalf("%+v", task.Status.Instances)
	}
	i := b.instance("i-4")
	i.Status.Step = "kubelet"
	b.ok(b.Status().Update(t.Context(), i))
	b.looks("web-abcdef-g2", 1)
	b.says(b.task("web-abcdef-g2").Status.Instances[0].Message, "joins late: MIG reset, up to 40 min; then kubelet, up to 40 min")
	i = b.instance("i-4")
	now := metav1.NewTime(ran.Add(12 * time.Minute))
	i.Status.NodeState, i.Status.JoinedTime, i.Status.Step = api.NodeReady, &now, ""
	b.ok(b.Status().Update(t.Context(), i))
	b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 5, InService: 4, Joining: 1} })
	b.clock.Pass(time.Hour)
	b.looks("web-abcdef-g2", 1)
	task = b.state("web-abcdef-g2", api.TaskFailed)
	if want := "joined late, after 12 min 0 s: MIG reset, up to 40 min"; results(task) != "i-4=success" || task.Status.Instances[0].Message != want {
		t.Fatalf("%+v", task.Status.Instances)
	}
}

func TestStatusOfATaskIsPaced(t *testing.T) {
	b := scaled(t, 8)
	b.looks("web-abcdef-g2", 2)
	b.writes = nil
	for n := range int32(9) {
		b.report(func(c *api.PoolCounts) { *c = api.PoolCounts{Instances: 4 + n/4, InService: 3, Joining: 1 + n/4} })
		b.ok(b.try("web-abcdef-g2"))
		b.clock.Pass(10 * time.Millisecond)
	}
	n := strings.Count(strings.Join(b.writes, "\n"), "status web-abcdef-g2")
	if n != 1 || b.last.RequeueAfter <= 0 || b.last.RequeueAfter > time.Second {
		t.Fatalf("%d writes, the rest after %v", n, b.last.RequeueAfter)
	}
}

func TestHistoryKeepsTheNewest200Or30Days(t *testing.T) {
	b := newBench(t)
	for n := range 203 {
		name := fmt.Sprintf("t-%03d", n)
		b.asks(name, api.TaskScale, nil)
		task := b.task(name)
		end := metav1.NewTime(b.clock.T.Add(time.Duration(n) * time.Minute))
		task.Status.State, task.Status.EndTime = api.TaskSuccess, &end
		b.ok(b.Status().Update(t.Context(), task))
	}
	b.ok(b.try("t-000"))
	if !b.read("t-000", &api.ClusterTask{}) {
		t.Fatal("a young task went")
	}
	b.clock.Pass(31 * 24 * time.Hour)
	for _, name := range []string{"t-000", "t-001", "t-002", "t-003", "t-202"} {
		b.ok(b.try(name))
	}
	var list api.ClusterTaskList
	b.ok(b.List(t.Context(), &list))
	if len(list.Items) != 200 || b.read("t-002", &api.ClusterTask{}) || !b.read("t-003", &api.ClusterTask{}) {
		t.Fatalf("%d are kept", len(list.Items))
	}
}
