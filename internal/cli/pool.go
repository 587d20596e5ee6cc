package cli

import (
	"fmt"
	"sort"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

func (a *app) poolCommand() *cobra.Command {
	cmd := Noun("pool", "Node pools: how many nodes, and of what kind",
		a.poolList(), a.poolGet(), a.poolScale(), a.poolCreate(), a.poolEdit(), a.poolDelete(),
		a.poolProtect(true), a.poolProtect(false), a.poolRebalance(), a.poolResume(), a.poolThaw(), a.poolAdopt(), a.poolWatch())
	cmd.Aliases = []string{"pools"}
	return cmd
}

func (a *app) poolList() *cobra.Command {
	var notComplete bool
	var selector, order string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List node pools, those not as wished first", Args: noArgs,
		Example: "  poolkeeper pool list\n  poolkeeper pool list --not-complete\n  poolkeeper pool list -o json",
		RunE: a.run(func(c *call, _ []string) error {
			return c.listPools(notComplete, selector, order)
		}),
	}
	cmd.Flags().BoolVar(&notComplete, "not-complete", false, "only pools that are not as wished")
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "only pools with these `labels`")
	cmd.Flags().StringVar(&order, "sort", "problem", "order: problem, name or expected")
	return cmd
}

func (c *call) listPools(notComplete bool, selector, order string) error {
	sel, err := labels.Parse(selector)
	if err != nil {
		return badInput("--selector is not understood", err.Error())
	}
	var list v1alpha1.NodePoolList
	if err := c.List(c.ctx, &list, client.MatchingLabelsSelector{Selector: sel}); err != nil {
		return apiError(err, "cannot list node pools")
	}
	byName := map[string]*v1alpha1.NodePool{}
	var views []view.Pool
	for i := range list.Items {
		p := &list.Items[i]
		byName[p.Name] = p
		if v := view.NewPool(p, nil, c.clock.Now); !notComplete || !v.Complete {
			views = append(views, v)
		}
	}
	view.SortPools(views)
	switch order {
	case "problem":
	case "name":
		sort.SliceStable(views, func(i, j int) bool { return views[i].Name < views[j].Name })
	case "expected":
		sort.SliceStable(views, func(i, j int) bool { return views[i].Counts.Expected > views[j].Counts.Expected })
	default:
		return badInput(fmt.Sprintf("--sort %s is not known", order), "it is one of problem, name, expected")
	}
	r := result{list: true, table: view.PoolTable(views, c.clock)}
	for _, v := range views {
		r.views, r.raws = append(r.views, v), append(r.raws, byName[v.Name])
	}
	if err := c.emit(r); err != nil {
		return err
	}
	c.hintPools(views, len(list.Items))
	return nil
}

// hintPools ends a list of pools with one next step.
func (c *call) hintPools(views []view.Pool, all int) {
	switch {
	case all == 0:
		c.hint("No node pools yet. A node pool keeps a number of nodes for you: poolkeeper pool create --help")
	case len(views) == 0:
		c.hint("No pool matches.")
	}
	for _, v := range views {
		if !v.Well() {
			c.hint("%s See: poolkeeper why %s", v.Summary, v.Name)
			return
		}
	}
}

func (a *app) poolGet() *cobra.Command {
	return &cobra.Command{
		Use: "get POOL", Short: "Show one node pool", Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Example: "  poolkeeper pool get demo\n  poolkeeper pool get demo -o json\n  poolkeeper pool get demo --raw",
		RunE: a.run(func(c *call, args []string) error {
			p, err := c.getPool(args[0])
			if err != nil {
				return err
			}
			g, err := c.groupOf(p)
			if err != nil {
				return err
			}
			v := view.NewPool(p, g, c.clock.Now)
			if v.Image == nil {
				v.Image = c.image(p)
			}
			return c.emit(result{views: []any{v}, raws: []client.Object{p}, text: v.Describe(c.clock, c.color)})
		}),
	}
}

// emitPool writes one pool.
func (c *call) emitPool(p *v1alpha1.NodePool, g *v1alpha1.ScalingGroup) error {
	v := view.NewPool(p, g, c.clock.Now)
	return c.emit(result{views: []any{v}, raws: []client.Object{p}, text: v.Describe(c.clock, c.color)})
}

// groupOf reads the scaling group of a pool; nil where there is none yet.
func (c *call) groupOf(p *v1alpha1.NodePool) (*v1alpha1.ScalingGroup, error) {
	if p.Status.ScalingGroup == "" {
		return nil, nil
	}
	g := &v1alpha1.ScalingGroup{}
	err := c.Get(c.ctx, client.ObjectKey{Name: p.Status.ScalingGroup}, g)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, apiError(err, "cannot read scaling group "+p.Status.ScalingGroup)
	}
	return g, nil
}
