package clustertask_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/clustertask"
)

func requestFor(name string) ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Name: name}}
}

func of(ids ...string) func(*api.ClusterTaskSpec) {
	return func(s *api.ClusterTaskSpec) { s.Instances = ids }
}

func TestRejoinTakesTheKeyOnceAndWaitsForTheNode(t *testing.T) {
	b := newBench(t)
	b.has("i-1", func(i *api.Instance) { i.Spec.JoinKey = "old" })
	b.has("i-out", func(i *api.Instance) { i.Status.LifecycleState = api.InstanceRemoved })
	b.asks("rejoin", api.TaskRejoin, of("i-1", "i-out"))
	b.looks("rejoin", 2)
	i := b.instance("i-1")
	if i.Spec.JoinKey != "" || i.Spec.RejoinTime == nil {
		t.Fatalf("%+v", i.Spec)
	}
	first := i.Spec.RejoinTime.Time
	b.looks("rejoin", 2)
	b.state("rejoin", api.TaskRunning)
	i = b.instance("i-1")
	i.Spec.JoinKey = "new"
	b.ok(b.Update(t.Context(), i))
	b.looks("rejoin", 2)
	task := b.state("rejoin", api.TaskSuccess)
	if i = b.instance("i-1"); i.Spec.JoinKey != "new" || !i.Spec.RejoinTime.Time.Equal(first) {
		t.Fatal("the new key was taken off again")
	}
	if results(task) != "i-1=success i-out=leftOut" {
		t.Fatal(results(task))
	}
}

// The task was begun, and the instance joined and was given up, by a clock ahead
// of ours: it may join again all the same, with one key.
func TestRejoinOverrulesWhatAFasterClockWrote(t *testing.T) {
	b := newBench(t)
	b.has("i-1", func(i *api.Instance) {
		i.Spec.JoinKey = "old"
		soon := metav1.NewTime(b.clock.Now().Add(40 * time.Second))
		i.Status.JoinedTime, i.Status.FailedTime = &soon, &soon
	})
	b.asks("rejoin", api.TaskRejoin, of("i-1"))
	b.looks("rejoin", 1)
	b.clock.Pass(-100 * time.Second)
	b.looks("rejoin", 2)
	i := b.instance("i-1")
	if at := i.Spec.RejoinTime; at == nil || !at.After(i.Status.JoinedTime.Time) || !at.After(i.Status.FailedTime.Time) {
		t.Fatalf("lets it join again at %v, which joined at %v", at, i.Status.JoinedTime)
	}
	i.Spec.JoinKey = "new"
	b.ok(b.Update(t.Context(), i))
	b.looks("rejoin", 2)
	if b.instance("i-1").Spec.JoinKey != "new" {
		t.Fatal("the new key was taken off again")
	}
}

func TestRejoinThatNeverComesFails(t *testing.T) {
	b := newBench(t)
	b.has("i-1", nil)
	b.asks("rejoin", api.TaskRejoin, of("i-1"))
	b.looks("rejoin", 2)
	b.clock.Pass(time.Hour)
	b.looks("rejoin", 1)
	b.state("rejoin", api.TaskFailed)
}

func TestForgetEndsRecordsOfWhatWasTakenOut(t *testing.T) {
	b := newBench(t)
	b.has("i-in", nil)
	b.has("i-out", func(i *api.Instance) { i.Status.LifecycleState = api.InstanceRemoved })
	b.asks("forget", api.TaskForget, of("i-out", "i-in", "i-none"))
	b.looks("forget", 3)
	if b.instance("i-out") == nil {
		t.Fatal("forgotten before its tags are off")
	}
	b.region.seen["i-out"] = clustertask.Seen{}
	b.looks("forget", 2)
	if task := b.state("forget", api.TaskSuccess); b.instance("i-out") != nil || b.instance("i-in") == nil || results(task) != "i-out=success i-in=leftOut i-none=leftOut" {
		t.Fatalf("%s", results(task))
	}
}

func unknown(i *api.Instance) { i.Spec.CreationType, i.Spec.GroupUID = api.CreatedUnknown, "old-group" }

func TestAdoptCountsUnknownOnesAsOurs(t *testing.T) {
	b := newBench(t)
	b.has("i-1", unknown)
	b.has("i-2", unknown)
	b.has("i-3", nil)
	b.has("i-4", func(i *api.Instance) { unknown(i); i.Spec.Pool = "db" })
	b.asks("adopt", api.TaskAdopt, func(s *api.ClusterTaskSpec) { s.All = true })
	b.looks("adopt", 3)
	task := b.state("adopt", api.TaskSuccess)
	for _, id := range []string{"i-1", "i-2"} {
		if i := b.instance(id); i.Spec.CreationType != api.CreatedByUs || i.Spec.GroupUID != "group-uid" {
			t.Errorf("%s: %+v", id, i.Spec)
		}
	}
	if b.instance("i-4").Spec.CreationType != api.CreatedUnknown || results(task) != "i-1=success i-2=success" || b.pool().Spec.ExpectedNodes != 3 {
		t.Fatal(results(task))
	}
}

func TestDisownWaitsUntilTheTagsAreOff(t *testing.T) {
	b := newBench(t)
	b.has("i-1", unknown)
	b.has("i-2", nil)
	b.asks("disown", api.TaskDisown, of("i-1", "i-2"))
	b.looks("disown", 3)
	i := b.instance("i-1")
	if !i.Spec.Disown || b.instance("i-2").Spec.Disown {
		t.Fatalf("%+v", i.Spec)
	}
	i.Status.LifecycleState = api.InstanceRemoved
	b.ok(b.Status().Update(t.Context(), i))
	b.looks("disown", 1)
	b.state("disown", api.TaskRunning)
	b.region.seen["i-1"] = clustertask.Seen{}
	b.looks("disown", 2)
	if task := b.state("disown", api.TaskSuccess); results(task) != "i-1=success i-2=leftOut" {
		t.Fatal(results(task))
	}
}

func TestResumeAsksOnceAndWaitsForTheGroup(t *testing.T) {
	b := newBench(t)
	b.group(func(g *api.ScalingGroup) { g.Spec.ResumeCount, g.Status.ResumedCount = 4, 3 })
	b.asks("resume", api.TaskResume, nil)
	b.looks("resume", 4)
	if got := b.pool().Annotations[api.AnnotationResumeCount]; got != "" {
		t.Fatalf("asked for %q beside another request", got)
	}
	b.group(func(g *api.ScalingGroup) { g.Status.ResumedCount = 4 })
	b.looks("resume", 4)
	if got := b.pool().Annotations[api.AnnotationResumeCount]; got != "5" {
		t.Fatalf("asked for %q", got)
	}
	b.state("resume", api.TaskRunning)
	b.group(func(g *api.ScalingGroup) { g.Status.ResumedCount = 5 })
	b.looks("resume", 2)
	b.state("resume", api.TaskSuccess)
}

// A candidate goes down with the count; one that is not held changes nothing.
func TestResumeOfOneCandidate(t *testing.T) {
	b := newBench(t)
	until := metav1.NewTime(b.clock.T.Add(time.Hour))
	b.group(func(g *api.ScalingGroup) {
		for _, zone := range []string{"zone-a", "zone-b"} {
			g.Status.ResourcePools = append(g.Status.ResourcePools, api.ResourcePoolStatus{VSwitch: "vsw-" + zone, Zone: zone, InstanceType: "ecs.g7"})
		}
		g.Status.Refusals = []api.Refusal{{Code: "OperationDenied.NoStock", Scope: "pool", Zone: "zone-a", InstanceType: "ecs.g7", UntilTime: until, Count: 3}}
	})
	for name, candidate := range map[string]string{"other": "zone-b/ecs.g7", "none": "zone-c/ecs.g7"} {
		b.asks(name, api.TaskResume, func(s *api.ClusterTaskSpec) { s.Candidate = candidate })
		b.looks(name, 3)
		b.says(b.state(name, api.TaskFailed).Status.Error.Message, candidate, "held: zone-a/ecs.g7", "Nothing was changed")
	}
	if got := b.pool().Annotations[api.AnnotationResumeCount]; got != "" {
		t.Fatalf("asked for %q", got)
	}
	b.asks("one", api.TaskResume, func(s *api.ClusterTaskSpec) { s.Candidate = "zone-a/ecs.g7" })
	b.looks("one", 3)
	if got := b.pool().Annotations[api.AnnotationResumeCount]; got != "1 zone-a/ecs.g7" {
		t.Fatalf("asked for %q", got)
	}
	a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: "web-a1", Labels: map[string]string{api.LabelGroup: "web"}, CreationTimestamp: metav1.NewTime(b.clock.T)}}
	a.Spec.Group, a.Spec.GroupUID, a.Spec.Pool, a.Spec.Number = "web", "group-uid", "web", 1
	a.Spec.Candidates = []api.Candidate{{Zone: "zone-a", InstanceType: "ecs.g7"}, {Zone: "zone-b", InstanceType: "ecs.g7"}}
	b.ok(b.Create(t.Context(), a))
	b.group(func(g *api.ScalingGroup) { g.Status.ResumedCount = 1 })
	b.looks("one", 2)
	b.says(b.state("one", api.TaskSuccess).Status.Progress, "zone-a/ecs.g7 is no longer held; tried next: activity web-a1 asks zone-a/ecs.g7, then zone-b/ecs.g7")
}

func TestDeleteNamesWhatIsKeptAndSaysUntilWhenItWaits(t *testing.T) {
	b := newBench(t)
	b.has("i-1", nil)
	b.has("i-sub", func(i *api.Instance) {
		i.Status.ChargeType = api.ChargeSubscription
		i.Spec.Release = &api.ReleaseMark{Activity: "a", TakeOut: true}
	})
	b.has("i-what", unknown)
	b.asks("del", api.TaskDelete, nil)
	b.looks("del", 2)
	if b.instance("i-what").Spec.Disown {
		t.Fatal("disowned while the pool is not emptied")
	}
	b.group(func(g *api.ScalingGroup) { g.Spec.Emptying = true })
	b.looks("del", 2)
	task := b.state("del", api.TaskRunning)
	if !b.instance("i-what").Spec.Disown || results(task) != "i-sub=running i-what=running" || task.Status.Progress != "0 of 3 gone" {
		t.Fatalf("%s, %s", results(task), task.Status.Progress)
	}
	b.says(task.Status.Instances[0].Message, "subscription", "costing")
	i := b.instance("i-1")
	i.Finalizers = nil
	b.ok(b.Update(t.Context(), i))
	b.ok(b.Delete(t.Context(), i))
	for _, id := range []string{"i-sub", "i-what"} {
		i := b.instance(id)
		i.Status.LifecycleState = api.InstanceRemoved
		b.ok(b.Status().Update(t.Context(), i))
	}
	a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: "web-a1"}}
	a.Spec.Group, a.Spec.Pool, a.Spec.Number = "web", "web", 1
	b.ok(b.Create(t.Context(), a))
	sent := metav1.NewMicroTime(b.clock.T)
	a.Status.Pieces = []api.Piece{{Amount: 1, State: api.PieceUncertain, FirstSendTime: &sent}}
	b.ok(b.Status().Update(t.Context(), a))
	b.region.seen["i-sub"] = clustertask.Seen{}
	b.looks("del", 2)
	task = b.task("del")
	w := b.r.Waits
	until := sent.Add(w.SendWindow + w.SignatureLife + 2*w.Visibility).UTC().Format("15:04:05")
	b.says(task.Status.Progress, "not before", until)
	if results(task) != "i-sub=success i-what=running" {
		t.Fatal(results(task))
	}
	b.ok(b.Delete(t.Context(), b.pool()))
	b.looks("del", 1)
	b.says(b.state("del", api.TaskSuccess).Status.Progress, "nothing is left", "2 kept instances")
}

func TestDeleteOfThousandsNamesThemAll(t *testing.T) {
	b := newBench(t)
	b.asks("del", api.TaskDelete, nil)
	b.looks("del", 1)
	task := b.task("del")
	for n := range 500 { // named before, and controller/nodepool has ended their records
		task.Status.Instances = append(task.Status.Instances, api.TaskInstance{Instance: fmt.Sprintf("i-%04d", n), State: "success"})
	}
	b.ok(b.Status().Update(t.Context(), task))
	for n := 500; n < 510; n++ {
		id := fmt.Sprintf("i-%04d", n)
		b.has(id, func(i *api.Instance) { i.Status.LifecycleState = api.InstanceRemoved })
		b.region.seen[id] = clustertask.Seen{}
	}
	b.looks("del", 2)
	task = b.task("del")
	named := map[string]bool{}
	for _, i := range task.Status.Instances {
		named[i.Instance] = true
	}
	for n := 500; n < 510; n++ {
		if !named[fmt.Sprintf("i-%04d", n)] {
			t.Fatalf("i-%04d is not named", n)
		}
	}
	if e := task.Status.Events; len(e) != 1 || len(task.Status.Instances) > 500 {
		t.Fatalf("those that made room are told nowhere: %v", e)
	}
	b.says(task.Status.Events[0].Message, "i-0000", "i-0042")
}
