package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/edits"
	"github.com/poolkeeper/poolkeeper/internal/view"
	"github.com/poolkeeper/poolkeeper/internal/view/preview"
)

const editHelp = `Change the settings of a pool, by flags or in an editor.

With flags, exactly what they name is changed. Without any, $VISUAL or $EDITOR
opens the pool. Settings of machines take effect for those created from now on.
A bound that would leave the expected number outside is refused: change both in
the editor, or the number first. A lower number is shown and asked for as by
"pool scale" (--yes answers).

` + edits.HookHelp

// editFlags are the flags of `pool edit` beyond the settings.
type editFlags struct {
	dryRun, yes bool
	waitFlags
}

func (a *app) poolEdit() *cobra.Command {
	var s settings
	var l edits.Lists
	var f editFlags
	cmd := &cobra.Command{
		Use: "edit POOL", Short: "Change the settings of a pool", Long: editHelp, Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Example: "  poolkeeper pool edit web --add-vswitch vsw-c --dry-run\n  poolkeeper pool edit web --max-nodes 80\n  poolkeeper pool edit web --hook warm-up=in,timeout=20m --remove-hook tidy\n  EDITOR=vi poolkeeper pool edit web",
		RunE: a.run(func(c *call, args []string) error {
			p, err := c.getPool(args[0])
			if err != nil {
				return err
			}
			next := p.DeepCopy()
			some, err := s.apply(c.cmd, &next.Spec)
			if err != nil {
				return err
			}
			lists, err := l.Apply(&next.Spec)
			if err != nil {
				return err
			}
			if !some && !lists {
				return c.editByHand(p, f)
			}
			return c.writeSpec(p, next, f)
		}),
	}
	fl := cmd.Flags()
	l.Add(fl)
	fl.BoolVar(&f.dryRun, "dry-run", false, "show what it changes and let cluster and cloud check it, change nothing")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	s.add(fl)
	f.add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("hook", edits.Complete)
	for _, flag := range edits.Removing {
		_ = cmd.RegisterFlagCompletionFunc(flag, a.offer(func(c *call, args []string) ([]string, error) {
			p, err := c.getPool(strings.Join(args, " "))
			return edits.Removable(flag, &p.Spec), err
		}))
	}
	return cmd
}

// writeSpec sends a changed pool and says what came of it.
func (c *call) writeSpec(p, wished *v1alpha1.NodePool, f editFlags) error {
	if err := c.checkSettings(p.Name+" was not changed", &wished.Spec.LaunchSettings, &p.Spec.LaunchSettings); err != nil {
		return err
	}
	opts := []client.PatchOption{fieldOwner}
	if f.dryRun {
		opts = append(opts, client.DryRunAll)
	}
	to, plan := wished.Spec.ExpectedNodes, ""
	if to < p.Spec.ExpectedNodes && !f.dryRun {
		var err error
		if plan, err = c.showScaleIn(p, to, f.yes); err != nil {
			return err
		}
	}
	next, err := c.patchPool(p, func(p *v1alpha1.NodePool) { p.Spec = *wished.Spec.DeepCopy() }, c.stillPlan(plan, to), opts...)
	same := err == nil && equality.Semantic.DeepEqual(next.Spec, p.Spec)
	switch {
	case err != nil:
		return apiError(err, p.Name+" was not changed")
	case f.dryRun:
		return c.previewEdit(p, next)
	case same:
		c.say("%s is so already. Nothing was changed.", p.Name)
	default:
		c.say("%s", strings.TrimSuffix(view.SpecChanges(&p.Spec, &next.Spec), "\n"))
		c.say("Accepted: %s is changed. Settings of machines hold for those created from now on.", p.Name)
	}
	if !f.wait {
		return c.emitIfMachine(next)
	}
	h := follow{call: c, pool: p.Name, poolUID: p.UID, generation: next.Generation, wanted: next.Spec.ExpectedNodes, timeout: f.timeout}
	return h.run()
}

// previewEdit shows what an edit changes and what would be created after it, as
// far as the cloud can be asked; nothing was written.
func (c *call) previewEdit(p, next *v1alpha1.NodePool) error {
	changes := view.SpecChanges(&p.Spec, &next.Spec)
	if changes == "" {
		c.say("%s is so already. Nothing was changed.", p.Name)
		return nil
	}
	plan := preview.Plan{}
	if g, err := c.groupWith(p, next); err == nil && g != nil {
		if plan, err = c.planWith(p, g, preview.Ask{To: next.Spec.ExpectedNodes}); err != nil {
			return err
		}
	}
	text := joinLines(p.Name+" would be accepted:", changes)
	if plan.Known {
		text = joinLines(text, plan.Lines())
	}
	return c.emitPlan(plan, text, p)
}

// groupWith is a pool's group as it would be with other settings, with what the
// cloud says of them; nil where neither is known.
func (c *call) groupWith(p, next *v1alpha1.NodePool) (*v1alpha1.ScalingGroup, error) {
	g, err := c.groupOf(p)
	if g == nil || err != nil || c.Market == nil {
		return nil, err
	}
	m, err := c.Market()
	if err != nil {
		return nil, err
	}
	g.Spec.MaxCreationsPerHour, g.Spec.MaxSpendPerHour = next.Spec.MaxCreationsPerHour, next.Spec.MaxSpendPerHour
	g.Spec.LaunchSettings, g.Spec.ScalingPolicy = *next.Spec.LaunchSettings.DeepCopy(), *next.Spec.ScalingPolicy.DeepCopy()
	s := &g.Spec.LaunchSettings
	if g.Status.ResourcePools, err = c.pools(m, s, s.VSwitches, nil); err != nil {
		return nil, err
	}
	view.SortBy(g.Status.ResourcePools, s)
	return g, nil
}
