package kill

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/process"
)

// restartPause is the pause before a process that ended by itself is started
// again; one that was killed is started again at once.
const restartPause = 200 * time.Millisecond

// program is one of a region: started, killed, started again on the
// same state until it is stopped.
type program struct {
	name      string
	args, env []string
	log       string

	mu       sync.Mutex
	cmd      *exec.Cmd
	dead     chan struct{} // closed when cmd has ended
	killed   bool
	stopping bool
	kills    int
	byItself []string // how it ended when nobody killed it
	done     chan struct{}
}

func newProgram(t *testing.T, dir, name string, env []string, args ...string) *program {
	t.Helper()
	p := &program{name: name, args: args, env: env, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	if err := p.start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go p.watch()
	t.Cleanup(p.stop)
	return p
}

// starter starts the programs, which end when this test does.
var starter = sync.OnceValue(process.NewStarter)

func (p *program) start() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}, p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := starter().Start(cmd); err != nil {
		return err
	}
	p.cmd, p.dead = cmd, make(chan struct{})
	return nil
}

// watch starts the process again until it is stopped.
func (p *program) watch() {
	defer close(p.done)
	for {
		err := p.cmd.Wait()
		p.mu.Lock()
		close(p.dead)
		if p.stopping {
			p.mu.Unlock()
			return
		}
		pause := time.Duration(0)
		if !p.killed {
			pause = restartPause
			p.byItself = append(p.byItself, fmt.Sprint(err))
		}
		p.killed = false
		p.mu.Unlock()
		<-time.After(pause)
		p.mu.Lock()
		if p.stopping {
			p.mu.Unlock()
			return
		}
		err = p.start()
		p.mu.Unlock()
		if err != nil {
			panic(fmt.Sprintf("start %s again: %v", p.name, err))
		}
	}
}

// kill ends the process as kill -9 does, and returns when it is gone.
func (p *program) kill() {
	p.mu.Lock()
	dead := p.dead
	if !p.stopping && !closed(dead) {
		p.killed = true
		p.kills++
		_ = p.cmd.Process.Kill()
	}
	p.mu.Unlock()
	<-dead
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (p *program) stop() {
	p.mu.Lock()
	p.stopping = true
	_ = p.cmd.Process.Kill()
	p.mu.Unlock()
	<-p.done
}

// ended tells how often the process ended though nobody killed it, and how.
func (p *program) ended() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.byItself...)
}

// tail is the end of the process's log.
func (p *program) tail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// until waits for a condition; what is missing is its answer, empty when it
// holds. It returns what was missing at the end of the time.
func until(ctx context.Context, limit time.Duration, missing func(context.Context) string) string {
	end := time.Now().Add(limit)
	what := missing(ctx)
	for what != "" && time.Now().Before(end) && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
		what = missing(ctx)
	}
	return what
}
