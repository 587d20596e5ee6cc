package nodepool_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

func TestNewPoolGetsItsGroupAndOneTask(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	g := b.group()
	if g.Spec.DesiredCapacity != 3 || g.Spec.PoolGeneration != 1 || g.Spec.SettingsGeneration != 1 || g.Spec.KeepFailed != 1 {
		t.Fatalf("group spec: %+v", g.Spec)
	}
	if !controllerutil.ContainsFinalizer(b.pool(), api.Finalizer) || !controllerutil.ContainsFinalizer(g, api.Finalizer) {
		t.Fatal("pool or group can go without us")
	}
	if got := g.Annotations[api.AnnotationNumberChange]; !strings.HasPrefix(got, "0 -> 3 ") {
		t.Errorf("the group is told %q", got)
	}
	if o := g.OwnerReferences; len(o) != 1 || o[0].Name != "web" || o[0].BlockOwnerDeletion != nil {
		t.Fatalf("owner: %+v", o)
	}
	task, ok := b.tasks()["web-abcdef-g1"]
	if !ok || task.Spec.From != 0 || task.Spec.To != 3 || task.Spec.Title != "Scale web 0 -> 3" || task.Spec.DeadlineSeconds != 3600 {
		t.Fatalf("tasks: %+v", b.tasks())
	}
	if b.pool().Status.Task != "web-abcdef-g1" {
		t.Fatal("the status does not name the task")
	}
}

func TestFirstGenerationWithNothingMakesNoTask(t *testing.T) {
	b := newBench(t, aPool("web", func(p *api.NodePool) { p.Spec.ExpectedNodes = 0 }))
	b.look()
	if n := len(b.tasks()); n != 0 || b.group().Spec.DesiredCapacity != 0 {
		t.Fatalf("%d tasks", n)
	}
}

func TestTaskComesBeforeTheNumber(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.edit(func(p *api.NodePool) { p.Spec.ExpectedNodes = 5 })
	b.writes = nil
	b.later()
	if got := strings.Join(b.writes[:2], ", "); got != "create web-abcdef-g2, update web" {
		t.Fatalf("writes: %s", got)
	}
	b.refused = func(verb string, o client.Object) error {
		if _, ok := o.(*api.ScalingGroup); ok && verb == "update" {
			return errors.New("the API server went away")
		}
		return nil
	}
	b.edit(func(p *api.NodePool) { p.Spec.ExpectedNodes = 6 })
	if _, err := b.r.Reconcile(t.Context(), requestWeb); err == nil {
		t.Fatal("a failed update was not told")
	}
	b.refused = nil
	b.later()
	if task := b.tasks()["web-abcdef-g3"]; task.Spec.From != 5 || task.Spec.To != 6 || b.group().Spec.DesiredCapacity != 6 {
		t.Fatalf("after a crash between task and number: %+v", task.Spec)
	}
}

func TestWhoAsked(t *testing.T) {
	stamp := func(who, at string) map[string]string {
		return map[string]string{api.AnnotationAskedBy: who, api.AnnotationAskedAt: at}
	}
	cases := map[string]struct {
		notes  map[string]string
		fields []metav1.ManagedFieldsEntry
		want   string
	}{
		"the stamp is of this generation":      {notes: stamp("alice", "1"), want: "alice"},
		"the stamp is older: scale passed it":  {notes: stamp("alice", "0"), want: "through scale (no name recorded)"},
		"a stamp that is no number":            {notes: stamp("alice", "x"), want: "through scale (no name recorded)"},
		"no policy: the field manager is told": {fields: []metav1.ManagedFieldsEntry{owns("kubectl-edit", "")}, want: "field manager kubectl-edit"},
		"no policy, through scale":             {fields: []metav1.ManagedFieldsEntry{owns("kubectl", "scale")}, want: "through scale (no name recorded)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, aPool("web", func(p *api.NodePool) { p.Spec.ExpectedNodes = 0 }))
			b.look()
			p := b.pool()
			p.Spec.ExpectedNodes, p.Annotations = 4, c.notes
			b.put(p)
			p = b.pool()
			p.ManagedFields = c.fields
			if got := nodepoolAskedBy(p); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			if c.fields == nil {
				b.later()
				if got := b.tasks()["web-abcdef-g2"].Spec.AskedBy; got != c.want {
					t.Fatalf("the task says %q, want %q", got, c.want)
				}
			}
		})
	}
}

func TestNumberWithTransfersMakesNoTask(t *testing.T) {
	out := func(id string) api.Transfer {
		return api.Transfer{Instance: id, Task: "uid-t", Direction: api.TransferOut}
	}
	cases := map[string]struct {
		before, after []api.Transfer
		from, to      int32
		want          bool
	}{
		"one out lowers by one":                     {after: []api.Transfer{out("i-1")}, from: 3, to: 2},
		"one out, replaced":                         {after: []api.Transfer{out("i-1")}, from: 3, to: 3},
		"an out given back":                         {before: []api.Transfer{out("i-1")}, from: 2, to: 3},
		"an in raises by one":                       {after: []api.Transfer{{Instance: "i-9", Task: "u", Direction: api.TransferIn}}, from: 3, to: 4},
		"done entries go, number stays":             {before: []api.Transfer{out("i-1")}, from: 2, to: 2},
		"a person's number seen together with outs": {after: []api.Transfer{out("i-1")}, from: 3, to: 20, want: true},
		"the number alone":                          {before: []api.Transfer{out("i-1")}, after: []api.Transfer{out("i-1")}, from: 3, to: 4, want: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, aPool("web", func(p *api.NodePool) { p.Spec.ExpectedNodes, p.Spec.Transfers = c.from, c.before }))
			b.look()
			b.edit(func(p *api.NodePool) { p.Spec.ExpectedNodes, p.Spec.Transfers = c.to, c.after })
			b.later()
			if _, got := b.tasks()["web-abcdef-g2"]; got != c.want {
				t.Fatalf("task made: %v", got)
			}
			if g := b.group(); g.Spec.DesiredCapacity != c.to || len(g.Spec.Transfers) != len(c.after) {
				t.Fatalf("group has %d and %v", g.Spec.DesiredCapacity, g.Spec.Transfers)
			}
		})
	}
}

func TestNumberAndTransfersGoDownInOneUpdate(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.edit(func(p *api.NodePool) {
		p.Spec.ExpectedNodes = 2
		p.Spec.Transfers = []api.Transfer{{Instance: "i-1", Task: "u", Direction: api.TransferOut}}
		p.Spec.VSwitches = []string{"vsw-b"}
	})
	b.writes = nil
	b.later()
	n := 0
	for _, w := range b.writes {
		if w == "update web" {
			n++
		}
	}
	if g := b.group(); n != 1 || g.Spec.DesiredCapacity != 2 || len(g.Spec.Transfers) != 1 || g.Spec.VSwitches[0] != "vsw-b" {
		t.Fatalf("%d updates: %v", n, b.writes)
	}
}

func TestOlderPoolNeverOverwritesANewer(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	g := b.group()
	g.Spec.PoolGeneration, g.Spec.DesiredCapacity = 7, 9 // another process has seen more
	b.put(g)
	b.later()
	if got := b.group().Spec.DesiredCapacity; got != 9 {
		t.Fatalf("an older pool set the number to %d", got)
	}
}

func TestEditsOfTheGroupArePutBackWithAWarning(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	g := b.group()
	g.Spec.DesiredCapacity = 50
	g.Spec.ImageID = "other"
	b.put(g)
	b.later()
	if got := b.group().Spec; got.DesiredCapacity != 3 || got.ImageID != "img" {
		t.Fatalf("not put back: %+v", got)
	}
	b.says(b.event(), "Warning PutBack", "desiredCapacity", "launch settings", "nothing was created or released", "poolkeeper pool edit web")
	if _, made := b.tasks()["web-abcdef-g1"]; !made || len(b.tasks()) != 1 {
		t.Fatal("an edit of the group made a task")
	}
	b.writes = nil
	b.later()
	if len(b.writes) != 0 {
		t.Fatalf("at rest: %v", b.writes)
	}
}

func TestHealthCheckIsPassedDownOnlyWhenThePoolsOwnValueChanges(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	if got := b.pool().Status.HealthCheckPassed; got != api.HealthCheckNone {
		t.Fatalf("passed down: %q", got)
	}
	g := b.group()
	g.Spec.HealthCheck = api.HealthCheckECS
	b.put(g)
	b.later()
	b.says(b.event(), "Warning HealthCheckOnGroup", "removed and replaced", "kubectl patch scalinggroup web")
	b.edit(func(p *api.NodePool) { p.Spec.ExpectedNodes = 4 })
	b.later()
	b.later()
	if g := b.group(); g.Spec.HealthCheck != api.HealthCheckECS || g.Spec.DesiredCapacity != 4 {
		t.Fatalf("a person's healthCheck was put back: %+v", g.Spec)
	}
	if e := b.event(); e != "" {
		t.Fatalf("told twice: %s", e)
	}
	b.edit(func(p *api.NodePool) { p.Spec.HealthCheck = api.HealthCheckECS })
	b.later()
	b.edit(func(p *api.NodePool) { p.Spec.HealthCheck = api.HealthCheckNone })
	b.later()
	b.edit(func(p *api.NodePool) { p.Spec.HealthCheck = api.HealthCheckECS })
	b.later()
	b.edit(func(p *api.NodePool) { p.Spec.HealthCheck = api.HealthCheckNone })
	b.later()
	if e := b.event(); e != "" {
		t.Fatalf("a change through the pool was told as one on the group: %s", e)
	}
	if got := b.group().Spec.HealthCheck; got != api.HealthCheckNone {
		t.Fatalf("the pool's change was not passed down: %s", got)
	}
}

func TestSettingsWaitUntilTheyAreValidButNumbersDoNot(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.edit(func(p *api.NodePool) { p.Spec.VSwitches, p.Spec.ExpectedNodes = []string{"vsw-x"}, 1 })
	b.later()
	g := b.group()
	if g.Spec.VSwitches[0] != "vsw-a" || g.Spec.SettingsGeneration != 1 || g.Spec.DesiredCapacity != 1 {
		t.Fatalf("group: %+v", g.Spec)
	}
	c := condition(b.pool(), api.ConditionValid)
	if c.Status != metav1.ConditionFalse {
		t.Fatalf("Valid: %+v", c)
	}
	b.says(c.Message, "spec.vSwitches[0]", `"vsw-x"`, "InvalidVSwitchId.NotFound", "vsw-a, vsw-b")
	b.check.has["vsw-x"] = true
	b.clock.Pass(time.Hour)
	b.look()
	if g := b.group(); g.Spec.VSwitches[0] != "vsw-x" || g.Spec.SettingsGeneration != 2 {
		t.Fatalf("not passed down once valid: %+v", g.Spec)
	}
	b.later()
	if c := condition(b.pool(), api.ConditionValid); c.Status != metav1.ConditionTrue {
		t.Fatalf("Valid: %+v", c)
	}
}

func TestUnreachableCloudIsUnknownNotFalse(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.check.down = true
	b.edit(func(p *api.NodePool) { p.Spec.ImageID, p.Spec.ExpectedNodes = "img2", 8 })
	b.later()
	if c := condition(b.pool(), api.ConditionValid); c.Status != metav1.ConditionUnknown || c.Reason != "CloudUnreachable" {
		t.Fatalf("Valid: %+v", c)
	}
	if g := b.group(); g.Spec.ImageID != "img" || g.Spec.DesiredCapacity != 8 {
		t.Fatalf("group: %+v", g.Spec)
	}
	if b.last.RequeueAfter <= 0 || b.last.RequeueAfter > time.Minute {
		t.Fatalf("asked again after %v", b.last.RequeueAfter)
	}
}

func TestSettingsAreAskedAboutOncePerChange(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	for n := int32(4); n < 9; n++ {
		b.edit(func(p *api.NodePool) { p.Spec.ExpectedNodes = n })
		b.later()
	}
	if b.check.asks != 1 {
		t.Fatalf("%d questions for one set of settings", b.check.asks)
	}
	b.r = b.reconciler() // a restart
	b.later()
	if b.check.asks != 1 {
		t.Fatal("a restart alone asked the cloud")
	}
	b.clock.Pass(time.Hour)
	b.look()
	if b.check.asks != 2 {
		t.Fatalf("%d questions after the schedule", b.check.asks)
	}
}

func TestNoGroupIsMadeOfSettingsThatDoNotWork(t *testing.T) {
	b := newBench(t, aPool("web", func(p *api.NodePool) { p.Spec.VSwitches = []string{"vsw-x"} }))
	b.look()
	if b.get("web", &api.ScalingGroup{}) {
		t.Fatal("there is a group")
	}
	p := b.pool()
	if p.Status.State != api.PoolUpdating || p.Status.Why == nil || p.Status.Why.Code != "InvalidVSwitchId.NotFound" {
		t.Fatalf("status: %+v", p.Status)
	}
	b.says(p.Status.Summary, "vsw-x")
}

// What tasks have asked for goes down as counts, which never fall.
func TestAnnotationsRaiseTheGroupsCounts(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.edit(func(p *api.NodePool) {
		p.Annotations = map[string]string{api.AnnotationResumeCount: "3", api.AnnotationRebalanceCount: "2", api.AnnotationThawCount: "1"}
	})
	b.later()
	b.edit(func(p *api.NodePool) {
		p.Annotations = map[string]string{api.AnnotationRebalanceCount: "x", api.AnnotationResumeCount: "4 zone-a/ecs.g7.xlarge"}
	})
	b.later()
	if g := b.group().Spec; g.ResumeCount != 4 || g.ResumeCandidate != "zone-a/ecs.g7.xlarge" || g.RebalanceCount != 2 || g.ThawCount != 1 {
		t.Fatalf("%+v", g)
	}
}

func TestDefinitionBeingDeletedFreezes(t *testing.T) {
	b := newBench(t, aPool("web", nil))
	b.look()
	b.defs.deleting = "instances.poolkeeper.io"
	b.later()
	g := b.group()
	b.says(g.Spec.Frozen, "instances.poolkeeper.io", "nothing is created or released")
	if g.Spec.DesiredCapacity != 3 || condition(b.pool(), api.ConditionFrozen).Reason != api.ReasonDefinitionDeleted {
		t.Fatalf("group %+v, pool %+v", g.Spec, b.pool().Status.Conditions)
	}
	b.defs.deleting = ""
	b.later()
	if b.group().Spec.Frozen != "" {
		t.Fatal("still frozen")
	}
}
