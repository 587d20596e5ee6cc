package instance_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller/instance"
)

// activity is one of the group, whose only piece asked for two and has one.
func activity() *api.ScalingActivity {
	a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: "web-a1", UID: sent, Labels: map[string]string{api.LabelGroup: "web"}}}
	a.Spec.Group, a.Spec.JoinDeadlineSeconds = "web", 77
	a.Status.Pieces = []api.Piece{{Amount: 2, State: api.PieceUncertain, Instances: []string{"i-known"}}}
	return a
}

func TestInstancesThatNobodyKnowsAreRecorded(t *testing.T) {
	b := newBench(t, activity())
	b.ok(b.kube.Create(b.Context(), recorded("i-known")))
	add := func(id string, o cloud.Origin) {
		b.cloud.Add(cloud.Instance{ID: id, Status: cloud.Running, Tags: o.Tags()})
	}
	ours := cloud.Origin{ClusterID: clusterID, Pool: "web", GroupUID: groupUID, ActivityUID: sent}
	add("i-known", ours)
	add("i-lost", ours)
	add("i-more", ours)
	other := ours
	other.GroupUID = "an older group"
	add("i-old", other)
	other = ours
	other.ActivityUID = "nobody's"
	add("i-copied", other)
	other = ours
	other.ClusterID = "another"
	add("i-foreign", other)
	b.calls = nil
	adopter := &instance.Adopter{Reconciler: b.r}
	look := func(after time.Duration) time.Duration {
		b.now = b.now.Add(after)
		b.ok(b.sweeper.Sweep(b.Context()))
		res, err := adopter.Reconcile(b.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "region"}})
		b.ok(err)
		return res.RequeueAfter
	}
	if left := look(time.Second); left != time.Minute || len(b.calls) > 0 {
		t.Fatalf("at once: looks again after %v, %v", left, b.calls)
	}
	look(30 * time.Second)
	b.want()
	look(31 * time.Second)
	if b.count("cloud Find") != 1 || b.count("create") != 4 {
		t.Fatalf("after a minute: %v", b.calls)
	}
	for id, want := range map[string]api.CreationType{"i-lost": api.CreatedByUs, "i-more": api.CreatedUnknown, "i-old": api.CreatedUnknown, "i-copied": api.CreatedUnknown} {
		i := b.instance(id)
		if i == nil || i.Spec.CreationType != want || i.Spec.Pool != "web" || len(i.Finalizers) != 1 {
			t.Errorf("%s: %+v, want %s", id, i, want)
		}
	}
	if i := b.instance("i-lost"); i.Spec.Activity != "web-a1" || i.Spec.Piece != 0 || i.Spec.JoinDeadlineSeconds != 77 || i.Labels[api.LabelActivity] != "web-a1" {
		t.Errorf("i-lost: %+v", i)
	}
	b.calls = nil
	look(time.Hour)
	b.want()
}

func TestOneThatWentMeanwhileIsNotRecorded(t *testing.T) {
	b := newBench(t)
	b.cloud.Add(tagged("i-1", cloud.Running))
	adopter := &instance.Adopter{Reconciler: b.r}
	for range 2 {
		b.now = b.now.Add(2 * time.Minute)
		b.ok(b.sweeper.Sweep(b.Context()))
		if b.now.Minute() > 2 {
			b.cloud.Vanish("i-1")
		}
		_, err := adopter.Reconcile(b.Context(), ctrl.Request{})
		b.ok(err)
	}
	b.want("cloud Find")
}

func TestLateMachinesAreReadOldestFirstWithinABudget(t *testing.T) {
	b := newBench(t)
	all := ids(100)
	for n, id := range all {
		running := metav1.NewTime(b.now.Add(-time.Duration(n) * time.Second))
		b.ok(b.kube.Create(b.Context(), recorded(id)))
		i := b.instance(id)
		seen := metav1.NewMicroTime(b.now)
		i.Status = api.InstanceStatus{LifecycleState: api.InstancePending, NodeState: api.NodeJoining, CloudStatus: "Running", ChargeType: api.ChargePayAsYouGo,
			PrivateIP: "10.0.0.7", SeenTime: &seen, RunningTime: &running}
		b.ok(b.kube.Status().Update(b.Context(), i))
		b.cloud.Add(tagged(id, cloud.Running))
		b.cloud.WriteConsole(id, "cloud-init[1]: poolkeeper step=reach-apiserver outcome=waiting\n")
	}
	b.calls = nil
	b.settle(1)
	first := b.count("cloud BootLog") // ten are late by then
	if first == 0 || first > 60 {
		t.Fatalf("%d consoles at once", first)
	}
	for range 10 {
		b.ok(b.sweep(6 * time.Second))
	}
	if n := b.count("cloud BootLog"); n > 120 {
		t.Fatalf("%d consoles within a minute, want at most 60 in each", n)
	}
	if i := b.instance(all[99]); i.Status.Step != "reach-apiserver" {
		t.Fatalf("the oldest was not read: %+v", i.Status)
	}
	// One says itself that it failed: its wait ends.
	b.cloud.WriteConsole(all[99], "cloud-init[1]: poolkeeper step=reach-apiserver outcome=failed exit=7 token=abcdefgh connection refused\n")
	for range 4 {
		b.ok(b.sweep(time.Minute))
	}
	i := b.instance(all[99])
	if i.Status.NodeState != api.NodeFailed || i.Status.FailedTime == nil || i.Status.Code != "NodepoolScaleFailed.FailedJoinCluster" || i.Status.Log == "" {
		t.Fatalf("it failed: %+v", i.Status)
	}
	for range 20 {
		b.ok(b.sweep(time.Minute))
	}
	for _, id := range all {
		if s := b.instance(id).Status; s.NodeState != api.NodeFailed {
			t.Fatalf("%s past its deadline: %+v", id, s)
		}
	}
	if n := b.count("cloud BootLog"); n > 26*60 {
		t.Fatalf("%d consoles in 26 minutes", n)
	}
}
