// Package cloudtest holds the conformance suite that every cloud.Cloud has to
// pass, and the one fake cloud that tests of controllers use.
//
// The suite takes a cloud and the few controls it needs to change the world
// around it, and fails the test where the cloud does other than package cloud
// says. The fake keeps all its state in memory: instances, stock, addresses,
// quotas, prices and the memory of tokens; its clock is handed in, and the same
// calls at the same times give the same answers. Failures are made by changing
// the world (Fake.SetStock, Fake.Throttle and so on) or by losing an answer
// (Fake.Intercept); it counts no calls for tests to compare, starts no
// goroutines and sleeps never.
package cloudtest

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Options set up a Fake. The zero value is a usable cloud.
type Options struct {
	// Now is the clock. Default: a clock that stands still at 2026-01-01.
	Now func() time.Time
	// AccountID that ID answers. Default "1000000000000001".
	AccountID string
	// World holds zones, vSwitches, types and so on. Default DefaultWorld().
	World *World
	// BootTime is how long an instance is Pending. Default 0: it runs at the
	// next look.
	BootTime time.Duration
	// VisibleAfter is how long a new instance is missing from lists and looks.
	// Default 0.
	VisibleAfter time.Duration
	// TokenLife is how long a token is remembered. Default 1 h.
	TokenLife time.Duration
}

// Moment is one of the two moments of a call at which it can be interrupted.
type Moment string

// The moments.
const (
	// Before: nothing was done yet.
	Before Moment = "before"
	// After: the effect is there, the answer is not.
	After Moment = "after"
)

// Fake is a cloud in memory. It is safe for concurrent use.
type Fake struct {
	// Intercept is called at both moments of every call with its name (Create,
	// Release, List, Find, ResourcePools, BootLog, Tag, Untag, ID, Allow,
	// Convert, Renew, VSwitches and so on); an error from it is what the call answers. Set it before use. It
	// may call the Fake's own methods that change the world.
	Intercept func(call string, m Moment) error

	opts Options

	mu        sync.Mutex
	world     World
	instances map[string]*machine
	tokens    map[string]answer
	renewals  map[string]bool
	next      int
	throttled map[string]time.Time
	balance   fault.Code
}

// machine is an instance with what the cloud knows beside it.
type machine struct {
	cloud.Instance
	made     time.Time
	visible  time.Time
	ready    time.Time
	console  []byte
	userData []byte
	launch   cloud.Launch
}

// answer is what a token was answered with.
type answer struct {
	content string
	at      time.Time
	ids     []string
	fault   *fault.Fault
}

var (
	_ cloud.Cloud   = (*Fake)(nil)
	_ cloud.Encoder = (*Fake)(nil)
	_ cloud.Tags    = (*Fake)(nil)
	_ cloud.Account = (*Fake)(nil)
	_ cloud.Billing = (*Fake)(nil)
	_ cloud.Checks  = (*Fake)(nil)
)

// NewFake returns a cloud without instances.
func NewFake(o Options) *Fake {
	if o.Now == nil {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		o.Now = func() time.Time { return start }
	}
	if o.AccountID == "" {
		o.AccountID = "1000000000000001"
	}
	if o.World == nil {
		w := DefaultWorld()
		o.World = &w
	}
	if o.TokenLife == 0 {
		o.TokenLife = time.Hour
	}
	return &Fake{
		opts: o, world: o.World.copied(),
		instances: map[string]*machine{}, tokens: map[string]answer{},
		renewals: map[string]bool{}, throttled: map[string]time.Time{},
	}
}

// call runs one call: interrupted before, throttled, done, interrupted after.
func (f *Fake) call(ctx context.Context, name string, do func(now time.Time) error) error {
	if err := ctx.Err(); err != nil {
		return cloud.Fail(name, cloud.NotSent, fault.New(fault.CloudNotSent, ""), err)
	}
	if err := f.interrupt(name, Before); err != nil {
		return err
	}
	if err := f.locked(ctx, name, do); err != nil {
		return err
	}
	return f.interrupt(name, After)
}

// mutations are the calls that need credentials of the right account.
var mutations = map[string]bool{"Create": true, "Release": true, "Tag": true, "Untag": true, "Convert": true, "Renew": true}

func (f *Fake) locked(ctx context.Context, name string, do func(now time.Time) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if mutations[name] {
		if err := f.allow(name, cloud.AccountOf(ctx)); err != nil {
			return err
		}
	}
	now := f.opts.Now()
	if now.Before(f.throttled[name]) || now.Before(f.throttled[""]) {
		ft := fault.New(fault.Throttling, "Request was denied due to user flow control.")
		ft.WireCode = "Throttling.User"
		return cloud.Fail(name, cloud.Throttled, ft, nil)
	}
	return do(now)
}

func (f *Fake) interrupt(name string, m Moment) error {
	if f.Intercept == nil {
		return nil
	}
	return f.Intercept(name, m)
}

// Lost is the error of a call whose answer did not arrive, for Intercept.
func Lost(call string) error {
	return cloud.Fail(call, cloud.Unknown, fault.New(fault.CloudNoAnswer, ""), context.DeadlineExceeded)
}

// refuse is the error of a call that the cloud said no to.
func refuse(call string, c fault.Code, format string, args ...any) error {
	f := &fault.Fault{Code: c, WireCode: c.Wire(), Message: fmt.Sprintf(format, args...), RequestID: "fake"}
	return cloud.Fail(call, cloud.Refused, f, nil)
}

// settle moves an instance on to the state of this time.
func (m *machine) settle(now time.Time) {
	if m.Status == cloud.Pending && !now.Before(m.ready) {
		m.Status = cloud.Running
	}
}

// shown returns a copy of what the cloud shows of an instance.
func (m *machine) shown(now time.Time) cloud.Instance {
	m.settle(now)
	i := m.Instance
	i.Tags = copyTags(m.Tags)
	i.OperationLocks = append([]string(nil), m.OperationLocks...)
	return i
}

func copyTags(t map[string]string) map[string]string {
	out := make(map[string]string, len(t))
	for k, v := range t {
		out[k] = v
	}
	return out
}

// List shows every visible instance, by creation.
func (f *Fake) List(ctx context.Context) (list []cloud.Instance, err error) {
	err = f.call(ctx, "List", func(now time.Time) error {
		for _, id := range f.sorted() {
			if m := f.instances[id]; !now.Before(m.visible) {
				list = append(list, m.shown(now))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Find shows visible instances by their IDs.
func (f *Fake) Find(ctx context.Context, ids ...string) (list []cloud.Instance, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err = f.call(ctx, "Find", func(now time.Time) error {
		seen := map[string]bool{}
		for _, id := range ids {
			if m := f.instances[id]; m != nil && !seen[id] && !now.Before(m.visible) {
				list = append(list, m.shown(now))
			}
			seen[id] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// BootLog returns what WriteConsole has written.
func (f *Fake) BootLog(ctx context.Context, id string) (log []byte, err error) {
	err = f.call(ctx, "BootLog", func(time.Time) error {
		m := f.instances[id]
		if m == nil {
			return refuse("BootLog", fault.InstanceNotFound, "The specified InstanceId does not exist.")
		}
		const most = 64 << 10
		log = append(log, m.console[max(0, len(m.console)-most):]...)
		return nil
	})
	return log, err
}

// ID returns the account.
func (f *Fake) ID(ctx context.Context) (id string, err error) {
	err = f.call(ctx, "ID", func(time.Time) error { id = f.opts.AccountID; return nil })
	return id, err
}

// HasRole tells whether a role is among those of the world.
func (f *Fake) HasRole(ctx context.Context, name string) (has bool, err error) {
	err = f.call(ctx, "HasRole", func(time.Time) error { has = slices.Contains(f.world.Roles, name); return nil })
	return has, err
}

// Allow compares the account.
func (f *Fake) Allow(ctx context.Context, account string) error {
	return f.call(ctx, "Allow", func(time.Time) error { return f.allow("Allow", account) })
}

func (f *Fake) allow(name, account string) error {
	if account == "" || account == f.opts.AccountID {
		return nil
	}
	ft := fault.New(fault.AccountChanged, "the credentials are of account "+f.opts.AccountID+", not "+account)
	return cloud.Fail(name, cloud.NotSent, ft, nil)
}

func (f *Fake) sorted() []string {
	ids := make([]string, 0, len(f.instances))
	for id := range f.instances {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(a, b int) bool {
		x, y := f.instances[ids[a]], f.instances[ids[b]]
		if !x.made.Equal(y.made) {
			return x.made.Before(y.made)
		}
		return x.ID < y.ID
	})
	return ids
}
