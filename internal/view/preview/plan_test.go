package preview

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

var now = time.Date(2026, 11, 24, 14, 5, 18, 0, time.UTC)

// drawInstance makes one instance of the group, of any kind that decides about
// its leaving.
func drawInstance(t *rapid.T, n int) v1alpha1.Instance {
	at := func(d time.Duration) *metav1.Time { v := metav1.NewTime(now.Add(-d)); return &v }
	seen := metav1.NewMicroTime(now.Add(-time.Hour))
	i := v1alpha1.Instance{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("i-%02d", n), CreationTimestamp: *at(time.Duration(n) * time.Hour)}}
	i.Spec = v1alpha1.InstanceSpec{Pool: "web", Group: "web", CreationType: v1alpha1.CreatedByUs, Placement: v1alpha1.Placement{
		Zone: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "zone"), VSwitch: "vsw", InstanceType: "g7", ChargeType: v1alpha1.ChargePayAsYouGo, PricePerHour: "1.2"}}
	i.Status = v1alpha1.InstanceStatus{LifecycleState: v1alpha1.InstanceInService, CloudStatus: "Running", SeenTime: &seen, JoinedTime: at(time.Hour), NodeState: v1alpha1.NodeReady}
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		i.Spec.Protected = true
	case 1:
		i.Status.ChargeType = v1alpha1.ChargeSubscription
	case 2:
		i.Spec.ReleaseFirst = true
	case 3:
		i.Spec.Release = &v1alpha1.ReleaseMark{Activity: "web-a1", Time: metav1.NewMicroTime(now.Add(-time.Minute))}
	case 4:
		i.Spec.CreationType = v1alpha1.CreatedUnknown
	}
	return i
}

func drawPool(t *rapid.T) (*v1alpha1.NodePool, *v1alpha1.ScalingGroup, []v1alpha1.Instance) {
	p := &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	g := &v1alpha1.ScalingGroup{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: v1alpha1.ScalingGroupSpec{Pool: "web"}}
	g.Spec.ScalingPolicy.Type = rapid.SampledFrom([]v1alpha1.ScalingPolicyType{"", v1alpha1.PolicyPriority, v1alpha1.PolicyDistributionBalancing, v1alpha1.PolicyCostOptimization}).Draw(t, "policy")
	for _, zone := range []string{"a", "b"} {
		g.Status.ResourcePools = append(g.Status.ResourcePools, v1alpha1.ResourcePoolStatus{VSwitch: "vsw-" + zone, Zone: zone, InstanceType: "g7",
			ChargeType: v1alpha1.ChargePayAsYouGo, Stock: "WithStock", VCPU: 4, PricePerHour: "1.2", Currency: "CNY", FreeAddresses: -1})
	}
	var list []v1alpha1.Instance
	for n := range rapid.IntRange(0, 12).Draw(t, "instances") {
		i := drawInstance(t, n)
		if i.Spec.Release == nil && i.Spec.CreationType != v1alpha1.CreatedUnknown {
			p.Status.Counts.Instances++
		}
		list = append(list, i)
	}
	p.Spec.ExpectedNodes = p.Status.Counts.Instances
	p.Status.Price = &v1alpha1.Price{Currency: "CNY", PerHour: fmt.Sprintf("%.3f", 1.2*float64(len(list)))}
	return p, g, list
}

func world(p *v1alpha1.NodePool, g *v1alpha1.ScalingGroup, list []v1alpha1.Instance) World {
	return World{Pool: p, Group: g, Instances: v1alpha1.InstanceList{Items: list}, Now: now}
}

// TestPlanAddsUp: what is called back, created and let go makes exactly the
// number asked for, or the plan says why not; nobody who is kept goes; nothing
// that was given is changed.
func TestPlanAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, g, list := drawPool(t)
		to := rapid.Int32Range(0, 20).Draw(t, "to")
		pool, group := p.DeepCopy(), g.DeepCopy()
		plan := New(world(p, g, list), Ask{To: to})
		if diff := cmp.Diff(pool, p) + cmp.Diff(group, g); diff != "" {
			t.Fatalf("changed what it was given:\n%s", diff)
		}
		end := p.Status.Counts.Instances + int32(len(plan.CallBack)) + plan.Create - int32(len(plan.Release)+len(plan.TakeOut))
		if end != to && len(plan.Blocked) == 0 {
			t.Fatalf("ends with %d, not %d, and does not say why:\n%s", end, to, plan.Text())
		}
		if plan.Create > 0 && len(plan.Release) > 0 {
			t.Fatalf("creates and releases:\n%s", plan.Text())
		}
		going := map[string]bool{}
		for _, l := range plan.Release {
			if going[l.Instance] {
				t.Fatalf("%s goes twice", l.Instance)
			}
			going[l.Instance] = true
		}
		for _, i := range list {
			kept := i.Spec.Protected || i.Status.ChargeType == v1alpha1.ChargeSubscription || i.Spec.CreationType == v1alpha1.CreatedUnknown
			if kept && going[i.Name] {
				t.Fatalf("%s is kept and goes:\n%s", i.Name, plan.Text())
			}
		}
		if !strings.HasPrefix(plan.Text(), fmt.Sprintf("web: %d -> %d, plan %s\n", p.Spec.ExpectedNodes, to, plan.Hash)) {
			t.Fatalf("text:\n%s", plan.Text())
		}
	})
}

// TestPlanWithoutGroup says that nothing is known instead of guessing.
func TestPlanWithoutGroup(t *testing.T) {
	p := &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	p.Spec.ExpectedNodes, p.Status.Counts.Instances = 5, 3
	plan := New(World{Pool: p, Now: now}, Ask{To: 4})
	if plan.Known || plan.Drop != 1 || plan.Create != 0 {
		t.Errorf("plan %+v", plan)
	}
}

// TestHashFollowsTheWorld: the same wish on the same facts has one name, in
// whatever order they are listed and whenever they are looked at; a plan that
// does something else has another.
func TestHashFollowsTheWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, g, list := drawPool(t)
		ask := Ask{To: rapid.Int32Range(0, 20).Draw(t, "to")}
		plan := New(world(p, g, list), ask)
		turned := slices.Clone(list)
		slices.Reverse(turned)
		later := world(p, g, turned)
		later.Now = now.Add(time.Second)
		if again := New(later, ask); again.Hash != plan.Hash {
			t.Fatalf("two names for one plan:\n%s%s", plan.Text(), again.Text())
		}
		if len(plan.Release) == 0 {
			return
		}
		for i := range list {
			if list[i].Name == plan.Release[0].Instance {
				list[i].Spec.Protected = true
			}
		}
		if other := New(world(p, g, list), ask); other.Hash == plan.Hash {
			t.Fatalf("one name for two plans:\n%s%s", plan.Text(), other.Text())
		}
	})
}

// TestNamedLeave: who is named goes and nobody else does; who is kept is taken
// out instead of released; what is missing after it is created.
func TestNamedLeave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, g, list := drawPool(t)
		var out []string
		for _, i := range list {
			if i.Spec.Release == nil && i.Spec.CreationType != v1alpha1.CreatedUnknown && rapid.Bool().Draw(t, "named") {
				out = append(out, i.Name)
			}
		}
		ask := Ask{To: p.Spec.ExpectedNodes - int32(len(out)), Out: out, Release: rapid.Bool().Draw(t, "release")}
		keep := rapid.Bool().Draw(t, "keep")
		if keep {
			ask.To = p.Spec.ExpectedNodes
		}
		plan := New(world(p, g, list), ask)
		if blockedByUnknown(list, ask.To) {
			return
		}
		var going []string
		for _, l := range append(slices.Clone(plan.Release), plan.TakeOut...) {
			going = append(going, l.Instance)
		}
		slices.Sort(going)
		if diff := cmp.Diff(out, going, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("named and going (-want +got):\n%s%s", diff, plan.Text())
		}
		if !ask.Release && len(plan.Release) > 0 {
			t.Fatalf("releases unasked:\n%s", plan.Text())
		}
		back := plan.Create + int32(len(plan.CallBack))
		if keep && back != int32(len(out)) || !keep && back != 0 {
			t.Fatalf("%d come for %d that go:\n%s", back, len(out), plan.Text())
		}
	})
}

// blockedByUnknown is true where so many are of unknown origin that nothing is
// done.
func blockedByUnknown(list []v1alpha1.Instance, to int32) bool {
	n := int32(0)
	for _, i := range list {
		if i.Spec.CreationType == v1alpha1.CreatedUnknown {
			n++
		}
	}
	return n > max(3, to/5)
}

// TestCeilingsStandInThePlan: each that is set says ok, or what it stops and
// why; those of the installation count what other pools have and are about to
// create.
func TestCeilingsStandInThePlan(t *testing.T) {
	p := &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	g := &v1alpha1.ScalingGroup{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: v1alpha1.ScalingGroupSpec{Pool: "web", MaxSpendPerHour: "60.00"}}
	g.Status.ResourcePools = []v1alpha1.ResourcePoolStatus{{VSwitch: "vsw-a", Zone: "a", InstanceType: "g7", ChargeType: v1alpha1.ChargePayAsYouGo,
		Stock: "WithStock", PricePerHour: "1.2", Currency: "CNY", FreeAddresses: -1}}
	w := world(p, g, nil)
	if text := New(w, Ask{To: 16}).Text(); !strings.Contains(text, "  ceiling    60.00/h: ok\n") {
		t.Errorf("text:\n%s", text)
	}
	g.Status.Installation = &v1alpha1.Ceilings{Nodes: 20}
	other := v1alpha1.ScalingActivity{Spec: v1alpha1.ScalingActivitySpec{Group: "batch", Create: 10}}
	w.Groups.Items = []v1alpha1.ScalingGroup{*g, {ObjectMeta: metav1.ObjectMeta{Name: "batch"}}}
	w.Activities.Items = []v1alpha1.ScalingActivity{other}
	for range 3 {
		w.Instances.Items = append(w.Instances.Items, v1alpha1.Instance{Spec: v1alpha1.InstanceSpec{Group: "batch"}})
	}
	plan := New(w, Ask{To: 16})
	if text := plan.Text(); plan.Create != 7 || !strings.Contains(text, "  ceiling    20 nodes of the installation: stops 9 of 16\n  but        the installation's ceiling of 20 nodes: 13 are there or on their way Ceiling.Nodes\n") {
		t.Errorf("creates %d:\n%s", plan.Create, text)
	}
}
