package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/outlook"
	"github.com/poolkeeper/poolkeeper/internal/view"
	"github.com/poolkeeper/poolkeeper/internal/view/preview"
)

const strengthHelp = `Show the outlook of each instance type in each vSwitch of a pool, as the controller
last read it from the cloud, with refusals that are still remembered. A resource
pool scores 3 in stock, 1 where stock is low or not known, else 0; the pool is Weak
at 0, Strong where two zones score, Medium otherwise.

--refresh asks the cloud now, with your own credentials (ALIBABA_CLOUD_*, as
` + "`poolkeeper local env`" + ` gives them), and looks for vSwitches that would help.`

func (a *app) strengthCommand() *cobra.Command {
	var refresh bool
	get := &cobra.Command{
		Use: "get POOL", Short: "Show the outlook of each instance type in each vSwitch of a pool", Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Long:    strengthHelp,
		Example: "  poolkeeper strength get demo\n  poolkeeper strength get demo --refresh\n  poolkeeper strength get demo -o json",
		RunE:    a.run(func(c *call, args []string) error { return c.strength(args[0], refresh) }),
	}
	get.Flags().BoolVar(&refresh, "refresh", false, "ask the cloud now, with your own credentials")
	return Noun("strength", "Elastic strength: what the cloud could give a pool", get)
}

func (c *call) strength(pool string, refresh bool) error {
	p, err := c.getPool(pool)
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
	var others []v1alpha1.ResourcePoolStatus
	if refresh {
		if others, err = c.refresh(g); err != nil {
			return err
		}
	}
	v := preview.Strength(g, c.clock)
	v.Help = view.StrengthHelp(v, others)
	age := "never checked"
	if v.AsOf.Cloud != nil {
		age = "checked " + c.clock.Age(*v.AsOf.Cloud) + " ago"
	}
	text := fmt.Sprintf("%s: %s, score %d, %s\n", p.Name, v.Word, v.Score, age) + v.Text(view.Style{Wide: c.flags.output == "wide", Color: c.color})
	if err := c.emit(result{views: []any{v}, raws: []client.Object{g}, text: text}); err != nil {
		return err
	}
	if !refresh && (v.Word == "Weak" || v.AsOf.Cloud == nil) {
		c.hint("Ask the cloud now: poolkeeper strength get %s --refresh", p.Name)
	}
	return nil
}

// refresh puts what the cloud says now into a group as it was read, and returns
// what other vSwitches of the cloud could give.
func (c *call) refresh(g *v1alpha1.ScalingGroup) ([]v1alpha1.ResourcePoolStatus, error) {
	m, err := c.market()
	if err != nil {
		return nil, err
	}
	s := &g.Spec.LaunchSettings
	all, err := m.VSwitches(c.ctx)
	if err != nil {
		return nil, cloudError(err, "the outlook was not refreshed")
	}
	known, others := map[string]bool{}, []string{}
	for _, id := range s.VSwitches {
		known[id] = true
	}
	for _, v := range all {
		if !known[v.ID] {
			others = append(others, v.ID)
		}
	}
	if g.Status.ResourcePools, err = c.pools(m, s, s.VSwitches, g.Status.ResourcePools); err != nil || len(others) == 0 {
		return nil, err
	}
	return c.pools(m, s, others, nil)
}

// pools asks the cloud for the outlook of resource pools, in the order of those
// known already.
func (c *call) pools(m Market, s *v1alpha1.LaunchSettings, vSwitches []string, before []v1alpha1.ResourcePoolStatus) ([]v1alpha1.ResourcePoolStatus, error) {
	out, err := outlook.Read(c.ctx, m, s, vSwitches, c.Now())
	if err != nil {
		return nil, cloudError(err, "the outlook was not refreshed")
	}
	view.SortLike(out, before)
	return out, nil
}
