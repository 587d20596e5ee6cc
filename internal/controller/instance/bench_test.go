package instance_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
	"github.com/poolkeeper/poolkeeper/internal/controller/instance"
	"github.com/poolkeeper/poolkeeper/internal/node"
	"github.com/poolkeeper/poolkeeper/internal/node/nodetest"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

const (
	clusterID = "cluster-1"
	region    = "cn-test"
	groupUID  = "group-uid"
	sent      = "activity-uid"
)

// bench is one group "web" with its cloud and its cluster.
type bench struct {
	testing.TB
	kube    client.Client
	cloud   *cloudtest.Fake
	nodes   *nodes
	sweeper *sweep.Sweeper
	events  *record.FakeRecorder
	r       *instance.Reconciler
	now     time.Time
	// calls are the requests and calls made, in order: "patch status i-1",
	// "cloud Find".
	calls []string
	// broken answers a request or call with an error, before it is done or
	// after; nil: none.
	broken func(call string, m cloudtest.Moment) error
}

// nodes counts what is asked of the cluster's Nodes.
type nodes struct {
	nodetest.Fake
	b *bench
	// unseen are Nodes that the cache does not show yet.
	unseen map[string]bool
}

func (n *nodes) Find(ctx context.Context, name, provider string) (node.Node, bool, error) {
	if n.unseen[name] {
		return node.Node{}, false, nil
	}
	return n.Fake.Find(ctx, name, provider)
}

func (n *nodes) Look(ctx context.Context, name, provider string) (o node.Node, ok bool, err error) {
	err = n.b.call("node look "+name, func() error { o, ok, err = n.Fake.Find(ctx, name, provider); return err })
	return o, ok, err
}

func (n *nodes) Cordon(ctx context.Context, name string) error {
	return n.b.call("node cordon "+name, func() error { return n.Fake.Cordon(ctx, name) })
}

func (n *nodes) Uncordon(ctx context.Context, name string) error {
	return n.b.call("node uncordon "+name, func() error { return n.Fake.Uncordon(ctx, name) })
}

func (n *nodes) Drain(ctx context.Context, name string, left, next time.Duration) (p node.Pass, err error) {
	err = n.b.call("node pods "+name, func() error { p, err = n.Fake.Drain(ctx, name, left, next); return err })
	return p, err
}

func (n *nodes) Delete(ctx context.Context, o node.Node) error {
	return n.b.call("node delete "+o.Name, func() error { return n.Fake.Delete(ctx, o) })
}

// call counts a request and lets the test break it before or after.
func (b *bench) call(name string, do func() error) error {
	b.calls = append(b.calls, name)
	if b.broken != nil {
		if err := b.broken(name, cloudtest.Before); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if b.broken != nil {
		return b.broken(name, cloudtest.After)
	}
	return nil
}

func newBench(t testing.TB, objs ...client.Object) *bench {
	b := &bench{TB: t, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), events: record.NewFakeRecorder(4000)}
	b.nodes = &nodes{b: b}
	b.cloud = cloudtest.NewFake(cloudtest.Options{Now: b.clock})
	b.cloud.Intercept = func(call string, m cloudtest.Moment) error {
		if call == "Allow" || call == "List" {
			return nil
		}
		if m == cloudtest.Before {
			b.calls = append(b.calls, "cloud "+call)
		}
		if b.broken != nil {
			return b.broken("cloud "+call, m)
		}
		return nil
	}
	g := &api.ScalingGroup{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: groupUID, Generation: 1}}
	g.Spec.Pool = "web"
	scheme := runtime.NewScheme()
	b.ok(api.AddToScheme(scheme))
	b.kube = fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(objs, g)...).
		WithStatusSubresource(&api.ScalingGroup{}, &api.ScalingActivity{}, &api.Instance{}).WithInterceptorFuncs(b.counted()).Build()
	b.restart()
	return b
}

// counted counts and breaks the writes of the reconciler.
func (b *bench) counted() interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			o.SetUID(types.UID("uid-" + o.GetName()))
			return b.call("create "+o.GetName(), func() error { return c.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return b.call("update "+o.GetName(), func() error { return c.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return b.call("patch "+o.GetName(), func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return b.call("delete "+o.GetName(), func() error { return c.Delete(ctx, o, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			return b.call("patch "+sub+" "+o.GetName(), func() error { return c.SubResource(sub).Patch(ctx, o, p, opts...) })
		},
	}
}

func (b *bench) clock() time.Time { return b.now }

// restart begins anew with what cloud and cluster hold: nothing is remembered.
func (b *bench) restart() {
	waits := wait.Defaults()
	b.sweeper = sweep.New(sweep.Options{Cloud: b.cloud, ClusterID: clusterID, Waits: waits, Now: b.clock})
	b.r = &instance.Reconciler{Cache: b.kube, Live: live{b}, Cloud: b.cloud, Tags: b.cloud, Billing: b.cloud, Nodes: b.nodes, Sweeper: b.sweeper,
		Events: b.events, ClusterID: clusterID, Region: region, Waits: waits, Now: b.clock, Allowed: b.cloud.Allow,
		Each: func(n int, f func(int) error) error {
			var errs []error
			for i := range n {
				errs = append(errs, f(i))
			}
			return errors.Join(errs...)
		}}
}

// live counts what is read of the API server itself.
type live struct{ b *bench }

func (l live) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return l.b.call("get "+key.Name, func() error { return l.b.kube.Get(ctx, key, o, opts...) })
}

func (l live) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return l.b.call("list", func() error { return l.b.kube.List(ctx, list, opts...) })
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// tagged is an instance of the cloud with our tags.
func tagged(id string, status cloud.Status) cloud.Instance {
	o := cloud.Origin{ClusterID: clusterID, Pool: "web", GroupUID: groupUID, ActivityUID: sent, Piece: 0}
	return cloud.Instance{ID: id, VSwitch: "vsw-a", Zone: "zone-a", InstanceType: "ecs.c7.large", Status: status, PrivateIP: "10.0.0.7",
		ChargeType: cloud.PayAsYouGo, Tags: o.Tags()}
}

// recorded is the record of an instance, as its activity makes it.
func recorded(id string, change ...func(*api.Instance)) *api.Instance {
	i := &api.Instance{ObjectMeta: metav1.ObjectMeta{Name: id, UID: types.UID("uid-" + id), Finalizers: []string{api.Finalizer},
		Labels: map[string]string{api.LabelGroup: "web", api.LabelPool: "web"}},
		Spec: api.InstanceSpec{Pool: "web", Group: "web", GroupUID: groupUID, ActivityUID: sent, CreationType: api.CreatedByUs}}
	for _, f := range change {
		f(i)
	}
	return i
}

// serving makes a record that of an instance in service.
func serving(i *api.Instance) {
	t := metav1.NewTime(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC))
	seen := metav1.NewMicroTime(t.Time)
	i.CreationTimestamp = t
	i.Status = api.InstanceStatus{LifecycleState: api.InstanceInService, NodeState: api.NodeReady, CloudStatus: "Running", ChargeType: api.ChargePayAsYouGo,
		PrivateIP: "10.0.0.7", SeenTime: &seen, RunningTime: &t, JoinedTime: &t}
}

// marked decides that an instance goes.
func marked(m api.ReleaseMark) func(*api.Instance) {
	m.Activity, m.Time = "web-a2", metav1.NewMicroTime(time.Date(2026, 3, 1, 8, 59, 0, 0, time.UTC))
	return func(i *api.Instance) { i.Spec.Release = &m }
}

// has puts records, machines and Nodes of instances in service there.
func (b *bench) has(change func(*api.Instance), ids ...string) {
	b.Helper()
	for _, id := range ids {
		i := recorded(id, serving)
		if change != nil {
			change(i)
		}
		status := i.Status
		b.ok(b.kube.Create(context.Background(), i))
		i.Status = status
		b.ok(b.kube.Status().Update(context.Background(), i))
		b.cloud.Add(tagged(id, cloud.Running))
		b.ready(id)
	}
	b.calls = nil
}

// ready puts a Node that is Ready there.
func (b *bench) ready(id string, pods ...string) {
	b.nodes.Add(node.Node{Name: id, ProviderID: region + "." + id, Ready: true}, pods...)
}

// pass makes one pass, with no sweep before it.
func (b *bench) pass() (ctrl.Result, error) {
	return b.r.Reconcile(context.Background(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "web"}})
}

// sweep lets time pass, reads the cloud, and makes a pass.
func (b *bench) sweep(after time.Duration) error {
	b.now = b.now.Add(after)
	b.ok(b.sweeper.Sweep(context.Background()))
	_, err := b.pass()
	return err
}

// settle sweeps and passes often enough for whatever is to be done.
func (b *bench) settle(rounds int) {
	b.Helper()
	for range rounds {
		if err := b.sweep(6 * time.Second); err != nil {
			b.Fatal(err)
		}
	}
}

func (b *bench) instance(id string) *api.Instance {
	b.Helper()
	i := &api.Instance{}
	err := b.kube.Get(context.Background(), types.NamespacedName{Name: id}, i)
	b.ok(client.IgnoreNotFound(err))
	if err != nil {
		return nil
	}
	return i
}

// change changes the spec of a record.
func (b *bench) change(id string, to func(*api.Instance)) {
	b.Helper()
	i := b.instance(id)
	to(i)
	b.ok(b.kube.Update(context.Background(), i))
	b.calls = nil
}

// machines are the instances that the cloud has.
func (b *bench) machines() []string {
	var ids []string
	for _, i := range b.cloud.All() {
		ids = append(ids, i.ID)
	}
	sort.Strings(ids)
	return ids
}

// count is how many calls begin with a text.
func (b *bench) count(prefix string) int {
	n := 0
	for _, c := range b.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// requests are the calls that went to the API server.
func (b *bench) requests() int { return len(b.calls) - b.count("cloud ") }

// want compares the calls, in any order.
func (b *bench) want(calls ...string) {
	b.Helper()
	got := slices.Clone(b.calls)
	sort.Strings(got)
	sort.Strings(calls)
	if !slices.Equal(got, calls) {
		b.Errorf("made\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(calls, "\n\t"))
	}
}

func ids(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("i-%04d", i)
	}
	return out
}

// cached reads as an informer's cache does: without a copy.
type cached struct {
	client.Client
	list api.InstanceList
	by   map[string]*api.Instance
}

// shared is such a cache of what is there now.
func shared(b *bench) client.Client {
	c := &cached{Client: b.kube, by: map[string]*api.Instance{}}
	b.ok(b.kube.List(context.Background(), &c.list))
	for i := range c.list.Items {
		c.by[c.list.Items[i].Name] = &c.list.Items[i]
	}
	return c
}

func (c *cached) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	i, ok := o.(*api.Instance)
	if !ok || c.by[key.Name] == nil {
		return c.Client.Get(ctx, key, o, opts...)
	}
	*i = *c.by[key.Name]
	return nil
}

func (c *cached) List(ctx context.Context, l client.ObjectList, opts ...client.ListOption) error {
	list, ok := l.(*api.InstanceList)
	if !ok {
		return c.Client.List(ctx, l, opts...)
	}
	list.Items = append(list.Items, c.list.Items...)
	return nil
}

func nameOf(o client.Object) types.NamespacedName { return types.NamespacedName{Name: o.GetName()} }

// counting counts calls as the wire takes them: a hundred looks, fifty releases
// in each.
type counting struct {
	*cloudtest.Fake
	looks, releases *int
}

func (c counting) Find(ctx context.Context, ids ...string) ([]cloud.Instance, error) {
	*c.looks += (len(ids) + 99) / 100
	return c.Fake.Find(ctx, ids...)
}

func (c counting) Release(ctx context.Context, ids ...string) error {
	*c.releases += (len(ids) + 49) / 50
	return c.Fake.Release(ctx, ids...)
}

// lagging answers reads of Instances with what was there when it was last
// fresh: a full pass freshens it before it begins.
type lagging struct {
	client.Client
	fresh bool
	list  api.InstanceList
}

func (l *lagging) freshen(ctx context.Context) error {
	if !l.fresh {
		return nil
	}
	l.fresh, l.list = false, api.InstanceList{}
	return l.Client.List(ctx, &l.list)
}

func (l *lagging) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	i, ok := o.(*api.Instance)
	if !ok {
		return l.Client.Get(ctx, key, o, opts...)
	}
	if err := l.freshen(ctx); err != nil {
		return err
	}
	for n := range l.list.Items {
		if l.list.Items[n].Name == key.Name {
			l.list.Items[n].DeepCopyInto(i)
			return nil
		}
	}
	return apierrors.NewNotFound(api.GroupVersion.WithResource("instances").GroupResource(), key.Name)
}

func (l *lagging) List(ctx context.Context, o client.ObjectList, opts ...client.ListOption) error {
	list, ok := o.(*api.InstanceList)
	if !ok {
		return l.Client.List(ctx, o, opts...)
	}
	if err := l.freshen(ctx); err != nil {
		return err
	}
	l.list.DeepCopyInto(list)
	return nil
}

// lagNodes shows Nodes as they were at the first look since.
type lagNodes struct {
	*nodes
	lag  *lagging
	seen map[string]node.Node
	at   time.Time
}

func (l *lagNodes) Find(ctx context.Context, name, providerID string) (node.Node, bool, error) {
	if l.b.sweeper.Latest().Began != l.at { // as fresh as the sweep
		l.at, l.seen = l.b.sweeper.Latest().Began, map[string]node.Node{}
		for _, n := range l.Names() {
			l.seen[n], _, _ = l.nodes.Find(ctx, n, "")
		}
	}
	n, ok := l.seen[name]
	return n, ok, nil
}

// hiding is a cloud whose lists leave some out.
type hiding struct {
	*cloudtest.Fake
	hidden []string
}

func (h hiding) List(ctx context.Context) ([]cloud.Instance, error) {
	list, err := h.Fake.List(ctx)
	return slices.DeleteFunc(list, func(i cloud.Instance) bool { return slices.Contains(h.hidden, i.ID) }), err
}
