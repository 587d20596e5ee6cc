// Package process knows how the programs of a local region run side by side:
// it starts one so that it ends with us, finds ports for its servers, and asks
// a server whether it is ready. It keeps nothing, and starts nothing again.
package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Starter starts programs from one thread that lives as long as the process.
// The kernel kills them when that thread is gone: with a thread of Go's choice,
// which may end at any time, it would kill them early.
type Starter chan func()

// NewStarter returns a Starter. Close it when nothing is to be started and what
// it started is gone.
func NewStarter() Starter {
	s := make(Starter)
	go func() {
		runtime.LockOSThread()
		for start := range s {
			start()
		}
		runtime.UnlockOSThread() // the programs are gone; the thread may be used again
	}()
	return s
}

// Start runs a command that dies with this process. It has a process group of
// its own, so that Ctrl-C reaches only us and we end the programs in order.
func (s Starter) Start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	done := make(chan error, 1)
	s <- func() { done <- cmd.Start() }
	return <-done
}

// Ask is nil where a server answers 200.
func Ask(ctx context.Context, t *http.Transport, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

// The ports that FreePorts chooses from: below those that Linux gives to
// connections as their own end, because a server that was killed needs its port
// again. Each process begins elsewhere, so that two that look at the same time
// do not find the same ones.
const (
	firstPort, endPort = 17500, 32000
	portStride         = 10
)

// FreePorts finds n ports in a row, at most 10, on which nobody listens on
// loopback, and returns the first.
func FreePorts(n int) (int, error) {
	const places = (endPort - firstPort) / portStride
	for i := range places {
		base := firstPort + portStride*((os.Getpid()+i)%places)
		if free(base, n) {
			return base, nil
		}
	}
	return 0, errors.New("find free ports: all are in use")
}

func free(base, n int) bool {
	for port := base; port < base+n; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}
