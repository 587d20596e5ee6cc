package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

const thawHelp = `End a freeze of releases. Releases freeze when many instances vanish at once; what
is confirmed gone is replaced all the same, and so is what you ask to create.

Look first (poolkeeper why POOL, poolkeeper instance list --pool POOL): after it,
instances that the pool holds to be too many are released again. The reason stands
in the task. On a terminal it asks; elsewhere --yes is needed.`

func (a *app) poolThaw() *cobra.Command {
	var reason string
	var yes, dryRun bool
	var w waitFlags
	cmd := &cobra.Command{
		Use: "thaw POOL --reason TEXT", Short: "End a freeze of releases", Long: thawHelp, Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Example: "  poolkeeper pool thaw demo --reason \"zone a was down, checked by alice\" --wait",
		RunE: a.run(func(c *call, args []string) error {
			p, err := c.getPool(args[0])
			if err != nil {
				return err
			}
			if !view.IsFrozen(p) {
				c.say("%s is not frozen. Nothing was changed.", p.Name)
				return c.emitIfMachine(p)
			}
			if strings.TrimSpace(reason) == "" {
				return badInput(p.Name+" stays frozen", "no reason was given", fmt.Sprintf("`poolkeeper pool thaw %s --reason \"what was found\"`", p.Name))
			}
			if cond := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionFrozen); cond != nil && cond.Message != "" {
				c.say("Frozen: %s.", strings.TrimRight(cond.Message, "."))
			}
			c.say("After it %s releases again what is too many: now %d of %d expected.", p.Name, p.Status.Counts.Instances, p.Spec.ExpectedNodes)
			if dryRun {
				c.say("Nothing was changed.")
				return nil
			}
			if err := c.agree(yes, fmt.Sprintf("End the freeze of %s? [y/N]", p.Name), "y", fmt.Sprintf("poolkeeper pool thaw %s --reason %q", p.Name, reason)); err != nil {
				return err
			}
			title := clip(fmt.Sprintf("Thaw %s: %s", p.Name, strings.TrimSpace(view.OneLine(reason))), 256)
			return c.request(p, v1alpha1.ClusterTaskSpec{Type: v1alpha1.TaskThaw, Title: title}, w)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why it may go on; stands in the task")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what it means, change nothing")
	w.add(cmd)
	return cmd
}

// clip shortens a text to at most n bytes, at a rune's border.
func clip(s string, n int) string {
	for len(s) > n {
		r := []rune(s)
		s = string(r[:len(r)-1])
	}
	return s
}

func (a *app) poolRebalance() *cobra.Command {
	var w waitFlags
	var dryRun bool
	cmd := &cobra.Command{
		Use: "rebalance POOL", Short: "Even out the zones of a pool again", Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Long:    "Even out the zones of a pool with the policy DistributionBalancing: first instances are\ncreated in the emptier zones, at most a tenth beyond the expected number and never beyond\nthe max, then as many are released in the fuller ones.",
		Example: "  poolkeeper pool rebalance demo --dry-run\n  poolkeeper pool rebalance demo --wait",
		RunE: a.run(func(c *call, args []string) error {
			p, err := c.getPool(args[0])
			if err != nil {
				return err
			}
			if p.Spec.ScalingPolicy.Type != v1alpha1.PolicyDistributionBalancing {
				return badInput(p.Name+" was not rebalanced", fmt.Sprintf("its policy is %s, which does not balance zones", cmp.Or(string(p.Spec.ScalingPolicy.Type), string(v1alpha1.PolicyPriority))),
					fmt.Sprintf("`poolkeeper pool edit %s --policy DistributionBalancing`, then again", p.Name))
			}
			zones, apart, err := c.zones(p)
			if err != nil {
				return err
			}
			c.say("%s: %s; %d apart", p.Name, zones, apart)
			switch {
			case apart <= 1:
				c.say("The zones are even. Nothing was changed.")
				return c.emitIfMachine(p)
			case dryRun:
				c.say("Nothing was changed.")
				return nil
			}
			return c.request(p, v1alpha1.ClusterTaskSpec{Type: v1alpha1.TaskRebalance, Title: "Rebalance " + p.Name}, w)
		}),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show how the zones are, change nothing")
	w.add(cmd)
	return cmd
}

// zones says how many instances each zone of a pool has, and by how many the
// fullest exceeds the emptiest.
func (c *call) zones(p *v1alpha1.NodePool) (text string, apart int, err error) {
	var list v1alpha1.InstanceList
	if err := c.List(c.ctx, &list); err != nil {
		return "", 0, apiError(err, "cannot list instances")
	}
	g, err := c.groupOf(p)
	if err != nil {
		return "", 0, err
	}
	text, apart = view.Zones(p.Name, g, list.Items)
	return text, apart, nil
}
