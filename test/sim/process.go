package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/poolkeeper/poolkeeper/internal/controller"
	"github.com/poolkeeper/poolkeeper/internal/controller/activity"
	"github.com/poolkeeper/poolkeeper/internal/controller/instance"
	"github.com/poolkeeper/poolkeeper/internal/controller/join"
	"github.com/poolkeeper/poolkeeper/internal/controller/watch"
	"github.com/poolkeeper/poolkeeper/internal/node"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// process is one life of the controller, from its start to its crash.
type process struct {
	world *world
	name  string
	skew  time.Duration
	cache *apiserver.Cache
	all   *controller.Assembly
	runs  []*runner
	// stuck is until when changes of a kind do not arrive.
	stuck map[schema.GroupVersionKind]time.Time
	// paused is until when nothing of it runs.
	paused time.Time
	dead   bool
	// keys sign its calls to the cloud.
	keys *keys
	// sight is what it saw of Nodes, and judged when it deleted forged requests,
	// by pool.
	sight  sight
	judged map[string][]time.Time
}

// runner is one controller of a process: one key at a time.
type runner struct {
	name      string
	reconcile func(context.Context, reconcile.Request) (ctrl.Result, error)
	watches   []watch.Watch
	queue     *queue
	busy      bool
}

// cached are the kinds that a process keeps in its cache.
var cached = []schema.GroupVersionKind{apiserver.NodePool, apiserver.ScalingGroup, apiserver.ScalingActivity, apiserver.Instance, apiserver.ClusterTask, apiserver.Node, apiserver.SigningRequest}

// startProcess begins a new life over what is stored, seen a little late.
func (w *world) startProcess(name string, skew time.Duration) *process {
	p := &process{world: w, name: name, skew: skew, stuck: map[schema.GroupVersionKind]time.Time{}, judged: map[string][]time.Time{}}
	wire := &apiserver.Client{Server: w.api, Wire: p.wire}
	p.cache = apiserver.NewCache(wire, cached...)
	p.cache.Transform = trim
	if p.keys = p.newKeys(); p.keys == nil {
		return p
	}
	parts := controller.Parts{
		Settings: controller.Settings{Cloud: w.breaks.cloud(&timed{p.keys, p}), Region: w.regionID, ClusterID: clusterID,
			NodeAPIServer: "https://10.0.0.1:6443", NodeCA: []byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"), NodeLease: 40 * time.Second},
		Cache: w.breaks.client(p.cache), Live: w.breaks.live(wire, p.cache), Clients: clients{p: p}, Events: &record.FakeRecorder{}, Definitions: definitions{},
		Waits: w.breaks.waits(w.waits), Now: p.now, Each: oneByOne, Written: true,
	}
	p.all = controller.Assemble(parts)
	p.wireUp()
	if err := p.cache.Skip(w.random.IntN(3)); err != nil {
		w.violate("start", "%v", err)
	}
	p.see()
	w.processes = append(w.processes, p)
	w.note(true, "%s starts", p.name)
	for _, gvk := range p.cache.Kinds() {
		for _, o := range p.cache.Objects(gvk) {
			p.tell(gvk, watch.Change{New: o})
		}
	}
	return p
}

func trim(o client.Object) (client.Object, error) {
	var out any
	var err error
	switch o.(type) {
	case *corev1.Node:
		out, err = node.Trim(o)
	case *certificatesv1.CertificateSigningRequest:
		out, err = join.Trim(o)
	default:
		return o, nil
	}
	if err != nil {
		return nil, err
	}
	return out.(client.Object), nil
}

// wireUp gives each controller its queue, as a manager does.
func (p *process) wireUp() {
	a := p.all
	groups := p.run("scalinggroup", a.Groups.Reconcile, a.Groups.Watches())
	instances := p.run("instance", a.Instances.Reconcile, a.Instances.Watches())
	adopter := &instance.Adopter{Reconciler: a.Instances}
	adopt := p.run("adopt", adopter.Reconcile, nil)
	activities := p.run("activity", a.Activities.Reconcile, a.Activities.Watches())
	p.run("nodepool", a.Pools.Reconcile, a.Pools.Watches())
	p.run("clustertask", a.Tasks.Reconcile, a.Tasks.Watches())
	joins := a.Joins(trust())
	p.run("join", joins.Reconcile, joins.Watches())
	sweeps := p.run("sweep", p.sweep, nil)
	a.Instances.OnFreeze = func(group string) { groups.queue.Add(named(group)) }
	a.Sweeper.OnSweep(func() {
		for _, r := range a.Instances.Swept(context.Background()) {
			instances.queue.Add(r)
		}
		adopt.queue.Add(instance.Region)
		for _, group := range a.OthersChanged() {
			groups.queue.Add(named(group))
		}
	})
	activities.queue.Add(activity.Tidy)
	sweeps.queue.Add(named("cloud"))
}

func named(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Name: name}}
}

func (p *process) run(name string, f func(context.Context, reconcile.Request) (ctrl.Result, error), watches []watch.Watch) *runner {
	r := &runner{name: name, reconcile: f, watches: watches, queue: newQueue(p.world, p.world.waits.Conflict, p.world.waits.RetryMost)}
	p.runs = append(p.runs, r)
	return r
}

// sweep reads the cloud once; when the next is due the sweeper says.
func (p *process) sweep(ctx context.Context, _ reconcile.Request) (ctrl.Result, error) {
	began := p.now()
	_ = p.all.Sweeper.Sweep(ctx)
	took := p.now().Sub(began)
	return ctrl.Result{RequeueAfter: max(p.all.Sweeper.Apart(took)-took, time.Millisecond)}, nil
}

// hurry makes the next sweep due when somebody asked for it since.
func (p *process) hurry() {
	r := p.runs[len(p.runs)-1]
	if at, waits := r.queue.due[named("cloud")]; waits {
		if due := p.swept().Add(p.all.Sweeper.Apart(0) - p.skew); due.Before(at) {
			r.queue.AddAfter(named("cloud"), due.Sub(p.world.now))
		}
	}
}

// swept is when the newest sweep began, on the process's own clock.
func (p *process) swept() time.Time {
	if picture := p.all.Sweeper.Latest(); picture != nil {
		return picture.Began
	}
	return p.now()
}

// begin starts the work on one key that is due.
func (p *process) begin(r *runner) {
	key, ok := r.queue.take()
	if !ok {
		return
	}
	r.busy = true
	w, name := p.world, fmt.Sprintf("%s/%s %s", p.name, r.name, key.Name)
	a := w.spawn(p, name, func() {
		ctx := logf.IntoContext(context.Background(), logr.Discard())
		result, err := r.reconcile(ctx, key)
		r.settle(key, result, err)
		if err != nil {
			w.note(false, "%s: %v", name, err)
		}
	}, func() { r.busy = false })
	a.picture = p.swept().Add(-p.skew)
	w.step(a, true)
}

func (r *runner) settle(key reconcile.Request, result ctrl.Result, err error) {
	switch {
	case err != nil:
		r.queue.AddRateLimited(key)
	case result.RequeueAfter > 0:
		r.queue.Forget(key)
		r.queue.AddAfter(key, result.RequeueAfter)
	default:
		r.queue.Forget(key)
	}
}

// deliver lets the cache take in one change, and wakes whom it concerns.
func (p *process) deliver(gvk schema.GroupVersionKind) {
	e, err := p.cache.Step(gvk)
	if err != nil {
		p.world.violate("cache", "%v", err)
		return
	}
	if gvk == apiserver.Instance {
		p.see()
	}
	p.tell(gvk, watch.Change{Old: e.Old, New: e.New, Deleted: e.Deleted})
}

func (p *process) tell(gvk schema.GroupVersionKind, c watch.Change) {
	for _, r := range p.runs {
		for _, w := range r.watches {
			if of, err := apiutil.GVKForObject(w.Object, p.world.api.Scheme); err == nil && of == gvk {
				w.Tell(context.Background(), c, r.queue)
			}
		}
	}
}

func (p *process) now() time.Time { return p.world.now.Add(p.skew) }

func (p *process) sleep(_ context.Context, d time.Duration) error {
	p.world.current.sleep(d)
	return nil
}

func oneByOne(n int, f func(i int) error) error {
	var first error
	for i := range n {
		if err := f(i); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// definitions are those of our kinds; none is ever deleted here.
type definitions struct{}

// Deleting names none.
func (definitions) Deleting(context.Context, bool) (string, error) { return "", nil }
