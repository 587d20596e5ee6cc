package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	randv2 "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/signature"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/store"
	"github.com/poolkeeper/poolkeeper/internal/local/machine"
)

// Options make a Server.
type Options struct {
	// Dir holds the state, the credentials and the certificate.
	Dir string
	// Region names the region where no scenario file does. Default cn-local.
	Region string
	// Scenario is the content of a scenario file; empty for the default.
	Scenario []byte
	// MaxNodes bounds the instances. Default 500.
	MaxNodes int
	// TimeFactor divides every wait of the cloud. Default 1.
	TimeFactor float64
	Log        *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time

	bodyTime time.Duration // how long a request may take to arrive; default 30 s
}

// Server is one local cloud. It implements machine.Cloud.
type Server struct {
	o        Options
	identity *identity
	store    *store.Store
	verifier *signature.Verifier
	host     machine.Host
	lanes    *lanes
	hosted   chan struct{}
	other    *other
	// changes counts the calls that change something, of both accounts.
	changes [2]atomic.Int64

	mu     sync.Mutex
	region *region.Region
	wake   chan struct{}
	broken chan error
}

var _ machine.Cloud = (*Server)(nil)

// Open reads the state of a local cloud, or makes a new one.
func Open(o Options) (*Server, error) {
	if o.MaxNodes == 0 {
		o.MaxNodes = 500
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of local cloud: %w", err)
	}
	sc, hash, err := readScenario(o)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(filepath.Join(o.Dir, "cloud.db"))
	if err != nil {
		return nil, err
	}
	s, err := open(o, db, sc, hash)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func open(o Options, db *store.Store, sc scenario.Scenario, hash string) (*Server, error) {
	id, err := openIdentity(o.Dir, sc.Region)
	if err != nil {
		return nil, err
	}
	stored, err := db.Load()
	if err != nil {
		return nil, err
	}
	r, err := region.New(region.Options{Scenario: sc, ScenarioHash: hash, Account: id.credentials.AccountID, MaxNodes: o.MaxNodes,
		TimeFactor: o.TimeFactor, Now: o.Now, Random: randv2.New(randv2.NewPCG(seed(), seed()))}, stored)
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, identity: id, store: db, region: r, wake: make(chan struct{}, 1), broken: make(chan error, 1), hosted: make(chan struct{})}
	s.other, err = openOther(o, sc, id.other)
	if err != nil {
		return nil, err
	}
	s.verifier = &signature.Verifier{Now: o.Now, Window: r.TokenWindow(), Secret: id.secret}
	s.lanes = newLanes(s.happen)
	return s, nil
}

func seed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

// readScenario reads the file over the default. The hash is empty without a
// file: then what is stored stays.
func readScenario(o Options) (scenario.Scenario, string, error) {
	sc, err := scenario.Read(o.Scenario)
	if err != nil {
		return sc, "", err
	}
	if o.Region != "" && sc.Region != o.Region {
		if sc.Region != scenario.Default().Region {
			return sc, "", fmt.Errorf("read scenario: region: it is %s, this local cloud is %s; leave it out or use another --dir", sc.Region, o.Region)
		}
		sc.Region = o.Region
	}
	if len(o.Scenario) == 0 {
		return sc, "", nil
	}
	sum := sha256.Sum256(o.Scenario)
	return sc, hex.EncodeToString(sum[:]), nil
}

// Disks keeps the files of machines beside the state.
func (s *Server) Disks() machine.Disks { return s.store }

// Credentials is the one access key of the account.
func (s *Server) Credentials() Credentials { return s.identity.credentials }

// Ready is closed when the cloud serves.
func (s *Server) Ready() <-chan struct{} { return s.hosted }

// Run serves until ctx ends or the state cannot be written any more. Machines
// that were running are powered on again first.
func (s *Server) Run(ctx context.Context, l net.Listener, host machine.Host) error {
	s.host = host
	if err := s.dropOrphans(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.o.Dir, AddressFile), []byte(l.Addr().String()+"\n"), 0o600); err != nil {
		return fmt.Errorf("write address of local cloud: %w", err)
	}
	close(s.hosted)
	s.lanes.run()
	s.settle(func() {})
	ticking, stop := context.WithCancel(ctx)
	defer stop()
	go s.tick(ticking)
	web := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 20,
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-s.broken:
	case err = <-served:
	}
	stop()
	return errors.Join(err, web.Close())
}

// Close writes what is left. The Host is stopped before, by its owner.
func (s *Server) Close() error {
	s.lanes.stop()
	return s.store.Close()
}

// dropOrphans forgets disks whose machines are gone: a release that was
// stored, but not carried out before the process ended.
func (s *Server) dropOrphans() error {
	ids, err := s.store.Machines()
	if err != nil {
		return err
	}
	for _, id := range ids {
		s.mu.Lock()
		has := s.region.Has(id)
		s.mu.Unlock()
		if has {
			continue
		}
		if err := s.store.Destroy(id); err != nil {
			return err
		}
	}
	return nil
}

// settle runs change on the region, has what it changed stored, and returns
// when that, and all that it may have seen, is on disk.
func (s *Server) settle(change func()) error {
	return s.settleLater(change).Wait()
}

func (s *Server) settleLater(change func()) *store.Ticket {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	records, err := s.region.Take()
	effects := s.region.Effects()
	if err != nil {
		s.fail(err)
		return nil
	}
	if len(records) == 0 && len(effects) == 0 {
		return s.store.Last()
	}
	s.poke()
	return s.store.Put(records, func() { s.lanes.add(effects) })
}

func (s *Server) fail(err error) {
	select {
	case s.broken <- err:
	default:
	}
}

func (s *Server) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// tick lets time pass in the region.
func (s *Server) tick(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
			if err := s.settle(s.region.Tick); err != nil {
				s.fail(err)
				return
			}
		}
		s.mu.Lock()
		next := s.region.Next()
		s.mu.Unlock()
		wait := time.Minute
		if !next.IsZero() {
			wait = min(wait, max(0, next.Sub(s.o.Now())))
		}
		timer.Reset(wait)
	}
}
