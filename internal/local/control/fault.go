package control

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/cli"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

func (c *commands) faults() *cobra.Command {
	remove := &cobra.Command{Use: "remove ID|all", Short: "Take a fault back", Args: cobra.ExactArgs(1), Example: "  poolkeeper local fault remove all",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.send(cmd, http.MethodDelete, "faults/"+url.PathEscape(args[0]), nil)
		}}
	look := &cobra.Command{Use: "list", Short: "List the faults that wait", Args: cobra.NoArgs, Example: "  poolkeeper local fault list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []region.Fault
			if err := c.get(cmd, "faults", &all); err != nil {
				return err
			}
			return list(cmd, all, func(f region.Fault) string { return f.ID }, "ID\tHAPPENED\tFAULT", func(w io.Writer, f region.Fault) {
				fmt.Fprintf(w, "%s\t%d\t%s\n", f.ID, f.Happened, f.Words())
			})
		}}
	return cli.Noun("fault", "Make calls of the cloud or new machines go wrong", c.faultAdd(), look, complete(remove, false, c.faultIDs))
}

func (c *commands) faultAdd() *cobra.Command {
	var f region.Fault
	var delay, reset time.Duration
	const join = "join"
	cmd := c.verb("add [ACTION|join]", "Make an action of the wire, joins, or new machines with --machine, go wrong",
		"fault add RunInstances --code OperationDenied.NoStock --times 2\n"+
			"  poolkeeper local fault add RunInstances --lost-connection --after --times 1\n"+
			"  poolkeeper local fault add --machine vanish --times 1\n"+
			"  poolkeeper local fault add join --step reach-apiserver --count 1", "faults", cobra.MaximumNArgs(1),
		func(args []string) (any, error) {
			switch {
			case len(args) == 1 && args[0] == join:
				f.Machine = "stop-at-step"
			case len(args) == 1:
				f.Action = args[0]
			}
			f.Delay, f.MIGReset = scenario.Duration(delay), scenario.Duration(reset)
			return f, nil
		})
	s := cmd.Flags()
	s.StringVar(&f.Code, "code", "", "answer with this error `code` of the vendor")
	s.StringVar(&f.Message, "message", "", "its `text`")
	s.IntVar(&f.Status, "status", 0, "its HTTP `status` (default: as the vendor sends the code)")
	s.BoolVar(&f.After, "after", false, "let the effect happen first (default: nothing happens)")
	s.DurationVar(&delay, "delay", 0, "hold the call for this `time`")
	s.BoolVar(&f.Drop, "lost-connection", false, "close the connection without an answer")
	s.StringVar(&f.Machine, "machine", "", "`what` new machines do: vanish, never-start, stop-at-step, mig")
	s.StringVar(&f.Step, "step", "", "`step` of the join to stop at")
	s.DurationVar(&reset, "mig-reset", 0, "how long resetting leftover MIG partitions takes, as a `time`")
	s.StringVar(&f.InstanceType, "type", "", "only for this instance `type`")
	s.StringVar(&f.Zone, "zone", "", "only in this `zone`")
	s.IntVar(&f.Times, "times", 0, "how `often`, calls or machines (default: always)")
	s.IntVar(&f.Times, "count", 0, "the same as --times")
	s.Float64Var(&f.Probability, "probability", 0, "how likely each time, above 0 to 1 (default: 1)")
	for flag, w := range map[string]words{"type": c.types(), "zone": c.zones(), "machine": fixed("vanish", "never-start", "stop-at-step", "mig"),
		"step": fixed("network", "reach-apiserver", "mig-reset", "runtime", "kubelet", "config", "pre-user-data", "join", "ready", "post-user-data")} {
		completeFlag(cmd, flag, w)
	}
	cmd.MarkFlagsMutuallyExclusive("times", "count")
	return complete(cmd, false, actions)
}
