package activity_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
	"github.com/poolkeeper/poolkeeper/internal/controller/activity"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool/apitest"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

const (
	groupUID = "group-uid"
	cluster  = "cluster-1"
	named    = "web-a1"
)

// errCrash is what every call of a process that was killed comes to.
var errCrash = errors.New("killed")

// bench is one activity with an API server and a cloud around it. Its process
// can be killed before or after any call that changes something.
type bench struct {
	*testing.T
	api   client.WithWatch // as a person sees it
	r     *activity.Reconciler
	clock *apitest.Clock
	fake  *cloudtest.Fake
	sweep *sweep.Sweeper

	calls  []string // that changed something, or asked the cloud
	dead   bool
	killAt int // index into calls, -1 for never
	after  bool
	// on is called before each call, by its name; an error is its answer.
	on func(call string, o client.Object) error
	// lost is called after each call took effect.
	lost func(call string) error
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, clock: apitest.NewClock(), killAt: -1}
	b.fake = cloudtest.NewFake(cloudtest.Options{Now: b.clock.Now})
	b.fake.Intercept = func(call string, m cloudtest.Moment) error {
		if call == "List" || call == "Allow" {
			return nil
		}
		if m == cloudtest.Before {
			return b.before("cloud "+call, nil)
		}
		return b.done("cloud " + call)
	}
	b.sweep = sweep.New(sweep.Options{Cloud: b.fake, ClusterID: cluster, Waits: wait.Defaults(), Now: b.clock.Now})
	b.api = apitest.New(t, nil, b.groupOf(0))
	b.restart()
	return b
}

// before stands before a call, done after its effect.
func (b *bench) before(call string, o client.Object) error {
	if b.dead {
		return errCrash
	}
	b.calls = append(b.calls, call)
	if b.killAt == len(b.calls)-1 && !b.after {
		b.dead = true
		return errCrash
	}
	if b.on != nil {
		return b.on(call, o)
	}
	return nil
}

func (b *bench) done(call string) error {
	if b.killAt == len(b.calls)-1 && b.after {
		b.dead = true
		return errCrash
	}
	if b.lost != nil {
		return b.lost(call)
	}
	return nil
}

// restart is a fresh process.
func (b *bench) restart() {
	b.dead = false
	write := func(call string, o client.Object, do func() error) error {
		if err := b.before(call, o); err != nil {
			return err
		}
		if err := do(); err != nil {
			return err
		}
		return b.done(call)
	}
	c := interceptor.NewClient(b.api, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return write("create", o, func() error { return c.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return write("update", o, func() error { return c.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return write("patch", o, func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return write("delete", o, func() error { return c.Delete(ctx, o, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			return write(sub, o, func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
		},
	})
	b.r = &activity.Reconciler{
		Cache: c, Live: c, Cloud: b.fake, Tags: b.fake, Sweeper: b.sweep, ClusterID: cluster,
		Waits: wait.Defaults(), Now: b.clock.Now, Allowed: b.fake.Allow,
		Pause: func(n int) time.Duration { return min(time.Duration(n)*2*time.Second, time.Minute) },
		Each: func(n int, f func(int) error) error {
			errs := make([]error, n)
			for i := range n {
				errs[i] = f(i)
			}
			return errors.Join(errs...)
		},
	}
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) groupOf(desired int32) *api.ScalingGroup {
	g := &api.ScalingGroup{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: groupUID}}
	g.Spec.Pool, g.Spec.DesiredCapacity, g.Spec.MaxSize = "web", desired, 5000
	return g
}

// desire sets the group's number, as its pool does.
func (b *bench) desire(n int32, more ...func(*api.ScalingGroupSpec)) {
	b.Helper()
	g := &api.ScalingGroup{}
	b.ok(b.api.Get(b.Context(), types.NamespacedName{Name: "web"}, g))
	g.Spec.DesiredCapacity = n
	for _, f := range more {
		f(&g.Spec)
	}
	b.ok(b.api.Update(b.Context(), g))
}

// decide writes the activity, as the group does, with a candidate in each
// vSwitch and the Secret with their requests.
func (b *bench) decide(change func(*api.ScalingActivitySpec)) {
	b.Helper()
	a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: named, Finalizers: []string{api.Finalizer}, Labels: map[string]string{api.LabelGroup: "web"}}}
	a.Spec = api.ScalingActivitySpec{Group: "web", GroupUID: groupUID, Pool: "web", Number: 1, Cause: "a test", JoinDeadlineSeconds: 900}
	change(&a.Spec)
	if a.Spec.Create > 0 {
		data := map[string][]byte{"user-data": []byte("#cloud-config")}
		for n, z := range []string{"a", "b", "c"} {
			c := api.Candidate{VSwitch: "vsw-" + z, Zone: "zone-" + z, InstanceType: "ecs.g7.xlarge", ChargeType: api.ChargePayAsYouGo, Request: fmt.Sprint("request-", n)}
			body, err := b.fake.Encode(cloud.Launch{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ImageID: "image-1", SecurityGroups: []string{"sg-1"},
				Tags: cloud.Origin{ClusterID: cluster, Pool: "web", GroupUID: groupUID}.LaunchTags()})
			b.ok(err)
			data[c.Request] = body
			a.Spec.Candidates = append(a.Spec.Candidates, c)
		}
		b.ok(b.api.Create(b.Context(), secret("requests", named, data)))
		a.Spec.Requests = &api.RequestsRef{Secret: "requests", Hash: scaling.RequestsHash(data)}
		a.Spec.CredentialExpiryTime = &metav1.Time{Time: b.clock.T.Add(2 * time.Hour)}
	}
	b.ok(b.api.Create(b.Context(), a))
}

func secret(name, of string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: api.SystemNamespace, Name: name, UID: types.UID("uid-" + name),
		Labels: map[string]string{api.LabelActivity: of, api.LabelGroup: "web"}}, Data: data}
}

func (b *bench) hasSecret(name string) bool {
	b.Helper()
	err := b.api.Get(b.Context(), types.NamespacedName{Namespace: api.SystemNamespace, Name: name}, &corev1.Secret{})
	b.ok(client.IgnoreNotFound(err))
	return err == nil
}

// step lets the reconciler look once. A killed process starts again.
func (b *bench) step() ctrl.Result {
	b.Helper()
	res, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: named}})
	if b.dead {
		b.killAt = -1
		b.restart()
		return ctrl.Result{RequeueAfter: time.Second}
	}
	if err != nil {
		return ctrl.Result{RequeueAfter: time.Second}
	}
	return res
}

// run lets the activity go on until nothing is left of it to do, as the queue
// does: after each write, and when it asked to be looked at.
func (b *bench) run() *api.ScalingActivity {
	b.Helper()
	for range 400 {
		before := len(b.calls)
		res := b.step()
		if res.RequeueAfter > 0 {
			b.clock.Pass(res.RequeueAfter)
		} else if len(b.calls) == before && b.activity().Status.Done {
			return b.activity()
		}
		b.ok(b.sweep.Sweep(b.Context()))
	}
	b.Fatalf("never at rest: %+v", b.activity().Status)
	return nil
}

func (b *bench) activity() *api.ScalingActivity {
	b.Helper()
	a := &api.ScalingActivity{}
	b.ok(b.api.Get(b.Context(), types.NamespacedName{Name: named}, a))
	return a
}

// records are the Instances by name.
func (b *bench) records() map[string]*api.Instance {
	b.Helper()
	var list api.InstanceList
	b.ok(b.api.List(b.Context(), &list))
	out := map[string]*api.Instance{}
	for i := range list.Items {
		out[list.Items[i].Name] = &list.Items[i]
	}
	return out
}

// has records an instance of the group that the cloud has too.
func (b *bench) has(id string, change func(*api.Instance)) {
	b.Helper()
	i := &api.Instance{ObjectMeta: metav1.ObjectMeta{Name: id, Finalizers: []string{api.Finalizer}, Labels: map[string]string{api.LabelGroup: "web", api.LabelPool: "web"}}}
	i.Spec.Pool, i.Spec.Group, i.Spec.GroupUID, i.Spec.CreationType = "web", "web", groupUID, api.CreatedByUs
	if change != nil {
		change(i)
	}
	st := i.Status
	b.ok(b.api.Create(b.Context(), i))
	if i.Status = st; change != nil {
		b.ok(b.api.Status().Update(b.Context(), i))
	}
	b.fake.Add(cloud.Instance{ID: id, VSwitch: "vsw-a", Zone: "zone-a", Status: cloud.Running,
		Tags: cloud.Origin{ClusterID: cluster, Pool: "web", GroupUID: groupUID, Piece: -1}.Tags()})
}

// matches checks that records and cloud hold the same instances, each with the
// tags of its record.
func (b *bench) matches() {
	b.Helper()
	records, there := b.records(), map[string]bool{}
	for _, c := range b.fake.All() {
		there[c.ID] = true
		i := records[c.ID]
		if i == nil {
			b.Errorf("%s has no record", c.ID)
			continue
		}
		if o, ok := cloud.OriginOf(c.Tags); !ok || o.GroupUID != i.Spec.GroupUID || i.Spec.ActivityUID != o.ActivityUID || i.Spec.ActivityUID != "" && int(i.Spec.Piece) != o.Piece {
			b.Errorf("%s: tags %+v, record %+v", c.ID, o, i.Spec)
		}
	}
	for id := range records {
		if !there[id] {
			b.Errorf("the record %s stands for nothing", id)
		}
	}
}

func (b *bench) count(call string) int {
	n := 0
	for _, c := range b.calls {
		if c == call {
			n++
		}
	}
	return n
}

// pieces tells an activity's pieces: asked of, got, state.
func pieces(a *api.ScalingActivity) string {
	out := ""
	for _, p := range a.Status.Pieces {
		out += fmt.Sprintf("%s %d/%d %s %s; ", a.Spec.Candidates[p.Candidate].VSwitch, len(p.Instances), p.Amount, p.State, p.Code)
	}
	return out
}

func leftOut(a *api.ScalingActivity) map[string]string {
	out := map[string]string{}
	for _, l := range a.Status.LeftOut {
		out[l.Instance] = l.Reason
	}
	return out
}

func sorted(m map[string]*api.Instance) []string { return slices.Sorted(maps.Keys(m)) }
