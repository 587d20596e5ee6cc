package up

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRegionStartsStopsAndIsFoundAgain(t *testing.T) {
	t.Setenv("POOLKEEPER_LOCAL_DIR", "")
	dir := filepath.Join(t.TempDir(), "a region")
	r := startRegion(t, fakeOptions(dir, freePorts(t)))
	r.await(t)
	s, err := ReadStatus(context.Background(), dir)
	if err != nil || !s.Ready || s.State != "running" || len(s.Children) != 3 || s.Holder.PID != os.Getpid() {
		t.Fatalf("status %+v, %v", s, err)
	}
	if p := s.Problem(); p != nil {
		t.Errorf("problem %v", p)
	}
	var env bytes.Buffer
	if err := Env(dir, "/opt/bin/poolkeeper", &env); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"export KUBECONFIG='" + dir + "/admin.kubeconfig'",
		`export ALIBABA_CLOUD_ACCESS_KEY_SECRET='it'\''s secret'`,
		fmt.Sprintf("export POOLKEEPER_CLOUD_ENDPOINT=http://127.0.0.1:%d", r.port+1),
		`export PATH=/opt/bin:"$PATH"`,
	} {
		if !strings.Contains(env.String(), want) {
			t.Errorf("env lacks %s:\n%s", want, env.String())
		}
	}
	if !strings.Contains(r.out.String(), "local env --dir '"+dir+"'") {
		t.Errorf("it does not say what to type next:\n%s", r.out)
	}
	r.stop(t)
	if s, err = ReadStatus(context.Background(), dir); err != nil || s.State != "stopped" {
		t.Errorf("after the stop: %+v, %v", s, err)
	}
	if p := s.Problem(); p == nil || p.Code != CodeUnreachable {
		t.Errorf("problem of a stopped region: %v", p)
	}

	again := fakeOptions(dir, r.port)
	again.PortBase = 0 // what it had before
	second := startRegion(t, again)
	second.await(t)
	if reg, err := ReadRegion(dir); err != nil || reg.PortBase != r.port {
		t.Errorf("the second start has %+v, %v; want port %d", reg, err, r.port)
	}
}

func TestKilledChildIsStartedAgainAndThatIsSaid(t *testing.T) {
	r := startRegion(t, fakeOptions(t.TempDir(), freePorts(t)))
	r.await(t)
	for _, name := range []string{planeName, cloudName, controllerName} {
		before := childOf(t, r.dir, name).PID
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		until(t, name+" is ready again", func() bool {
			c := childOf(t, r.dir, name)
			return c.Ready && c.PID != before && c.Restarts == 1
		})
		want := name + " was ended by a signal (killed); it is started again"
		if !strings.Contains(r.out.String(), want) {
			t.Errorf("it did not say %q:\n%s", want, r.out)
		}
		until(t, name+" ready is said", func() bool { return strings.Contains(r.out.String(), name+" is ready again") })
	}
}

func TestChildrenDieWithTheRegion(t *testing.T) {
	dir, port := t.TempDir(), freePorts(t)
	cmd := exec.Command(os.Args[0], dir, strconv.Itoa(port))
	cmd.Env = append(os.Environ(), childEnv+"=up")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "ready after") {
			break
		}
	}
	s, err := ReadStatus(context.Background(), dir)
	if err != nil || len(s.Children) != 3 {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, c := range s.Children {
		until(t, c.Name+" is gone", func() bool { return gone(c.PID) })
	}
	r := startRegion(t, fakeOptions(dir, port))
	r.await(t)
}

// gone is true for a process that has ended, reaped or not.
func gone(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(after, "Z")
}

func TestChildThatNeverStartsEndsTheStart(t *testing.T) {
	t.Setenv(badEnv, "controller")
	r := startRegion(t, fakeOptions(t.TempDir(), freePorts(t)))
	err := <-r.ended
	r.ended <- err
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeDefect || !strings.Contains(e.Cause, "exit code 3: nothing works today") {
		t.Fatalf("error %+v", err)
	}
	if want := "see " + filepath.Join(r.dir, "logs", "controller.log"); len(e.Next) != 1 || e.Next[0] != want {
		t.Errorf("next %q, want %q", e.Next, want)
	}
	if s, err := ReadStatus(context.Background(), r.dir); err != nil || s.State != "stopped" {
		t.Errorf("after it: %+v, %v", s, err)
	}
}

func TestSecondRegionOnTheSameDirectorySaysWhoHoldsIt(t *testing.T) {
	r := startRegion(t, fakeOptions(t.TempDir(), freePorts(t)))
	r.await(t)
	cases := map[string]struct{ version, want string }{
		"the same build": {"test", "local env"},
		"a newer build":  {"newer", "to let this build take over: `poolkeeper local down"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := fakeOptions(r.dir, r.port)
			o.Version, o.Out = c.version, &output{}
			var e *Error
			if err := Run(context.Background(), o); !errors.As(err, &e) || e.Code != CodeInput {
				t.Fatalf("error %v", err)
			}
			if !strings.Contains(e.Cause, fmt.Sprintf("held by process %d since 2", os.Getpid())) || !strings.Contains(e.Next[0], c.want) {
				t.Errorf("error %+v, want next with %q", e, c.want)
			}
		})
	}
	if err := Reset(r.dir, "test", &output{}, func(string) bool { return true }); err == nil || !strings.Contains(err.Error(), "the local region runs") {
		t.Errorf("reset of a running region: %v", err)
	}
}

func TestTwoRegionsRunSideBySide(t *testing.T) {
	a := startRegion(t, fakeOptions(t.TempDir(), freePorts(t)))
	a.await(t)
	b := startRegion(t, fakeOptions(t.TempDir(), freePorts(t)))
	b.await(t)
	if a.port == b.port {
		t.Fatalf("both have port %d", a.port)
	}
}

func TestNewerBuildTakesOverOlderState(t *testing.T) {
	dir, port := t.TempDir(), freePorts(t)
	r := startRegion(t, fakeOptions(dir, port))
	r.await(t)
	r.stop(t)
	o := fakeOptions(dir, port)
	o.Version = "newer"
	second := startRegion(t, o)
	second.await(t)
	if want := "takes over the state of build test (this is newer)"; !strings.Contains(second.out.String(), want) {
		t.Errorf("it did not say %q:\n%s", want, second.out)
	}
}

func TestBadInputIsOneErrorAndChangesNothing(t *testing.T) {
	busy, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", freePorts(t)+1))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	taken := busy.Addr().(*net.TCPAddr).Port
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		change    func(*Options)
		wantCause string
		wantNext  string
	}{
		"a port in use":        {func(o *Options) { o.PortBase = taken - 1 }, fmt.Sprintf("port %d (the local cloud) is in use by process %d (", taken, os.Getpid()), "--port-base"},
		"a port out of bounds": {func(o *Options) { o.PortBase = 80 }, "--port-base 80 is not between 1024 and 65532", "--help"},
		"too many nodes":       {func(o *Options) { o.MaxNodes = 10_001 }, "--max-nodes 10001 is not between 1 and 10000", "--help"},
		"a negative number":    {func(o *Options) { o.MaxNodes = -1 }, "--max-nodes -1 is not", "--help"},
		"a factor below 1":     {func(o *Options) { o.TimeFactor = -1 }, "--time-factor -1 is not between 1", "--help"},
		"a missing scenario":   {func(o *Options) { o.Scenario = "/nowhere.yaml" }, "/nowhere.yaml: no such file or directory", "--help"},
		"no control plane":     {func(o *Options) { o.programs, o.Plane = nil, "/nowhere" }, "/nowhere is missing", "make build"},
		"a file as directory":  {func(o *Options) { o.Dir = file }, "is not a directory", "--dir"},
		"two wrong flags":      {func(o *Options) { o.MaxNodes, o.PortBase = -1, 80 }, "--port-base 80 is not between 1024 and 65532; --max-nodes -1", "--help"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := fakeOptions(filepath.Join(t.TempDir(), "region"), freePorts(t))
			o.Out = &output{}
			c.change(&o)
			var e *Error
			if err := Run(context.Background(), o); !errors.As(err, &e) || e.Code != CodeInput {
				t.Fatalf("error %v", err)
			}
			if !strings.Contains(e.Cause, c.wantCause) || len(e.Next) == 0 || !strings.Contains(e.Next[0], c.wantNext) {
				t.Errorf("cause %q next %q, want %q and %q", e.Cause, e.Next, c.wantCause, c.wantNext)
			}
			if _, err := ReadRegion(o.Dir); err == nil {
				t.Error("a region was written down")
			}
		})
	}
}

func TestFullAndForbiddenDisksAreNamed(t *testing.T) {
	cases := map[string]struct {
		err  error
		want string
	}{
		"full":      {&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, "the disk of /d is full: a region needs 128 MiB there to start"},
		"quota":     {&os.PathError{Op: "write", Path: "x", Err: syscall.EDQUOT}, "the disk of /d is full: a region needs 128 MiB there to start"},
		"limited":   {&os.PathError{Op: "reserve space", Path: "x", Err: syscall.EFBIG}, "files in /d may not grow to the 128 MiB that a region needs to start (file too large)"},
		"forbidden": {&os.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "/d cannot be written (permission denied)"},
		"read-only": {&os.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, "/d cannot be written (read-only file system)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var e *Error
			if !errors.As(dirError("/d", c.err), &e) || e.Cause != c.want || e.Code != CodeInput || len(e.Next) == 0 {
				t.Errorf("error %+v, want cause %q", e, c.want)
			}
		})
	}
}

func TestRegionKeepsItsPort(t *testing.T) {
	dir, port := t.TempDir(), freePorts(t)
	r := startRegion(t, fakeOptions(dir, port))
	r.await(t)
	r.stop(t)
	o := fakeOptions(dir, port+Ports)
	o.Out = &output{}
	var e *Error
	if err := Run(context.Background(), o); !errors.As(err, &e) || !strings.Contains(e.Cause, fmt.Sprintf("lives at port %d", port)) {
		t.Fatalf("error %v", err)
	}
}

func TestDownAndReset(t *testing.T) {
	dir := t.TempDir()
	keep := filepath.Join(dir, "not-ours")
	if err := os.WriteFile(keep, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], dir, strconv.Itoa(freePorts(t)))
	cmd.Env = append(os.Environ(), childEnv+"=up")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	until(t, "the region is ready", func() bool {
		s, err := ReadStatus(context.Background(), dir)
		return err == nil && s.Ready
	})
	out := &output{}
	if err := Down(context.Background(), dir, out); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the region ended with %v", err)
	}
	if err := Down(context.Background(), dir, out); err != nil || !strings.Contains(out.String(), "No local region runs") {
		t.Errorf("second down: %v\n%s", err, out)
	}
	if err := Reset(dir, "test", out, func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRegion(dir); err != nil {
		t.Errorf("a refused reset deleted: %v", err)
	}
	if err := Reset(dir, "test", out, func(string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "not-ours" {
		t.Errorf("after reset there is %v, %v; want only what is not ours", left, err)
	}
}

func TestHeartbeatsStayUnderThirtyASecond(t *testing.T) {
	cases := map[string]struct {
		nodes int
		want  Heartbeats
	}{
		"one":  {1, Heartbeats{10 * time.Second, 40 * time.Second, 50 * time.Second}},
		"most": {10_000, Heartbeats{334 * time.Second, 1336 * time.Second, 1670 * time.Second}},
		"500":  {500, Heartbeats{17 * time.Second, 68 * time.Second, 85 * time.Second}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := HeartbeatsFor(c.nodes)
			if got != c.want || float64(c.nodes)/got.Renew.Seconds() > 30 {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestGraceHoldsForNodesOfALargerPast(t *testing.T) {
	dir := t.TempDir()
	r, _, err := merge(Options{Dir: dir, MaxNodes: 8000})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	if r, _, err = merge(Options{Dir: dir, MaxNodes: 10}); err != nil || r.MaxNodes != 10 || r.MostNodesEver != 8000 {
		t.Errorf("got %+v, %v", r, err)
	}
	args, _ := (&region{Region: r}).planeCommand()
	if want := HeartbeatsFor(8000).Grace.String(); args[len(args)-1] != want {
		t.Errorf("grace %s, want %s", args[len(args)-1], want)
	}
}

func TestLogsAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	l, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	line := append(bytes.Repeat([]byte("x"), 1<<20-1), '\n')
	for range 5 * logSize / len(line) {
		if _, err := l.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = l.Write([]byte("the last\n"))
	if l.Last() != "the last" {
		t.Errorf("last %q", l.Last())
	}
	files, _ := filepath.Glob(path + "*")
	if len(files) != logKeep+1 {
		t.Errorf("files %v, want %d", files, logKeep+1)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() > logSize {
			t.Errorf("%s has %d bytes, %v", f, info.Size(), err)
		}
	}
}

func TestNotifierTellsWhoWaits(t *testing.T) {
	in, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	n := &Notifier{out: &output{}, pipe: pipe}
	go func() {
		fmt.Fprint(n, "one\ntw")
		fmt.Fprint(n, "o\n")
		n.Fail(badInput("no", "because", "type this"))
	}()
	out := &output{}
	var e *Error
	if err := follow(in, out, "log"); !errors.As(err, &e) || e.Code != CodeInput || e.Next[0] != "type this" {
		t.Errorf("error %v", err)
	}
	if out.String() != "one\ntwo\n" {
		t.Errorf("said %q", out.String())
	}
	if err := follow(strings.NewReader(""), out, "the.log"); err == nil || !strings.Contains(fmt.Sprint(err.(*Error).Next), "the.log") {
		t.Errorf("a child that ends early: %v", err)
	}
}

// Ceilings hold the next time too; one that is given anew replaces its own.
func TestCeilingsAreRememberedAndPassedOn(t *testing.T) {
	dir := t.TempDir()
	r, _, err := merge(Options{Dir: dir, Ceilings: map[string]string{"ceiling-nodes": "20", "ceiling-spend-per-hour": "60"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	if r, _, err = merge(Options{Dir: dir, Ceilings: map[string]string{"ceiling-nodes": "0"}}); err != nil {
		t.Fatal(err)
	}
	args, _ := (&region{Region: r, term: &terminal{out: io.Discard}}).controllerCommand()
	if got := strings.Join(args, " "); !strings.Contains(got, "--ceiling-nodes 0 --ceiling-spend-per-hour 60") {
		t.Errorf("the controller is started with %s", got)
	}
}
