package clustertask_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/clustertask"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool/apitest"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// region is what the cloud shows: instances with or without our tags.
type region struct {
	seen map[string]clustertask.Seen
	down bool
}

func (r *region) Look(_ context.Context, ids ...string) (map[string]clustertask.Seen, error) {
	if r.down {
		return nil, errors.New("connection refused")
	}
	out := map[string]clustertask.Seen{}
	for _, id := range ids {
		if s, ok := r.seen[id]; ok {
			out[id] = s
		}
	}
	return out, nil
}

const poolUID = "abcdef01-0000-0000-0000-000000000000"

type bench struct {
	*testing.T
	client.WithWatch
	r       *clustertask.Reconciler
	clock   *apitest.Clock
	region  *region
	events  *record.FakeRecorder
	offered []string
	writes  []string
	// broken refuses a write; nil: none.
	broken func(verb string, o client.Object) error
	last   ctrl.Result
}

// newBench has a pool "web" that expects 3, with its group.
func newBench(t *testing.T) *bench {
	p := &api.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: poolUID}}
	p.Spec.ExpectedNodes, p.Spec.MaxNodes = 3, 10
	g := &api.ScalingGroup{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "group-uid"}}
	g.Spec.Pool, g.Spec.PoolUID, g.Spec.PoolGeneration, g.Spec.DesiredCapacity = "web", poolUID, 1, 3
	b := &bench{T: t, clock: apitest.NewClock(), region: &region{seen: map[string]clustertask.Seen{}}, events: record.NewFakeRecorder(50)}
	b.WithWatch = apitest.New(t, func(verb string, o client.Object) error {
		if b.broken != nil {
			if err := b.broken(verb, o); err != nil {
				return err
			}
		}
		b.writes = append(b.writes, verb+" "+o.GetName())
		return nil
	}, p, g)
	b.r = b.reconciler()
	return b
}

func (b *bench) reconciler() *clustertask.Reconciler {
	return &clustertask.Reconciler{Client: b.WithWatch, Live: b.WithWatch, Now: b.clock.Now, Waits: wait.Defaults(), Events: b.events, Look: b.region,
		Offer: func(_ context.Context, pool, task string) error {
			b.offered = append(b.offered, pool+" "+task)
			return nil
		}}
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) read(name string, o client.Object) bool {
	b.Helper()
	err := b.Get(b.Context(), types.NamespacedName{Name: name}, o)
	b.ok(client.IgnoreNotFound(err))
	return err == nil
}

func (b *bench) pool() *api.NodePool {
	b.Helper()
	p := &api.NodePool{}
	if !b.read("web", p) {
		b.Fatal("the pool is gone")
	}
	return p
}

func (b *bench) task(name string) *api.ClusterTask {
	b.Helper()
	t := &api.ClusterTask{}
	if !b.read(name, t) {
		b.Fatalf("task %s is gone", name)
	}
	return t
}

func (b *bench) instance(id string) *api.Instance {
	i := &api.Instance{}
	if !b.read(id, i) {
		return nil
	}
	return i
}

// asks makes a task.
func (b *bench) asks(name string, typ api.TaskType, change func(*api.ClusterTaskSpec)) {
	b.Helper()
	t := &api.ClusterTask{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(b.clock.T)}}
	t.Spec = api.ClusterTaskSpec{Type: typ, Title: name, Pool: "web", PoolUID: poolUID}
	if change != nil {
		change(&t.Spec)
	}
	b.ok(b.Create(b.Context(), t))
}

// has records an instance that the cloud shows with our tags.
func (b *bench) has(id string, change func(*api.Instance)) {
	b.Helper()
	i := &api.Instance{ObjectMeta: metav1.ObjectMeta{Name: id, Finalizers: []string{api.Finalizer}}}
	i.Spec.Pool, i.Spec.Group, i.Spec.GroupUID, i.Spec.CreationType = "web", "web", "group-uid", api.CreatedByUs
	i.Status.LifecycleState, i.Status.NodeState = api.InstanceInService, api.NodeReady
	if change != nil {
		change(i)
	}
	st := i.Status
	b.ok(b.Create(b.Context(), i))
	i.Status = st
	b.ok(b.Status().Update(b.Context(), i))
	b.region.seen[id] = clustertask.Seen{Ours: true, Pool: "web"}
}

// look lets the reconciler look at a task once; a refused write is an error.
func (b *bench) try(name string) error {
	res, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: name}})
	b.last = res
	return err
}

// looks lets the reconciler look several times, with time between.
func (b *bench) looks(name string, n int) {
	b.Helper()
	for range n {
		b.ok(b.try(name))
		b.clock.Pass(2 * time.Second)
	}
}

// report writes what controller/nodepool would say about the pool.
func (b *bench) report(change func(*api.PoolCounts)) {
	b.Helper()
	p := b.pool()
	change(&p.Status.Counts)
	p.Status.ObservedGeneration = p.Generation
	b.ok(b.Status().Update(b.Context(), p))
}

// passDown does what controller/nodepool and the group do with a new number.
func (b *bench) passDown() {
	b.Helper()
	p, g := b.pool(), &api.ScalingGroup{}
	b.read("web", g)
	g.Spec.DesiredCapacity, g.Spec.PoolGeneration, g.Spec.Transfers = p.Spec.ExpectedNodes, p.Generation, p.Spec.Transfers
	b.ok(b.Update(b.Context(), g))
	g.Status.ObservedGeneration = g.Generation
	b.ok(b.Status().Update(b.Context(), g))
}

// group changes the group's status.
func (b *bench) group(change func(*api.ScalingGroup)) {
	b.Helper()
	g := &api.ScalingGroup{}
	b.read("web", g)
	change(g)
	st := g.Status
	b.ok(b.Update(b.Context(), g))
	g.Status = st
	b.ok(b.Status().Update(b.Context(), g))
}

// number sets the pool's expected number, as a person does.
func (b *bench) number(n int32) {
	b.Helper()
	p := b.pool()
	p.Spec.ExpectedNodes = n
	b.ok(b.Update(b.Context(), p))
}

func (b *bench) state(name string, want api.TaskState) *api.ClusterTask {
	b.Helper()
	t := b.task(name)
	if t.Status.State != want {
		b.Fatalf("task %s is %s, want %s: %+v", name, t.Status.State, want, t.Status)
	}
	return t
}

func (b *bench) says(text string, parts ...string) {
	b.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			b.Errorf("%q does not say %q", text, p)
		}
	}
}

// results are the states of a task's instances.
func results(t *api.ClusterTask) string {
	var out []string
	for _, i := range t.Status.Instances {
		out = append(out, i.Instance+"="+i.State)
	}
	return strings.Join(out, " ")
}
