package nodepool_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool/apitest"
)

func unprotected(p *api.NodePool) { no := false; p.Spec.DeletionProtection = &no }

func (b *bench) deletePool() {
	b.Helper()
	if err := b.Delete(b.Context(), b.pool()); err != nil {
		b.Fatal(err)
	}
}

func TestProtectedPoolIsNeverEmptiedByDeletion(t *testing.T) {
	for name, change := range map[string]func(*api.NodePool){
		"by default":                nil,
		"asked for":                 func(p *api.NodePool) { yes := true; p.Spec.DeletionProtection = &yes },
		"number lowered, some left": func(p *api.NodePool) { p.Spec.ExpectedNodes = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, aPool("web", change))
			b.look()
			b.instance("i-1", ready)
			want := b.group().Spec.DesiredCapacity
			b.settle(func(g *api.ScalingGroup) { g.Status.Counted = 1 })
			b.deletePool()
			b.later()
			b.later()
			g, c := b.group(), condition(b.pool(), api.ConditionDeletionBlocked)
			if g.Spec.Emptying || g.Spec.DesiredCapacity != want || c.Status != metav1.ConditionTrue || c.Reason != api.ReasonProtected {
				t.Fatalf("group %+v, condition %+v", g.Spec, c)
			}
			b.says(c.Message, "kubectl patch nodepool web", "deletionProtection")
			b.edit(func(p *api.NodePool) { p.Spec.MinNodes = 0; p.Spec.KeepFailed = new(int32) })
			b.later()
			if b.group().Spec.KeepFailed != 0 {
				t.Fatal("a held pool is no longer looked after")
			}
		})
	}
}

func TestProtectedPoolThatIsEmptyGoes(t *testing.T) {
	b := newBench(t, aPool("web", func(p *api.NodePool) { p.Spec.ExpectedNodes = 0 }))
	b.look()
	b.settle(nil)
	b.deletePool()
	b.later()
	b.settle(nil)
	b.later()
	if b.get("web", &api.NodePool{}) {
		t.Fatal("an empty pool stays")
	}
}

func TestDeletionOfADefinitionEmptiesNothing(t *testing.T) {
	b := newBench(t, aPool("web", unprotected))
	b.look()
	b.defs.deleting = "nodepools.poolkeeper.io"
	b.deletePool()
	b.later()
	g, c := b.group(), condition(b.pool(), api.ConditionDeletionBlocked)
	if g.Spec.Emptying || g.Spec.Frozen == "" || g.Spec.DesiredCapacity != 3 || c.Reason != api.ReasonDefinitionDeleted {
		t.Fatalf("group %+v, condition %+v", g.Spec, c)
	}
	if len(b.tasks()) != 1 {
		t.Fatalf("tasks: %v", b.tasks())
	}
}

func TestDeletionGoesDownInOrderAndWaits(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: nodepool.RequestsNamespace, Name: "requests-1"}}
	b := newBench(t, aPool("web", unprotected), secret)
	b.look()
	b.instance("i-1", ready)
	b.settle(func(g *api.ScalingGroup) { g.Status.Counted = 1 })
	b.activity("web-a1", func(a *api.ScalingActivity) {
		a.Spec.Requests = &api.RequestsRef{Secret: "requests-1", Hash: "h"}
		a.Status.Done = true
		a.Status.Pieces = []api.Piece{{Amount: 1, State: api.PieceUncertain}}
	})
	b.deletePool()
	b.later()
	g := b.group()
	if !g.Spec.Emptying || g.Spec.DesiredCapacity != 0 || b.pool().Status.State != api.PoolDeleting {
		t.Fatalf("group %+v, state %s", g.Spec, b.pool().Status.State)
	}
	if task := b.tasks()["web-abcdef-delete"]; task.Spec.Type != api.TaskDelete || task.Spec.PoolUID == "" {
		t.Fatalf("tasks: %+v", b.tasks())
	}
	waits := func(why string) {
		t.Helper()
		b.settle(nil)
		b.writes = nil
		b.later()
		for _, w := range b.writes {
			if strings.HasPrefix(w, "delete ") {
				t.Fatalf("%s, and yet: %s", why, w)
			}
		}
	}
	waits("an instance is counted")
	b.settle(func(g *api.ScalingGroup) { g.Status.Counted = 0 })
	waits("a piece is uncertain")
	a := &api.ScalingActivity{}
	b.get("web-a1", a)
	a.Status.Pieces[0].State = api.PieceResolved
	b.putStatus(a)
	waits("an instance has a record that is not Removed")
	i := &api.Instance{}
	b.get("i-1", i)
	i.Status.LifecycleState = api.InstanceRemoved
	b.putStatus(i)
	waits("the task has not named it with its tags off")
	task := b.tasks()["web-abcdef-delete"]
	task.Status.Instances = []api.TaskInstance{{Instance: "i-1", State: api.TaskInstanceSuccess}}
	b.putStatus(&task)
	b.writes = nil
	b.later()
	var gone []string
	for _, w := range b.writes {
		if name, ok := strings.CutPrefix(w, "delete "); ok {
			gone = append(gone, name)
		}
	}
	if got := strings.Join(gone, " "); got != "i-1 requests-1 web-a1 web" {
		t.Fatalf("deleted in this order: %s", got)
	}
	for name, o := range map[string]client.Object{"web": &api.NodePool{}, "i-1": &api.Instance{}, "web-a1": &api.ScalingActivity{}} {
		if b.get(name, o) {
			t.Errorf("%s is still there", name)
		}
	}
	if b.get("web", &api.ScalingGroup{}) || len(b.creds.removed) != 1 {
		t.Errorf("group or join credential is still there")
	}
	if len(b.tasks()) != 2 {
		t.Errorf("tasks do not stay: %v", b.tasks())
	}
}

func (b *bench) activity(name string, change func(*api.ScalingActivity)) {
	b.Helper()
	a := &api.ScalingActivity{}
	a.Name, a.Spec.Group, a.Spec.Pool, a.Spec.Number = name, "web", "web", 1
	a.Finalizers = []string{api.Finalizer}
	change(a)
	st := a.Status
	if err := b.Create(b.Context(), a); err != nil {
		b.Fatal(err)
	}
	a.Status = st
	b.putStatus(a)
}

func TestPoolDeletedBeforeItHadAGroupGoes(t *testing.T) {
	b := newBench(t, aPool("web", func(p *api.NodePool) { unprotected(p); p.Spec.VSwitches = []string{"vsw-x"} }))
	b.look()
	b.deletePool()
	b.later()
	if b.get("web", &api.NodePool{}) {
		t.Fatal("it stays")
	}
}

func TestDefinitionsSayWhichGoes(t *testing.T) {
	crd := func(name string) *metav1.PartialObjectMetadata {
		o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{"test/hold"}}}
		o.APIVersion, o.Kind = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
		return o
	}
	var objs []client.Object
	for _, kind := range []string{"clustertasks", "instances", "nodepools", "scalingactivities", "scalinggroups"} {
		objs = append(objs, crd(kind+".poolkeeper.io"))
	}
	s := apitest.Scheme(t)
	if err := metav1.AddMetaToScheme(s); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(s).WithObjects(objs...).Build()
	d := nodepool.CRDs{Cache: c, Live: c}
	if name, err := d.Deleting(t.Context(), true); name != "" || err != nil {
		t.Fatalf("all are there: %q, %v", name, err)
	}
	if err := c.Delete(t.Context(), crd("instances.poolkeeper.io")); err != nil {
		t.Fatal(err)
	}
	if name, err := d.Deleting(t.Context(), false); name != "instances.poolkeeper.io" || err != nil {
		t.Fatalf("got %q, %v", name, err)
	}
}
