// Package region decides what a local cloud answers and what then happens in
// it: instances, client tokens, stock, addresses, quotas and faults.
//
// In come calls with their parameters, controls, and time through an injected
// clock; out come answers in the vendor's shapes, the records to store and
// the effects on machines. It does no I/O, starts no goroutine and keeps no
// lock: whoever owns a Region calls it from one goroutine at a time, stores
// what Take returns before it passes an answer on, and only then lets the
// effects happen.
package region

import (
	"math/rand/v2"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// Options make a Region.
type Options struct {
	// Scenario is used when nothing is stored, or when ScenarioHash differs
	// from that of the last scenario that was given.
	Scenario     scenario.Scenario
	ScenarioHash string
	// Account is the account's id, 16 digits.
	Account string
	// MaxNodes bounds the instances.
	MaxNodes int
	// TimeFactor divides every wait; less than 1 counts as 1.
	TimeFactor float64
	Now        func() time.Time
	Random     *rand.Rand
}

// Region is the state of one local cloud.
type Region struct {
	o     Options
	world world
	now   time.Time
	seq   uint64 // of the newest instance

	instances map[string]*Instance
	order     []*Instance // by Seq
	launches  map[string]*Launch
	userData  map[string]*blob
	tokens    map[string]*token
	tokenAge  []*token // by Time, oldest first
	vSwitches map[string]*addresses
	count     map[string]int
	timers    timers

	throttle throttle
	dirty    map[[2]string]bool
	effects  []Effect
}

// world is what is changed by controls and kept in one record.
type world struct {
	scenario.Scenario
	ScenarioHash string         `json:"scenarioHash,omitempty"`
	Totals       map[string]int `json:"totals,omitempty"`
	Faults       []Fault        `json:"faults,omitempty"`
	FaultSeq     int            `json:"faultSeq,omitempty"`
}

// Effect is something that happens to a machine.
type Effect struct {
	Kind EffectKind
	ID   string
	// Machine is set for Start.
	Machine Machine
}

// EffectKind says what happens to a machine.
type EffectKind int

// The effects on machines: powered on, powered off, destroyed with its disk.
const (
	Start EffectKind = iota
	Stop
	Release
)

// Machine is what its hardware needs to know of an instance.
type Machine struct {
	ID, Region, Zone, InstanceType, ImageID string
	HostName, PrivateIP                     string
	VCPU, MemoryMiB                         int
	UserData                                []byte
	// Boot and MIGReset are not divided: a Host divides its own waits.
	Boot          time.Duration
	StopAtStep    string
	MIGPartitions bool
	MIGReset      time.Duration
}

// New makes a region from what was stored, bucket by bucket, or a new one.
func New(o Options, stored map[string]map[string][]byte) (*Region, error) {
	if o.TimeFactor < 1 {
		o.TimeFactor = 1
	}
	r := &Region{o: o, now: o.Now(), instances: map[string]*Instance{}, launches: map[string]*Launch{},
		userData: map[string]*blob{}, tokens: map[string]*token{}, vSwitches: map[string]*addresses{},
		count: map[string]int{}, dirty: map[[2]string]bool{}}
	if err := r.load(stored); err != nil {
		return nil, err
	}
	if r.world.Region == "" || (o.ScenarioHash != "" && o.ScenarioHash != r.world.ScenarioHash) {
		if err := r.apply(o.Scenario); err != nil {
			return nil, err
		}
		r.world.ScenarioHash = o.ScenarioHash
		r.touch(bucketWorld, keyWorld)
	}
	r.recover()
	return r, nil
}

// recover brings machines to where the records say they are.
func (r *Region) recover() {
	for _, i := range r.order {
		if i.Status == statusRunning {
			r.start(i)
		}
		r.arm(i)
	}
}

// Next returns when Tick has something to do; zero when nothing waits.
func (r *Region) Next() time.Time {
	if len(r.timers) == 0 {
		return time.Time{}
	}
	return r.timers[0].at
}

// Tick lets happen what is due.
func (r *Region) Tick() {
	r.now = r.o.Now()
	for len(r.timers) > 0 && !r.timers[0].at.After(r.now) {
		t := r.timers.next()
		if i := r.instances[t.id]; i != nil {
			r.advance(i)
			r.arm(i)
		}
	}
	r.forgetTokens()
}

// Effects returns, and forgets, what happens to machines, in order. They may
// happen only after the records of Take are stored.
func (r *Region) Effects() []Effect {
	e := r.effects
	r.effects = nil
	return e
}

// Has says whether an instance exists.
func (r *Region) Has(id string) bool { return r.instances[id] != nil }

// Len returns the number of instances.
func (r *Region) Len() int { return len(r.instances) }

// TokenWindow is how old a signed request may be, and how far ahead its clock:
// 15 minutes divided by the time factor, but never so short that times written
// in whole seconds fail.
func (r *Region) TokenWindow() time.Duration {
	return max(r.after(15*time.Minute), 2*time.Second)
}

func (r *Region) after(d time.Duration) time.Duration {
	return time.Duration(float64(d) / r.o.TimeFactor)
}

func (r *Region) wait(d scenario.Duration) time.Duration { return r.after(time.Duration(d)) }

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

func (r *Region) random(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.o.Random.IntN(len(letters))]
	}
	return string(b)
}

func (r *Region) newID() string {
	for {
		if id := "i-" + r.random(20); r.instances[id] == nil {
			return id
		}
	}
}
