package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/poolkeeper/poolkeeper/internal/cli/near"
)

// asNoun makes a command that only groups others: it prints its help, and
// refuses a verb that it does not have.
func asNoun(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return noSuchCommand(cmd, args)
	}
	return cmd
}

// noSuchCommand says that a noun has no such verb, and what was probably meant.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	var verbs []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			verbs = append(verbs, c.Name())
		}
	}
	e := &Error{
		Code: ExitInput, What: fmt.Sprintf("there is no command %q", cmd.CommandPath()+" "+args[0]),
		Cause: "commands here: " + strings.Join(verbs, ", "), Next: []string{fmt.Sprintf("`%s --help`", cmd.CommandPath())},
	}
	for n, s := range meant(cmd, args) {
		if n == 0 {
			e.Next = nil
		}
		e.Next = append(e.Next, fmt.Sprintf("did you mean `%s`?", s))
	}
	return e
}

// meant are the command lines that were probably meant, the likeliest first.
func meant(cmd *cobra.Command, args []string) []string {
	if !cmd.HasParent() {
		if lines := swapped(cmd, args); len(lines) > 0 {
			return lines
		}
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, append([]string{c.Name()}, c.Aliases...)...)
		}
	}
	word := near.To(args[0], names)
	if ours := kubectlVerbs[args[0]]; child(cmd, ours) != nil {
		word = ours
	}
	if word == "" {
		return nil
	}
	return []string{typedAs(cmd, word, args[1:])}
}

// swapped finds a verb that was typed before its noun ("scale demo 5", "get
// pools") or without one.
func swapped(root *cobra.Command, args []string) []string {
	verb, rest := args[0], args[1:]
	if len(rest) > 0 {
		if noun := child(root, rest[0]); noun != nil {
			if len(rest) == 1 && verb == "get" && child(noun, "list") != nil {
				verb = "list"
			}
			if v := child(noun, cmp.Or(kubectlVerbs[verb], verb)); v != nil {
				return []string{typedAs(noun, v.Name(), rest[1:])}
			}
		}
	}
	var lines []string
	for _, noun := range root.Commands() {
		if noun.Name() == "local" || !noun.IsAvailableCommand() {
			continue
		}
		if v := child(noun, verb); v != nil {
			lines = append(lines, typedAs(noun, v.Name(), rest))
		}
	}
	const most = 4
	slices.SortStableFunc(lines, func(a, b string) int { return rank(a) - rank(b) })
	return lines[:min(len(lines), most)]
}

// rank puts the nouns that people speak of most first.
func rank(line string) int {
	first := []string{" pool ", " node ", " instance ", " task "}
	for n, noun := range first {
		if strings.Contains(line+" ", noun) {
			return n
		}
	}
	return len(first)
}

// kubectlVerbs are what kubectl calls some of our verbs.
var kubectlVerbs = map[string]string{"describe": "get", "apply": "create", "cordon": "protect", "drain": "remove"}

func child(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && (c.Name() == name || slices.Contains(c.Aliases, name)) {
			return c
		}
	}
	return nil
}

// typedAs is a command line as it should have been typed. A number after the
// pool to scale becomes the flag that it is.
func typedAs(noun *cobra.Command, verb string, rest []string) string {
	if noun.Name() == "pool" && verb == "scale" && len(rest) == 2 {
		if n, err := strconv.Atoi(rest[1]); err == nil {
			rest = []string{rest[0], fmt.Sprintf("--expected-nodes %d", n)}
		}
	}
	return strings.Join(append([]string{noun.CommandPath(), verb}, rest...), " ")
}

// flagError says what is wrong with a flag. A flag that is only unknown because
// the verb before it is not there speaks of the verb.
func flagError(cmd *cobra.Command, err error) error {
	if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
		return noSuchCommand(cmd, append(args, "..."))
	}
	help := fmt.Sprintf("`%s --help`", cmd.CommandPath())
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &value):
		return badInput("nothing was done", wrongValue(value), help)
	case errors.As(err, &unknown):
		return unknownFlag(cmd, unknown)
	}
	return badInput("nothing was done", err.Error(), help)
}

// valueKinds say what the values of flags are, by pflag's own names.
var valueKinds = map[string]string{
	"int": "a whole number", "int32": "a whole number", "int64": "a whole number", "float64": "a number",
	"bool": "true or false", "duration": "a time such as 90s, 30m or 2h", "stringToString": "key=value",
}

func wrongValue(e *pflag.InvalidValueError) string {
	f := e.GetFlag()
	kind := valueKinds[f.Value.Type()]
	switch {
	case errors.Is(e, strconv.ErrRange):
		return fmt.Sprintf("--%s %s is out of range", f.Name, e.GetValue())
	case kind != "":
		return fmt.Sprintf("--%s %q is not %s", f.Name, e.GetValue(), kind)
	}
	return e.Error()
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
	return badInput("nothing was done", fmt.Sprintf("%s has no flag %s", cmd.CommandPath(), flag), next)
}
