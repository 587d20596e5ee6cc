package nodepool_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool/apitest"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// cloudCheck knows one set of vSwitches.
type cloudCheck struct {
	has  map[string]bool
	down bool
	asks int
	// undrained is what is wrong with the role of the drain; drains counts the
	// looks for it.
	undrained *fault.Fault
	drains    int
}

func (c *cloudCheck) Drain(context.Context) (*fault.Fault, error) {
	c.drains++
	if c.down {
		return nil, errors.New("connection refused")
	}
	return c.undrained, nil
}

func (c *cloudCheck) Check(_ context.Context, _ string, s *api.LaunchSettings) ([]nodepool.Wrong, error) {
	c.asks++
	if c.down {
		return nil, errors.New("connection refused")
	}
	var out []nodepool.Wrong
	for _, v := range s.VSwitches {
		if !c.has[v] {
			out = append(out, nodepool.Wrong{Code: "InvalidVSwitchId.NotFound", Field: "vSwitches[0]", Value: v, Exists: []string{"vsw-a", "vsw-b"}})
		}
	}
	return out, nil
}

type definitions struct{ deleting string }

func (d *definitions) Deleting(context.Context, bool) (string, error) { return d.deleting, nil }

type credentials struct{ removed []string }

func (c *credentials) Remove(_ context.Context, pool string) error {
	c.removed = append(c.removed, pool)
	return nil
}

// bench is one reconciler with all around it.
type bench struct {
	*testing.T
	client.WithWatch
	r       *nodepool.Reconciler
	clock   *apitest.Clock
	check   *cloudCheck
	defs    *definitions
	creds   *credentials
	events  *record.FakeRecorder
	writes  []string
	last    ctrl.Result
	refused func(verb string, o client.Object) error
}

func newBench(t *testing.T, objs ...client.Object) *bench {
	b := &bench{T: t, clock: apitest.NewClock(), defs: &definitions{}, creds: &credentials{}, events: record.NewFakeRecorder(100)}
	b.check = &cloudCheck{has: map[string]bool{"vsw-a": true, "vsw-b": true}}
	b.WithWatch = apitest.New(t, func(verb string, o client.Object) error {
		if b.refused != nil {
			if err := b.refused(verb, o); err != nil {
				return err
			}
		}
		b.writes = append(b.writes, verb+" "+o.GetName())
		return nil
	}, objs...)
	b.r = b.reconciler()
	return b
}

// reconciler is a fresh one, as after a restart.
func (b *bench) reconciler() *nodepool.Reconciler {
	return &nodepool.Reconciler{
		Client: b.WithWatch, Live: b.WithWatch, Now: b.clock.Now, Waits: wait.Defaults(),
		Events: b.events, Check: b.check, Definitions: b.defs, Credentials: b.creds,
	}
}

func aPool(name string, change func(*api.NodePool)) *api.NodePool {
	p := &api.NodePool{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "abcdef01-2345-0000-0000-000000000000"}}
	p.Spec = api.NodePoolSpec{ExpectedNodes: 3, MaxNodes: 100, HealthCheck: api.HealthCheckNone,
		LaunchSettings: api.LaunchSettings{VSwitches: []string{"vsw-a"}, InstanceTypes: []string{"ecs.g7.large"}, ImageID: "img", SecurityGroups: []string{"sg"}}}
	if change != nil {
		change(p)
	}
	return p
}

func (b *bench) look() {
	b.Helper()
	res, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "web"}})
	if err != nil {
		b.Fatal(err)
	}
	b.last = res
}

// later looks again once the status may be written.
func (b *bench) later() {
	b.Helper()
	b.clock.Pass(2 * time.Second)
	b.look()
}

func (b *bench) get(name string, o client.Object) bool {
	b.Helper()
	err := b.Get(b.Context(), types.NamespacedName{Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		b.Fatal(err)
	}
	return err == nil
}

func (b *bench) pool() *api.NodePool {
	b.Helper()
	p := &api.NodePool{}
	if !b.get("web", p) {
		b.Fatal("the pool is gone")
	}
	return p
}

func (b *bench) group() *api.ScalingGroup {
	b.Helper()
	g := &api.ScalingGroup{}
	if !b.get("web", g) {
		b.Fatal("there is no group")
	}
	return g
}

// edit changes the pool as a person does.
func (b *bench) edit(change func(*api.NodePool)) {
	b.Helper()
	p := b.pool()
	change(p)
	b.put(p)
}

func (b *bench) put(o client.Object) {
	b.Helper()
	if err := b.Update(b.Context(), o); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) putStatus(o client.Object) {
	b.Helper()
	if err := b.Status().Update(b.Context(), o); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) tasks() map[string]api.ClusterTask {
	b.Helper()
	var list api.ClusterTaskList
	if err := b.List(b.Context(), &list); err != nil {
		b.Fatal(err)
	}
	out := map[string]api.ClusterTask{}
	for _, t := range list.Items {
		out[t.Name] = t
	}
	return out
}

func (b *bench) instance(name string, change func(*api.Instance)) *api.Instance {
	b.Helper()
	i := &api.Instance{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{api.Finalizer}}}
	i.Spec.Pool, i.Spec.Group, i.Spec.GroupUID = "web", "web", string(b.group().UID)
	i.Spec.CreationType = api.CreatedByUs
	i.Spec.Placement.PricePerHour, i.Spec.Placement.Currency = "0.42", "CNY"
	if change != nil {
		change(i)
	}
	st := i.Status
	if err := b.Create(b.Context(), i); err != nil {
		b.Fatal(err)
	}
	i.Status = st
	b.putStatus(i)
	return i
}

func ready(i *api.Instance) {
	now := metav1.Now()
	i.Status.LifecycleState, i.Status.NodeState, i.Status.JoinedTime = api.InstanceInService, api.NodeReady, &now
}

// settle makes the group's status say that it has seen its spec.
func (b *bench) settle(change func(*api.ScalingGroup)) {
	b.Helper()
	g := b.group()
	g.Status.ObservedGeneration = g.Generation
	if change != nil {
		change(g)
	}
	b.putStatus(g)
}

func (b *bench) event() string {
	select {
	case e := <-b.events.Events:
		return e
	default:
		return ""
	}
}

func condition(p *api.NodePool, typ string) metav1.Condition {
	if c := meta.FindStatusCondition(p.Status.Conditions, typ); c != nil {
		return *c
	}
	return metav1.Condition{}
}

func (b *bench) says(text string, parts ...string) {
	b.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			b.Errorf("%q does not say %q", text, p)
		}
	}
}

var (
	requestWeb      = ctrl.Request{NamespacedName: types.NamespacedName{Name: "web"}}
	nodepoolAskedBy = nodepool.AskedBy
)

func owns(manager, subresource string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:expectedNodes":{}}}`)}
}
