package given

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/poolkeeper/poolkeeper/internal/cli/meant"
	"github.com/poolkeeper/poolkeeper/internal/cli/near"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
)

// Noun makes a command that only groups others: it prints its help, and
// refuses a verb that it does not have.
func Noun(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return NoSuchCommand(cmd, args)
	}
	return cmd
}

// NoSuchCommand says that a noun has no such verb, and what was probably meant.
func NoSuchCommand(cmd *cobra.Command, args []string) error {
	var verbs []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			verbs = append(verbs, c.Name())
		}
	}
	e := &reply.Error{
		Code: reply.ExitInput, What: fmt.Sprintf("there is no command %q", cmd.CommandPath()+" "+args[0]),
		Cause: "commands here: " + strings.Join(verbs, ", "), Next: []string{fmt.Sprintf("`%s --help`", cmd.CommandPath())},
	}
	for n, s := range meant.Commands(cmd, args) {
		if n == 0 {
			e.Next = nil
		}
		e.Next = append(e.Next, fmt.Sprintf("did you mean `%s`?", s))
	}
	return e
}

// FlagError says what is wrong with a flag. A flag that is only unknown because
// the verb before it is not there speaks of the verb.
func FlagError(cmd *cobra.Command, err error) error {
	if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
		return NoSuchCommand(cmd, append(args, "..."))
	}
	help := fmt.Sprintf("`%s --help`", cmd.CommandPath())
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &value):
		return reply.BadInput("nothing was done", meant.WrongValue(value), help)
	case errors.As(err, &unknown):
		return unknownFlag(cmd, unknown)
	}
	return reply.BadInput("nothing was done", err.Error(), help)
}

// otherFlags are what other tools call some of our flags.
var otherFlags = map[string]string{
	"replicas": "expected-nodes", "nodes": "expected-nodes", "count": "expected-nodes", "size": "expected-nodes", "desired": "expected-nodes",
	"subnet": "vswitch", "file": "filename", "force": "yes", "months": "period", "grace-period": "drain-timeout",
}

func unknownFlag(cmd *cobra.Command, e *pflag.NotExistError) error {
	var names []string
	add := func(f *pflag.Flag) { names = append(names, f.Name) }
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	next := fmt.Sprintf("`%s --help`", cmd.CommandPath())
	if ours := otherFlags[e.GetSpecifiedName()]; slices.Contains(names, ours) {
		next = fmt.Sprintf("did you mean --%s?", ours)
	} else if meant := near.To(e.GetSpecifiedName(), names); meant != "" && len(e.GetSpecifiedName()) > 1 {
		next = fmt.Sprintf("did you mean --%s?", meant)
	}
	flag := "-" + e.GetSpecifiedName()
	if e.GetSpecifiedShortnames() == "" {
		flag = "-" + flag
	}
	return reply.BadInput("nothing was done", fmt.Sprintf("%s has no flag %s", cmd.CommandPath(), flag), next)
}
