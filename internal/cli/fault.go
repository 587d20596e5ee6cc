package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/cli/near"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// faultCommand needs no cluster: the catalogue is part of the program.
func (a *app) faultCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the catalogue of failures", Args: noArgs, Example: "  poolkeeper fault list\n  poolkeeper fault list -o wide",
		RunE: a.alone(func(c *call, _ []string) error {
			r := result{list: true}
			var rows []view.Fault
			for _, e := range fault.All() {
				v := view.NewFault(e)
				rows, r.views, r.names = append(rows, v), append(r.views, v), append(r.names, string(e.Code))
			}
			r.table = view.FaultTable(rows)
			return c.emit(r)
		}),
	}
	get := &cobra.Command{
		Use: "get CODE", Short: "Show one failure: its cause, what to do, when it is tried again", Args: oneArg("code"), Example: "  poolkeeper fault get OperationDenied.NoStock",
		ValidArgsFunction: func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			var some []string
			for _, code := range faultCodes() {
				if len(args) == 0 && strings.HasPrefix(code, typed) {
					some = append(some, code)
				}
			}
			return some, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: a.alone(func(c *call, args []string) error {
			e := fault.Lookup(fault.Code(args[0]))
			if !e.Known {
				return unknownFault(args[0])
			}
			v := view.NewFault(e)
			return c.emit(result{views: []any{v}, text: v.Describe(c.color)})
		}),
	}
	cmd := Noun("fault", "The catalogue of failures: cause, solution, retry rule", list, get)
	cmd.Aliases = []string{"faults"}
	return cmd
}

// alone makes the body of a command that talks to no cluster.
func (a *app) alone(body func(c *call, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.begin(cmd)
		if err != nil {
			return err
		}
		return body(c, args)
	}
}

func faultCodes() []string {
	var codes []string
	for _, e := range fault.All() {
		codes = append(codes, string(e.Code))
		for _, c := range e.Also {
			codes = append(codes, string(c))
		}
	}
	return codes
}

func unknownFault(code string) error {
	e := &Error{
		Code: ExitNotFound, What: fmt.Sprintf("the catalogue has no code %q", code),
		Cause: "such a code is treated as a refusal of one resource pool: the next is tried, and this one again after 5 minutes",
		Next:  []string{"`poolkeeper fault list`"},
	}
	for _, c := range faultCodes() {
		if strings.Contains(strings.ToLower(c), strings.ToLower(code)) && len(e.Next) < 5 {
			e.Next = append(e.Next, fmt.Sprintf("did you mean `poolkeeper fault get %s`?", c))
		}
	}
	if len(e.Next) > 1 {
		e.Next = e.Next[1:]
		return e
	}
	if meant := near.To(code, faultCodes()); meant != "" {
		e.Next = []string{fmt.Sprintf("did you mean `poolkeeper fault get %s`?", meant)}
	}
	return e
}
