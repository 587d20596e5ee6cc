package snapshot

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func aGroup() *v1alpha1.ScalingGroup {
	g := &v1alpha1.ScalingGroup{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "group"}}
	g.Spec.VSwitches, g.Spec.InstanceTypes = []string{"vsw-b", "vsw-a"}, []string{"g7", "c7"}
	g.Spec.HealthCheck = v1alpha1.HealthCheckECS
	for _, v := range []string{"vsw-a", "vsw-b", "vsw-old"} {
		for _, c := range []v1alpha1.ChargeType{v1alpha1.ChargeSpot, v1alpha1.ChargePayAsYouGo} {
			g.Status.ResourcePools = append(g.Status.ResourcePools, v1alpha1.ResourcePoolStatus{VSwitch: v, InstanceType: "g7", ChargeType: c, VCPU: 4, PricePerHour: "0.5"})
		}
	}
	return g
}

// Pools come in the order of the settings, and those that the settings no
// longer name are none.
func TestPoolsFollowTheSettings(t *testing.T) {
	var got []string
	for _, p := range Pools(aGroup()) {
		got = append(got, p.VSwitch+" "+string(p.ChargeType))
	}
	want := []string{"vsw-b Spot", "vsw-b PayAsYouGo", "vsw-a Spot", "vsw-a PayAsYouGo"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnInstanceAsThePlannerSeesIt(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.Instance)
		want   func(*scaling.Instance)
	}{
		"as it was made": {func(*v1alpha1.Instance) {}, func(*scaling.Instance) {}},
		"stopped, with the health check on": {func(i *v1alpha1.Instance) { i.Status.LifecycleState = v1alpha1.InstanceStopped },
			func(w *scaling.Instance) { w.Unhealthy = true }},
		"stopped, a protected subscription": {func(i *v1alpha1.Instance) {
			i.Status.LifecycleState, i.Status.ChargeType, i.Spec.Protected = v1alpha1.InstanceStopped, v1alpha1.ChargeSubscription, true
		}, func(w *scaling.Instance) { w.Kept, w.ChargeType = scaling.KeptSubscription, scaling.Subscription }},
		"spot costs what it costs now": {func(i *v1alpha1.Instance) { i.Spec.Placement.ChargeType = v1alpha1.ChargeSpot },
			func(w *scaling.Instance) { w.ChargeType, w.Price = scaling.Spot, 500_000 }},
		"of an earlier group": {func(i *v1alpha1.Instance) { i.Spec.GroupUID = "earlier" }, func(w *scaling.Instance) { w.Unknown = true }},
		"given up": {func(i *v1alpha1.Instance) { i.Status.FailedTime = &metav1.Time{Time: now} },
			func(w *scaling.Instance) { w.FailedToJoin = true }},
		"held by a hook on its way in, joined": {func(i *v1alpha1.Instance) {
			i.Status.JoinedTime = &metav1.Time{Time: now}
			i.Status.Hooks = []v1alpha1.HookStatus{{Name: "warm", Transition: v1alpha1.WayIn}}
		}, func(*scaling.Instance) {}},
		"joined, and its hook was completed": {func(i *v1alpha1.Instance) {
			i.Status.JoinedTime = &metav1.Time{Time: now}
			i.Status.Hooks = []v1alpha1.HookStatus{{Name: "warm", Transition: v1alpha1.WayIn, Result: v1alpha1.HookContinue}}
		}, func(w *scaling.Instance) { w.Joined = true }},
		"joined, and a hook gave it up": {func(i *v1alpha1.Instance) {
			i.Status.JoinedTime, i.Status.FailedTime, i.Status.Code = &metav1.Time{Time: now}, &metav1.Time{Time: now}, string(fault.HookAbandoned)
			i.Status.Hooks = []v1alpha1.HookStatus{{Name: "warm", Transition: v1alpha1.WayIn, Result: v1alpha1.HookAbandon}}
		}, func(w *scaling.Instance) { w.FailedToJoin, w.Abandoned = true, true }},
		"joined late": {func(i *v1alpha1.Instance) {
			i.Status.FailedTime, i.Status.JoinedTime = &metav1.Time{Time: now}, &metav1.Time{Time: now}
		}, func(w *scaling.Instance) { w.Joined = true }},
		"brought in by hand and protected": {func(i *v1alpha1.Instance) { i.Spec.CreationType, i.Spec.Protected = v1alpha1.CreatedAttached, true },
			func(w *scaling.Instance) { w.Kept, w.Created = scaling.KeptAttached, now.Add(time.Minute) }},
		"protected here and in the cloud": {func(i *v1alpha1.Instance) {
			i.Spec.Protected, i.Spec.Standby, i.Status.ReleaseProtected = true, true, true
		},
			func(w *scaling.Instance) { w.Kept = scaling.KeptReleaseProtected }},
		"of an origin of the next version": {func(i *v1alpha1.Instance) { i.Spec.CreationType = "Imported" },
			func(w *scaling.Instance) { w.Kept, w.Created = scaling.KeptNewer, now.Add(time.Minute) }},
		"brought in by hand": {func(i *v1alpha1.Instance) { i.Spec.CreationType = v1alpha1.CreatedAttached },
			func(w *scaling.Instance) { w.Kept, w.Created = scaling.KeptAttached, now.Add(time.Minute) }},
	} {
		t.Run(name, func(t *testing.T) {
			sent := metav1.NewMicroTime(now)
			a := v1alpha1.ScalingActivity{ObjectMeta: metav1.ObjectMeta{UID: "act"}}
			a.Spec.GroupUID, a.Status.Done = "group", true
			a.Status.Pieces = []v1alpha1.Piece{{Amount: 1, State: v1alpha1.PieceResolved, FirstSendTime: &sent}}
			i := v1alpha1.Instance{ObjectMeta: metav1.ObjectMeta{Name: "i-1", CreationTimestamp: metav1.NewTime(now.Add(time.Minute))}}
			i.Spec = v1alpha1.InstanceSpec{GroupUID: "group", ActivityUID: "act", CreationType: v1alpha1.CreatedByUs,
				Placement: v1alpha1.Placement{VSwitch: "vsw-a", InstanceType: "g7", ChargeType: v1alpha1.ChargePayAsYouGo, PricePerHour: "1.25"}}
			c.change(&i)
			want := scaling.Instance{Name: "i-1", VSwitch: "vsw-a", InstanceType: "g7", ChargeType: scaling.PayAsYouGo, Price: 1_250_000, VCPU: 4, Created: now}
			c.want(&want)
			s := Of(aGroup(), []v1alpha1.ScalingActivity{a}, []v1alpha1.Instance{i}, now, wait.Defaults())
			if diff := cmp.Diff([]scaling.Instance{want}, s.Instances); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a lost answer may have made counts where it was asked for, less what is
// recorded; an earlier group's does not.
func TestUncertainByZone(t *testing.T) {
	a := v1alpha1.ScalingActivity{ObjectMeta: metav1.ObjectMeta{UID: "act"}}
	a.Spec = v1alpha1.ScalingActivitySpec{GroupUID: "group", Candidates: []v1alpha1.Candidate{{Zone: "zone-a"}, {Zone: "zone-b"}}}
	a.Status.Done = true
	a.Status.Pieces = []v1alpha1.Piece{{Amount: 3, State: v1alpha1.PieceUncertain, Candidate: 1}, {Amount: 9, State: v1alpha1.PieceResolved}}
	old := *a.DeepCopy()
	old.UID, old.Spec.GroupUID, old.Status.Done = "old", "earlier", false
	i := v1alpha1.Instance{Spec: v1alpha1.InstanceSpec{GroupUID: "group", ActivityUID: "act", Piece: 0}}
	s := Of(aGroup(), []v1alpha1.ScalingActivity{a, old}, []v1alpha1.Instance{i}, now, wait.Defaults())
	if s.Uncertain != 2 || s.UncertainByZone["zone-b"] != 2 || s.Busy {
		t.Errorf("%d uncertain, %v, busy %v", s.Uncertain, s.UncertainByZone, s.Busy)
	}
}

// A memory of machines speaks of the whole group.
func TestRefusalsOfMachinesSpeakOfAll(t *testing.T) {
	at := metav1.NewTime(now)
	got := Refusals([]v1alpha1.Refusal{{Code: string(fault.FailedJoinCluster), Scope: "group", FirstTime: at, LastTime: at, UntilTime: at, Count: 3, Burnt: "1.5", SettingsGeneration: 7}})
	want := []scaling.Refusal{{Code: fault.FailedJoinCluster, All: true, First: now, Last: now, Until: now, Count: 3, Burnt: 1_500_000, Generation: 7}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
