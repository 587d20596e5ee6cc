package machine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"mvdan.cc/sh/v3/syntax"
)

// ErrUnknown is what a Host answers about a machine that it does not know.
var ErrUnknown = errors.New("no such machine")

// ErrOff is what Exec answers about a machine that is powered off.
var ErrOff = errors.New("the machine is powered off")

// SimulatorOptions are what a Simulator needs. Cloud and Disks are required.
type SimulatorOptions struct {
	Cloud Cloud
	Disks Disks
	// Logger takes what goes wrong with the simulation itself.
	Logger logr.Logger
	// TimeFactor divides what machines wait by themselves: boot delays, sleeps,
	// resets, connections that the cloud blocks. Default 1. Whatever waits for
	// an answer, leases and certificates keep the time of the cluster.
	TimeFactor float64
	// Now is the machines' clock. Default time.Now.
	Now func() time.Time
	// KubeletVersion is what the image's kubelet says. Default v1.37.2.
	KubeletVersion string
	// Dials is how many machines may set up a connection at the same moment;
	// the rest wait before their time-out starts. Default 64.
	Dials int
	// Boots is how many machines may run their user data at the same moment, as
	// a rack does not power up all at once: thousands that all wait for a
	// certificate cost the API server a look at each of them for every request.
	// One that takes longer than bootPatience gives its place to the next.
	// Default 128.
	Boots int
	// Renewals is how many kubelets may talk at the same moment. Default 128.
	Renewals int
	// StatusEvery is how often a kubelet tells its status when nothing
	// changed. Default 5 minutes.
	StatusEvery time.Duration
	// Looks is how many times a second all kubelets that have pods of their own
	// look at them, and half as many times the others. Default 50.
	Looks int
}

// Simulator is a Host whose machines are simulated in this process: they
// interpret their user data, talk over connections of their own, and run a
// kubelet that registers, renews and runs pods. A machine that has joined costs
// two timers and a connection.
type Simulator struct {
	SimulatorOptions
	dials  chan struct{}
	boots  chan struct{}
	agenda *agenda
	// How often kubelets look at their pods, without and with some.
	idlePace, busyPace pace
	ctx                context.Context
	cancel             context.CancelFunc

	mu       sync.Mutex
	machines map[string]*session
	booting  sync.WaitGroup
}

var _ Host = (*Simulator)(nil)

// NewSimulator returns a Simulator without machines. Close ends it.
func NewSimulator(o SimulatorOptions) *Simulator {
	if o.TimeFactor <= 0 {
		o.TimeFactor = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.KubeletVersion == "" {
		o.KubeletVersion = "v1.37.2"
	}
	if o.Dials <= 0 {
		o.Dials = 64
	}
	if o.Boots <= 0 {
		o.Boots = 128
	}
	if o.Renewals <= 0 {
		o.Renewals = 128
	}
	if o.StatusEvery <= 0 {
		o.StatusEvery = 5 * time.Minute
	}
	if o.Looks <= 0 {
		o.Looks = 50
	}
	if o.Logger.GetSink() == nil {
		o.Logger = logr.Discard()
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Simulator{SimulatorOptions: o, dials: make(chan struct{}, o.Dials), boots: make(chan struct{}, o.Boots), agenda: newAgenda(ctx, o.Renewals),
		idlePace: pace{gap: 2 * time.Second / time.Duration(o.Looks), yield: idleYield}, busyPace: pace{gap: time.Second / time.Duration(o.Looks)},
		ctx: ctx, cancel: cancel, machines: map[string]*session{}}
}

// Close powers all machines off and waits until they are. Their disks stay.
func (s *Simulator) Close() {
	s.mu.Lock()
	for _, m := range s.machines {
		m.cancel()
	}
	s.mu.Unlock()
	s.booting.Wait()
	s.cancel()
	s.mu.Lock()
	for _, m := range s.machines {
		m.close()
	}
	s.mu.Unlock()
}

// scaled divides a wait inside a machine by the factor.
func (s *Simulator) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.TimeFactor)
}

// Start powers a machine on.
func (s *Simulator) Start(spec Spec) error {
	if spec.ID == "" {
		return errors.New("start machine: it has no id")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return errors.New("start machine: the simulator is closed")
	}
	before := s.machines[spec.ID]
	if before != nil && before.ctx.Err() == nil {
		return nil
	}
	m := newSession(s, spec)
	s.machines[spec.ID] = m
	s.booting.Go(func() {
		defer close(m.done)
		if before != nil {
			<-before.done
		}
		m.boot()
	})
	return nil
}

func (s *Simulator) find(id string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machines[id]
}

// Stop powers a machine off and keeps its disk.
func (s *Simulator) Stop(id string) error {
	m := s.find(id)
	if m == nil {
		return fmt.Errorf("stop machine %s: %w", id, ErrUnknown)
	}
	m.cancel()
	<-m.done
	m.close()
	return nil
}

// Release powers a machine off and destroys its disk.
func (s *Simulator) Release(id string) error {
	s.mu.Lock()
	m := s.machines[id]
	delete(s.machines, id)
	s.mu.Unlock()
	if m != nil {
		m.abandon()
	}
	if err := s.Disks.Destroy(id); err != nil {
		return fmt.Errorf("destroy disk of machine %s: %w", id, err)
	}
	return nil
}

// Console is what the serial console showed since the last power on.
func (s *Simulator) Console(id string) []byte {
	m := s.find(id)
	if m == nil {
		return nil
	}
	return m.console.bytes()
}

// Exec runs one command on a running machine, as a person on its shell.
func (s *Simulator) Exec(ctx context.Context, id string, argv []string) ([]byte, int, error) {
	m := s.find(id)
	switch {
	case m == nil:
		return nil, 0, fmt.Errorf("run command on machine %s: %w", id, ErrUnknown)
	case m.ctx.Err() != nil:
		return nil, 0, fmt.Errorf("run command on machine %s: %w", id, ErrOff)
	}
	line := ""
	for _, a := range argv {
		quoted, err := syntax.Quote(a, syntax.LangPOSIX)
		if err != nil {
			return nil, 0, fmt.Errorf("run command on machine %s: %w", id, err)
		}
		line += quoted + " "
	}
	out := &bounded{most: 1 << 20}
	code := m.runProgram(ctx, []byte(line), out)
	return out.bytes(), code, ctx.Err()
}

// bounded keeps the first bytes that are written to it.
type bounded struct {
	mu   sync.Mutex
	most int
	buf  []byte
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = append(b.buf, p[:min(len(p), b.most-len(b.buf))]...)
	return len(p), nil
}

func (b *bounded) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf
}
