package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/internal/cli"
	"github.com/poolkeeper/poolkeeper/internal/local/control"
	"github.com/poolkeeper/poolkeeper/internal/local/up"
)

const localHelp = `A local region is a Kubernetes control plane, a cloud with simulated machines
and the controller, all on 127.0.0.1 and all kept in one directory. It needs
nothing but this program and poolkeeper-plane beside it.`

// localCommand is the noun of the local region. Its verbs share --dir.
func localCommand() *cobra.Command {
	var flag string
	dir := func() string {
		d := flag
		if d == "" {
			d = up.DefaultDir()
		}
		if abs, err := filepath.Abs(d); err == nil {
			return abs
		}
		return d
	}
	local := cli.Noun("local", "Start, look at and end a local region",
		localUp(dir), localDown(dir), localReset(dir), localStatus(dir), localEnv(dir), localAPIServer(dir), newLocalCloudCommand())
	for _, noun := range control.Commands(dir) {
		if noun.Name() == "account" {
			noun.AddCommand(localAccountUse(dir))
		}
		local.AddCommand(noun)
	}
	local.Long = localHelp
	local.Example = "  poolkeeper local up\n  eval \"$(poolkeeper local env)\"\n  poolkeeper local down"
	local.PersistentFlags().StringVar(&flag, "dir", "", "state `directory` (default: $POOLKEEPER_LOCAL_DIR, else poolkeeper/local in the XDG data home)")
	_ = local.MarkPersistentFlagDirname("dir")
	return local
}

func localUp(dir func() string) *cobra.Command {
	var o up.Options
	var detach bool
	cmd := &cobra.Command{
		Use: "up", Short: "Start the local region and watch it until Ctrl-C", Args: cobra.NoArgs,
		Long: "Start the local region in the foreground: control plane, local cloud, controller.\n" +
			"A child that ends is started again; all of them end with this command. What a\n" +
			"region was started with is kept in its directory and holds the next time too.",
		Example: "  poolkeeper local up\n  poolkeeper local up --dir /tmp/second --port-base 7543 --detach",
	}
	f := cmd.Flags()
	f.IntVar(&o.PortBase, "port-base", 0, fmt.Sprintf("first of the %d ports on 127.0.0.1: API server, local cloud, metrics, health (default: as before, else %d)", up.Ports, up.DefaultPortBase))
	f.IntVar(&o.MaxNodes, "max-nodes", 0, fmt.Sprintf("`nodes` that the region is made for, at most %d (default: as before, else %d)", up.MostNodes, up.DefaultMaxNodes))
	f.StringVar(&o.Scenario, "scenario", "", "`file` that says what the local cloud sells (default: as before, else its own)")
	f.Float64Var(&o.TimeFactor, "time-factor", 0, "divide every wait by this `factor` (default: as before, else 1)")
	var c api.Ceilings
	ceilingFlags(f, &c, func(_, otherwise string) string { return otherwise })
	f.BoolVar(&detach, "detach", false, "run in the background; return when the region is ready")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := sayZero(cmd); err != nil {
			return err
		}
		if _, err := checkCeilings(c); err != nil {
			return &cli.Error{Code: cli.ExitInput, What: "the local region was not started", Cause: err.Error(), Next: []string{"`poolkeeper local up --help`"}}
		}
		o.Ceilings = givenCeilings(cmd)
		o.Dir = dir()
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		if detach {
			return told(up.Detach(cmd.Context(), o.Dir, append([]string{self}, withoutDetach(os.Args[1:])...), cmd.OutOrStdout()))
		}
		return told(runUp(cmd, o, self))
	}
	return cmd
}

// givenCeilings are the ceilings that were typed.
func givenCeilings(cmd *cobra.Command) map[string]string {
	given := map[string]string{}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if strings.HasPrefix(f.Name, "ceiling-") {
			given[f.Name] = f.Value.String()
		}
	})
	return given
}

// sayZero refuses a 0 that somebody typed: it would pass for "as before".
func sayZero(cmd *cobra.Command) error {
	for _, name := range []string{"port-base", "max-nodes", "time-factor"} {
		if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "0" {
			return &cli.Error{
				Code: cli.ExitInput, What: "the local region was not started", Cause: "--" + name + " 0 is not above 0",
				Next: []string{"`poolkeeper local up --help`"},
			}
		}
	}
	return nil
}

func runUp(cmd *cobra.Command, o up.Options, self string) error {
	o.Self, o.Version, o.Out = self, buildVersion(), cmd.OutOrStdout()
	o.Plane = filepath.Join(filepath.Dir(self), "poolkeeper-plane")
	o.Manifests = up.Manifests{
		Files: config.FS, Folders: config.Folders, Samples: config.Samples, Stamp: config.Stamp,
		Namespace: config.Namespace, Account: config.ControllerAccount,
	}
	n, waited := up.NewNotifier(o.Out)
	if !waited {
		return up.Run(cmd.Context(), o)
	}
	o.Out, o.Ready = n, n.Ready
	err := up.Run(cmd.Context(), o)
	if err != nil {
		n.Fail(err)
	}
	return err
}

func withoutDetach(args []string) []string {
	var kept []string
	for _, a := range args {
		if a != "--detach" && !strings.HasPrefix(a, "--detach=") {
			kept = append(kept, a)
		}
	}
	return kept
}

func localDown(dir func() string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "down", Short: "Stop the local region; everything is kept", Args: cobra.NoArgs,
		Example: "  poolkeeper local down",
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return told(up.Down(cmd.Context(), dir(), cmd.OutOrStdout()))
	}
	return cmd
}

func localReset(dir func() string) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "reset", Short: "Delete the local region: its cluster and its cloud", Args: cobra.NoArgs,
		Example: "  poolkeeper local reset --yes",
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		in, isFile := cmd.InOrStdin().(*os.File)
		if !yes && !(isFile && term.IsTerminal(int(in.Fd()))) {
			return &cli.Error{
				Code: cli.ExitInput, What: "nothing was deleted", Cause: "this is not a terminal, so nobody can be asked",
				Next: []string{"`poolkeeper local reset --yes`"},
			}
		}
		ask := func(question string) bool { return yes || confirm(cmd.InOrStdin(), cmd.ErrOrStderr(), question) }
		return told(up.Reset(dir(), buildVersion(), cmd.OutOrStdout(), ask))
	}
	return cmd
}

func confirm(in io.Reader, out io.Writer, question string) bool {
	fmt.Fprintf(out, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(in).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

func localStatus(dir func() string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show what runs, where, and whether it is ready", Args: cobra.NoArgs,
		Long:    "Show what runs, where, and whether it is ready. Ends with 0 when all of it is,\nwith 8 when the region is stopped or not ready.",
		Example: "  poolkeeper local status -o json",
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := up.ReadStatus(cmd.Context(), dir())
		if err != nil {
			return err
		}
		format, _ := cmd.Flags().GetString("output")
		if err := writeStatus(cmd.OutOrStdout(), s, format); err != nil {
			return err
		}
		if p := s.Problem(); p != nil {
			return told(p)
		}
		return nil
	}
	return cmd
}

func writeStatus(w io.Writer, s up.Status, format string) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(s)
	case "yaml":
		text, err := yaml.Marshal(s)
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	case "name":
		_, err := fmt.Fprintln(w, s.Dir)
		return err
	}
	s.Write(w, time.Now())
	return nil
}

func localEnv(dir func() string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "env", Short: "Write the exports that make a shell use the local region", Args: cobra.NoArgs,
		Long: "Write exports for a POSIX shell: KUBECONFIG, PATH, and the local cloud for any\n" +
			"client of the vendor's API.",
		Example: "  eval \"$(poolkeeper local env)\"",
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		return told(up.Env(dir(), self, cmd.OutOrStdout()))
	}
	return cmd
}

// told makes what the local region says ready for the command line.
func told(err error) error {
	var e *up.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &e):
		return &cli.Error{Code: e.Code, What: e.What, Cause: e.Cause, Next: e.Next, Err: err}
	}
	return err
}
