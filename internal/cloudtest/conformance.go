package cloudtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Controls change the world around the cloud under test.
type Controls struct {
	// Launch can be created at once, at least 2,000 times: pay-as-you-go, with
	// tags of cloud.Origin.
	Launch cloud.Launch
	// OtherVSwitch lies in another zone and has Launch's type in stock too.
	OtherVSwitch string
	// AccountID is whose credentials are used.
	AccountID string
	// SetStock sets how many instances of a type are left in a zone.
	SetStock func(zone, instanceType string, n int)
	// Settle lets the time pass that new instances need to be seen running.
	Settle func()
	// MakeProtected creates one instance that is protected from release with a
	// request, and returns its ID.
	MakeProtected func(r cloud.Request) (id string)
	// Throttle makes creating be throttled from now on, or no more.
	Throttle func(on bool)
}

// suite is one cloud under test.
type suite struct {
	*testing.T
	cloud cloud.Cloud
	c     Controls
	base  []byte
	n     int
}

// Run holds a cloud to package cloud. newCloud returns a fresh one, without
// instances, for each case.
func Run(t *testing.T, newCloud func(t *testing.T) (cloud.Cloud, Controls)) {
	for name, check := range cases {
		t.Run(name, func(t *testing.T) {
			cl, c := newCloud(t)
			s := &suite{T: t, cloud: cl, c: c}
			s.base = s.encode(c.Launch)
			check(s)
		})
	}
}

var cases = map[string]func(*suite){
	"what is created is shown with its settings and tags":    (*suite).shown,
	"the same request gives the same instances":              (*suite).sameToken,
	"a token with another content is a mismatch":             (*suite).mismatch,
	"other tokens are other requests":                        (*suite).otherToken,
	"a short pool gives what it has":                         (*suite).partial,
	"a refusal is remembered under its token":                (*suite).refusalKept,
	"settings that do not exist are refused with their code": (*suite).noSuchThing,
	"what cannot be sent is not sent":                        (*suite).notSendable,
	"nothing is sent when its time is over":                  (*suite).tooLate,
	"throttling proves that nothing was done":                (*suite).throttling,
	"a sweep is complete beyond a thousand instances":        (*suite).bigSweep,
	"a look by ids passes over what is gone":                 (*suite).find,
	"releasing what is gone succeeds":                        (*suite).releaseAgain,
	"one protected instance does not keep the others":        (*suite).releaseProtected,
	"a console can be read":                                  (*suite).bootLog,
	"resource pools tell stock, price and addresses":         (*suite).resourcePools,
	"the same settings are encoded to the same bytes":        (*suite).encodeStable,
	"tags are set and taken off":                             (*suite).tags,
	"the account is known":                                   (*suite).account,
	"billing is changed once":                                (*suite).billing,
	"a trial makes nothing":                                  (*suite).trials,
	"checks tell what exists":                                (*suite).checks,
}

func (s *suite) ctx() context.Context { return s.Context() }

func (s *suite) encode(l cloud.Launch) []byte {
	s.Helper()
	body, err := s.cloud.(cloud.Encoder).Encode(l)
	if err != nil {
		s.Fatalf("encode: %v", err)
	}
	return body
}

// request returns a new request for so many.
func (s *suite) request(amount int) cloud.Request {
	s.n++
	return cloud.Request{
		Body: s.base, UserData: []byte("#cloud-config\n"), Amount: amount,
		Token: fmt.Sprintf("conformance-%d", s.n),
		Tags:  cloud.Origin{ActivityUID: "activity-1", Piece: s.n}.SendTags(),
	}
}

func (s *suite) create(r cloud.Request) []string {
	s.Helper()
	ids, err := s.cloud.Create(s.ctx(), r)
	if err != nil {
		s.Fatalf("create: %v", err)
	}
	return ids
}

// made creates so many and waits until they run.
func (s *suite) made(n int) []string {
	s.Helper()
	var ids []string
	for len(ids) < n {
		ids = append(ids, s.create(s.request(min(n-len(ids), 100)))...)
	}
	s.c.Settle()
	return ids
}

func (s *suite) list() []cloud.Instance {
	s.Helper()
	list, err := s.cloud.List(s.ctx())
	if err != nil {
		s.Fatalf("list: %v", err)
	}
	return list
}

// count fails where the cloud has another number of instances.
func (s *suite) count(want int) {
	s.Helper()
	s.c.Settle()
	if got := len(s.list()); got != want {
		s.Fatalf("the cloud has %d instances, want %d", got, want)
	}
}

// refusedWith fails where an error is not this outcome and code.
func (s *suite) refusedWith(err error, o cloud.Outcome, c fault.Code) {
	s.Helper()
	if got := cloud.Classify(err); got != o {
		s.Fatalf("outcome %s, want %s, of: %v", got, o, err)
	}
	f := fault.Of(err)
	if f == nil || (c != "" && f.Code != c) {
		s.Fatalf("want fault %s of: %v", c, err)
	}
	if f.ProvesNothingDone != o.ProvesNothingDone() {
		s.Fatalf("the fault says that nothing was done: %v, want %v", f.ProvesNothingDone, o.ProvesNothingDone())
	}
}

func (s *suite) shown() {
	r := s.request(2)
	ids := s.create(r)
	if len(ids) != 2 || ids[0] == ids[1] {
		s.Fatalf("asked for 2, got %v", ids)
	}
	s.c.Settle()
	for _, i := range s.list() {
		l := s.c.Launch
		if i.ID != ids[0] && i.ID != ids[1] {
			s.Errorf("%s was not created", i.ID)
		}
		if i.VSwitch != l.VSwitch || i.InstanceType != l.InstanceType || i.ImageID != l.ImageID ||
			i.ChargeType != cloud.PayAsYouGo || i.Status != cloud.Running || i.PrivateIP == "" || i.VPC == "" || i.Zone != l.Zone {
			s.Errorf("shown as %+v", i)
		}
		if i.CreationTime.IsZero() || !i.ExpiredTime.IsZero() || i.ReleaseProtected {
			s.Errorf("shown as %+v", i)
		}
		want := map[string]string{}
		for _, tags := range []map[string]string{l.Tags, r.Tags} {
			for k, v := range tags {
				want[k] = v
			}
		}
		for k, v := range want {
			if i.Tags[k] != v {
				s.Errorf("tag %s is %q, want %q", k, i.Tags[k], v)
			}
		}
		if o, ok := cloud.OriginOf(i.Tags); !ok || o.ActivityUID != "activity-1" || o.Piece != 1 {
			s.Errorf("origin %+v %v", o, ok)
		}
	}
	s.count(2)
}

func (s *suite) sameToken() {
	r := s.request(3)
	first := s.create(r)
	again := s.create(r)
	s.c.Settle()
	if third := s.create(r); fmt.Sprint(third) != fmt.Sprint(first) || fmt.Sprint(again) != fmt.Sprint(first) {
		s.Fatalf("got %v, then %v, then %v", first, again, third)
	}
	s.count(3)
}

func (s *suite) mismatch() {
	r := s.request(3)
	s.create(r)
	other := r
	other.Amount = 4
	_, err := s.cloud.Create(s.ctx(), other)
	s.refusedWith(err, cloud.Mismatch, fault.TokenMismatch)
	other = r
	other.UserData = []byte("#cloud-config\n# changed\n")
	_, err = s.cloud.Create(s.ctx(), other)
	s.refusedWith(err, cloud.Mismatch, fault.TokenMismatch)
	s.count(3)
}

func (s *suite) otherToken() {
	a, b := s.create(s.request(1)), s.create(s.request(1))
	if a[0] == b[0] {
		s.Fatalf("two tokens gave the same instance %s", a[0])
	}
	s.count(2)
}

func (s *suite) partial() {
	s.c.SetStock(s.c.Launch.Zone, s.c.Launch.InstanceType, 3)
	r := s.request(5)
	ids := s.create(r)
	if len(ids) != 3 {
		s.Fatalf("3 in stock, 5 asked, got %v", ids)
	}
	_, err := s.cloud.Create(s.ctx(), s.request(2)) // the rest: its refusal says why
	s.refusedWith(err, cloud.Refused, fault.NoStock)
	s.c.SetStock(s.c.Launch.Zone, s.c.Launch.InstanceType, 100)
	if again := s.create(r); fmt.Sprint(again) != fmt.Sprint(ids) {
		s.Fatalf("the same request gave %v, then %v", ids, again)
	}
	s.count(3)
}

func (s *suite) refusalKept() {
	s.c.SetStock(s.c.Launch.Zone, s.c.Launch.InstanceType, 0)
	r := s.request(2)
	_, err := s.cloud.Create(s.ctx(), r)
	s.refusedWith(err, cloud.Refused, fault.NoStock)
	if f := fault.Of(err); f.Message == "" || f.WireCode == "" || f.RequestID == "" {
		s.Fatalf("the vendor's words are missing: %+v", f)
	}
	s.c.SetStock(s.c.Launch.Zone, s.c.Launch.InstanceType, 100)
	_, err = s.cloud.Create(s.ctx(), r)
	s.refusedWith(err, cloud.Refused, fault.NoStock)
	s.count(0)
	s.create(s.request(2))
	s.count(2)
}

func (s *suite) noSuchThing() {
	for code, change := range map[fault.Code]func(*cloud.Launch){
		fault.ImageNotFound:   func(l *cloud.Launch) { l.ImageID = "m-none" },
		fault.VSwitchNotFound: func(l *cloud.Launch) { l.VSwitch = "vsw-none" },
	} {
		l := s.c.Launch
		change(&l)
		r := s.request(1)
		r.Body = s.encode(l)
		_, err := s.cloud.Create(s.ctx(), r)
		s.refusedWith(err, cloud.Refused, code)
	}
	s.count(0)
}

func (s *suite) notSendable() {
	long := make([]byte, 65)
	for i := range long {
		long[i] = 'a'
	}
	for name, change := range map[string]func(*cloud.Request){
		"amount 0":        func(r *cloud.Request) { r.Amount = 0 },
		"amount 101":      func(r *cloud.Request) { r.Amount = 101 },
		"no token":        func(r *cloud.Request) { r.Token = "" },
		"long token":      func(r *cloud.Request) { r.Token = string(long) },
		"large user data": func(r *cloud.Request) { r.UserData = make([]byte, 32<<10+1) },
	} {
		r := s.request(1)
		change(&r)
		_, err := s.cloud.Create(s.ctx(), r)
		if o := cloud.Classify(err); o != cloud.NotSent || fault.CodeOf(err) != fault.RequestInvalid {
			s.Errorf("%s: %s: %v", name, o, err)
		}
	}
	s.count(0)
}

func (s *suite) tooLate() {
	ctx, cancel := context.WithDeadline(s.ctx(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := s.cloud.Create(ctx, s.request(1))
	s.refusedWith(err, cloud.NotSent, fault.CloudNotSent)
	s.count(0)
}

func (s *suite) throttling() {
	r := s.request(1)
	s.c.Throttle(true)
	_, err := s.cloud.Create(s.ctx(), r)
	s.refusedWith(err, cloud.Throttled, fault.Throttling)
	s.c.Throttle(false)
	s.create(r)
	s.count(1)
}
