package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestHelpOnEverything: every command says what it does, every one that does
// something shows an example that names it, every flag has a text.
func TestHelpOnEverything(t *testing.T) {
	root := New(Options{})
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s: no text", c.CommandPath())
		}
		if !c.HasSubCommands() && !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: no example of it in %q", c.CommandPath(), c.Example)
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s: no text", c.CommandPath(), f.Name)
			}
		})
		if !strings.Contains(c.Use, "POOL") && strings.HasPrefix(c.CommandPath(), "poolkeeper pool ") && c.ValidArgsFunction != nil {
			t.Errorf("%s completes pools and does not take one", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
}

// TestPlugin: under the name of a kubectl plugin the same program says that
// name in its help.
func TestPlugin(t *testing.T) {
	old := os.Args[0]
	t.Cleanup(func() { os.Args[0] = old })
	os.Args[0] = "/usr/local/bin/kubectl-poolkeeper"
	var out bytes.Buffer
	root := New(Options{Out: &out, Err: &out})
	root.SetArgs([]string{"pool", "scale", "--help"})
	if code := Execute(root); code != ExitDone {
		t.Fatalf("exit %d:\n%s", code, &out)
	}
	if want := "kubectl poolkeeper pool scale POOL --expected-nodes N"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in:\n%s", want, &out)
	}
}

// TestExitOfOtherErrors: an error of no kind is a defect of ours, and says how
// to report it.
func TestExitOfOtherErrors(t *testing.T) {
	var out, errs bytes.Buffer
	root := New(Options{Out: &out, Err: &errs})
	root.AddCommand(&cobra.Command{Use: "burst", RunE: func(*cobra.Command, []string) error { return os.ErrInvalid }})
	root.SetArgs([]string{"burst"})
	if code := Execute(root); code != ExitDefect {
		t.Errorf("exit %d", code)
	}
	if want := "error: the command did not end\ncause: invalid argument\n"; !strings.HasPrefix(errs.String(), want) {
		t.Errorf("stderr %q", &errs)
	}
}

// On a terminal a watched pool is named, and q leaves it.
func TestAWatchedPoolIsLeftByAKey(t *testing.T) {
	w := newWorld(t)
	w.t = t
	w.load("story.yaml")
	got := w.run("poolkeeper pool watch batch", typing{terminal: true, stdin: "q"})
	for _, want := range []string{"  batch\n", "q or Ctrl-C stops watching", "exit 0\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}
