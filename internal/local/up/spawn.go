package up

import (
	"os/exec"
	"runtime"
	"syscall"
)

// spawner starts children from one thread that lives as long as the process.
// The kernel kills them when that thread is gone: with a thread of Go's choice,
// which may end at any time, it would kill them early.
type spawner chan func()

func newSpawner() spawner {
	s := make(spawner)
	go func() {
		runtime.LockOSThread()
		for start := range s {
			start()
		}
		runtime.UnlockOSThread() // the children are gone; the thread may be used again
	}()
	return s
}

// start runs a command that dies with this process. It has a process group of
// its own, so that Ctrl-C reaches only us and we end the children in order.
func (s spawner) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	done := make(chan error, 1)
	s <- func() { done <- cmd.Start() }
	return <-done
}
