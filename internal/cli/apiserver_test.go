package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/config/configtest"
)

func TestMain(m *testing.M) { configtest.Main(m) }

// person is somebody at the command line of a real API server, with the
// definitions, rights and policies as they are shipped.
type person struct {
	t   *testing.T
	cfg *rest.Config
}

// types runs one command line and returns the exit code, stdout and stderr.
func (p person) types(line string, stdin ...string) (int, string, string) {
	p.t.Helper()
	var out, errs bytes.Buffer
	root := New(Options{
		In: strings.NewReader(strings.Join(stdin, "\n")), Out: &out, Err: &errs, Env: func(string) string { return "" },
		NewClient: func(string, string) (client.WithWatch, error) {
			return client.NewWithWatch(p.cfg, client.Options{Scheme: Scheme(), Mapper: mapper()})
		},
	})
	root.SetArgs(strings.Fields(line)[1:])
	code := Execute(root)
	return code, out.String(), errs.String()
}

// must types a line that has to end with a code and say something.
func (p person) must(code int, want, line string, stdin ...string) {
	p.t.Helper()
	got, out, errs := p.types(line, stdin...)
	if got != code || !strings.Contains(out+errs, want) {
		p.t.Fatalf("$ %s\n%s%sexit %d, want %d and %q", line, out, errs, got, code, want)
	}
}

// newPool makes a pool of this test's own.
func newPool(t *testing.T, p person, name string) {
	t.Helper()
	p.must(ExitDone, "Created: "+name, "poolkeeper pool create "+name+" --expected-nodes 0 --max-nodes 9 --vswitch vsw-a --instance-type ecs.g7.xlarge --image img-1 --security-group sg-1")
}

// controller is a client with the identity that carries tasks on.
func controller(t *testing.T) client.WithWatch {
	t.Helper()
	cfg := configtest.Shared(t).ConfigAs(config.ControllerUser, "system:serviceaccounts", "system:serviceaccounts:"+config.Namespace)
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: configtest.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// engine does what the controllers do for one pool: it makes the task of each
// new number and reports that it was reached. It ends with the test.
func engine(t *testing.T, name string) {
	t.Helper()
	c := controller(t)
	ctx, cancel := context.WithCancel(context.Background())
	w, err := c.Watch(ctx, &v1alpha1.NodePoolList{}, named(name)...)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); w.Stop(); <-done })
	go func() {
		defer close(done)
		for e := range w.ResultChan() {
			if p, ok := e.Object.(*v1alpha1.NodePool); ok && p.Status.ObservedGeneration < p.Generation {
				if err := settle(ctx, c, p); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) { // a newer one is on its way
					t.Errorf("engine: %v", err)
				}
			}
		}
	}()
}

// settle makes the task of a pool's newest generation, then lets the pool and
// after it the task be as wished.
func settle(ctx context.Context, c client.Client, p *v1alpha1.NodePool) error {
	task := &v1alpha1.ClusterTask{ObjectMeta: metav1.ObjectMeta{Name: scaleTask(p)}, Spec: v1alpha1.ClusterTaskSpec{
		Type: v1alpha1.TaskScale, Title: "Scale " + p.Name, Pool: p.Name, PoolUID: string(p.UID), PoolGeneration: p.Generation, To: p.Spec.ExpectedNodes}}
	if err := c.Create(ctx, task); err != nil {
		return fmt.Errorf("create task %s: %w", task.Name, err)
	}
	n := p.Spec.ExpectedNodes
	p.Status = v1alpha1.NodePoolStatus{ObservedGeneration: p.Generation, State: v1alpha1.PoolActive, Task: task.Name,
		Counts: v1alpha1.PoolCounts{Instances: n, InService: n}}
	if err := c.Status().Update(ctx, p); err != nil {
		return fmt.Errorf("report pool %s: %w", p.Name, err)
	}
	task.Status = v1alpha1.ClusterTaskStatus{State: v1alpha1.TaskSuccess, Counts: v1alpha1.TaskCounts{Wanted: n, Created: n, Joined: n}}
	if err := c.Status().Update(ctx, task); err != nil {
		return fmt.Errorf("report task %s: %w", task.Name, err)
	}
	return nil
}

func admin(t *testing.T) (person, client.WithWatch) {
	t.Helper()
	cfg := configtest.Shared(t).Config
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: configtest.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return person{t, cfg}, c
}

// TestScaleOnAnAPIServer: a number is written, its task found and followed; the
// same number again changes nothing.
func TestScaleOnAnAPIServer(t *testing.T) {
	p, _ := admin(t)
	newPool(t, p, "scaled")
	engine(t, "scaled")
	p.must(ExitDone, "done pool=scaled nodes=5 expected=5", "poolkeeper pool scale scaled --expected-nodes 5 --wait --timeout 30s")
	p.must(ExitDone, "done pool=scaled nodes=3 expected=3", "poolkeeper pool scale scaled --expected-nodes 3 --wait --timeout 30s")
	p.must(ExitDone, "Nothing was changed.", "poolkeeper pool scale scaled --expected-nodes 3 --wait --timeout 30s")
	p.must(ExitDone, "scaled has 3 of 3 nodes, all joined.", "poolkeeper why scaled --check")
	p.must(ExitDone, "scaled  Activated", "poolkeeper pool list -o wide")
	p.must(ExitInput, "expected nodes 10 is above max 9", "poolkeeper pool scale scaled --expected-nodes 10")
	p.must(ExitNotAllowed, "it is protected from deletion and has 3 instances", "poolkeeper pool delete scaled --yes")
}

// TestRulesOfTheAPIServer: what the cluster's own rules refuse is told with
// their words, and nothing changes.
func TestRulesOfTheAPIServer(t *testing.T) {
	p, _ := admin(t)
	newPool(t, p, "ruled")
	p.must(ExitDone, "Nothing was changed.", "poolkeeper pool edit ruled --add-vswitch vsw-b --dry-run")
	p.must(ExitDone, "Accepted: ruled is changed", "poolkeeper pool edit ruled --add-vswitch vsw-b --min-nodes 0")
	p.must(ExitDone, "ruled is so already", "poolkeeper pool edit ruled --min-nodes 0")
	p.must(ExitInput, "expectedNodes is below minNodes", "poolkeeper pool edit ruled --min-nodes 4")
	p.must(ExitInput, `Unsupported value: "Cheapest"`, "poolkeeper pool create other --vswitch vsw-a --instance-type t --image i --security-group s --policy Cheapest")
	p.must(ExitInput, "the name is taken", "poolkeeper pool create ruled --vswitch vsw-a --instance-type t --image i --security-group s")
	p.must(ExitInput, "DNS label of at most 40 characters", "poolkeeper pool create "+strings.Repeat("x", 41)+" --vswitch vsw-a --instance-type t --image i --security-group s")
	p.must(ExitInput, `unknown field "spec.vSwitch"`, "poolkeeper pool create -f -", `apiVersion: poolkeeper.io/v1alpha1`, `kind: NodePool`, `metadata: {name: typo}`,
		`spec: {expectedNodes: 1, vSwitch: [a], vSwitches: [a], instanceTypes: [t], imageID: i, securityGroups: [s]}`)
	p.must(ExitDone, "Accepted: Resume ruled.", "poolkeeper pool resume ruled")
	p.must(ExitDone, "Accepted: Adopt all unknown instances into ruled.", "poolkeeper pool adopt ruled --all")
	p.must(ExitDone, "Accepted: Attach 2 instances to ruled.", "poolkeeper node attach i-1 i-2 --pool ruled")
	p.must(ExitDone, "Asked by", "poolkeeper task get "+taskOf(t, p, "attach"))
	p.must(ExitDone, "Asked "+taskOf(t, p, "attach")+" to stop.", "poolkeeper task cancel "+taskOf(t, p, "attach"))
	p.must(ExitDone, "ruled is no longer protected", "poolkeeper pool unprotect ruled")
	p.must(ExitDone, "Accepted: ruled is being deleted.", "poolkeeper pool delete ruled --yes --wait --timeout 30s")
	p.must(ExitNotFound, `there is no node pool "ruled"`, "poolkeeper pool get ruled")
}

// taskOf is the name of the pool ruled's task of a kind.
func taskOf(t *testing.T, p person, kind string) string {
	t.Helper()
	_, out, _ := p.types("poolkeeper task list --pool ruled -o name")
	for _, line := range strings.Fields(out) {
		if name := strings.TrimPrefix(line, "clustertask.poolkeeper.io/"); strings.HasPrefix(name, "ruled-"+kind) {
			return name
		}
	}
	t.Fatalf("no task of kind %s in:\n%s", kind, out)
	return ""
}

// TestWhoMayOnlyScale goes through the scale subresource; who may only look is
// told so.
func TestWhoMayOnlyScale(t *testing.T) {
	p, c := admin(t)
	newPool(t, p, "limited")
	engine(t, "limited")
	grant(t, c, "scaler", rbacv1.PolicyRule{APIGroups: []string{"poolkeeper.io"}, Resources: []string{"nodepools/scale"}, Verbs: []string{"patch"}},
		rbacv1.PolicyRule{APIGroups: []string{"poolkeeper.io"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}})
	grant(t, c, "looker", rbacv1.PolicyRule{APIGroups: []string{"poolkeeper.io"}, Resources: []string{"*"}, Verbs: []string{"get", "list"}})
	scaler := person{t, configtest.Shared(t).ConfigAs("scaler")}
	looker := person{t, configtest.Shared(t).ConfigAs("looker")}
	nobody := person{t, configtest.Shared(t).ConfigAs("nobody")}
	configtest.Eventually(t, "rights are granted", func() error {
		if code, out, errs := looker.types("poolkeeper pool get limited"); code != ExitDone {
			return fmt.Errorf("%s%s", out, errs)
		}
		if code, out, errs := scaler.types("poolkeeper pool get limited"); code != ExitDone {
			return fmt.Errorf("%s%s", out, errs)
		}
		return nil
	})
	scaler.must(ExitDone, "done pool=limited nodes=4 expected=4", "poolkeeper pool scale limited --expected-nodes 4 --wait --timeout 30s")
	scaler.must(ExitDone, "Nothing was changed.", "poolkeeper pool scale limited --expected-nodes 5 --dry-run")
	scaler.must(ExitNotAllowed, "user scaler lacks patch nodepools (RBAC)", "poolkeeper pool edit limited --max-nodes 20")
	looker.must(ExitNotAllowed, "user looker lacks patch nodepools/scale (RBAC)", "poolkeeper pool scale limited --expected-nodes 1")
	looker.must(ExitDone, "nodes=4 expected=4", "poolkeeper pool scale limited --expected-nodes 4 --wait --timeout 30s")
	nobody.must(ExitNotAllowed, "user nobody lacks list nodepools (RBAC)", "poolkeeper pool list")
}

// grant gives a user rights.
func grant(t *testing.T, c client.Client, user string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "test-" + user}, Rules: rules}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "test-" + user},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}}
	for _, o := range []client.Object{role, binding} {
		if err := c.Create(context.Background(), o); err != nil {
			t.Fatal(err)
		}
	}
}
