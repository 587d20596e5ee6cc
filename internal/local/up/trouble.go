package up

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// The troubles that the API server of a local region can be given.
const (
	// Away: its process is stopped; connections are made and never answered.
	Away = "away"
	// Throttling: it refuses most requests of the controller with 429.
	Throttling = "throttling"
	// NoEndpoints: kube-public/cluster-info names no address for nodes.
	NoEndpoints = "no-endpoints"
)

// troubleTick is how often a region looks at what is asked of it.
const troubleTick = 100 * time.Millisecond

// troubleTime is how long a region may take to do it.
const troubleTime = 15 * time.Second

// Trouble is what was asked of an API server, and until when.
type Trouble struct {
	Kind  string    `json:"kind"`
	Until time.Time `json:"until"`
}

// words says what people notice.
func (t Trouble) words() string {
	return map[string]string{
		Away:        "the API server answers nobody",
		Throttling:  "the API server refuses most requests of the controller (429)",
		NoEndpoints: "the API server names no address for nodes (kube-public/cluster-info)",
	}[t.Kind]
}

func (t Trouble) same(o Trouble) bool { return t.Kind == o.Kind && t.Until.Equal(o.Until) }

func (t Trouble) String() string {
	if t.Kind == "" {
		return "the API server serves as usual"
	}
	return t.words() + " until " + t.Until.Local().Format(time.TimeOnly)
}

func troubleFile(dir string) string { return filepath.Join(dir, "trouble.json") }

func readTrouble(dir string) Trouble {
	var t Trouble
	if text, err := os.ReadFile(troubleFile(dir)); err != nil || json.Unmarshal(text, &t) != nil {
		return Trouble{}
	}
	return t
}

// SetTrouble asks a running region for a trouble of its API server, or with no
// kind for the end of it, and says what is when that has happened.
func SetTrouble(ctx context.Context, dir string, t Trouble, out io.Writer) error {
	if _, held, err := holder(dir); err != nil || !held {
		return &Error{
			Code: CodeUnreachable, What: "nothing was changed", Cause: "no local region runs in " + short(dir),
			Next: []string{"`poolkeeper local up" + dirFlag(dir) + "`"},
		}
	}
	text, err := json.Marshal(t)
	if err == nil {
		err = writeFile(troubleFile(dir), text, 0o600)
	}
	if err != nil {
		return dirError(dir, err)
	}
	done, err := seen(ctx, troubleTime, func() bool {
		p, err := readPublished(dir)
		return err == nil && p.Trouble.same(t)
	})
	if err != nil {
		return err
	}
	if done {
		fmt.Fprintln(out, t)
		return nil
	}
	return &Error{
		Code: CodeDefect, What: "the API server was not changed", Cause: "the local region did not do it within " + troubleTime.String(),
		Next: []string{"`poolkeeper local status" + dirFlag(dir) + "`"},
	}
}

// seen looks until something is so, for that long at most, and says whether it
// is. The error is that of the context.
func seen(ctx context.Context, most time.Duration, is func() bool) (bool, error) {
	for end := time.Now().Add(most); time.Now().Before(end); {
		if is() {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(troubleTick):
		}
	}
	return false, nil
}

// troubles makes and ends what is asked until the context ends. What a region
// that was killed has left behind is ended first.
func (r *region) troubles(ctx context.Context) {
	t := troubler{r: r, now: readTrouble(r.o.Dir), left: true}
	tick := time.NewTicker(troubleTick)
	defer tick.Stop()
	for failed := false; ; {
		err := t.step(ctx)
		if err != nil && ctx.Err() == nil && !failed {
			r.term.say("%v; it is tried again", err)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// troubler knows which trouble there is now.
type troubler struct {
	r       *region
	now     Trouble
	left    bool   // now is what an earlier region left behind
	stopped int    // the process that Away has stopped
	release func() // gives back the seat that Throttling holds
}

// asked is the trouble that is wanted now.
func (t *troubler) asked() Trouble {
	want := readTrouble(t.r.o.Dir)
	if t.left || !time.Now().Before(want.Until) {
		return Trouble{}
	}
	return want
}

// step does what is missing between what is and what is asked.
func (t *troubler) step(ctx context.Context) error {
	want := t.asked()
	if want.same(t.now) {
		t.left = false
		if want.Kind == Away {
			return t.freeze()
		}
		return nil
	}
	if want.Kind != t.now.Kind {
		if err := t.end(ctx); err != nil {
			return fmt.Errorf("end %s: %w", t.now.Kind, err)
		}
		if err := t.begin(ctx, want.Kind); err != nil {
			return fmt.Errorf("begin %s: %w", want.Kind, err)
		}
	}
	t.now, t.left = want, false
	if want.Kind == "" {
		if err := os.Remove(troubleFile(t.r.o.Dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	t.r.term.say("%s", want)
	t.r.setTrouble(want)
	return nil
}

func (t *troubler) begin(ctx context.Context, kind string) error {
	switch kind {
	case Away:
		return t.freeze()
	case Throttling:
		return t.throttle(ctx)
	case NoEndpoints:
		return t.r.publishEndpoint(ctx, false)
	}
	return nil
}

func (t *troubler) end(ctx context.Context) error {
	switch t.now.Kind {
	case Away:
		return t.thaw()
	case Throttling:
		if t.release != nil {
			t.release()
		}
		return t.r.setThrottling(ctx, false)
	case NoEndpoints:
		return t.r.publishEndpoint(ctx, true)
	}
	return nil
}

// throttle leaves the controller one seat and takes that.
func (t *troubler) throttle(ctx context.Context) error {
	if err := t.r.setThrottling(ctx, true); err != nil {
		return err
	}
	ctx, t.release = context.WithCancel(ctx)
	return t.r.holdSeat(ctx)
}

// freeze stops the process of the control plane, one that was started
// meanwhile too.
func (t *troubler) freeze() error {
	pid := t.r.pidOf(planeName)
	if pid == 0 || pid == t.stopped {
		return nil
	}
	t.stopped = pid
	return syscall.Kill(pid, syscall.SIGSTOP)
}

func (t *troubler) thaw() error {
	pid := t.stopped
	t.stopped = 0
	if pid == 0 || pid != t.r.pidOf(planeName) {
		return nil // it ended meanwhile
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

func (r *region) pidOf(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.children {
		if c.name == name {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.pid
		}
	}
	return 0
}
