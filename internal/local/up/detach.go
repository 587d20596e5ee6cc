package up

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// notifyEnv names the file descriptor on which a detached region tells the
// command that started it how far it is.
const notifyEnv = "POOLKEEPER_LOCAL_NOTIFY"

// message is one line from a detached region: something to say, the end with an
// error, or that it is ready.
type message struct {
	Say   string `json:"say,omitempty"`
	Error *Error `json:"error,omitempty"`
	Ready bool   `json:"ready,omitempty"`
}

// Detach runs this program again with the same arguments, in a session of its
// own, shows its progress and returns when the region is ready.
func Detach(ctx context.Context, dir string, args []string, out io.Writer) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := prepareDir(dir); err != nil {
		return err
	}
	if h, runs, _ := holder(dir); runs {
		return held(dir, h.Version)
	}
	l, err := openLog(filepath.Join(dir, "logs", "up.log"))
	if err != nil {
		return dirError(dir, err)
	}
	defer l.Close()
	in, notify, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = l.f, l.f
	cmd.ExtraFiles = []*os.File{notify}
	cmd.Env = append(os.Environ(), notifyEnv+"=3")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = notify.Close()
	if err != nil {
		return asError("the local region was not started", fmt.Errorf("run %s: %w", args[0], err))
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	return follow(in, out, l.path)
}

// follow shows what a detached region says until it is ready or has ended.
func follow(in io.Reader, out io.Writer, log string) error {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			continue
		}
		switch {
		case m.Error != nil:
			return m.Error
		case m.Ready:
			return nil
		}
		fmt.Fprintln(out, m.Say)
	}
	return &Error{
		Code: CodeDefect, What: "the local region did not start", Cause: "its process ended before it was ready",
		Next: []string{"see " + log},
	}
}

// Notifier is the detached side of Detach: a writer of progress that also
// reaches the command which waits, until the region is ready or has failed.
type Notifier struct {
	out io.Writer

	mu   sync.Mutex
	pipe *os.File
	rest []byte
}

// NewNotifier gives the notifier of this process; false when nobody waits.
func NewNotifier(out io.Writer) (*Notifier, bool) {
	fd, err := strconv.Atoi(os.Getenv(notifyEnv))
	if err != nil {
		return nil, false
	}
	_ = os.Unsetenv(notifyEnv)
	syscall.CloseOnExec(fd)
	return &Notifier{out: out, pipe: os.NewFile(uintptr(fd), "notify")}, true
}

// Write sends whole lines to the command that waits and everything to the log.
func (n *Notifier) Write(p []byte) (int, error) {
	n.mu.Lock()
	n.rest = append(n.rest, p...)
	for {
		line, rest, ok := bytes.Cut(n.rest, []byte("\n"))
		if !ok {
			break
		}
		n.rest = rest
		n.send(message{Say: string(line)})
	}
	n.mu.Unlock()
	return n.out.Write(p)
}

// Ready tells the command that waits to return.
func (n *Notifier) Ready() { n.end(message{Ready: true}) }

// Fail tells the command that waits why the region ended.
func (n *Notifier) Fail(err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: CodeDefect, What: "the local region did not start", Cause: err.Error()}
	}
	n.end(message{Error: e})
}

func (n *Notifier) end(m message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.send(m)
	if n.pipe != nil {
		_ = n.pipe.Close()
	}
	n.pipe = nil
}

// send writes one message; the command that waits may be gone, which is no
// reason to end.
func (n *Notifier) send(m message) {
	if n.pipe == nil {
		return
	}
	if text, err := json.Marshal(m); err == nil {
		_, _ = n.pipe.Write(append(text, '\n'))
	}
}
