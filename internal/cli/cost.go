package cli

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/when"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

const costHelp = `Show what the instances of a pool cost, reckoned from creations and unit prices;
hours and amounts speak of the instances that still exist, the last line also of
what was released since the pool was created. The vendor's bill decides.

--at is the moment that the bill is made for (default: now), --since where it
begins (default: each creation). Both take a time (2026-11-24T14:00:00Z, or
14:00 and 2026-11-24 in the zone of --time) or how long ago (90m, 24h); --at also
takes what is still to come (+1h).`

func (a *app) costCommand() *cobra.Command {
	return Noun("cost", "What pools cost", a.costList(), a.costGet())
}

// costFlags say what a bill is about.
type costFlags struct{ by, since, at string }

func (f *costFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.since, "since", "", "a `time`, or how long ago, from which on it is reckoned")
	cmd.Flags().StringVar(&f.at, "at", "", "a `time` that the bill is made for")
}

func (a *app) costGet() *cobra.Command {
	var f costFlags
	get := &cobra.Command{
		Use: "get POOL", Short: "Show what the instances of a pool cost", Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Long:    costHelp,
		Example: "  poolkeeper cost get demo\n  poolkeeper cost get demo --by type --since 24h\n  poolkeeper cost get demo --by instance --at 2026-11-24T15:00:00Z",
		RunE:    a.run(func(c *call, args []string) error { return c.cost(args[0], f) }),
	}
	get.Flags().StringVar(&f.by, "by", "", "one line per zone, type, billing or instance")
	f.add(get)
	_ = get.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(view.CostKeys, cobra.ShellCompDirectiveNoFileComp))
	return get
}

func (a *app) costList() *cobra.Command {
	var f costFlags
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List what each pool costs, the dearest first", Args: noArgs,
		Long:    strings.Replace(costHelp, "Show what the instances of a pool cost,", "List what the instances of each pool cost,", 1),
		Example: "  poolkeeper cost list\n  poolkeeper cost list --since 24h -o json",
		RunE:    a.run(func(c *call, _ []string) error { return c.costs(f) }),
	}
	f.add(cmd)
	return cmd
}

// span reads the times of a bill.
func (c *call) span(f costFlags) (view.Span, error) {
	s := view.Span{Until: c.clock.Now}
	var err error
	if f.at != "" {
		if s.Until, err = c.moment("--at", f.at); err != nil {
			return s, err
		}
	}
	if f.since != "" {
		if s.Since, err = c.moment("--since", f.since); err != nil {
			return s, err
		}
	}
	if s.Since.After(s.Until) {
		return s, badInput("the bill was not made", fmt.Sprintf("--since %s is after its end", f.since), "`poolkeeper cost get --help`")
	}
	return s, nil
}

// moment reads a time as people type it.
func (c *call) moment(flag, s string) (time.Time, error) {
	if t, ok := when.Moment(s, c.clock.Now.In(c.clock.Zone)); ok {
		return t, nil
	}
	return time.Time{}, badInput(fmt.Sprintf("%s %s is not understood", flag, s), "it is a time or how long ago",
		"such as "+flag+" 2026-11-24T14:00:00Z, "+flag+" 14:00 or "+flag+" 24h")
}

func (c *call) cost(pool string, f costFlags) error {
	if f.by != "" && !slices.Contains(view.CostKeys, f.by) {
		return badInput("--by "+f.by+" is not known", "it is one of "+strings.Join(view.CostKeys, ", "))
	}
	span, err := c.span(f)
	if err != nil {
		return err
	}
	p, err := c.getPool(pool)
	if err != nil {
		return err
	}
	var list v1alpha1.InstanceList
	if err := c.List(c.ctx, &list); err != nil {
		return apiError(err, "cannot list instances")
	}
	v, err := view.NewCost(p, list.Items, f.by, span, c.clock.Now)
	if err != nil {
		return badInput("the bill was not made", err.Error(), "a later --at, and --since left out or not before it")
	}
	return c.emit(result{views: []any{v}, raws: []client.Object{p}, text: v.Text(view.Style{Color: c.color})})
}

func (c *call) costs(f costFlags) error {
	span, err := c.span(f)
	if err != nil {
		return err
	}
	var list v1alpha1.NodePoolList
	if err := c.List(c.ctx, &list); err != nil {
		return apiError(err, "cannot list node pools")
	}
	var all v1alpha1.InstanceList
	if err := c.List(c.ctx, &all); err != nil {
		return apiError(err, "cannot list instances")
	}
	byName := map[string]*v1alpha1.NodePool{}
	var views []view.Cost
	for i := range list.Items {
		byName[list.Items[i].Name] = &list.Items[i]
		v, err := view.NewCost(&list.Items[i], all.Items, "", span, c.clock.Now)
		if err != nil {
			return badInput("the bills were not made", err.Error(), "a later --at, and --since left out or not before it")
		}
		views = append(views, v)
	}
	sort.SliceStable(views, func(i, j int) bool { return view.Dearer(views[i], views[j]) })
	r := result{list: true, table: view.CostListTable(views)}
	for _, v := range views {
		r.views, r.raws = append(r.views, v), append(r.raws, byName[v.Pool])
	}
	if err := c.emit(r); err != nil {
		return err
	}
	if len(views) > 0 {
		c.hint("What of: poolkeeper cost get %s --by type", views[0].Pool)
	} else {
		c.hint("No node pools yet.")
	}
	return nil
}
