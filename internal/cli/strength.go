package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

func (a *app) strengthCommand() *cobra.Command {
	return Noun("strength", "Elastic strength: what the cloud could give a pool", &cobra.Command{
		Use: "get POOL", Short: "Show the outlook of each instance type in each vSwitch of a pool", Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Long:    "Show the outlook of each instance type in each vSwitch of a pool, as the controller last\nread it from the cloud, with refusals that are still remembered.",
		Example: "  poolkeeper strength get demo\n  poolkeeper strength get demo -o json",
		RunE: a.run(func(c *call, args []string) error {
			p, err := c.getPool(args[0])
			if err != nil {
				return err
			}
			g, err := c.groupOf(p)
			if err != nil {
				return err
			}
			if g == nil {
				return &Error{Code: ExitNotFound, What: "the strength of " + p.Name + " is not known yet", Cause: "the pool has no scaling group yet", Next: []string{fmt.Sprintf("`poolkeeper why %s`", p.Name)}}
			}
			v := view.NewStrength(g, c.clock)
			age := "never checked"
			if v.AsOf.Cloud != nil {
				age = "checked " + c.clock.Age(*v.AsOf.Cloud) + " ago"
			}
			text := fmt.Sprintf("%s: %s, %s\n", p.Name, v.Word, age) + view.StrengthTable(v).Text(view.Style{Wide: c.flags.output == "wide", Color: c.color})
			return c.emit(result{views: []any{v}, raws: []client.Object{g}, text: text})
		}),
	})
}

func (a *app) costCommand() *cobra.Command {
	var by string
	get := &cobra.Command{
		Use: "get POOL", Short: "Show what the instances of a pool cost", Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Long:    "Show what the instances of a pool cost, reckoned from creations and unit prices; hours\nand amounts speak of the instances that still exist. The vendor's bill decides.",
		Example: "  poolkeeper cost get demo\n  poolkeeper cost get demo --by type",
		RunE: a.run(func(c *call, args []string) error {
			return c.cost(args[0], by)
		}),
	}
	get.Flags().StringVar(&by, "by", "", "one line per zone, type, billing or instance")
	_ = get.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(view.CostKeys, cobra.ShellCompDirectiveNoFileComp))
	return Noun("cost", "What pools cost", get)
}

func (c *call) cost(pool, by string) error {
	if by != "" && !slices.Contains(view.CostKeys, by) {
		return badInput("--by "+by+" is not known", "it is one of "+strings.Join(view.CostKeys, ", "))
	}
	p, err := c.getPool(pool)
	if err != nil {
		return err
	}
	var list v1alpha1.InstanceList
	if err := c.List(c.ctx, &list); err != nil {
		return apiError(err, "cannot list instances")
	}
	v := view.NewCost(p.Name, list.Items, by, c.clock.Now)
	text := fmt.Sprintf("%s: %s %s/h", p.Name, v.Price.Currency, v.Price.PerHour)
	if v.Paid.PerHour != "0.00" {
		text += fmt.Sprintf(" of which %s already paid", v.Paid.PerHour)
	}
	if v.Unpriced > 0 {
		text += fmt.Sprintf("; %s without a known price", plural(int(v.Unpriced), "instance"))
	}
	text += "\n" + view.CostTable(v).Text(view.Style{})
	return c.emit(result{views: []any{v}, raws: []client.Object{p}, text: text})
}
