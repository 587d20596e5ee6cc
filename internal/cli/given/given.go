// Package given checks what a command was given before the cluster is asked for
// anything: its arguments, and the values of some flags. In come words; out
// comes what is wrong with them, and what to type. It runs nothing.
package given

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/poolkeeper/poolkeeper/internal/cli/near"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
)

// One takes exactly one name.
func One(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return named(cmd, what, args)
		}
		return refused(cmd, fmt.Sprintf("this command takes exactly one %s; %d were given", what, len(args)))
	}
}

// Some takes one name or more.
func Some(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return named(cmd, what, args)
		}
		return refused(cmd, "no "+what+" was named")
	}
}

// None takes no argument.
func None(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return refused(cmd, fmt.Sprintf("this command takes no argument; %q was given", args[0]))
}

// named refuses a name that is empty, as one gets it from a variable that is not
// set.
func named(cmd *cobra.Command, what string, args []string) error {
	if slices.ContainsFunc(args, func(a string) bool { return strings.TrimSpace(a) == "" }) {
		return refused(cmd, "the name of the "+what+" is empty")
	}
	return nil
}

func refused(cmd *cobra.Command, cause string) error {
	return reply.BadInput("nothing was done", cause, fmt.Sprintf("`%s --help`", cmd.CommandPath()))
}

// States refuses a state that is none of the known ones, whatever its case and
// however its words are joined.
func States(states, known []string) error {
	for _, s := range states {
		if slices.ContainsFunc(known, func(k string) bool { return fold(k) == fold(s) }) {
			continue
		}
		next := "leave --state out for all"
		if k := near.To(strings.ToLower(s), known); k != "" {
			next = "did you mean --state " + k + "?"
		}
		return reply.BadInput(fmt.Sprintf("--state %q is not known", s), "it is one of "+strings.Join(known, ", "), next)
	}
	return nil
}

// fold makes "In service", "in-service" and "InService" the same.
func fold(s string) string {
	return strings.NewReplacer(" ", "", "-", "").Replace(strings.ToLower(s))
}

// Wait adds a flag for a time above 0.
func Wait(flags *pflag.FlagSet, to *time.Duration, name string, def time.Duration, usage string) {
	*to = def
	flags.Var((*span)(to), name, usage)
}

// span is a time above 0.
type span time.Duration

func (s *span) Set(v string) error {
	d, err := time.ParseDuration(v)
	if err == nil && d <= 0 {
		err = fmt.Errorf("%s is not above 0", d)
	}
	if err == nil {
		*s = span(d)
	}
	return err
}

func (s *span) Type() string   { return "duration" }
func (s *span) String() string { return time.Duration(*s).String() }

// NoFiles keeps a shell from offering file names for the flags of a command and
// of all below it that take none, where nothing else completes them.
func NoFiles(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if unit, _ := pflag.UnquoteUsage(f); unit != "" && unit != "file" && unit != "directory" {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
		}
	})
	for _, c := range cmd.Commands() {
		NoFiles(c)
	}
}
