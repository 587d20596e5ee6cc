package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/when"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// buyFlags are the flags of what changes the billing of instances.
type buyFlags struct {
	to, period  string
	yes, dryRun bool
	waitFlags
}

func (f *buyFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would be done, change nothing")
	f.waitFlags.add(cmd)
}

// months reads a period.
func months(s string) (int32, error) {
	n, ok := when.Months(s)
	if !ok || n < 1 || n > 60 {
		return 0, badInput("nothing was changed", fmt.Sprintf("--period %s is not a period of 1 to 60 months", s), "months or years, such as --period 3, --period 3m or --period 1y")
	}
	return n, nil
}

func (a *app) instanceConvert() *cobra.Command {
	var f buyFlags
	cmd := &cobra.Command{
		Use: "convert INSTANCE... --to PayAsYouGo|Subscription", Short: "Change how instances are billed", Args: someArgs("instance"), ValidArgsFunction: a.complete(instances, 0),
		Long:    "Change how instances are billed. What is pay-as-you-go can be released by scaling in,\nand is picked at the next look where the pool has too many. A subscription is paid in\nadvance for --period months: that needs an answer on a terminal, --yes elsewhere.",
		Example: "  poolkeeper instance convert i-bp1a2b3c --to PayAsYouGo --wait\n  poolkeeper instance convert i-bp1a2b3c --to Subscription --period 12 --yes",
		RunE: a.run(func(c *call, args []string) error {
			return c.convert(args, f)
		}),
	}
	cmd.Flags().StringVar(&f.to, "to", "", "`charge` type: PayAsYouGo or Subscription")
	cmd.Flags().StringVar(&f.period, "period", "1", "`months` that are paid in advance (1 to 60), or years as 1y")
	_ = cmd.RegisterFlagCompletionFunc("to", cobra.FixedCompletions([]string{"PayAsYouGo", "Subscription"}, cobra.ShellCompDirectiveNoFileComp))
	f.add(cmd)
	return cmd
}

func (c *call) convert(args []string, f buyFlags) error {
	var to v1alpha1.ChargeType
	for _, t := range []v1alpha1.ChargeType{v1alpha1.ChargePayAsYouGo, v1alpha1.ChargeSubscription} {
		if strings.EqualFold(f.to, string(t)) {
			to = t
		}
	}
	if to == "" {
		cause := fmt.Sprintf("--to %q is not PayAsYouGo or Subscription", f.to)
		if f.to == "" {
			cause = "--to says how they are to be billed: PayAsYouGo or Subscription"
		}
		return badInput("nothing was converted", cause, fmt.Sprintf("`poolkeeper instance convert %s --to PayAsYouGo`", strings.Join(args, " ")))
	}
	list, p, err := c.ofOnePool(args)
	if err != nil {
		return err
	}
	var names []string
	for _, i := range list {
		if view.ChargeToday(i) == to {
			c.say("%s is %s already.", i.Name, view.BillingWord(to))
			continue
		}
		names = append(names, i.Name)
		c.say("  %s  %s -> %s%s", i.Name, view.BillingWord(view.ChargeToday(i)), view.BillingWord(to), priceNote(i))
	}
	if len(names) == 0 {
		c.say("Nothing was changed.")
		return nil
	}
	spec := v1alpha1.ClusterTaskSpec{Type: v1alpha1.TaskConvert, Title: fmt.Sprintf("Convert %s of %s to %s", plural(len(names), "instance"), p.Name, to), Instances: names, ConvertTo: to}
	if to == v1alpha1.ChargeSubscription {
		if spec.PeriodMonths, err = months(f.period); err != nil {
			return err
		}
	} else if c.cmd.Flags().Changed("period") {
		return badInput("nothing was converted", "--period is for subscriptions", "leave it out")
	}
	return c.buy(p, spec, f, to == v1alpha1.ChargeSubscription, fmt.Sprintf("poolkeeper instance convert %s --to %s --period %s", strings.Join(names, " "), to, f.period))
}

// priceNote is what an instance costs now.
func priceNote(i *v1alpha1.Instance) string {
	terms := view.BillingOf(i).Today()
	if terms.Price == "" {
		return ""
	}
	return fmt.Sprintf("  now %s %s/h", terms.Currency, view.Money(terms.Price))
}

// buy asks where money is spent in advance, then writes the task.
func (c *call) buy(p *v1alpha1.NodePool, spec v1alpha1.ClusterTaskSpec, f buyFlags, pays bool, again string) error {
	if pays {
		c.say("  paid in advance: %s for each of %s", plural(int(spec.PeriodMonths), "month"), plural(len(spec.Instances), "instance"))
	}
	if f.dryRun {
		c.say("Nothing was changed.")
		return nil
	}
	if pays && !f.yes {
		if !c.interactive() {
			return badInput("nothing was changed", "this is paid in advance, and nobody can be asked here", fmt.Sprintf("`%s --yes`", again))
		}
		if err := c.ask(fmt.Sprintf("Pay %s for %s? [y/N]", plural(int(spec.PeriodMonths), "month"), plural(len(spec.Instances), "instance")), "y"); err != nil {
			return err
		}
	}
	return c.request(p, spec, f.waitFlags)
}

func (a *app) instanceRenew() *cobra.Command {
	var f buyFlags
	cmd := &cobra.Command{
		Use: "renew INSTANCE... --period MONTHS", Short: "Renew the subscriptions of instances", Args: someArgs("instance"), ValidArgsFunction: a.complete(instances, 0),
		Long:    "Renew the subscriptions of instances by a period, from their present end on. It is paid\nin advance: on a terminal it asks, elsewhere --yes is needed.",
		Example: "  poolkeeper instance renew i-bp1a2b3c --period 1 --wait\n  poolkeeper instance renew i-bp1a2b3c --period 1y --yes",
		RunE: a.run(func(c *call, args []string) error {
			n, err := months(f.period)
			if err != nil {
				return err
			}
			list, p, err := c.ofOnePool(args)
			if err != nil {
				return err
			}
			for _, i := range list {
				if view.ChargeToday(i) != v1alpha1.ChargeSubscription {
					return badInput("nothing was renewed", fmt.Sprintf("%s is billed as %s: only a subscription ends and can be renewed", i.Name, view.BillingWord(view.ChargeToday(i))),
						fmt.Sprintf("`poolkeeper instance convert %s --to Subscription`", i.Name))
				}
				ends := ""
				if t := i.Status.ExpiryTime; t != nil {
					ends = "  ends " + t.UTC().Format("2006-01-02")
				}
				c.say("  %s%s, renewed by %s", i.Name, ends, plural(int(n), "month"))
			}
			spec := v1alpha1.ClusterTaskSpec{Type: v1alpha1.TaskRenew, Title: fmt.Sprintf("Renew %s of %s by %s", plural(len(list), "instance"), p.Name, plural(int(n), "month")), Instances: args, PeriodMonths: n}
			return c.buy(p, spec, f, true, fmt.Sprintf("poolkeeper instance renew %s --period %s", strings.Join(args, " "), f.period))
		}),
	}
	cmd.Flags().StringVar(&f.period, "period", "1", "`months` to renew by (1 to 60), or years as 1y")
	f.add(cmd)
	return cmd
}

func (a *app) instanceDetach() *cobra.Command {
	f := removeFlags{concurrency: 1}
	cmd := &cobra.Command{
		Use: "detach INSTANCE...", Short: "Take instances out of their pool; they go on running", Args: someArgs("instance"), ValidArgsFunction: a.complete(instances, 0),
		Long:    "Take instances out of their pool without releasing them: they lose our tags and go on\nrunning and costing. Their nodes are drained and removed from the cluster first. The\nexpected number goes down by as many, unless --keep-number, with which they are replaced.",
		Example: "  poolkeeper instance detach i-bp1a2b3c --keep-number --wait",
		RunE: a.run(func(c *call, args []string) error {
			list, p, err := c.ofOnePool(args)
			if err != nil {
				return err
			}
			return c.removeNodes(list, p, f)
		}),
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.keep, "keep-number", false, "keep the expected number, so that they are replaced")
	f.addCommon(cmd)
	return cmd
}
