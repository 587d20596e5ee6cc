package scalinggroup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool/apitest"
	"github.com/poolkeeper/poolkeeper/internal/controller/scalinggroup"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// market answers with a grade of stock for each vSwitch, and what was said of
// misfits.
type market struct {
	stock   map[string]scaling.Stock
	misfits []api.Misfit
	fits    []api.ZoneFits
	price   string
	err     error
	asks    int
}

func (m *market) Outlook(_ context.Context, s *api.LaunchSettings, charges []api.ChargeType, _ bool) (scalinggroup.Outlook, error) {
	m.asks++
	if m.err != nil {
		return scalinggroup.Outlook{}, m.err
	}
	out := scalinggroup.Outlook{
		Image:   &api.ImageStatus{ID: s.ImageID, OS: "Debian 13", Architecture: "x86_64", BootMode: "UEFI"},
		Misfits: m.misfits, Fits: m.fits,
	}
	for _, v := range s.VSwitches {
		for _, t := range s.InstanceTypes {
			for _, c := range charges {
				p := api.ResourcePoolStatus{VSwitch: v, Zone: "zone-" + strings.TrimPrefix(v, "vsw-"), InstanceType: t, ChargeType: c,
					Stock: string(m.stock[v]), VCPU: 2, PricePerHour: m.price, Currency: "CNY", FreeAddresses: 250}
				for _, miss := range m.misfits {
					if miss.InstanceType == t && (miss.Zone == "" || miss.Zone == p.Zone) {
						p.Constraint = miss.Code
					}
				}
				out.Pools = append(out.Pools, p)
			}
		}
	}
	return out, nil
}

// encoder writes a line for each candidate.
type encoder struct {
	err  error
	size int
}

func (e *encoder) Encode(_ context.Context, _ *api.ScalingGroup, list []scaling.Candidate) (map[string][]byte, []string, time.Time, error) {
	if e.err != nil {
		return nil, nil, time.Time{}, e.err
	}
	data := map[string][]byte{"user-data": make([]byte, e.size)}
	var keys []string
	for n, c := range list {
		key := fmt.Sprintf("request-%d", n)
		data[key], keys = []byte(c.VSwitch+" "+c.InstanceType), append(keys, key)
	}
	return data, keys, time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC), nil
}

// errCrash is the end of a process.
var errCrash = errors.New("killed")

// bench is one reconciler with all around it.
type bench struct {
	testing.TB
	client.WithWatch // the API server itself
	r                *scalinggroup.Reconciler
	clock            *apitest.Clock
	market           *market
	encoder          *encoder
	events           *record.FakeRecorder
	guarded          scalinggroup.Guarded
	account          string
	accountErr       error
	writes           []string
	serial           int
	generated        int
	// crash decides before and after each write of the controller.
	crash func(n int, after bool) bool
}

func newBench(t testing.TB, change func(*api.ScalingGroup)) *bench {
	b := &bench{TB: t, clock: apitest.NewClock(), events: record.NewFakeRecorder(1000), encoder: &encoder{}, account: "acc"}
	b.market = &market{stock: map[string]scaling.Stock{"vsw-a": "WithStock", "vsw-b": "WithStock"}, price: "1.2"}
	g := &api.ScalingGroup{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "group-uid"}}
	g.Spec = api.ScalingGroupSpec{Pool: "web", PoolUID: "pool-uid", DesiredCapacity: 3, MaxSize: 5000, SettingsGeneration: 1, KeepFailed: 0,
		ScalingPolicy:  api.ScalingPolicy{Type: api.PolicyPriority},
		LaunchSettings: api.LaunchSettings{VSwitches: []string{"vsw-a", "vsw-b"}, InstanceTypes: []string{"ecs.g7.large"}, ImageID: "img"}}
	if change != nil {
		change(g)
	}
	b.WithWatch = apitest.New(t, nil, g)
	b.restart()
	return b
}

// restart is a fresh controller.
func (b *bench) restart() {
	c := interceptor.NewClient(b.WithWatch, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return b.write("create", o, func() error {
				if o.GetName() == "" {
					b.generated++
					o.SetName(fmt.Sprintf("%s%d", o.GetGenerateName(), b.generated))
				}
				return c.Create(ctx, o, opts...)
			})
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return b.write("update", o, func() error { return c.Update(ctx, o, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return b.write("delete", o, func() error { return c.Delete(ctx, o) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			return b.write(sub, o, func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
		},
	})
	b.r = &scalinggroup.Reconciler{
		Cache: c, Live: c, Market: b.market, Encoder: b.encoder, Events: b.events, Waits: wait.Defaults(), Now: b.clock.Now,
		Account: func(context.Context) (string, error) { return b.account, b.accountErr },
		Guard:   func(*api.ScalingGroup) scalinggroup.Guarded { return b.guarded },
	}
}

func (b *bench) write(verb string, o client.Object, do func() error) error {
	n := len(b.writes)
	kind := strings.TrimPrefix(fmt.Sprintf("%T", o), "*v1alpha1.")
	b.writes = append(b.writes, verb+" "+strings.TrimPrefix(kind, "*v1."))
	if b.crash != nil && b.crash(n, false) {
		return errCrash
	}
	if err := do(); err != nil {
		return err
	}
	if b.crash != nil && b.crash(n, true) {
		return errCrash
	}
	return nil
}

// look is one pass; a crash starts the controller anew.
func (b *bench) look() ctrl.Result {
	b.Helper()
	res, err := b.r.Reconcile(context.Background(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "web"}})
	if errors.Is(err, errCrash) {
		b.restart()
		return b.look()
	}
	if err != nil {
		b.Fatal(err)
	}
	return res
}

// later lets time pass, then looks.
func (b *bench) later(d time.Duration) ctrl.Result {
	b.Helper()
	b.clock.Pass(d)
	return b.look()
}

func (b *bench) get(name string, o client.Object) {
	b.Helper()
	if err := b.Get(context.Background(), types.NamespacedName{Name: name}, o); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) group() *api.ScalingGroup {
	b.Helper()
	g := &api.ScalingGroup{}
	b.get("web", g)
	return g
}

// edit changes the group's spec as the controller of pools does.
func (b *bench) edit(change func(*api.ScalingGroup)) {
	b.Helper()
	g := b.group()
	change(g)
	if err := b.Update(context.Background(), g); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) desired(n int32) {
	b.Helper()
	b.edit(func(g *api.ScalingGroup) { g.Spec.DesiredCapacity = n })
}

func (b *bench) activities() []api.ScalingActivity {
	b.Helper()
	var list api.ScalingActivityList
	if err := b.List(context.Background(), &list); err != nil {
		b.Fatal(err)
	}
	return list.Items
}

func (b *bench) instances() []api.Instance {
	b.Helper()
	var list api.InstanceList
	if err := b.List(context.Background(), &list); err != nil {
		b.Fatal(err)
	}
	return list.Items
}

// open is the activity that may still send.
func (b *bench) open() *api.ScalingActivity {
	b.Helper()
	var out *api.ScalingActivity
	for _, a := range b.activities() {
		if !a.Status.Done {
			if out != nil {
				b.Fatalf("%s and %s are open together", out.Name, a.Name)
			}
			out = &a
		}
	}
	return out
}

// gives is how many a cloud gives of an amount, and the code of its refusal.
type gives func(c api.Candidate, amount int) (n int, code fault.Code)

func all(_ api.Candidate, n int) (int, fault.Code) { return n, "" }

func none(code fault.Code) gives {
	return func(api.Candidate, int) (int, fault.Code) { return 0, code }
}

// carryOut plays the open activity to its end.
func (b *bench) carryOut(give gives) *api.ScalingActivity {
	b.Helper()
	a := b.open()
	if a == nil {
		b.Fatalf("no activity is open; group: %+v", b.group().Status)
	}
	made := b.pieces(a, give)
	for _, l := range append(a.Spec.Release, a.Spec.TakeOut...) {
		i := &api.Instance{}
		b.get(l.Instance, i)
		i.Spec.Release = &api.ReleaseMark{Activity: a.Name, Time: metav1.NewMicroTime(b.clock.Now()), Reason: l.Reason, NotBeforeTime: l.NotBeforeTime}
		if err := b.Update(context.Background(), i); err != nil {
			b.Fatal(err)
		}
	}
	a.Status.Done, a.Status.Created, a.Status.EndTime = true, int32(made), &metav1.Time{Time: b.clock.Now()}
	b.putStatus(a)
	return a
}

func (b *bench) pieces(a *api.ScalingActivity, give gives) int {
	b.Helper()
	play := scaling.Activity{Create: int(a.Spec.Create), StrictBalance: a.Spec.StrictBalance}
	for _, c := range a.Spec.Candidates {
		play.Candidates = append(play.Candidates, scaling.Candidate{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType,
			ChargeType: scaling.ChargeType(c.ChargeType), Share: int(c.Share), ShareWith: c.ShareWith, Disk: c.Disk})
	}
	made := 0
	for {
		p, ok := scaling.NextPiece(play, int(a.Spec.Create)-made)
		if !ok {
			return made
		}
		sent := metav1.NewMicroTime(b.clock.Now())
		piece := api.Piece{Candidate: int32(p.Candidate), Amount: int32(p.Amount), State: api.PieceResolved, FirstSendTime: &sent, ResolvedTime: &metav1.Time{Time: b.clock.Now()}}
		p.Created, p.Code = give(a.Spec.Candidates[p.Candidate], p.Amount)
		piece.Code = string(p.Code)
		for range p.Created {
			piece.Instances = append(piece.Instances, b.instance(a, len(a.Status.Pieces), a.Spec.Candidates[p.Candidate]))
		}
		made += p.Created
		a.Status.Pieces, play.Pieces = append(a.Status.Pieces, piece), append(play.Pieces, p)
	}
}

// instance records one that runs and was seen.
func (b *bench) instance(a *api.ScalingActivity, piece int, c api.Candidate) string {
	b.Helper()
	b.serial++
	i := &api.Instance{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("i-%04d", b.serial), Labels: map[string]string{api.LabelGroup: "web"},
		CreationTimestamp: metav1.NewTime(b.clock.Now())}}
	i.Spec = api.InstanceSpec{Pool: "web", Group: "web", GroupUID: "group-uid", ActivityUID: string(a.UID), Activity: a.Name, Piece: int32(piece), CreationType: api.CreatedByUs,
		Placement: api.Placement{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: c.ChargeType, PricePerHour: c.PricePerHour}}
	if err := b.Create(context.Background(), i); err != nil {
		b.Fatal(err)
	}
	seen := metav1.NewMicroTime(b.clock.Now())
	i.Status = api.InstanceStatus{LifecycleState: api.InstancePending, CloudStatus: "Running", SeenTime: &seen}
	b.putStatus(i)
	return i.Name
}

func (b *bench) putStatus(o client.Object) {
	b.Helper()
	if err := b.Status().Update(context.Background(), o); err != nil {
		b.Fatal(err)
	}
}

// each changes the status of every instance that is on its way.
func (b *bench) each(change func(*api.Instance)) {
	b.Helper()
	for _, i := range b.instances() {
		if i.Status.JoinedTime == nil && i.Status.FailedTime == nil {
			change(&i)
			b.putStatus(&i)
		}
	}
}

func (b *bench) joins() {
	b.Helper()
	b.each(func(i *api.Instance) {
		i.Status.JoinedTime, i.Status.LifecycleState = &metav1.Time{Time: b.clock.Now()}, api.InstanceInService
	})
}

func (b *bench) fails() {
	b.Helper()
	b.each(func(i *api.Instance) {
		i.Status.FailedTime, i.Status.Code = &metav1.Time{Time: b.clock.Now()}, string(fault.FailedJoinCluster)
	})
}

// gone ends the records of what was marked.
func (b *bench) gone() {
	b.Helper()
	for _, i := range b.instances() {
		if i.Spec.Release != nil {
			if err := b.Delete(context.Background(), &i); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func (b *bench) condition(kind string) metav1.Condition {
	b.Helper()
	if c := meta.FindStatusCondition(b.group().Status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// up brings the group to its number, every machine joined.
func (b *bench) up() {
	b.Helper()
	b.look()
	b.carryOut(all)
	b.joins()
	b.later(2 * time.Second)
	if g := b.group(); g.Status.Counted != g.Spec.DesiredCapacity || g.Status.Why != nil {
		b.Fatalf("not up: %+v", g.Status)
	}
}

func (b *bench) says(text string, parts ...string) {
	b.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			b.Errorf("%q does not say %q", text, p)
		}
	}
}
