// Package meant finds the command line that was probably meant by one that is
// none. In come cobra's commands and what was typed; out come lines to type. It
// runs nothing.
package meant

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

// Commands are the command lines that were probably meant where a command has
// none of the given name, the likeliest first.
func Commands(cmd *cobra.Command, args []string) []string {
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
	if ours := kubectlVerbs[args[0]]; Child(cmd, ours) != nil {
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
		if noun := Child(root, rest[0]); noun != nil {
			if len(rest) == 1 && verb == "get" && Child(noun, "list") != nil {
				verb = "list"
			}
			if v := Child(noun, cmp.Or(kubectlVerbs[verb], verb)); v != nil {
				return []string{typedAs(noun, v.Name(), rest[1:])}
			}
		}
	}
	var lines []string
	for _, noun := range root.Commands() {
		if noun.Name() == "local" || !noun.IsAvailableCommand() {
			continue
		}
		if v := Child(noun, verb); v != nil {
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

// Child is the command below another that has a name or alias; nil: none.
func Child(cmd *cobra.Command, name string) *cobra.Command {
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

// valueKinds say what the values of flags are, by pflag's own names.
var valueKinds = map[string]string{
	"int": "a whole number", "int32": "a whole number", "int64": "a whole number", "float64": "a number",
	"bool": "true or false", "duration": "a time with its unit and above 0, such as 90s, 30m or 2h", "stringToString": "key=value",
}

// WrongValue says what is wrong with the value of a flag.
func WrongValue(e *pflag.InvalidValueError) string {
	f := e.GetFlag()
	kind := valueKinds[f.Value.Type()]
	switch {
	case errors.Is(e, strconv.ErrRange):
		return fmt.Sprintf("--%s %s is out of range", f.Name, e.GetValue())
	case strings.HasPrefix(kind, "a whole number"):
		if unit, _ := pflag.UnquoteUsage(f); unit != f.Value.Type() && unit != "int" {
			kind += " of " + unit
		}
		return fmt.Sprintf("--%s %q is not %s", f.Name, e.GetValue(), kind)
	case kind != "":
		return fmt.Sprintf("--%s %q is not %s", f.Name, e.GetValue(), kind)
	}
	return e.Error()
}
