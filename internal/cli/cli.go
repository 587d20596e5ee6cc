package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/internal/cli/given"
	"github.com/poolkeeper/poolkeeper/internal/cli/meant"
)

// Options is what the command line is wired with. Empty fields have the
// defaults of a real process.
type Options struct {
	// Version is what `poolkeeper version` says.
	Version string
	// In, Out and Err are the three streams. Default: the process's own.
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// NewClient connects to the cluster of a kubeconfig and a context, both
	// empty for the defaults. Default: over the network.
	NewClient func(kubeconfig, context string) (client.WithWatch, error)
	// Probe asks the API server for its version and its time. Without it
	// doctor says neither.
	Probe func(ctx context.Context, kubeconfig, context string) (version string, date time.Time, err error)
	// Market opens the cloud with the person's own credentials. Without it
	// nothing is asked of a cloud.
	Market func() (Market, error)
	// LookAnyway is how often a follower looks though no watch has spoken: a
	// watch can die without saying so. Default 1 s.
	LookAnyway time.Duration
	// Env reads an environment variable. Default: os.Getenv.
	Env func(string) string
	// Terminal says whether a stream is a terminal. Default: asks the kernel.
	Terminal func(stream any) bool
}

// app is the command line with its global flags.
type app struct {
	Options
	flags globals
}

// globals are the flags that every command takes.
type globals struct {
	kubeconfig, context string
	output              string
	raw                 bool
	color, time         string
	quiet               bool
	verbose             bool
}

const rootHelp = `poolkeeper keeps pools of nodes at their expected number.

Lists mark problems and end with one next step, on stderr; stdout is for
scripts. Acts show what they do before they do it. On a terminal an act that
takes something away asks first; elsewhere destructive acts need --yes.

Exit codes:
  0  done, or nothing to do          5  accepted, but the task failed or the pool is held
  1  a defect of ours                6  --timeout passed, the work goes on
  2  bad input, nothing changed      7  plan or object changed meanwhile
  3  no such object                  8  API server or cloud out of reach
  4  not allowed, protected, frozen  9  doctor found something to mend
                                   130  Ctrl-C, the work goes on

Each flag below can be set by an environment variable: POOLKEEPER_ and its name
in capitals, such as POOLKEEPER_CONTEXT.`

// New makes the command line. Other nouns may be added to it before it is run.
func New(o Options) *cobra.Command {
	a := &app{Options: withDefaults(o)}
	root := &cobra.Command{
		Use: "poolkeeper", Short: "Keep pools of nodes at their expected number", Long: rootHelp,
		Example:       "  poolkeeper pool list\n  poolkeeper pool scale demo --expected-nodes 8 --wait\n  poolkeeper why demo",
		SilenceErrors: true, SilenceUsage: true,
	}
	if strings.HasPrefix(filepath.Base(os.Args[0]), "kubectl-") {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl poolkeeper"}
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	a.addGlobals(root)
	root.SetFlagErrorFunc(given.FlagError)
	given.Noun(root)
	root.AddCommand(
		a.poolCommand(), a.nodeCommand(), a.instanceCommand(), a.hookCommand(), a.taskCommand(), a.activityCommand(),
		a.strengthCommand(), a.costCommand(), a.faultCommand(), a.offerCommand(), a.whyCommand(), a.doctorCommand(),
		a.bundleCommand(), a.manCommand(), a.versionCommand(),
	)
	return root
}

func withDefaults(o Options) Options {
	if o.In == nil {
		o.In = os.Stdin
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Err == nil {
		o.Err = os.Stderr
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewClient == nil {
		o.NewClient = connect
		if o.Probe == nil {
			o.Probe = probe
		}
	}
	if o.LookAnyway <= 0 {
		o.LookAnyway = time.Second
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	if o.Terminal == nil {
		o.Terminal = isTerminal
	}
	return o
}

// isTerminal is true for a stream of the process that is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (a *app) addGlobals(root *cobra.Command) {
	f, g := root.PersistentFlags(), &a.flags
	f.StringVar(&g.kubeconfig, "kubeconfig", "", "kubeconfig `file` (default: $KUBECONFIG, else ~/.kube/config)")
	f.StringVar(&g.context, "context", "", "`context` of the kubeconfig (default: its current one)")
	f.StringVarP(&g.output, "output", "o", "table", "`format`: table, wide, json, yaml or name")
	f.BoolVar(&g.raw, "raw", false, "write the objects themselves (as yaml, or json with -o json)")
	f.StringVar(&g.color, "color", "auto", "colours: auto, always or never")
	f.StringVar(&g.time, "time", "local", "times: local, utc or age")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "no hints on stderr")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "say more where something goes wrong")
	for name, values := range globalChoices {
		_ = root.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// globalChoices are the values that global flags may have.
var globalChoices = map[string][]string{
	"output": {"table", "wide", "json", "yaml", "name"},
	"color":  {"auto", "always", "never"},
	"time":   {"local", "utc", "age"},
}

// Execute runs a command line until it ends or is interrupted, writes what went
// wrong to its error stream and returns the exit code.
func Execute(root *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	return execute(ctx, root)
}

func execute(ctx context.Context, root *cobra.Command) int {
	root.InitDefaultCompletionCmd()
	if c := meant.Child(root, "completion"); c != nil {
		given.Noun(c).Example = "  source <(poolkeeper completion bash)"
	}
	given.NoFiles(root)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitDone
	}
	e := explain(ctx, err)
	if e.Code == ExitInput && len(e.Next) == 0 {
		e.Next = []string{fmt.Sprintf("`%s --help`", cmd.CommandPath())}
	}
	if !e.Silent {
		format, _ := root.PersistentFlags().GetString("output")
		verbose, _ := root.PersistentFlags().GetBool("verbose")
		e.Write(cmd.ErrOrStderr(), format == "json", verbose)
	}
	return e.Code
}

// Noun makes a command that groups verbs: alone it prints its help, and a verb
// that it does not have is refused with the nearest one.
func Noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	cmd.AddCommand(verbs...)
	return given.Noun(cmd)
}
