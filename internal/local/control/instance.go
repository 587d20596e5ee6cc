package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/internal/cli"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/server"
)

func (c *commands) instances() *cobra.Command {
	noun := cli.Noun("instance", "Look at instances and do to them what a person could in the cloud's console",
		c.instanceList(), c.instanceMake(), c.instanceExec(), c.instanceLog(), c.instanceExpire())
	for verb, short := range map[string]string{
		"start": "Power an instance on", "stop": "Power an instance off", "reboot": "Power an instance off and on",
		"release":           "Release an instance with its disks, whatever protects it",
		"take-out":          "Take the tags of poolkeeper off an instance",
		"release-protect":   "Switch release protection on: no call releases the instance",
		"release-unprotect": "Switch release protection off",
		"reclaim":           "Give a spot instance its notice",
		"never-start":       "Keep an instance that has not started from starting",
		"leftover-mig":      "Leave MIG partitions on an instance that has not started",
	} {
		noun.AddCommand(complete(&cobra.Command{Use: verb + " ID...", Short: short, Args: cobra.MinimumNArgs(1),
			Example: "  poolkeeper local instance " + verb + " i-0123456789abcdefghij",
			RunE: func(cmd *cobra.Command, args []string) error {
				for _, id := range args {
					if err := c.send(cmd, http.MethodPost, "instances/"+url.PathEscape(id)+"/"+verb, nil); err != nil {
						return err
					}
				}
				return nil
			}}, true, c.instanceIDs))
	}
	return noun
}

func (c *commands) instanceExpire() *cobra.Command {
	var in time.Duration
	cmd := complete(&cobra.Command{Use: "expire ID...", Short: "End the subscription of an instance, now or soon", Args: cobra.MinimumNArgs(1),
		Example: "  poolkeeper local instance expire i-0123456789abcdefghij\n  poolkeeper local instance expire i-0123456789abcdefghij --in 48h",
		RunE: func(cmd *cobra.Command, args []string) error {
			query := ""
			if in != 0 {
				query = "?in=" + url.QueryEscape(in.String())
			}
			for _, id := range args {
				if err := c.send(cmd, http.MethodPost, "instances/"+url.PathEscape(id)+"/expire"+query, nil); err != nil {
					return err
				}
			}
			return nil
		}}, true, c.instanceIDs)
	cmd.Flags().DurationVar(&in, "in", 0, "how `long` from now, such as 48h (default: now)")
	return cmd
}

// get reads one answer as JSON.
func (c *commands) get(cmd *cobra.Command, path string, into any) error {
	cloud, err := open(c.dir())
	if err != nil {
		return err
	}
	b, err := cloud.call(cmd.Context(), http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read answer of local cloud: %w", err)
	}
	return nil
}

func (c *commands) accountList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the accounts, and how often their keys signed a call that changes something", Args: cobra.NoArgs,
		Example: "  poolkeeper local account list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []server.Account
			if err := c.get(cmd, "accounts", &all); err != nil {
				return err
			}
			return list(cmd, all, func(a server.Account) string { return a.ID }, "ACCOUNT\tID\tCHANGES", func(w io.Writer, a server.Account) {
				fmt.Fprintf(w, "%s\t%s\t%d\n", a.Name, a.ID, a.Changes)
			})
		}}
}

func (c *commands) instanceList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the instances of the local cloud", Args: cobra.NoArgs,
		Example: "  poolkeeper local instance list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []region.Summary
			if err := c.get(cmd, "instances", &all); err != nil {
				return err
			}
			return list(cmd, all, func(i region.Summary) string { return i.ID }, "ID\tSTATUS\tZONE\tTYPE\tBILLING\tADDRESS\tPOOL\tNOTE", func(w io.Writer, i region.Summary) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.ID, i.Status, i.Zone, i.Type, i.Charge, i.IP, i.Tags["poolkeeper.io/pool"], i.Trouble)
			})
		}}
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table writes rows under a heading.
func table(out io.Writer, heading string, n int, row func(io.Writer, int)) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, heading)
	for k := range n {
		row(w, k)
	}
	return w.Flush()
}

func (c *commands) instanceMake() *cobra.Command {
	var m region.Make
	cmd := c.verb("make", "Make instances that no pool has asked for, to attach them", "instance make --type ecs.g7.large --count 2", "instances",
		cobra.NoArgs, func([]string) (any, error) { return m, nil })
	f := cmd.Flags()
	f.StringVar(&m.VSwitch, "vswitch", "", "vSwitch `id` (default: the first)")
	f.StringVar(&m.Type, "type", "", "instance `type` (default: the first)")
	f.StringVar(&m.Image, "image", "", "image `id` (default: the first)")
	f.StringVar(&m.Group, "security-group", "", "security group `id` (default: the first)")
	f.IntVar(&m.Count, "count", 1, "how many, 1 to 100")
	f.IntVar(&m.Months, "months", 0, "make subscriptions of so many `months`")
	f.BoolVar(&m.Spot, "spot", false, "make spot instances")
	f.StringVar(&m.Name, "name", "", "`name` of the instances")
	f.StringToStringVar(&m.Tags, "tag", nil, "`key=value` tags")
	f.BoolVar(&m.Protected, "protected", false, "protect them against release by a call")
	for flag, w := range map[string]words{"vswitch": c.vSwitches(), "type": c.types(), "image": c.images(), "security-group": c.securityGroups()} {
		completeFlag(cmd, flag, w)
	}
	return cmd
}

func (c *commands) instanceExec() *cobra.Command {
	cmd := &cobra.Command{Use: "exec ID COMMAND [ARG...]", Short: "Run a command on a machine", Args: cobra.MinimumNArgs(2),
		Example: "  poolkeeper local instance exec i-0123456789abcdefghij grep cloud-init /var/log/messages",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 2 && args[1] == "--" {
				args = append(args[:1:1], args[2:]...)
			}
			cloud, err := open(c.dir())
			if err != nil {
				return err
			}
			body, err := json.Marshal(server.Exec{Argv: args[1:]})
			if err != nil {
				return fmt.Errorf("write command: %w", err)
			}
			b, err := cloud.call(cmd.Context(), http.MethodPost, "instances/"+url.PathEscape(args[0])+"/exec", bytes.NewReader(body))
			if err != nil {
				return err
			}
			var r server.ExecResult
			if err := json.Unmarshal(b, &r); err != nil {
				return fmt.Errorf("read answer of local cloud: %w", err)
			}
			if _, err := cmd.OutOrStdout().Write(r.Output); err != nil || r.ExitCode == 0 {
				return err
			}
			return &cli.Error{Code: cli.ExitFailed, What: fmt.Sprintf("the command ended with %d on %s", r.ExitCode, args[0]),
				Cause: "this is the machine's own answer", Next: []string{"`poolkeeper local instance log " + args[0] + "` for the console"}}
		}}
	cmd.Flags().SetInterspersed(false)
	return complete(cmd, false, c.instanceIDs)
}

func (c *commands) instanceLog() *cobra.Command {
	return complete(&cobra.Command{Use: "log ID", Short: "Show the serial console of a machine", Args: cobra.ExactArgs(1),
		Example: "  poolkeeper local instance log i-0123456789abcdefghij",
		RunE: func(cmd *cobra.Command, args []string) error {
			cloud, err := open(c.dir())
			if err != nil {
				return err
			}
			b, err := cloud.call(cmd.Context(), http.MethodGet, "instances/"+url.PathEscape(args[0])+"/log", nil)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		}}, false, c.instanceIDs)
}

func (c *commands) scenarios() *cobra.Command {
	apply := &cobra.Command{Use: "apply FILE", Short: "Read a scenario file over the built-in one and use it from now on", Args: cobra.ExactArgs(1),
		Example: "  poolkeeper local scenario apply no-stock.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return &cli.Error{Code: cli.ExitInput, What: "nothing was changed", Cause: err.Error(), Next: []string{"name a file that can be read"}}
			}
			cloud, err := open(c.dir())
			if err != nil {
				return err
			}
			b, err := cloud.call(cmd.Context(), http.MethodPut, "scenario", bytes.NewReader(text))
			if err != nil {
				return err
			}
			var said server.Said
			if err := json.Unmarshal(b, &said); err != nil {
				return fmt.Errorf("read answer of local cloud: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), said.Message)
			return err
		}}
	show := &cobra.Command{Use: "show", Short: "Show the scenario as it is now, as YAML, or as JSON with -o json", Args: cobra.NoArgs,
		Example: "  poolkeeper local scenario show",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cloud, err := open(c.dir())
			if err != nil {
				return err
			}
			b, err := cloud.call(cmd.Context(), http.MethodGet, "scenario", nil)
			if err != nil {
				return err
			}
			if format, _ := cmd.Flags().GetString("output"); format == "json" {
				var all any
				if err := yaml.Unmarshal(b, &all); err != nil {
					return fmt.Errorf("read scenario of local cloud: %w", err)
				}
				return writeJSON(cmd.OutOrStdout(), all)
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		}}
	return cli.Noun("scenario", "Say what the local cloud sells and how it behaves", apply, show)
}
