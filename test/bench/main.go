// Command bench measures how fast a node pool reaches its expected number of
// nodes and what that costs, beside the floor: a bare client that takes the same
// number of nodes through the same join against the same control plane and does
// nothing else. In come flags; out go a table, JSON that later runs are compared
// with, and progress. It decides nothing about the product and changes none of
// its settings but the waits of the simulated hardware, which are zero.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// init keeps the first goroutine on the first thread, which lives as long as
// the process: the kernel ties a parent's death to a thread.
func init() { runtime.LockOSThread() }

// parts are what can be measured, in the order in which it is.
var parts = []string{"floor", "single", "small", "large", "rest", "restart", "churn"}

// usual are the parts that are measured where none is named.
var usual = parts[:6]

// options are the flags.
type options struct {
	quick, markdown, keep bool
	only                  string
	out, compare, bin     string
	dir                   string
	portBase              int
	small, large, singles int
	churnFor              time.Duration
	pprof                 string
}

func main() {
	o, err := readFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctrl.SetLogger(logr.Discard())
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = run(ctx, o)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func readFlags(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.BoolVar(&o.quick, "quick", false, "one size of 200 nodes, fewer repetitions: about 2 minutes instead of 10")
	fs.BoolVar(&o.markdown, "markdown", false, "print the table as Markdown")
	fs.BoolVar(&o.keep, "keep", false, "keep the temporary directory with the logs of the regions")
	fs.StringVar(&o.only, "parts", strings.Join(usual, ","), "what to measure, separated by commas; beside these: churn")
	fs.StringVar(&o.out, "o", "bench.json", "`file` that the figures are written to; empty: none")
	fs.StringVar(&o.compare, "compare", "", "`file` of an earlier run: say what became worse")
	fs.StringVar(&o.bin, "bin", "bin", "`directory` with poolkeeper and poolkeeper-plane")
	fs.StringVar(&o.dir, "dir", "", "temporary `directory` (default: a new one)")
	fs.IntVar(&o.portBase, "port-base", 17600, "first of the ports on 127.0.0.1 that are used")
	fs.IntVar(&o.small, "small", 500, "`nodes` of the part small")
	fs.IntVar(&o.large, "large", 2000, "`nodes` of the part large, and of rest, restart and churn")
	fs.IntVar(&o.singles, "singles", 30, "how many single nodes are asked for")
	fs.DurationVar(&o.churnFor, "for", time.Hour, "how long the part churn lasts")
	fs.StringVar(&o.pprof, "profile", "", "`address` of the controller's profiles: write one of the CPU and one of the heap of the last scale-out")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", fs.Arg(0))
	}
	return o, o.check(fs)
}

// check names all that is wrong, and gives a quick run its sizes.
func (o *options) check(fs *flag.FlagSet) error {
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.quick {
		for name, set := range map[string]func(){
			"large": func() { o.large = 200 }, "singles": func() { o.singles = 10 },
			"parts": func() { o.only = "floor,single,large,rest,restart" },
		} {
			if !given[name] {
				set()
			}
		}
	}
	var errs []error
	for _, p := range strings.Split(o.only, ",") {
		if !slices.Contains(parts, p) {
			errs = append(errs, fmt.Errorf("unknown part %q of --parts; there are %s", p, strings.Join(parts, ", ")))
		}
	}
	for name, n := range map[string]int{"small": o.small, "large": o.large, "singles": o.singles} {
		if n < 1 || n > mostNodes {
			errs = append(errs, fmt.Errorf("--%s %d is not between 1 and %d", name, n, mostNodes))
		}
	}
	for _, program := range []string{"poolkeeper", "poolkeeper-plane"} {
		if _, err := os.Stat(filepath.Join(o.bin, program)); err != nil {
			errs = append(errs, fmt.Errorf("%s is missing in %s: type `make build`", program, o.bin))
		}
	}
	return errors.Join(errs...)
}

// maxNodes is what the regions are made for.
func (o *options) maxNodes() int { return min(max(roomy, o.small+100, o.large+100), mostNodes) }

func (o *options) has(part string) bool { return slices.Contains(strings.Split(o.only, ","), part) }

// bench is one run.
type bench struct {
	options
	began time.Time
	rep   *report
}

func run(ctx context.Context, o options) (err error) {
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "poolkeeper-bench-"); err != nil {
			return fmt.Errorf("make temporary directory: %w", err)
		}
		if !o.keep {
			defer os.RemoveAll(o.dir)
		}
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	for _, dir := range []*string{&o.bin, &o.dir} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	b := &bench{options: o, began: time.Now(), rep: newReport(o)}
	if err := b.measure(ctx); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted; all that was started is stopped")
		}
		// What was measured until then is not lost.
		return errors.Join(err, b.rep.finish(os.Stdout, o))
	}
	return b.rep.finish(os.Stdout, o)
}

func (b *bench) measure(ctx context.Context) error {
	if b.has("floor") {
		if err := b.floor(ctx); err != nil {
			return fmt.Errorf("measure the floor: %w", err)
		}
	}
	if slices.ContainsFunc(parts[1:], b.has) {
		return b.product(ctx)
	}
	return nil
}

// say shows progress.
func (b *bench) say(format string, a ...any) {
	fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, a...))
}
