package config_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/config/configtest"
	"github.com/poolkeeper/poolkeeper/internal/controller/join"
)

var errorf = fmt.Errorf

const gcUser = "system:serviceaccount:kube-system:generic-garbage-collector"

// refused checks that err is a refusal that says what to do.
func refused(t *testing.T, what string, err error, says string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s was accepted", what)
	} else if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v, want a refusal that says %q", what, err, says)
	}
}

func accepted(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func nodePool(name string, expected int32) *v1alpha1.NodePool {
	p := &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: name}}
	p.Spec.ExpectedNodes = expected
	p.Spec.VSwitches = []string{"vsw-a"}
	p.Spec.InstanceTypes = []string{"ecs.g7.xlarge"}
	p.Spec.ImageID = "aliyun_3"
	p.Spec.SecurityGroups = []string{"sg-1"}
	return p
}

func instance(name string) *v1alpha1.Instance {
	return &v1alpha1.Instance{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{v1alpha1.Finalizer}},
		Spec: v1alpha1.InstanceSpec{Pool: "web", Group: "web", GroupUID: "u", CreationType: v1alpha1.CreatedByUs, Placement: v1alpha1.Placement{Zone: "a"}}}
}

func group(name string) *v1alpha1.ScalingGroup {
	g := &v1alpha1.ScalingGroup{ObjectMeta: metav1.ObjectMeta{Name: name}}
	g.Spec.Pool, g.Spec.PoolUID, g.Spec.MaxSize = name, "u", 10
	g.Spec.LaunchSettings = nodePool(name, 0).Spec.LaunchSettings
	g.Spec.ScalingPolicy.Type = v1alpha1.PolicyPriority
	g.Spec.Drain.Mode = v1alpha1.DrainBestEffort
	g.Spec.Billing.ChargeType = v1alpha1.ChargePayAsYouGo
	g.Spec.SystemDisk = v1alpha1.Disk{Category: "cloud_essd", SizeGiB: 40}
	return g
}

func activity(name string) *v1alpha1.ScalingActivity {
	return &v1alpha1.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ScalingActivitySpec{Group: "web", GroupUID: "u", Pool: "web", Number: 1, Cause: "expected number 0 -> 1", Wanted: 1, Create: 1}}
}

// active waits until the policies are seen by the API server, which takes a
// moment after they were applied.
func active(t *testing.T, s *configtest.Server) {
	t.Helper()
	admin, ctx := s.Client(t), context.Background()
	configtest.Eventually(t, "policies", func() error {
		for what, probe := range map[string]func() error{
			"instances":         func() error { return admin.Create(ctx, instance("i-probe"), client.DryRunAll) },
			"scalinggroups":     func() error { return admin.Create(ctx, group("probe"), client.DryRunAll) },
			"scalingactivities": func() error { return admin.Create(ctx, activity("probe-a1"), client.DryRunAll) },
			"clustertasks": func() error {
				k := &v1alpha1.ClusterTask{ObjectMeta: metav1.ObjectMeta{Name: "probe"}}
				k.Spec.Type, k.Spec.Title, k.Spec.Pool = v1alpha1.TaskScale, "probe", "probe"
				return admin.Create(ctx, k, client.DryRunAll)
			},
			"transfers": func() error {
				p := nodePool("probe", 0)
				p.Spec.Transfers = []v1alpha1.Transfer{{Instance: "i-1", Task: "u", Direction: v1alpha1.TransferIn}}
				return admin.Create(ctx, p, client.DryRunAll)
			},
			"join-requests": func() error {
				user, groups := joiner("web")
				r := joinRequest("web")
				r.Name = "poolkeeper-web-abcde"
				return s.As(t, user, groups...).Create(ctx, r, client.DryRunAll)
			},
			"asked-by": func() error {
				p := nodePool("probe", 0)
				if err := admin.Create(ctx, p, client.DryRunAll); err != nil {
					t.Fatal(err)
				}
				if p.Annotations[v1alpha1.AnnotationAskedBy] != "" {
					return errorf("stamped")
				}
				return nil
			},
		} {
			if probe() == nil {
				return errorf("policy %s is not in force", what)
			}
		}
		return nil
	})
}

func TestDeletionProtection(t *testing.T) {
	s := configtest.Shared(t)
	active(t, s)
	admin, ctx := s.Client(t), context.Background()
	p := nodePool("kept", 3)
	accepted(t, "create", admin.Create(ctx, p))
	p.Status.Counts.Instances = 2
	p.Status.Counts.Uncertain = 1
	accepted(t, "status", admin.Status().Update(ctx, p))
	configtest.Eventually(t, "protection", func() error {
		if err := admin.Delete(ctx, p.DeepCopy(), client.DryRunAll); err == nil {
			return errorf("not in force")
		}
		return nil
	})
	refused(t, "deletion of a protected pool", admin.Delete(ctx, p.DeepCopy()), "poolkeeper pool unprotect kept")
	refused(t, "deletion of a protected pool", admin.Delete(ctx, p.DeepCopy()), "has 3 instances")
	refused(t, "deletion of all pools", admin.DeleteAllOf(ctx, &v1alpha1.NodePool{}, client.MatchingFields{"metadata.name": "kept"}), "poolkeeper pool unprotect kept")

	// What the message says works.
	off := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"deletionProtection":false}}`))
	accepted(t, "unprotect", admin.Patch(ctx, p, off))
	accepted(t, "deletion without protection", admin.Delete(ctx, p))

	empty := nodePool("empty", 0)
	accepted(t, "create", admin.Create(ctx, empty))
	accepted(t, "deletion of a protected pool without instances", admin.Delete(ctx, empty))
}

func TestRecordsBelongToTheEngine(t *testing.T) {
	s := configtest.Shared(t)
	active(t, s)
	ctx, admin := context.Background(), s.Client(t)
	engine, gc := s.As(t, config.ControllerUser), s.As(t, gcUser, "system:masters")

	refused(t, "creation of an instance by hand", admin.Create(ctx, instance("i-hand")), "poolkeeper node attach")
	refused(t, "creation of a group by hand", admin.Create(ctx, group("hand")), "Create a node pool")
	refused(t, "creation of an activity by hand", admin.Create(ctx, activity("hand-a1")), "poolkeeper pool scale")
	for _, o := range []client.Object{instance("i-1"), group("web"), activity("web-a1"), instance("i-gone")} {
		accepted(t, "creation by the controller", engine.Create(ctx, o))
	}
	refused(t, "deletion of an instance", admin.Delete(ctx, instance("i-1")), "poolkeeper node remove i-1 --release")
	refused(t, "deletion of a group", admin.Delete(ctx, group("web")), "poolkeeper pool delete web")
	refused(t, "deletion of an open activity", admin.Delete(ctx, activity("web-a1")), "poolkeeper pool scale web")
	refused(t, "deletion of all instances", admin.DeleteAllOf(ctx, &v1alpha1.Instance{}), "is a record of the controller")

	// The message follows what the record is.
	var i v1alpha1.Instance
	accepted(t, "get", admin.Get(ctx, client.ObjectKey{Name: "i-gone"}, &i))
	before := i.DeepCopy()
	i.Status.LifecycleState = v1alpha1.InstanceRemoved
	accepted(t, "status", engine.Status().Patch(ctx, &i, client.MergeFrom(before)))
	refused(t, "deletion of a removed instance", admin.Delete(ctx, instance("i-gone")), "poolkeeper node forget i-gone")

	// The finalizer is not for people to take off.
	bare := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	refused(t, "taking the finalizer off", admin.Patch(ctx, instance("i-1"), bare), "kubectl delete validatingadmissionpolicybinding -l")

	// What is over is history.
	var a v1alpha1.ScalingActivity
	accepted(t, "get", admin.Get(ctx, client.ObjectKey{Name: "web-a1"}, &a))
	a.Status.Done = true
	a.Status.Pieces = []v1alpha1.Piece{{Amount: 1, State: v1alpha1.PieceUncertain}}
	accepted(t, "status", engine.Status().Update(ctx, &a))
	refused(t, "deletion of an activity with an uncertain piece", admin.Delete(ctx, activity("web-a1")), "is not over")
	a.Status.Pieces[0].State = v1alpha1.PieceResolved
	accepted(t, "status", engine.Status().Update(ctx, &a))
	accepted(t, "deletion of a finished activity", admin.Delete(ctx, activity("web-a1")))

	accepted(t, "deletion by the garbage collector", gc.Delete(ctx, instance("i-1")))
	accepted(t, "get", admin.Get(ctx, client.ObjectKey{Name: "i-1"}, &i))
	if i.DeletionTimestamp == nil {
		t.Error("i-1 is not held by its finalizer")
	}
	refused(t, "taking the finalizer off what is held", admin.Patch(ctx, instance("i-1"), bare), "is taken off by the controller")
	for _, name := range []string{"i-1", "i-gone"} {
		accepted(t, "the controller lets go", engine.Patch(ctx, instance(name), bare))
		accepted(t, "deletion by the controller", client.IgnoreNotFound(engine.Delete(ctx, instance(name))))
	}
	accepted(t, "deletion by the controller", engine.Delete(ctx, group("web")))
}

func TestTasksOfPeople(t *testing.T) {
	s := configtest.Shared(t)
	active(t, s)
	ctx, admin, engine := context.Background(), s.Client(t), s.As(t, config.ControllerUser)
	task := func(name string, typ v1alpha1.TaskType) *v1alpha1.ClusterTask {
		k := &v1alpha1.ClusterTask{ObjectMeta: metav1.ObjectMeta{Name: name}}
		k.Spec.Type, k.Spec.Title, k.Spec.Pool = typ, "a task", "web"
		if typ == v1alpha1.TaskRemove {
			k.Spec.Instances = []string{"i-1"}
		}
		return k
	}
	refused(t, "a Scale task by hand", admin.Create(ctx, task("t-scale", v1alpha1.TaskScale)), "poolkeeper pool scale POOL")
	accepted(t, "a Scale task by the controller", engine.Create(ctx, task("t-scale", v1alpha1.TaskScale)))
	refused(t, "a Delete task by hand", admin.Create(ctx, task("t-delete", v1alpha1.TaskDelete)), "poolkeeper pool delete POOL")
	for _, typ := range []v1alpha1.TaskType{v1alpha1.TaskResume, v1alpha1.TaskRebalance, v1alpha1.TaskThaw, v1alpha1.TaskRenew} {
		k := task("t-"+strings.ToLower(string(typ)), typ)
		if typ == v1alpha1.TaskRenew {
			k.Spec.Instances = []string{"i-1"}
		}
		accepted(t, "a task of the type "+string(typ), admin.Create(ctx, k))
	}
	k := task("t-remove", v1alpha1.TaskRemove)
	accepted(t, "a Remove task", admin.Create(ctx, k))
	k.Status.State = v1alpha1.TaskRunning
	accepted(t, "status", engine.Status().Update(ctx, k))
	refused(t, "deletion of a running task", admin.Delete(ctx, k), "poolkeeper task cancel t-remove")
	cancel := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancel":true}}`))
	accepted(t, "cancel", admin.Patch(ctx, k, cancel))
	k.Status.State = v1alpha1.TaskCanceled
	accepted(t, "status", engine.Status().Update(ctx, k))
	accepted(t, "deletion of a task that ended", admin.Delete(ctx, k))
}

func TestWhoWritesWhichField(t *testing.T) {
	s := configtest.Shared(t)
	active(t, s)
	ctx, admin, engine := context.Background(), s.Client(t), s.As(t, config.ControllerUser)
	accepted(t, "create", engine.Create(ctx, instance("i-fields")))
	accepted(t, "create", engine.Create(ctx, group("fields")))
	p := nodePool("fields", 1)
	accepted(t, "create", admin.Create(ctx, p))
	patch := func(c client.Client, o client.Object, body string) error {
		return c.Patch(ctx, o, client.RawPatch(types.MergePatchType, []byte(body)))
	}
	i, g := instance("i-fields"), group("fields")
	transfers := `{"spec":{"transfers":[{"instance":"i-9","task":"u","direction":"In"}]}}`
	for _, tc := range []struct {
		what   string
		object client.Object
		body   string
		refuse string
	}{
		{"protect", i, `{"spec":{"protected":true,"standby":true,"releaseFirst":true}}`, ""},
		{"a conversion", i, `{"spec":{"convert":{"to":"PayAsYouGo","id":"w1"}}}`, ""},
		{"a renewal", i, `{"spec":{"renew":{"periodMonths":1,"id":"w1"}}}`, ""},
		{"an answer to a hook", i, `{"spec":{"hookAnswers":[{"hook":"warm","wait":"created","result":"Continue"}]}}`, ""},
		{"a rollback of what stays", i, `{"spec":{"hookAnswers":[{"hook":"tidy","wait":"fields-a2","result":"Rollback"}]}}`, "i-fields is not on its way out"},
		{"unprotect", i, `{"spec":{"protected":null}}`, ""},
		{"a label", i, `{"metadata":{"labels":{"team":"a"}}}`, ""},
		{"a key", i, `{"spec":{"joinKey":"` + strings.Repeat("a", 64) + `"}}`, "poolkeeper node rejoin i-fields"},
		{"a mark", i, `{"spec":{"release":{"activity":"a","time":"2026-01-01T00:00:00.000000Z"}}}`, "poolkeeper node remove i-fields"},
		{"a hold", i, `{"spec":{"heldBy":"u"}}`, "people set protected"},
		{"another pool", i, `{"spec":{"pool":"other"}}`, "people set protected"},
		{"the health check", g, `{"spec":{"healthCheck":"ECS"}}`, ""},
		{"the capacity, which is put back", g, `{"spec":{"desiredCapacity":2}}`, ""},
		{"the limits, which are put back", g, `{"spec":{"minSize":1,"maxSize":9}}`, ""},
		{"a resume", g, `{"spec":{"resumeCount":9}}`, "poolkeeper pool edit fields"},
		{"the policy", g, `{"spec":{"scalingPolicy":{"type":"CostOptimization"}}}`, "poolkeeper pool edit fields"},
		{"the number", p, `{"spec":{"expectedNodes":2}}`, ""},
		{"transfers", p, transfers, "poolkeeper node attach"},
	} {
		o := tc.object.DeepCopyObject().(client.Object)
		err := patch(admin, o, tc.body)
		if tc.refuse == "" {
			accepted(t, tc.what, err)
		} else {
			refused(t, tc.what+" by a person", err, tc.refuse)
			accepted(t, tc.what+" by the controller", patch(engine, tc.object.DeepCopyObject().(client.Object), tc.body))
		}
	}
	refused(t, "taking transfers out", patch(admin, nodePool("fields", 0), `{"spec":{"transfers":null}}`), "poolkeeper task cancel")
	accepted(t, "a number beside transfers", patch(admin, nodePool("fields", 0), `{"spec":{"expectedNodes":3}}`))
}

// A program that completes hooks answers, and does nothing else; Rollback is for
// what scaling in has chosen.
func TestWhoAnswersHooks(t *testing.T) {
	s := configtest.Shared(t)
	active(t, s)
	ctx, admin, engine, hooks := context.Background(), s.Client(t), s.As(t, config.ControllerUser), s.As(t, "hooks")
	b := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "test-answers"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "poolkeeper-hooks"},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "hooks"}}}
	accepted(t, "bind", admin.Create(ctx, b))
	accepted(t, "create", engine.Create(ctx, instance("i-hooks")))
	patch := func(c client.Client, body string) error {
		return c.Patch(ctx, instance("i-hooks"), client.RawPatch(types.MergePatchType, []byte(body)))
	}
	answer := func(wait, result string) string {
		return `{"spec":{"hookAnswers":[{"hook":"tidy","wait":"` + wait + `","result":"` + result + `"}]}}`
	}
	mark := func(more string) string {
		return `{"spec":{"release":{"activity":"web-a2","time":"2026-01-01T00:00:00.000000Z"` + more + `}}}`
	}
	configtest.Eventually(t, "rights", func() error { return patch(hooks, answer("created", "Continue")) })
	for what, body := range map[string]string{
		"protecting": `{"spec":{"protected":true}}`, "a label": `{"metadata":{"labels":{"team":"a"}}}`, "an annotation": `{"metadata":{"annotations":{"team":"a"}}}`,
	} {
		refused(t, what+" by a program", patch(hooks, body), "answers lifecycle hooks only")
	}
	refused(t, "more by a program", patch(hooks, mark("")), "people set protected")
	accepted(t, "mark", patch(engine, mark("")))
	refused(t, "a rollback of an earlier wait", patch(hooks, answer("web-a1", "Rollback")), "earlier wait")
	accepted(t, "a rollback", patch(hooks, answer("web-a2", "Rollback")))
	accepted(t, "unmark", patch(engine, `{"spec":{"release":null}}`))
	accepted(t, "what stood there before", patch(admin, `{"spec":{"protected":true}}`))
	accepted(t, "named", patch(engine, mark(`,"task":"t1"`)))
	accepted(t, "another answer", patch(hooks, answer("web-a2", "Continue")))
	refused(t, "a rollback of a named one", patch(hooks, answer("web-a2", "Rollback")), "poolkeeper task cancel")
	accepted(t, "emptied", patch(engine, mark(`,"task":null,"emptying":true`)))
	refused(t, "a rollback of a pool that goes", patch(hooks, answer("web-a2", "Rollback")), "i-hooks goes with its pool")
}

// Who asked is stamped where the spec changes, and nobody writes it.
func TestWhoAsked(t *testing.T) {
	s := configtest.Shared(t)
	active(t, s)
	ctx := context.Background()
	alice, bob, engine := s.As(t, "alice", "system:masters"), s.As(t, "bob", "system:masters"), s.As(t, config.ControllerUser)
	p := nodePool("asked", 1)
	p.Annotations = map[string]string{v1alpha1.AnnotationAskedBy: "mallory", "team": "a"}
	stamp := func(want string) {
		t.Helper()
		if got := p.Annotations[v1alpha1.AnnotationAskedBy] + "@" + p.Annotations[v1alpha1.AnnotationAskedAt]; got != want {
			t.Errorf("stamp = %s, want %s", got, want)
		}
	}
	accepted(t, "create", alice.Create(ctx, p))
	stamp("alice@0")
	patch := func(c client.Client, body string) {
		t.Helper()
		accepted(t, body, c.Patch(ctx, p, client.RawPatch(types.MergePatchType, []byte(body))))
	}
	patch(bob, `{"spec":{"expectedNodes":2}}`)
	stamp("bob@1")
	patch(alice, `{"metadata":{"annotations":{"poolkeeper.io/asked-by":"mallory","poolkeeper.io/asked-at-generation":"9"}}}`)
	stamp("bob@1")
	patch(alice, `{"metadata":{"annotations":{"poolkeeper.io/asked-by":null,"poolkeeper.io/asked-at-generation":null}}}`)
	stamp("bob@1")
	patch(alice, `{"metadata":{"annotations":null,"labels":{"x":"y"}}}`)
	stamp("bob@1")
	patch(alice, `{"spec":{"expectedNodes":3},"metadata":{"annotations":{"poolkeeper.io/asked-by":"mallory"}}}`)
	stamp("alice@2")
	p.Status.Word = "Updating"
	accepted(t, "status", engine.Status().Update(ctx, p))
	stamp("alice@2")

	// Scale passes by: the stamp speaks of an older generation.
	u := p.DeepCopy()
	if _, err := s.Kubectl(t, "scale", "nodepool/asked", "--replicas=5"); err != nil {
		t.Fatal(err)
	}
	accepted(t, "get", alice.Get(ctx, client.ObjectKeyFromObject(u), p))
	stamp("alice@2")
	if p.Generation != 4 {
		t.Errorf("generation = %d, want 4", p.Generation)
	}
	k := &v1alpha1.ClusterTask{ObjectMeta: metav1.ObjectMeta{Name: "t-asked"}}
	k.Spec.Type, k.Spec.Title, k.Spec.Pool = v1alpha1.TaskResume, "Resume asked", "asked"
	accepted(t, "create task", bob.Create(ctx, k))
	if k.Annotations[v1alpha1.AnnotationAskedBy] != "bob" {
		t.Errorf("task stamped %q, want bob", k.Annotations[v1alpha1.AnnotationAskedBy])
	}
}

// A definition that is deleted takes no record with it: the finalizers hold
// every one that stands for something in the cloud.
func TestDeletingADefinitionWipesNoRecord(t *testing.T) {
	s := configtest.Own(t)
	ctx, admin, engine := context.Background(), s.Client(t), s.As(t, config.ControllerUser)
	accepted(t, "create", engine.Create(ctx, instance("i-held")))
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "instances.poolkeeper.io"}}
	ext := client.Object(crd)
	cfg := s.Config
	c, err := client.New(cfg, client.Options{Scheme: withDefinitions(t)})
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, "delete the definition", c.Delete(ctx, ext))
	var i v1alpha1.Instance
	configtest.Eventually(t, "the API server cleans up", func() error {
		if err := admin.Get(ctx, client.ObjectKey{Name: "i-held"}, &i); err != nil {
			t.Fatalf("the record is gone: %v", err)
		}
		if i.DeletionTimestamp == nil {
			return errorf("not yet reached")
		}
		return nil
	})
	accepted(t, "get the definition", c.Get(ctx, client.ObjectKeyFromObject(crd), crd))
	if crd.DeletionTimestamp == nil {
		t.Error("the definition is not in deletion")
	}
	before := i.DeepCopy()
	i.Status.PrivateIP = "10.0.0.9"
	accepted(t, "the controller still writes the record", engine.Status().Patch(ctx, &i, client.MergeFrom(before)))
}

// The write of a machine's key takes off who set which field of its Instance,
// and what is written later does not bring it back.
func TestKeyTakesFieldRecordsOff(t *testing.T) {
	s := configtest.Shared(t)
	ctx, engine := context.Background(), s.As(t, config.ControllerUser)
	i := instance("i-keyed")
	accepted(t, "create", engine.Create(ctx, i))
	if len(i.ManagedFields) == 0 {
		t.Fatal("the API server keeps no fields at all")
	}
	key := join.KeyPatch(i.ResourceVersion, strings.Repeat("a", 64))
	accepted(t, "key", engine.Patch(ctx, i, client.RawPatch(types.MergePatchType, key)))
	before := i.DeepCopy()
	i.Status.LifecycleState = v1alpha1.InstanceInService
	accepted(t, "status", engine.Status().Patch(ctx, i, client.MergeFrom(before)))
	if i.Spec.JoinKey == "" || len(i.ManagedFields) != 0 {
		t.Errorf("key %q, fields %v", i.Spec.JoinKey, i.ManagedFields)
	}
	if err := engine.Patch(ctx, i, client.RawPatch(types.MergePatchType, key)); !apierrors.IsConflict(err) {
		t.Errorf("key of an older version: %v", err)
	}
}
