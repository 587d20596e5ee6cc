package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/local/control"
)

// serveCloud runs `local cloud` until the test ends, and waits until its
// address is written.
func serveCloud(t *testing.T, dir string, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	c := newLocalCloudCommand()
	c.SetArgs(append([]string{"--dir", filepath.Join(dir, "cloud"), "--api-server", "127.0.0.1:1"}, args...))
	done := make(chan error, 1)
	go func() { done <- c.ExecuteContext(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the cloud serves", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "cloud", "address"))
		if err != nil {
			return false
		}
		conn, err := net.Dial("tcp", strings.TrimSpace(string(b)))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	again, end := time.NewTicker(10*time.Millisecond), time.After(20*time.Second)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("after 20 s not: %s", what)
		}
	}
}

func localControl(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	root := &cobra.Command{Use: "local", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(control.Commands(func() string { return dir })...)
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// The cloud with simulated machines: one is made, boots, runs a command, keeps
// its disk over a restart of the cloud, and is gone when released.
func TestLocalCloud(t *testing.T) {
	dir := t.TempDir()
	var id string
	t.Run("made", func(t *testing.T) {
		serveCloud(t, dir, "--time-factor", "20")
		made, err := localControl(t, dir, "instance", "make")
		if err != nil {
			t.Fatal(err)
		}
		id = strings.TrimSpace(strings.TrimPrefix(made, "made "))
		eventually(t, "a command runs", func() bool {
			out, err := localControl(t, dir, "instance", "exec", id, "sh", "-c", "echo kept >/root/note; cat /root/note")
			return err == nil && out == "kept\n"
		})
		eventually(t, "the console says that it boots", func() bool {
			out, err := localControl(t, dir, "instance", "log", id)
			return err == nil && strings.Contains(out, "Linux version")
		})
	})
	serveCloud(t, dir, "--time-factor", "20")
	eventually(t, "the disk is there again", func() bool {
		out, err := localControl(t, dir, "instance", "exec", id, "cat", "/root/note")
		return err == nil && out == "kept\n"
	})
	if _, err := localControl(t, dir, "instance", "release", id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool {
		out, err := localControl(t, dir, "instance", "list")
		return err == nil && !strings.Contains(out, id)
	})
}

func TestLocalCloudRefuses(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("zonen: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"--listen 0.0.0.0:7444":  "loopback only",
		"--time-factor 0.5":      "at least 1",
		"--max-nodes 0":          "at least 1",
		"--scenario " + bad:      `unknown field "zonen"`,
		"--scenario no-such-one": "no such file",
	} {
		c := newLocalCloudCommand()
		c.SilenceErrors = true
		c.SetArgs(append([]string{"--dir", filepath.Join(dir, "cloud")}, strings.Fields(line)...))
		if err := c.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
