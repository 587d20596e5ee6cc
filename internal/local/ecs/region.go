// Package ecs is the local cloud: it speaks the vendor's wire API over a region
// that exists on this machine only. In come signed requests, a scenario and a
// clock; out come the vendor's answers and machines on a machine.Host. It
// keeps its state on disk and knows nothing of pools, groups or of who calls.
package ecs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"sort"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/machine"
)

// Instance is one instance of the region, as it is kept on disk.
type Instance struct {
	ID             string            `json:"id"`
	Type           string            `json:"type"`
	Zone           string            `json:"zone"`
	VSwitch        string            `json:"vSwitch"`
	VPC            string            `json:"vpc"`
	Image          string            `json:"image"`
	HostName       string            `json:"hostName"`
	Name           string            `json:"name"`
	IP             string            `json:"ip"`
	Groups         []string          `json:"groups"`
	Tags           map[string]string `json:"tags"`
	Created        time.Time         `json:"created"`
	RunningAt      time.Time         `json:"runningAt"`
	Stopped        bool              `json:"stopped"`
	Subscription   bool              `json:"subscription"`
	Expires        time.Time         `json:"expires"`
	SpotStrategy   string            `json:"spotStrategy"`
	SpotPriceLimit float64           `json:"spotPriceLimit"`
	Protected      bool              `json:"protected"`
	KeyPair        string            `json:"keyPair"`
	UserData       string            `json:"userData"` // key of the shared bytes
	Serial         int64             `json:"serial"`   // order of creation
}

// Options of a Region.
type Options struct {
	Scenario  *Scenario
	AccountID string
	MaxNodes  int
	// Factor divides boot times and token lives.
	Factor float64
	Now    func() time.Time
	Store  *Store
	Log    *slog.Logger
}

// Region is the state machine behind the wire. One mutex guards it: every
// action is one step.
type Region struct {
	Options
	host machine.Host

	mu        sync.Mutex
	instances map[string]*Instance
	order     []*Instance // by Serial
	serial    int64
	tokens    map[string]*tokenEntry
	addresses map[string]bool
	next      map[string]netip.Addr
}

// tokenEntry is the first answer under a client token.
type tokenEntry struct {
	Hash   string     `json:"hash"`
	IDs    []string   `json:"ids,omitempty"`
	Refuse *wireError `json:"refuse,omitempty"`
	At     time.Time  `json:"at"`
}

// NewRegion reads the state back.
func NewRegion(o Options) (*Region, error) {
	r := &Region{Options: o, instances: map[string]*Instance{}, tokens: map[string]*tokenEntry{}, addresses: map[string]bool{}, next: map[string]netip.Addr{}}
	list, tokens, err := o.Store.load()
	if err != nil {
		return nil, err
	}
	r.tokens = tokens
	for _, i := range list {
		r.add(i)
	}
	sort.Slice(r.order, func(a, b int) bool { return r.order[a].Serial < r.order[b].Serial })
	return r, nil
}

// PowerOn gives the region its machines and starts those that should run.
func (r *Region) PowerOn(h machine.Host) error {
	r.mu.Lock()
	r.host = h
	list := append([]*Instance(nil), r.order...)
	r.mu.Unlock()
	var errs []error
	for _, i := range list {
		if !i.Stopped {
			errs = append(errs, r.start(i))
		}
	}
	return errors.Join(errs...)
}

func (r *Region) add(i *Instance) {
	r.instances[i.ID] = i
	r.order = append(r.order, i)
	r.addresses[i.IP] = true
	r.serial = max(r.serial, i.Serial)
}

// start powers a machine on.
func (r *Region) start(i *Instance) error {
	t := r.Scenario.instanceType(i.Type)
	spec := machine.Spec{ID: i.ID, Region: r.Scenario.Region, Zone: i.Zone, InstanceType: i.Type, ImageID: i.Image,
		HostName: i.HostName, PrivateIP: i.IP, UserData: r.Store.userData(i.UserData), BootDelay: r.boot()}
	if t != nil {
		spec.VCPU, spec.MemoryMiB = t.VCPU, int(t.MemoryGiB*1024)
	}
	if err := r.host.Start(spec); err != nil {
		return fmt.Errorf("start machine %s: %w", i.ID, err)
	}
	return nil
}

func (r *Region) boot() time.Duration {
	return time.Duration(r.Scenario.BootSeconds / max(r.Factor, 1) * float64(time.Second))
}

// status of an instance now.
func (r *Region) status(i *Instance, now time.Time) string {
	switch {
	case i.Stopped:
		return "Stopped"
	case now.Before(i.RunningAt):
		return "Starting"
	}
	return "Running"
}

// address takes a free address of a vSwitch; false where there is none. The
// first four and the last are the network's own.
func (r *Region) address(v *VSwitch) (string, bool) {
	p := netip.MustParsePrefix(v.CIDR).Masked()
	first := p.Addr()
	for range 4 {
		first = first.Next()
	}
	a, ok := r.next[v.ID]
	if !ok {
		a = first
	}
	start := a
	for {
		if !p.Contains(a) || !p.Contains(a.Next()) {
			a = first
		}
		if s := a.String(); !r.addresses[s] {
			r.addresses[s] = true
			r.next[v.ID] = a.Next()
			return s, true
		}
		if a = a.Next(); a == start {
			return "", false
		}
	}
}

// free is how many addresses a vSwitch has left.
func (r *Region) free(v *VSwitch) int {
	p := netip.MustParsePrefix(v.CIDR)
	n := 1<<(32-p.Bits()) - 5
	for _, i := range r.order {
		if i.VSwitch == v.ID {
			n--
		}
	}
	return max(n, 0)
}

// left is how many instances of a type a zone still gives; many where nothing
// is set.
func (r *Region) left(zone, instanceType string) int {
	n, ok := r.Scenario.Stock[zone+"/"+instanceType]
	if !ok {
		return 1 << 20
	}
	return n
}

const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"

// newID is a fresh instance ID in the vendor's form.
func newID() string {
	b := make([]byte, 20)
	for i := range b {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			panic(err) // the system's randomness never fails where it exists
		}
		b[i] = alphabet[n.Int64()]
	}
	return "i-" + string(b)
}
