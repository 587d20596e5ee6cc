package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// roomy is what the regions are made for, unless a part needs more; it fixes
	// the heartbeats.
	roomy = 2500
	// mostNodes is what a region can be made for at most.
	mostNodes = 10_000
	// scenario takes all waits of the hardware away.
	scenario = "times: {pending: 0s, starting: 0s, boot: 0s, stop: 0s, release: 0s}\n"
	// stopTime bounds how long what was started may take to end.
	stopTime = time.Minute
)

// region is one local region that this run has started.
type region struct {
	b    *bench
	dir  string
	port int
}

// process names of a region, as `local status` has them.
const (
	planeProcess      = "control plane"
	cloudProcess      = "local cloud"
	controllerProcess = "controller"
)

func (b *bench) startRegion(ctx context.Context, name string) (*region, error) {
	r := &region{b: b, dir: filepath.Join(b.dir, name), port: b.portBase}
	file := filepath.Join(b.dir, "scenario.yaml")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		return nil, fmt.Errorf("write scenario: %w", err)
	}
	b.say("starting a local region for %d nodes", b.maxNodes())
	_, err := r.local(ctx, "up", "--detach", "--port-base", strconv.Itoa(r.port), "--max-nodes", strconv.Itoa(b.maxNodes()), "--scenario", file)
	if err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

// local runs a command of `poolkeeper local` on the region.
func (r *region) local(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(r.b.bin, "poolkeeper"), append([]string{"local", "--dir", r.dir}, args...)...)
	// Ctrl-C is for us: we end what we started, in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = stopTime
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("poolkeeper local %s: %w\n%s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return out.Bytes(), nil
}

// stop ends the region, also after Ctrl-C.
func (r *region) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if _, err := os.Stat(filepath.Join(r.dir, "region.json")); err != nil {
		return nil
	}
	_, err := r.local(ctx, "down")
	return err
}

// processes are the region's process IDs by name.
func (r *region) processes(ctx context.Context) (map[string]int, error) {
	out, err := r.local(ctx, "status", "-o", "json")
	if err != nil {
		return nil, err
	}
	var s struct {
		Children []struct {
			Name string
			PID  int
		}
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return nil, fmt.Errorf("read status of the region: %w", err)
	}
	pids := map[string]int{}
	for _, c := range s.Children {
		pids[c.Name] = c.PID
	}
	for _, name := range []string{planeProcess, cloudProcess, controllerProcess} {
		if pids[name] == 0 {
			return nil, fmt.Errorf("the region has no process %q", name)
		}
	}
	return pids, nil
}

// admin is the configuration of the region's administrator, without a limit on
// requests of our own.
func (r *region) admin() (*rest.Config, error) {
	c, err := clientcmd.BuildConfigFromFlags("", filepath.Join(r.dir, "admin.kubeconfig"))
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig of the region: %w", err)
	}
	c.QPS, c.UserAgent = -1, "poolkeeper-bench"
	return c, nil
}

func (r *region) metricsURL() string { return fmt.Sprintf("http://127.0.0.1:%d/metrics", r.port+2) }

// barePlane is the control plane of a stopped region, run alone: the same
// program with the same arguments on the same state, without controllers and
// without a cloud.
type barePlane struct {
	cmd  *exec.Cmd
	done chan error
}

// commandLine is how a process was started.
func commandLine(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, fmt.Errorf("read command line of process %d: %w", pid, err)
	}
	return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00"), nil
}

func startPlane(ctx context.Context, args []string, log string) (*barePlane, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("make log of the control plane: %w", err)
	}
	defer f.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	ready := make(chan struct{})
	cmd.Stdout = &firstLine{seen: ready}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start control plane: %w", err)
	}
	p := &barePlane{cmd: cmd, done: make(chan error, 1)}
	go func() { p.done <- cmd.Wait() }()
	select {
	case <-ready:
		return p, nil
	case err := <-p.done:
		p.done <- err
		return nil, fmt.Errorf("the control plane ended (%w); see %s", err, log)
	case <-ctx.Done():
		p.stop()
		return nil, ctx.Err()
	}
}

func (p *barePlane) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTime):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// firstLine tells when something was written to it.
type firstLine struct{ seen chan struct{} }

func (f *firstLine) Write(p []byte) (int, error) {
	if f.seen != nil && bytes.Contains(p, []byte("ready")) {
		close(f.seen)
		f.seen = nil
	}
	return len(p), nil
}
