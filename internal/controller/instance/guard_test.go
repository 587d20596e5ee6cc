package instance_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
)

// shadow hides machines from lists, which a look by id still shows.
func (b *bench) shadow(hidden ...string) (lift func()) {
	b.sweeper.Cloud = hiding{b.cloud, hidden}
	return func() { b.sweeper.Cloud = b.cloud }
}

func TestFewThatVanishAreReplaced(t *testing.T) {
	b := newBench(t)
	all := ids(20)
	b.has(nil, all...)
	b.settle(1)
	b.cloud.Vanish(all[:4]...)
	b.settle(3)
	if b.r.Frozen("web").Frozen() || b.instance(all[0]) != nil || b.instance(all[4]) == nil {
		t.Fatalf("frozen %+v", b.r.Frozen("web"))
	}
}

func TestMassDisappearanceFreezesUntilEachWasLookedAt(t *testing.T) {
	b := newBench(t)
	all := ids(20)
	b.has(nil, all...)
	b.change(all[19], marked(api.ReleaseMark{}))
	var told []string
	b.r.OnFreeze = func(group string) { told = append(told, group) }
	lift := b.shadow(all[:10]...)
	b.ok(b.sweep(6 * time.Second))
	f := b.r.Frozen("web")
	if !f.Releases || !f.Replacements || f.Missing != 10 || len(told) == 0 || !strings.Contains(b.r.NoRelease("web"), "poolkeeper pool thaw web") {
		t.Fatalf("after one sweep: %+v, told %v", f, told)
	}
	if got := b.r.Missing("web"); !slices.Equal(got, slices.Sorted(slices.Values(all[:10]))) || !strings.Contains(b.r.NoRelease("web"), "("+strings.Join(got, ", ")+")") {
		t.Fatalf("missing: %v; %s", got, b.r.NoRelease("web"))
	}
	b.settle(8)
	if f = b.r.Frozen("web"); !f.Releases || !f.Replacements || len(b.machines()) != 20 || b.instance(all[0]) == nil {
		t.Fatalf("while lists hide half of them: %+v, %d machines", f, len(b.machines()))
	}
	lift()
	b.settle(4)
	if f = b.r.Frozen("web"); f.Frozen() || len(b.machines()) != 19 || b.r.NoRelease("web") != "" {
		t.Fatalf("they are back: %+v, %d machines", f, len(b.machines()))
	}
}

// The guard speaks of all groups at once: a freeze that the pass of another group
// finds first is told all the same, and so is its end.
func TestAFreezeThatAnotherGroupFindsIsTold(t *testing.T) {
	b := newBench(t)
	all := ids(20)
	b.has(nil, all...)
	b.settle(1)
	told := map[string]int{}
	b.r.OnFreeze = func(group string) { told[group]++ }
	round := func() {
		b.now = b.now.Add(6 * time.Second)
		b.ok(b.sweeper.Sweep(b.Context()))
		for _, group := range []string{"db", "web"} {
			_, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: group}})
			b.ok(err)
		}
	}
	lift := b.shadow(all[:10]...)
	round()
	if !b.r.Frozen("web").Releases || told["web"] != 1 {
		t.Fatalf("frozen %+v, told %v", b.r.Frozen("web"), told)
	}
	lift()
	round()
	if b.r.Frozen("web").Frozen() || told["web"] != 2 || told["db"] != 0 {
		t.Fatalf("they are back: %+v, told %v", b.r.Frozen("web"), told)
	}
}

func TestReplacementsThawWhenEachIsSurelyGone(t *testing.T) {
	b := newBench(t)
	all := ids(20)
	b.has(nil, all...)
	b.settle(1)
	b.cloud.Vanish(all[:10]...)
	b.settle(2)
	if b.instance(all[0]) == nil || !b.r.Frozen("web").Replacements {
		t.Fatalf("after two sweeps: %+v", b.r.Frozen("web"))
	}
	b.settle(4)
	if b.instance(all[0]) != nil || b.instance(all[10]) == nil || b.r.Frozen("web").Frozen() {
		t.Fatalf("after six: %+v", b.r.Frozen("web"))
	}
}

func TestAPersonThawsReleases(t *testing.T) {
	b := newBench(t)
	all := ids(20)
	b.has(nil, all...)
	b.change(all[19], marked(api.ReleaseMark{}))
	b.shadow(all[:10]...)
	b.settle(3)
	if len(b.machines()) != 20 {
		t.Fatal("released under the freeze")
	}
	g := b.group()
	g.Spec.ThawCount = 1
	b.ok(b.kube.Update(b.Context(), g))
	b.r.TouchAll("web")
	b.settle(3)
	if f := b.r.Frozen("web"); f.Releases || !f.Replacements || len(b.machines()) != 19 {
		t.Fatalf("thawed: %+v, %d machines", f, len(b.machines()))
	}
	if b.instance(all[0]) == nil {
		t.Fatal("a thaw of releases let records end")
	}
}

func TestAFreezeOutlivesTheController(t *testing.T) {
	b := newBench(t)
	all := ids(20)
	b.has(nil, all...)
	b.change(all[19], marked(api.ReleaseMark{}))
	g := b.group()
	g.Status.Conditions = []metav1.Condition{{Type: api.ConditionFrozen, Status: metav1.ConditionTrue, Reason: api.ReasonMassDisappearance, LastTransitionTime: metav1.Now()}}
	b.ok(b.kube.Status().Update(b.Context(), g))
	b.broken = func(call string, _ cloudtest.Moment) error {
		if call == "cloud Find" {
			return cloudtest.Lost("Find")
		}
		return nil
	}
	_ = b.sweep(6 * time.Second)
	if !b.r.Frozen("web").Releases {
		t.Fatal("forgotten")
	}
	b.broken = nil
	b.settle(3)
	if b.r.Frozen("web").Frozen() || len(b.machines()) != 19 {
		t.Fatalf("each was looked at, and yet: %+v, %d machines", b.r.Frozen("web"), len(b.machines()))
	}
}

func TestTakenOutBySomebodyElse(t *testing.T) {
	b := newBench(t)
	all := ids(20)
	b.has(nil, all...)
	b.settle(1)
	b.cloud.Change(all[0], func(i *cloud.Instance) { i.Tags = map[string]string{} })
	b.settle(1)
	if b.instance(all[0]) == nil {
		t.Fatal("believed after one sweep")
	}
	b.settle(2)
	if b.instance(all[0]) != nil || len(b.machines()) != 20 || b.count("node delete") > 0 {
		t.Fatalf("taken out: machines %d, %v", len(b.machines()), b.calls)
	}
	// The guard holds here too.
	for _, id := range all[1:10] {
		b.cloud.Change(id, func(i *cloud.Instance) { i.Tags = map[string]string{} })
	}
	b.settle(2)
	if f := b.r.Frozen("web"); !f.Replacements || b.instance(all[1]) == nil {
		t.Fatalf("nine of 19 without tags: %+v", f)
	}
}

func TestAnAttachedOneHasItsTagsPutBackUntilTheyAreSure(t *testing.T) {
	b := newBench(t)
	b.has(func(i *api.Instance) { i.Spec.CreationType = api.CreatedAttached }, "i-1", "i-2")
	untag := func() { b.cloud.Change("i-1", func(i *cloud.Instance) { i.Tags = map[string]string{} }) }
	b.settle(1)
	untag()
	b.settle(2)
	if b.cloud.All()[0].Tags[cloud.TagCluster] != clusterID {
		t.Fatal("its tags were not put back")
	}
	for range 20 {
		b.ok(b.sweep(time.Minute))
	}
	if !b.instance("i-1").Status.TagsSure {
		t.Fatal("its tags are not sure after the signature's life")
	}
	untag()
	b.settle(3)
	if b.instance("i-1") != nil || b.cloud.All()[0].Tags[cloud.TagCluster] != "" {
		t.Fatal("it was taken out, and yet it is on record")
	}
}

func TestDisown(t *testing.T) {
	b := newBench(t)
	b.has(func(i *api.Instance) {
		i.Spec.CreationType, i.Status.LifecycleState = api.CreatedUnknown, api.InstanceUnknownOrigin
	}, "i-1", "i-2")
	b.settle(2)
	b.want()
	b.change("i-1", func(i *api.Instance) { i.Spec.Disown = true })
	b.settle(3)
	if i := b.instance("i-1"); i.Status.LifecycleState != api.InstanceRemoved || len(b.machines()) != 2 {
		t.Fatalf("disowned: %+v", i.Status)
	}
	for _, i := range b.cloud.All() {
		if (i.ID == "i-1") != (i.Tags[cloud.TagCluster] == "") {
			t.Errorf("%s has tags %v", i.ID, i.Tags)
		}
	}
}
