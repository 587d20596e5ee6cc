package machine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// Where a machine keeps what it goes on with after a restart.
const (
	pathMessages       = "/var/log/messages"
	pathBootFinished   = "/var/lib/cloud/instance/boot-finished"
	pathKubeletEnabled = "/etc/systemd/system/multi-user.target.wants/kubelet.service"
	pathKubeletDropIn  = "/etc/systemd/system/kubelet.service.d/"
	pathMIGReset       = "/var/lib/nvidia/mig-reset"
	kernelVersion      = "5.10.134-16.al8.x86_64"
)

// configs keeps parsed user data for all machines of a launch.
var configs = shared[*cloudConfig]{most: 64}

// session is one machine from power on to power off.
type session struct {
	host   *Simulator
	spec   Spec
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the boot process has ended

	console console
	net     network

	mu       sync.Mutex
	files    *disk // nil: stored, not in memory
	users    int   // programs that have the disk in memory
	released bool
	kubelet  *kubelet
}

func newSession(s *Simulator, spec Spec) *session {
	m := &session{host: s, spec: spec, done: make(chan struct{})}
	m.ctx, m.cancel = context.WithCancel(s.ctx)
	m.net.m = m
	context.AfterFunc(m.ctx, m.hangUp)
	return m
}

// pause waits inside the machine and says whether it waited to the end.
func (m *session) pause(ctx context.Context, d time.Duration) bool {
	d = m.host.scaled(d)
	if d <= 0 {
		return ctx.Err() == nil && m.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-m.ctx.Done():
	}
	return false
}

// disk returns the machine's file system, from where it is stored if need be.
func (m *session) disk() *disk {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files != nil {
		return m.files
	}
	d := newDisk(m.host.Now)
	if c, err := configs.get(m.spec.UserData, readConfig); err == nil {
		d.first = c.files
	}
	stored, err := m.host.Disks.Read(m.spec.ID)
	if err != nil {
		m.host.Logger.Error(err, "read disk of machine", "instance", m.spec.ID)
	}
	d.load(stored)
	m.files = d
	return d
}

// flush stores what has changed. A released machine stores nothing more.
func (m *session) flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.released || m.files == nil {
		return nil
	}
	changes := m.files.changes()
	if len(changes) == 0 {
		return nil
	}
	if err := m.host.Disks.Write(m.spec.ID, changes); err != nil {
		m.files.mark(changes)
		return fmt.Errorf("write disk of machine %s: %w", m.spec.ID, err)
	}
	return nil
}

// use keeps the disk in memory until the returned function is called.
func (m *session) use() func() {
	m.mu.Lock()
	m.users++
	m.mu.Unlock()
	return func() {
		if err := m.flush(); err != nil {
			m.host.Logger.Error(err, "store disk", "instance", m.spec.ID)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.users--; m.users == 0 && m.files != nil && !m.files.inMemoryOnly() {
			m.files = nil
		}
	}
}

// boot is what happens after power on.
func (m *session) boot() {
	if m.ctx.Err() != nil {
		return
	}
	defer m.use()()
	fmt.Fprintf(&m.console, "[    0.000000] Linux version %s\n", kernelVersion)
	if !m.pause(m.ctx, m.spec.BootDelay) {
		return
	}
	d := m.disk()
	if _, err := d.read(pathBootFinished); err == nil {
		m.startEnabled()
		return
	}
	leave, ok := m.takePlace()
	if !ok {
		return
	}
	m.cloudInit(d)
	leave()
	if m.ctx.Err() != nil {
		return
	}
	d.write(pathBootFinished, []byte(m.host.Now().UTC().Format(time.RFC3339)+"\n"), 0o644)
	m.net.closeIdle()
}

// bootPatience is how long one machine may keep the next from its user data.
const bootPatience = 3 * time.Second

// takePlace waits until the machine may run its user data. It is not ok where
// the machine was powered off before.
func (m *session) takePlace() (leave func(), ok bool) {
	select {
	case m.host.boots <- struct{}{}:
	case <-m.ctx.Done():
		return nil, false
	}
	once := sync.OnceFunc(func() { <-m.host.boots })
	patience := time.AfterFunc(bootPatience, once)
	return func() { patience.Stop(); once() }, true
}

// cloudInit runs the user data, once in the life of a machine.
func (m *session) cloudInit(d *disk) {
	c, err := configs.get(m.spec.UserData, readConfig)
	if err != nil {
		fmt.Fprintf(m.log("cloud-init"), "[WARNING]: %v\n", err)
		return
	}
	for name, f := range c.files {
		if d.first[name] != f {
			d.write(name, f.data, f.mode)
		}
	}
	m.scripts(c.runs)
}

// scripts runs the commands of user data one after the other; one that fails
// does not end the rest.
func (m *session) scripts(runs [][]string) {
	out := &m.console
	for _, argv := range runs {
		sh := &shell{m: m}
		p := &process{shell: sh, args: argv, dir: "/", out: out, err: out, env: environment}
		code := p.start(m.ctx)
		if m.ctx.Err() != nil {
			return
		}
		if code != 0 {
			fmt.Fprintf(m.log("cloud-init"), "runcmd failed: exit status %d\n", code)
		}
	}
}

// startEnabled starts what is to run at every boot.
func (m *session) startEnabled() {
	if _, err := m.disk().read(pathKubeletEnabled); err != nil {
		return
	}
	if err := m.startKubelet(); err != nil {
		fmt.Fprintf(m.log("kubelet"), "%v\n", err)
	}
}

// runProgram runs a script that came from outside the boot.
func (m *session) runProgram(ctx context.Context, script []byte, out io.Writer) int {
	defer m.use()()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	sh := &shell{m: m}
	return sh.run(ctx, script, nil, nil, out, out, environment)
}

// log returns a writer of whole lines to the system log and the console.
func (m *session) log(tag string) io.Writer { return logWriter{m, tag} }

type logWriter struct {
	m   *session
	tag string
}

func (l logWriter) Write(p []byte) (int, error) {
	stamp := l.m.host.Now().UTC().Format(time.Stamp)
	line := fmt.Sprintf("%s %s %s: %s\n", stamp, l.m.spec.ID, l.tag, bytes.TrimRight(p, "\n"))
	l.m.disk().appendTo(pathMessages, []byte(line), maxLog)
	l.m.console.Write([]byte(line))
	return len(p), nil
}

// migEnabled says whether MIG partitions are left on the machine.
func (m *session) migEnabled() bool {
	end, begun := m.migReset()
	return m.spec.Faults.MIGPartitions && (!begun || m.host.Now().Before(end))
}

// migReset is when the reset of the partitions ends, where one was begun.
func (m *session) migReset() (end time.Time, begun bool) {
	text, err := m.disk().read(pathMIGReset)
	if err != nil {
		return time.Time{}, false
	}
	end, err = time.Parse(time.RFC3339Nano, string(text))
	return end, err == nil
}

// resetMIG resets the partitions that are left, and says whether it waited to
// the end. The GPU goes on with a reset that was begun, whatever becomes of the
// command.
func (m *session) resetMIG(ctx context.Context) bool {
	if !m.migEnabled() {
		return true
	}
	end, begun := m.migReset()
	if !begun {
		end = m.host.Now().Add(m.host.scaled(m.spec.Faults.MIGReset))
		m.disk().write(pathMIGReset, []byte(end.Format(time.RFC3339Nano)), 0o644)
	}
	return m.pause(ctx, time.Duration(float64(end.Sub(m.host.Now()))*m.host.TimeFactor))
}

// close ends what runs without a goroutine, after the power is off.
func (m *session) close() {
	m.stopKubelet()
	if err := m.flush(); err != nil {
		m.host.Logger.Error(err, "store disk", "instance", m.spec.ID)
	}
	m.net.closeAll()
}

// abandon powers off without storing anything more.
func (m *session) abandon() {
	m.mu.Lock()
	m.released = true
	m.mu.Unlock()
	m.cancel()
	m.stopKubelet()
	m.net.closeAll()
}

// hangUp ends whoever waits on a fifo of the machine.
func (m *session) hangUp() {
	m.mu.Lock()
	d := m.files
	m.mu.Unlock()
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.fifos {
		q.hangUp()
	}
}
