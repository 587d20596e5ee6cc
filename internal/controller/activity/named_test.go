package activity_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

func releases(names ...string) func(*api.ScalingActivitySpec) {
	return func(s *api.ScalingActivitySpec) {
		for _, n := range names {
			s.Release = append(s.Release, api.Leaving{Instance: n, Reason: "newest", Drain: api.DrainBestEffort, DrainLimitSeconds: 60})
		}
	}
}

// keeping is one instance of each kind that scaling in keeps.
func keeping(b *bench) []string {
	b.has("i-attached", func(i *api.Instance) { i.Spec.CreationType, i.Spec.Protected = api.CreatedAttached, true })
	b.has("i-held", func(i *api.Instance) { i.Spec.HeldBy = "task-9" })
	b.has("i-plain", nil)
	b.has("i-protected", func(i *api.Instance) { i.Spec.Protected = true })
	b.has("i-prepaid", func(i *api.Instance) { i.Status.ChargeType = api.ChargeSubscription })
	b.has("i-locked", func(i *api.Instance) { i.Status.ReleaseProtected = true })
	b.has("i-standby", func(i *api.Instance) { i.Spec.Standby = true })
	b.has("i-unknown", func(i *api.Instance) { i.Spec.CreationType = api.CreatedUnknown })
	return []string{"i-attached", "i-held", "i-locked", "i-plain", "i-prepaid", "i-protected", "i-standby", "i-unknown", "i-none"}
}

func TestKeptOnesAreLeftOut(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*api.ScalingActivitySpec)
		marked string
	}{
		"scaling in":       {func(*api.ScalingActivitySpec) {}, "i-plain"},
		"managed attached": {func(s *api.ScalingActivitySpec) { s.ManageAttached = true }, "i-plain"},
		"emptying":         {func(s *api.ScalingActivitySpec) { s.Emptying = true }, "i-held i-plain i-protected i-standby"},
		"emptying managed": {func(s *api.ScalingActivitySpec) { s.Emptying, s.ManageAttached = true, true }, "i-attached i-held i-plain i-protected i-standby"},
		"named by its holder": {func(s *api.ScalingActivitySpec) {
			for i := range s.Release {
				s.Release[i].Task = "task-9"
			}
		}, "i-held i-plain"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			all := keeping(b)
			b.decide(func(s *api.ScalingActivitySpec) { releases(all...)(s); tc.change(s) })
			a := b.run()
			var marked []string
			for _, n := range sorted(b.records()) {
				m := b.records()[n].Spec.Release
				if m == nil {
					continue
				}
				marked = append(marked, n)
				if m.Emptying != a.Spec.Emptying || m.ManageAttached != a.Spec.ManageAttached || m.Activity != named || m.Reason != "newest" || m.DrainLimitSeconds != 60 || m.Time.IsZero() {
					t.Errorf("%s is marked %+v", n, m)
				}
			}
			if got := strings.Join(marked, " "); got != tc.marked {
				t.Errorf("marked %s", got)
			}
			if want := fmt.Sprintf("%d marked to be released", len(marked)); !strings.HasPrefix(a.Status.Summary, want) {
				t.Errorf("summary %q", a.Status.Summary)
			}
			if len(a.Status.LeftOut)+len(a.Status.Marked) != len(all) || leftOut(a)["i-none"] != "it is gone" || leftOut(a)["i-prepaid"] != "subscription" || a.Status.State != api.ActivityWarning {
				t.Errorf("%+v", a.Status)
			}
		})
	}
}

// What is taken out may be kept: it runs on.
func TestTakingOutMarksKeptOnes(t *testing.T) {
	b := newBench(t)
	keeping(b)
	b.decide(func(s *api.ScalingActivitySpec) {
		s.TakeOut = []api.Leaving{{Instance: "i-prepaid", Task: "task-9"}, {Instance: "i-unknown"}}
	})
	if a := b.run(); a.Status.State != api.ActivitySuccessful || a.Status.Summary != "2 marked to be taken out" || !b.records()["i-prepaid"].Spec.Release.TakeOut || b.records()["i-unknown"].Spec.Release == nil {
		t.Fatalf("%+v", a.Status)
	}
}

// Status writes follow chunks of 500, not instances.
func TestMarkingManyWritesEachOnce(t *testing.T) {
	b := newBench(t)
	var all []string
	for n := range 600 {
		all = append(all, fmt.Sprintf("i-%04d", n))
		b.has(all[n], nil)
	}
	b.decide(releases(all...))
	a := b.run()
	if u, s := b.count("patch"), b.count("status"); u != 600+1 || s != 2 || len(a.Status.Marked) != 600 || a.Status.State != api.ActivitySuccessful {
		t.Fatalf("%d patches (one of the activity), %d status writes, %d marked", u, s, len(a.Status.Marked))
	}
}

// A process that is killed at any call marks each instance once.
func TestMarkingKilledAtEveryCall(t *testing.T) {
	set := func(t *testing.T) *bench {
		b := newBench(t)
		for _, n := range []string{"i-1", "i-2", "i-3"} {
			b.has(n, nil)
		}
		b.fake.Add(cloud.Instance{ID: "i-new", VSwitch: "vsw-b", Zone: "zone-b", InstanceType: "ecs.g7.xlarge", ChargeType: cloud.PayAsYouGo})
		b.decide(func(s *api.ScalingActivitySpec) { releases("i-1", "i-2")(s); s.BringIn = []string{"i-new"} })
		return b
	}
	whole := set(t)
	whole.run()
	for n := range whole.calls {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %d after=%v", whole.calls[n], n, after), func(t *testing.T) {
				b := set(t)
				b.killAt, b.after = n, after
				a := b.run()
				if a.Status.State != api.ActivitySuccessful || len(a.Status.Marked) != 3 || b.records()["i-3"].Spec.Release != nil || b.records()["i-1"].Spec.Release == nil {
					t.Fatalf("%+v", a.Status)
				}
				b.matches()
			})
		}
	}
}

// A record that somebody wrote meanwhile is judged anew.
func TestMarkThatMeetsAConflictIsJudgedAnew(t *testing.T) {
	for name, protect := range map[string]bool{"protected meanwhile": true, "another label": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.has("i-1", nil)
			b.decide(releases("i-1"))
			b.on = func(call string, o client.Object) error {
				if call != "patch" || b.count("patch") > 1 {
					return nil
				}
				i := &api.Instance{}
				b.ok(b.api.Get(b.Context(), client.ObjectKeyFromObject(o), i))
				i.Spec.Protected = protect
				i.Labels["team"] = "a"
				b.ok(b.api.Update(b.Context(), i))
				return nil
			}
			b.step()
			i := b.records()["i-1"]
			if (i.Spec.Release == nil) != protect || i.Labels["team"] != "a" || i.Spec.Protected != protect || !b.activity().Status.Done {
				t.Fatalf("%+v; %+v", i.Spec, b.activity().Status)
			}
		})
	}
}

// One that cannot be written does not keep the others from being marked, and
// is marked later.
func TestOneThatFailsKeepsNoOtherBack(t *testing.T) {
	b := newBench(t)
	b.has("i-1", nil)
	b.has("i-2", nil)
	b.decide(releases("i-1", "i-2"))
	down := true
	b.on = func(call string, o client.Object) error {
		if down && call == "patch" && o.GetName() == "i-1" {
			return apierrors.NewServiceUnavailable("away")
		}
		return nil
	}
	b.step()
	if r := b.records(); r["i-1"].Spec.Release != nil || r["i-2"].Spec.Release == nil || b.activity().Status.Done {
		t.Fatal("i-2 was not marked, or the activity ended")
	}
	down = false
	if a := b.run(); len(a.Status.Marked) != 2 {
		t.Fatalf("%+v", a.Status)
	}
}

func TestBringingIn(t *testing.T) {
	b := newBench(t)
	for _, id := range []string{"i-new", "i-refused", "i-back", "i-theirs"} {
		b.fake.Add(cloud.Instance{ID: id, VSwitch: "vsw-b", Zone: "zone-b", InstanceType: "ecs.g7.xlarge", ChargeType: cloud.PayAsYouGo, Status: cloud.Running})
	}
	b.has("i-leaving", func(i *api.Instance) { i.Spec.Release = &api.ReleaseMark{Activity: "web-a0", Time: metav1.NowMicro()} })
	b.has("i-ours", nil)
	record := func(id string, change func(*api.Instance)) {
		there := b.fake.All()
		b.has(id, change)
		for _, c := range there {
			if c.ID == id {
				b.fake.Add(c)
			}
		}
	}
	record("i-back", func(i *api.Instance) {
		i.Spec.Pool, i.Spec.GroupUID, i.Spec.JoinKey, i.Labels = "old", "old-uid", strings.Repeat("a", 64), map[string]string{"team": "a"}
		i.Status.LifecycleState = api.InstanceRemoved
	})
	record("i-theirs", func(i *api.Instance) { i.Spec.Pool, i.Spec.GroupUID = "other", "other-uid" })
	b.decide(func(s *api.ScalingActivitySpec) {
		s.BringIn = []string{"i-back", "i-gone", "i-leaving", "i-new", "i-ours", "i-refused", "i-theirs"}
	})
	b.on = func(call string, _ client.Object) error {
		if call == "cloud Tag" && (b.count(call) == 1 || b.count(call) == 5) { // all at once, and i-refused alone
			return cloud.Fail("Tag", cloud.Refused, fault.New(fault.NoPermission, "not yours"), nil)
		}
		return nil
	}
	a := b.run()
	if got := strings.Join(a.Status.Marked, " "); got != "i-back i-new i-ours" {
		t.Fatalf("%s; %v", got, leftOut(a))
	}
	left := leftOut(a)
	if left["i-gone"] != "it is gone" || left["i-leaving"] != "it is still on its way out" || left["i-theirs"] != "it belongs to node pool other" || !strings.Contains(left["i-refused"], string(fault.NoPermission)) {
		t.Fatal(left)
	}
	r := b.records()
	for _, id := range []string{"i-new", "i-back"} {
		s := r[id].Spec
		if s.CreationType != api.CreatedAttached || s.GroupUID != groupUID || s.Piece != -1 || s.JoinKey != "" || r[id].Labels[api.LabelGroup] != "web" || s.Pool != "web" {
			t.Errorf("%s: %+v %v", id, s, r[id].Labels)
		}
	}
	if r["i-back"].Labels["team"] != "a" || r["i-back"].Spec.RejoinTime == nil || r["i-theirs"].Spec.Pool != "other" || r["i-refused"] != nil {
		t.Error("a label was lost, no new key is let in, another pool's was taken, or a refused one was recorded")
	}
	for _, c := range b.fake.All() {
		if c.ID == "i-theirs" && c.Tags[cloud.TagPool] != "" {
			t.Error("i-theirs was tagged")
		}
	}
}

// Where the cloud does not answer, bringing in waits and says so.
func TestBringingInWaitsForTheCloud(t *testing.T) {
	b := newBench(t)
	b.fake.Add(cloud.Instance{ID: "i-new", VSwitch: "vsw-b"})
	b.decide(func(s *api.ScalingActivitySpec) { s.BringIn = []string{"i-new"} })
	b.fake.Throttle("Find", b.clock.T.Add(time.Minute))
	b.step()
	if s := b.activity().Status; s.Code != string(fault.Throttling) || s.Done {
		t.Fatalf("%+v", s)
	}
	if a := b.run(); a.Status.State != api.ActivitySuccessful || a.Status.Code != "" || b.count("status") != 2 {
		t.Fatalf("%+v, %d writes", a.Status, b.count("status"))
	}
}

func tidied(b *bench) {
	b.Helper()
	res, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "poolkeeper", Name: "tidy"}})
	b.ok(err)
	if res.RequeueAfter <= 0 {
		b.Fatal("nobody tidies again")
	}
}

// A Secret that no activity names goes after an hour; one that is named stays.
func TestSecretsThatNobodyNames(t *testing.T) {
	b := creates(t, 5)
	b.ok(b.api.Create(b.Context(), secret("lost", named, nil)))
	b.ok(b.api.Create(b.Context(), secret("older", "web-a99", nil)))
	tidied(b)
	b.clock.Pass(59 * time.Minute)
	tidied(b)
	if !b.hasSecret("lost") || !b.hasSecret("older") {
		t.Fatal("gone within the hour")
	}
	b.clock.Pass(2 * time.Minute)
	tidied(b)
	if b.hasSecret("lost") || b.hasSecret("older") || !b.hasSecret("requests") {
		t.Fatalf("lost %v, older %v, requests %v", b.hasSecret("lost"), b.hasSecret("older"), b.hasSecret("requests"))
	}
}

// The hour goes on over restarts, since the Secret says when it was written.
func TestARestartDoesNotBeginTheHourAnew(t *testing.T) {
	b := creates(t, 5)
	lost := secret("lost", named, nil)
	lost.Annotations = map[string]string{api.AnnotationWrittenTime: b.clock.T.Format(time.RFC3339Nano)}
	b.ok(b.api.Create(b.Context(), lost))
	for range 2 {
		b.restart()
		tidied(b)
		if !b.hasSecret("lost") {
			t.Fatal("gone within the hour")
		}
		b.clock.Pass(31 * time.Minute)
	}
	b.restart()
	tidied(b)
	if b.hasSecret("lost") {
		t.Fatal("it is there after 62 minutes and three starts")
	}
}

func TestHistoryOfActivities(t *testing.T) {
	b := newBench(t)
	add := func(n int, age time.Duration, change func(*api.ScalingActivityStatus)) {
		a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web-a%d", n)}}
		a.Spec.Group, a.Spec.GroupUID, a.Spec.Number = "web", groupUID, int64(n)
		b.ok(b.api.Create(b.Context(), a))
		a.Status.Done, a.Status.EndTime = true, &metav1.Time{Time: b.clock.T.Add(-age)}
		if change != nil {
			change(&a.Status)
		}
		b.ok(b.api.Status().Update(b.Context(), a))
	}
	const old = 31 * 24 * time.Hour
	add(1, old, func(s *api.ScalingActivityStatus) { s.Pieces = []api.Piece{{Amount: 1, State: api.PieceUncertain}} })
	add(2, old, nil)
	add(3, old, func(s *api.ScalingActivityStatus) { s.Done = false })
	for n := 4; n <= 210; n++ {
		add(n, old, nil)
	}
	tidied(b)
	var list api.ScalingActivityList
	b.ok(b.api.List(b.Context(), &list))
	left := map[string]bool{}
	for _, a := range list.Items {
		left[a.Name] = true
	}
	if len(left) != 202 || !left["web-a1"] || !left["web-a3"] || left["web-a2"] || left["web-a10"] || !left["web-a11"] {
		t.Fatalf("%d left", len(left))
	}
}
