//go:build soak

package kill

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

const (
	// soakFor is how long a soak lasts where FOR says nothing.
	soakFor = time.Hour
	// soakPatience is how long the pool may take to be as wished when the
	// trouble is over: an answer that was lost for good is settled by then.
	soakPatience = 6 * time.Minute
	// cloudDisk is the size of the local cloud's disk, planeDisk that of etcd's,
	// which keeps what 10,000 writes need of logs of 64 MiB: with large objects
	// among them, ten and more. Unit: bytes.
	cloudDisk = 64 << 20
	planeDisk = 2 << 30
	// clockOff is the most that the clock of the controller or of the cloud is
	// off: a minute, less a little, divided by the factor.
	clockOff = 2500 * time.Millisecond
)

// A soak: spell after spell the pool's number changes at random while the three
// processes are killed and stopped, lines are cut, answers lost, the disk is
// full and the clock jumps. When the trouble is over the pool comes to exactly
// its number; nothing leaked, nothing lost. FOR=10m says how long, SEED=… plays
// the same spells again.
func TestSoak(t *testing.T) {
	last := soakFor
	if text := os.Getenv("FOR"); text != "" {
		var err error
		if last, err = time.ParseDuration(text); err != nil {
			t.Fatalf("read FOR: %v", err)
		}
	}
	seed := chooseSeed(t)
	s := &soak{counts: map[string]int{}, began: time.Now(), random: rand.New(rand.NewPCG(seed, 1))}
	s.region = startRegion(t, func(r *region) {
		s.disks = map[victim]*disk{theCloud: mount(t, r.path("cloud"), cloudDisk), thePlane: mount(t, r.path("etcd"), planeDisk)}
	})
	s.patience = soakPatience
	s.createPool(t)
	if err := s.fillVPC(); err != nil {
		t.Fatal(err)
	}
	s.scaleAndSettle(t, low)
	s.protectOne(t)
	t.Cleanup(func() { fmt.Print(s.table(seed)) })
	for size := low; time.Since(s.began) < last; s.spells++ {
		p := s.newSpell()
		fmt.Printf("%s  spell %d: %s\n", time.Since(s.began).Round(time.Second), s.spells+1, p.story(size))
		size = s.play(t, p, size)
		if t.Failed() {
			t.Fatalf("stopped at the first spell that failed; play the same spells: SEED=%d FOR=%s make soak", seed, last)
		}
	}
	s.checkOrphans(t)
	if p := s.controller; strings.Contains(p.tail(1<<20), "panic: ") || strings.Contains(p.tail(1<<20), "Observed a panic") {
		t.Errorf("the controller panicked; see %s", p.log)
	}
}

// soak is a region with what was done to it.
type soak struct {
	*region
	random *rand.Rand
	began  time.Time
	disks  map[victim]*disk // nil where none could be mounted
	spells int
	counts map[string]int // operations and faults by name
	rests  []time.Duration
	leaked int
	lost   int
}

// disk is a small file system of its own, so that it can be full.
type disk struct{ dir string }

// mount makes a directory a disk of that size until the test ends, where that
// is permitted.
func mount(t *testing.T, dir string, size int) *disk {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		fmt.Printf("a full disk is not tried: mount: %v\n", err)
		return nil
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return &disk{dir}
}

func (d *disk) filler() string { return filepath.Join(d.dir, "filler") }

// fill fills the disk to the last byte.
func (d *disk) fill() error {
	f, err := os.Create(d.filler())
	if err != nil {
		return err
	}
	for size := 1 << 20; err == nil && size > 0; {
		if _, err = f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size, err = size/16, nil
		}
	}
	return errors.Join(err, f.Close())
}

func (d *disk) free() error { return os.Remove(d.filler()) }

// fault is one kind of trouble: how it begins and ends.
type fault struct {
	name       string
	begin, end func(*soak) error
	longest    time.Duration
	// can is whether it can be done here; nil: everywhere.
	can func(*soak) bool
}

func kills(v victim) fault {
	return fault{name: v.String() + " killed", begin: func(s *soak) error { s.victim(v).kill(); return nil }}
}

func pauses(v victim) fault {
	set := func(on bool) func(*soak) error {
		return func(s *soak) error { s.victim(v).pause(on); return nil }
	}
	return fault{name: v.String() + " stopped", begin: set(true), end: set(false), longest: 12 * time.Second}
}

func lines(name string, set func(*soak, bool)) fault {
	return fault{name: name, longest: 12 * time.Second,
		begin: func(s *soak) error { set(s, true); return nil }, end: func(s *soak) error { set(s, false); return nil }}
}

// jumps sets the clock of a process to another offset; it stays so.
func jumps(v victim) fault {
	return fault{name: "clock of the " + v.String() + " jumped", begin: func(s *soak) error {
		off := time.Duration(s.random.Int64N(int64(2*clockOff))) - clockOff
		return os.WriteFile(s.clock(v), []byte(off.String()), 0o600)
	}}
}

// fills fills the disk of a process; press makes it store more than it has set
// aside, for what has room inside its own files notices nothing.
func fills(v victim, press func(*soak)) fault {
	return fault{name: "disk of the " + v.String() + " full", longest: 12 * time.Second,
		can: func(s *soak) bool { return s.disks[v] != nil },
		begin: func(s *soak) error {
			err := s.disks[v].fill()
			go press(s)
			return err
		}, end: func(s *soak) error { return s.disks[v].free() }}
}

// pressPlane writes large objects, the same each time, until one is refused.
func (s *soak) pressPlane() {
	const many, size = 40, 512 << 10
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
	defer cancel()
	for n := range many {
		text := make([]byte, size)
		for i := range text {
			text[i] = byte('a' + rand.IntN(26))
		}
		m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprintf("large-%d", n)}, Data: map[string]string{"text": string(text)}}
		err := s.admin.Create(ctx, m)
		if apierrors.IsAlreadyExists(err) {
			err = s.admin.Update(ctx, m)
		}
		if err != nil {
			return
		}
	}
}

// pressCloud writes large files on the disk of a machine that is nobody's, the
// same each time, until one is refused.
func (s *soak) pressCloud() {
	const script = `x=$(printf '%0524288d' 0); n=0; while [ $n -lt 12 ]; do printf %s "$x" >/root/large-$n || exit 1; n=$((n+1)); done`
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
	defer cancel()
	list, err := s.listCloud(ctx)
	if err != nil {
		return // it is away: killed, or stopped
	}
	for _, i := range list {
		if i.Tags[api.LabelPool] == "" && i.Status == "Running" {
			body, _ := json.Marshal(map[string][]string{"argv": {"sh", "-c", script}})
			_, _ = s.control(ctx, http.MethodPost, "instances/"+i.ID+"/exec", string(body))
			return
		}
	}
}

// faults are all kinds.
var faults = []fault{
	kills(theController), kills(theCloud), kills(thePlane),
	pauses(theController), pauses(theCloud), pauses(thePlane),
	lines("API server cut off", func(s *soak, on bool) { s.toPlane.interrupt(on) }),
	lines("cloud cut off", func(s *soak, on bool) { s.toCloud.interrupt(on) }),
	lines("answers of the API server lost", func(s *soak, on bool) { s.toPlane.lossy.Store(on) }),
	lines("answers of the cloud lost", func(s *soak, on bool) { s.toCloud.lossy.Store(on) }),
	jumps(theController), jumps(theCloud),
	fills(theCloud, (*soak).pressCloud), fills(thePlane, (*soak).pressPlane),
}

// event is what happens at a time of a spell.
type event struct {
	at   time.Duration
	what string
	do   func(*soak) error
}

// spell is some seconds of trouble, and the numbers wished meanwhile.
type spell struct {
	events  []event
	length  time.Duration
	numbers []int // wished one after the other, evenly over the length
	named   []string
}

func (p *spell) story(size int) string {
	text := fmt.Sprint(size)
	for _, n := range p.numbers {
		text += fmt.Sprintf(" -> %d", n)
	}
	return text + "; " + strings.Join(p.named, ", ")
}

// newSpell draws one: one to three numbers, one to four faults.
func (s *soak) newSpell() *spell {
	p, random := &spell{}, s.random
	length := time.Second + time.Duration(random.IntN(10_000))*time.Millisecond
	for range 1 + random.IntN(3) {
		n := low + random.IntN(2*high)
		p.numbers = append(p.numbers, n)
	}
	p.length = length
	kinds := slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return f.can != nil && !f.can(s) })
	var used []string
	for range 1 + random.IntN(4) {
		f := kinds[random.IntN(len(kinds))]
		begin, long := time.Duration(random.Int64N(int64(length))), time.Duration(0)
		if f.longest > 0 {
			long = 500*time.Millisecond + time.Duration(random.Int64N(int64(f.longest)))
		}
		if slices.Contains(used, f.name) {
			continue // it would end with the first
		}
		used = append(used, f.name)
		p.events = append(p.events, event{begin, f.name, f.begin})
		text := f.name + " at " + begin.Round(100*time.Millisecond).String()
		if f.end != nil {
			p.events = append(p.events, event{begin + long, "", f.end})
			text += " for " + long.Round(100*time.Millisecond).String()
		}
		p.named = append(p.named, text)
	}
	slices.SortStableFunc(p.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return p
}

// play makes the trouble, ends it, and waits until the pool is as wished.
func (s *soak) play(t *testing.T, p *spell, size int) int {
	t.Helper()
	created, released := s.books.count()
	began, wished := time.Now(), make(chan error, 1)
	go func() {
		for n, number := range p.numbers {
			<-time.After(time.Until(began.Add(time.Duration(n) * p.length / time.Duration(len(p.numbers)))))
			if err := s.scale(t.Context(), int32(number)); err != nil {
				wished <- err
				return
			}
		}
		wished <- nil
	}()
	for _, e := range p.events {
		<-time.After(time.Until(began.Add(e.at)))
		if err := e.do(s); err != nil {
			t.Errorf("%s: %v", e.what, err)
		}
		if e.what != "" {
			s.counts[e.what]++
		}
	}
	if err := <-wished; err != nil {
		t.Fatal(err)
	}
	s.counts["number changed"] += len(p.numbers)
	to := p.numbers[len(p.numbers)-1]
	calm := time.Now()
	w, missing := s.rest(t.Context(), to, func() bool { return true })
	s.rests = append(s.rests, time.Since(calm))
	if missing != "" {
		t.Errorf("the pool did not come to rest within %s: %s\n%s", s.patience, missing, s.story(w))
	}
	if w == nil {
		return to
	}
	s.judge(t, w, to-size-(s.moved(created, released)))
	return to
}

// moved is by how many instances the cloud has more, by what was created and
// released since.
func (s *soak) moved(created, released int) int {
	nowCreated, nowReleased := s.books.count()
	s.counts["instances created"] = nowCreated
	s.counts["instances released"] = nowReleased
	return nowCreated - created - (nowReleased - released)
}

// judge fails on every promise that the world breaks; off is by how many
// instances creations and releases do not make the change of the number.
func (s *soak) judge(t *testing.T, w *world, off int) {
	t.Helper()
	for _, wrong := range s.wrong(w) {
		t.Error(wrong)
	}
	records := map[string]bool{}
	for _, i := range w.instances.Items {
		records[i.Name] = true
	}
	for _, i := range w.ours {
		if !records[i.ID] {
			s.leaked++
			t.Errorf("instance %s of the cloud has no record: it leaked", i.ID)
		}
	}
	for _, id := range s.books.lost(slices.Concat(w.ours, w.foreign)) {
		s.lost++
		t.Errorf("instance %s is gone, and nobody released it: it was lost", id)
	}
	if off != 0 {
		t.Errorf("creations and releases are %d instances away from the change of the number", off)
	}
}

// version is what git says of the tree that is tested.
func version() string {
	text, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(text))
}

// table is what came of it, as docs/reliability.md has it.
func (s *soak) table(seed uint64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nSoak of %s, version %s, seed %d: %d spells\n\n| what | times |\n|---|---|\n", time.Since(s.began).Round(time.Second), version(), seed, s.spells)
	row := func(what string, n any) { fmt.Fprintf(&b, "| %s | %v |\n", what, n) }
	row("calls of the controller", s.toPlane.calls.Load()+s.toCloud.calls.Load())
	for _, what := range []string{"number changed", "instances created", "instances released"} {
		row(what, s.counts[what])
	}
	for _, f := range faults {
		if n := s.counts[f.name]; n > 0 {
			row(f.name, n)
		} else {
			row(f.name, "not tried")
		}
	}
	for _, v := range []victim{theCloud, thePlane} {
		if s.disks[v] != nil {
			row("lines of the "+v.String()+" about its full disk", strings.Count(s.victim(v).tail(1<<20), syscall.ENOSPC.Error()))
		}
	}
	if slices.Sort(s.rests); len(s.rests) > 0 {
		row("at rest after the trouble, median and longest", fmt.Sprintf("%.1f s, %.1f s", s.rests[len(s.rests)/2].Seconds(), s.rests[len(s.rests)-1].Seconds()))
	}
	row("instances lost", s.lost)
	row("instances leaked", s.leaked)
	return b.String()
}

// pause stops the process as SIGSTOP does, or lets it go on. One that was
// started anew meanwhile runs.
func (p *program) pause(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping || closed(p.dead) {
		return
	}
	signal := syscall.SIGCONT
	if on {
		signal = syscall.SIGSTOP
	}
	_ = p.cmd.Process.Signal(signal)
}

// interrupt cuts the line or mends it; what passes at that moment breaks.
func (p *proxy) interrupt(on bool) {
	if p.cut.Store(on); on {
		p.server.CloseClientConnections()
	}
}

// lost are instances that were created, are not shown any more, and that no
// release call ever named.
func (b *books) lost(shown []shown) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	there := map[string]bool{}
	for _, i := range shown {
		there[i.ID] = true
	}
	var out []string
	for _, id := range slices.Sorted(maps.Keys(b.created)) {
		if !there[id] && !b.released[id] {
			out = append(out, id)
		}
	}
	return out
}
