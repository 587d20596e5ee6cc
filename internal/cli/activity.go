package cli

import (
	"slices"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/given"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

func (a *app) activityCommand() *cobra.Command {
	cmd := Noun("activity", "Scaling activities: what was decided and what came of it", a.activityList(), a.activityGet(), a.activityWatch())
	cmd.Aliases = []string{"activities"}
	return cmd
}

func (a *app) activityList() *cobra.Command {
	var pool string
	var states []string
	var since time.Duration
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List scaling activities, the newest first", Args: noArgs,
		Example: "  poolkeeper activity list --pool demo\n  poolkeeper activity list --state failed,warning --since 24h",
		RunE: a.run(func(c *call, _ []string) error {
			if err := given.States(states, view.ActivityStates); err != nil {
				return err
			}
			var list v1alpha1.ScalingActivityList
			if err := c.List(c.ctx, &list); err != nil {
				return apiError(err, "cannot list scaling activities")
			}
			if !slices.ContainsFunc(list.Items, func(a v1alpha1.ScalingActivity) bool { return a.Spec.Pool == pool }) {
				if err := c.mayBeEmpty(pool, 0); err != nil {
					return err
				}
			}
			return c.emitActivities(list.Items, func(a *v1alpha1.ScalingActivity) bool {
				return (pool == "" || a.Spec.Pool == pool) && view.StateIn(string(a.Status.State), states) &&
					(since == 0 || c.clock.Now.Sub(a.CreationTimestamp.Time) <= since)
			})
		}),
	}
	cmd.Flags().StringVar(&pool, "pool", "", "only those of this `pool`")
	cmd.Flags().StringSliceVar(&states, "state", nil, "only those in these `states`: in-progress, successful, warning, failed, rejected")
	cmd.Flags().DurationVar(&since, "since", 0, "only those that were begun within this time")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(view.ActivityStates, cobra.ShellCompDirectiveNoFileComp))
	a.completePoolFlag(cmd, "pool")
	return cmd
}

func (c *call) emitActivities(list []v1alpha1.ScalingActivity, want func(*v1alpha1.ScalingActivity) bool) error {
	byName := map[string]*v1alpha1.ScalingActivity{}
	var views []view.Activity
	for i := range list {
		if a := &list[i]; want(a) {
			byName[a.Name] = a
			views = append(views, view.NewActivity(a, c.clock.Now))
		}
	}
	view.SortActivities(views)
	r := result{list: true, table: view.ActivityTable(views, c.clock)}
	for _, v := range views {
		r.views, r.raws = append(r.views, v), append(r.raws, byName[v.Name])
	}
	if err := c.emit(r); err != nil {
		return err
	}
	if len(views) == 0 {
		c.hint("Nothing has been scaled yet.")
	}
	return nil
}

func (a *app) activityGet() *cobra.Command {
	return &cobra.Command{
		Use: "get ACTIVITY", Short: "Show one scaling activity with each request to the cloud", Args: oneArg("activity"), ValidArgsFunction: a.complete(activities, 1),
		Example: "  poolkeeper activity get demo-a7\n  poolkeeper activity get demo-a7 -o json",
		RunE: a.run(func(c *call, args []string) error {
			o := &v1alpha1.ScalingActivity{}
			if err := c.get(activities, args[0], o); err != nil {
				return err
			}
			return c.emitActivity(o)
		}),
	}
}

// emitActivity writes one activity with its requests.
func (c *call) emitActivity(o *v1alpha1.ScalingActivity) error {
	v := view.NewActivity(o, c.clock.Now)
	return c.emit(result{views: []any{v}, raws: []client.Object{o}, text: c.activityText(v)})
}

func (c *call) activityText(v view.Activity) string {
	text := v.Describe(c.clock, c.color)
	if len(v.Pieces) > 0 {
		text += "\n" + view.PieceTable(v.Pieces).Text(view.Style{Wide: c.flags.output == "wide", Color: c.color})
	}
	return text
}
