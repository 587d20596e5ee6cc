package control

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// words gives what may stand in one place of a command line.
type words func(cmd *cobra.Command) []string

// complete completes the arguments of a command, place by place; the last
// place is repeated where repeat is set.
func complete(cmd *cobra.Command, repeat bool, places ...words) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		at := len(args)
		if repeat {
			at = min(at, len(places)-1)
		}
		if at >= len(places) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		left := slices.DeleteFunc(places[at](cmd), func(w string) bool {
			name, _, _ := strings.Cut(w, "\t")
			return repeat && slices.Contains(args, name)
		})
		return left, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// completeFlag completes the value of a flag.
func completeFlag(cmd *cobra.Command, flag string, w words) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return w(cmd), cobra.ShellCompDirectiveNoFileComp
	})
}

func fixed(list ...string) words { return func(*cobra.Command) []string { return slices.Clone(list) } }

func either(all ...words) words {
	return func(cmd *cobra.Command) []string {
		var out []string
		for _, w := range all {
			out = append(out, w(cmd)...)
		}
		return out
	}
}

// sold completes from the scenario; without a cloud there is nothing to offer.
func (c *commands) sold(names func(scenario.Scenario) []string) words {
	return func(cmd *cobra.Command) []string {
		cloud, err := open(c.dir())
		if err != nil {
			return nil
		}
		b, err := cloud.call(cmd.Context(), http.MethodGet, "scenario", nil)
		var s scenario.Scenario
		if err != nil || yaml.Unmarshal(b, &s) != nil {
			return nil
		}
		return names(s)
	}
}

func named[T any](list []T, name func(T) string) []string {
	out := make([]string, len(list))
	for k, v := range list {
		out[k] = name(v)
	}
	return out
}

func (c *commands) zones() words {
	return c.sold(func(s scenario.Scenario) []string { return s.Zones })
}

func (c *commands) types() words {
	return c.sold(func(s scenario.Scenario) []string {
		return named(s.InstanceTypes, func(t scenario.InstanceType) string { return t.Name })
	})
}

func (c *commands) diskCategories() words {
	return c.sold(func(s scenario.Scenario) []string {
		return named(s.DiskCategories, func(d scenario.DiskCategory) string { return d.Name })
	})
}

func (c *commands) images() words {
	return c.sold(func(s scenario.Scenario) []string {
		return named(s.Images, func(m scenario.Image) string { return m.ID })
	})
}

func (c *commands) keys() words {
	return c.sold(func(s scenario.Scenario) []string {
		return named(s.KMS.Keys, func(k scenario.KMSKey) string { return k.ID })
	})
}

func (c *commands) securityGroups() words {
	return c.sold(func(s scenario.Scenario) []string {
		return named(s.SecurityGroups, func(g scenario.SecurityGroup) string { return g.ID })
	})
}

func (c *commands) vSwitches() words {
	return c.sold(func(s scenario.Scenario) []string {
		return named(s.VSwitches, func(v scenario.VSwitch) string { return v.ID })
	})
}

// roles are those that the engine may need.
var roles = fixed("AliyunECSDiskEncryptDefaultRole", "AliyunOOSLifecycleHook4CSRole")

var actions = fixed(append(region.Actions(), "join")...)

// permissions are what the access key may be denied.
var permissions = fixed(append(region.Actions(), region.PassRole)...)

func (c *commands) instanceIDs(cmd *cobra.Command) []string {
	var all []region.Summary
	if c.get(cmd, "instances", &all) != nil {
		return nil
	}
	return named(all, func(i region.Summary) string { return i.ID + "\t" + i.Status })
}

func (c *commands) faultIDs(cmd *cobra.Command) []string {
	var all []region.Fault
	if c.get(cmd, "faults", &all) != nil {
		return nil
	}
	return append(named(all, func(f region.Fault) string { return f.ID + "\t" + f.Words() }), "all")
}

// list writes a list in the format that was asked for: as a table, or for
// programs.
func list[T any](cmd *cobra.Command, all []T, id func(T) string, heading string, row func(io.Writer, T)) error {
	format, _ := cmd.Flags().GetString("output")
	out := cmd.OutOrStdout()
	items := map[string]any{"items": append([]T{}, all...)} // as all other lists
	switch format {
	case "json":
		return writeJSON(out, items)
	case "yaml":
		b, err := yaml.Marshal(items)
		if err == nil {
			_, err = out.Write(b)
		}
		return err
	case "name":
		for _, v := range all {
			if _, err := io.WriteString(out, id(v)+"\n"); err != nil {
				return err
			}
		}
		return nil
	}
	return table(out, heading, len(all), func(w io.Writer, k int) { row(w, all[k]) })
}
