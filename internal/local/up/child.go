package up

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/process"
)

// How children are watched.
const (
	// firstPause is the pause before a child that ended is started again; it
	// doubles up to longestPause while the child ends within soon.
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
	soon         = 10 * time.Second
	// startTries is how often a child may end before it was ready once.
	startTries = 3
	// startTime is how long a child may take to be ready.
	startTime = 2 * time.Minute
	// stopTime is how long a child may take to end after it was asked to.
	stopTime = 15 * time.Second
	// probeTick is the time between two looks whether a child is ready.
	probeTick = 25 * time.Millisecond
)

// child is one process of the region: started, watched, started again.
type child struct {
	name    string
	command func() (args, env []string)
	probe   func(context.Context) error
	log     *logFile
	spawn   process.Starter
	say     func(format string, args ...any)
	changed func()

	mu       sync.Mutex
	cmd      *exec.Cmd
	pid      int
	restarts int
	since    time.Time
	lastExit string

	firstReady chan struct{}
	gaveUp     chan error
	stopping   chan struct{}
	done       chan struct{}
}

func newChild(name string, command func() (args, env []string), probe func(context.Context) error) *child {
	return &child{
		name: name, command: command, probe: probe,
		firstReady: make(chan struct{}), gaveUp: make(chan error, 1),
		stopping: make(chan struct{}), done: make(chan struct{}),
	}
}

// watch runs the child until stop is called or it never gets ready.
func (c *child) watch() {
	defer close(c.done)
	pause, was := firstPause, false
	for tries := 1; ; tries++ {
		began := time.Now()
		exit := c.once(&was)
		if c.isStopping() {
			return
		}
		c.note(exit)
		if !was && tries >= startTries {
			c.gaveUp <- fmt.Errorf("%s %s: %s", c.name, exit, first(c.log.Last(), "it wrote nothing"))
			return
		}
		if time.Since(began) > soon {
			pause = firstPause
		}
		c.say("%s %s; it is started again in %s", c.name, exit, pause)
		select {
		case <-time.After(pause):
		case <-c.stopping:
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// once runs the child one time, says when it is ready, and returns how it ended.
func (c *child) once(was *bool) string {
	args, env := c.command()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(plainEnv(), env...)
	cmd.Stdout, cmd.Stderr = c.log, c.log
	cmd.WaitDelay = time.Second
	if err := c.begin(cmd); err != nil {
		return "did not start (" + root(err) + ")"
	}
	fmt.Fprintf(c.log, "--- %s: process %d\n", time.Now().Format(time.RFC3339), cmd.Process.Pid)
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan bool, 1)
	go func() { ready <- c.waitReady(ctx) }()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	var err error
	select {
	case err = <-ended:
		cancel()
		<-ready
	case ok := <-ready:
		if ok && *was {
			c.say("%s is ready again (process %d)", c.name, cmd.Process.Pid)
		} else if ok {
			*was = true
			close(c.firstReady)
		}
		c.changed()
		err = <-ended
		cancel()
	}
	c.mu.Lock()
	c.cmd, c.pid = nil, 0
	c.mu.Unlock()
	return howEnded(err)
}

// begin starts the command unless the child is to stop.
func (c *child) begin(cmd *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isStopping() {
		return errors.New("the region stops")
	}
	if err := c.spawn.Start(cmd); err != nil {
		return err
	}
	c.cmd, c.pid, c.since = cmd, cmd.Process.Pid, time.Now()
	return nil
}

func (c *child) note(exit string) {
	c.mu.Lock()
	c.restarts++
	c.lastExit = exit
	c.mu.Unlock()
	c.changed()
}

func (c *child) isStopping() bool {
	select {
	case <-c.stopping:
		return true
	default:
		return false
	}
}

// waitReady asks until the child says that it is ready.
func (c *child) waitReady(ctx context.Context) bool {
	tick := time.NewTicker(probeTick)
	defer tick.Stop()
	for {
		if c.probe(ctx) == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// ready waits for the first time that the child is ready.
func (c *child) ready(ctx context.Context) error {
	select {
	case <-c.firstReady:
		return nil
	case err := <-c.gaveUp:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(startTime):
		return fmt.Errorf("%s is not ready after %s: %s", c.name, startTime, first(c.log.Last(), "it wrote nothing"))
	}
}

// stop asks the child to end, kills it where it does not, and waits.
func (c *child) stop() {
	c.mu.Lock()
	close(c.stopping)
	cmd := c.cmd
	c.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Process.Signal(syscall.SIGCONT) // one that was stopped would never hear of it
	}
	select {
	case <-c.done:
	case <-time.After(stopTime):
		c.say("%s did not end within %s and is killed", c.name, stopTime)
		_ = cmd.Process.Kill()
		<-c.done
	}
}

// howEnded says how a process ended, in words.
func howEnded(err error) string {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return "ended"
	}
	if st, ok := exit.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return "was ended by a signal (" + st.Signal().String() + ")"
	}
	return fmt.Sprintf("ended with exit code %d", exit.ExitCode())
}

// plainEnv is this process's environment without what points at a region, a
// cluster or an account: children get those as flags.
func plainEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		switch {
		case strings.HasPrefix(kv, "POOLKEEPER_"), strings.HasPrefix(kv, "ALIBABA_CLOUD_"), strings.HasPrefix(kv, "KUBECONFIG="):
		default:
			env = append(env, kv)
		}
	}
	return env
}
