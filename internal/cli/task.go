package cli

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/given"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

func (a *app) taskCommand() *cobra.Command {
	cmd := Noun("task", "Tasks: one request each, and what came of it", a.taskList(), a.taskGet(), a.taskWatch(), a.taskCancel())
	cmd.Aliases = []string{"tasks"}
	return cmd
}

func (a *app) taskList() *cobra.Command {
	var pool string
	var states []string
	var since time.Duration
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List tasks, the newest first", Args: noArgs,
		Example: "  poolkeeper task list\n  poolkeeper task list --pool demo --state failed --since 24h",
		RunE: a.run(func(c *call, _ []string) error {
			if err := given.States(states, view.TaskStates); err != nil {
				return err
			}
			var list v1alpha1.ClusterTaskList
			if err := c.List(c.ctx, &list); err != nil {
				return apiError(err, "cannot list tasks")
			}
			if !slices.ContainsFunc(list.Items, func(t v1alpha1.ClusterTask) bool { return t.Spec.Pool == pool }) {
				if err := c.mayBeEmpty(pool, 0); err != nil {
					return err
				}
			}
			return c.emitTasks(list.Items, func(t *v1alpha1.ClusterTask) bool {
				return (pool == "" || t.Spec.Pool == pool) && view.StateIn(view.TaskWord(t.Status.State), states) &&
					(since == 0 || c.clock.Now.Sub(t.CreationTimestamp.Time) <= since)
			})
		}),
	}
	cmd.Flags().StringVar(&pool, "pool", "", "only tasks of this `pool`")
	cmd.Flags().StringSliceVar(&states, "state", nil, "only tasks in these `states`: running, success, failed, canceled")
	cmd.Flags().DurationVar(&since, "since", 0, "only tasks that were asked for within this time")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(view.TaskStates, cobra.ShellCompDirectiveNoFileComp))
	a.completePoolFlag(cmd, "pool")
	return cmd
}

func (c *call) emitTasks(list []v1alpha1.ClusterTask, want func(*v1alpha1.ClusterTask) bool) error {
	byName := map[string]*v1alpha1.ClusterTask{}
	var views []view.Task
	for i := range list {
		if t := &list[i]; want(t) {
			byName[t.Name] = t
			views = append(views, view.NewTask(t, c.clock.Now))
		}
	}
	view.SortTasks(views)
	r := result{list: true, table: view.TaskTable(views, c.clock)}
	for _, v := range views {
		r.views, r.raws = append(r.views, v), append(r.raws, byName[v.Name])
	}
	if err := c.emit(r); err != nil {
		return err
	}
	if len(views) == 0 {
		c.hint("No tasks.")
	}
	for _, v := range views {
		if v.State == string(v1alpha1.TaskFailed) {
			c.hint("Why %s failed: poolkeeper task get %s --cause", v.Title, v.Name)
			break
		}
	}
	return nil
}

func (c *call) getTask(name string) (*v1alpha1.ClusterTask, error) {
	t := &v1alpha1.ClusterTask{}
	return t, c.get(tasks, name, t)
}

func (a *app) taskGet() *cobra.Command {
	var cause bool
	cmd := &cobra.Command{
		Use: "get TASK", Short: "Show one task", Args: oneArg("task"), ValidArgsFunction: a.complete(tasks, 1),
		Example: "  poolkeeper task get demo-8f3c12-g7\n  poolkeeper task get demo-8f3c12-g7 --cause",
		RunE: a.run(func(c *call, args []string) error {
			t, err := c.getTask(args[0])
			if err != nil {
				return err
			}
			v := view.NewTask(t, c.clock.Now)
			text := v.Describe(c.clock, c.color)
			if cause {
				text = v.DescribeCauses(c.color)
			}
			if err := c.emit(result{views: []any{v}, raws: []client.Object{t}, text: text}); err != nil {
				return err
			}
			if !cause && len(v.Causes) > 0 {
				c.hint("Causes and logs: poolkeeper task get %s --cause", v.Name)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&cause, "cause", false, "show each cause beside its solution, with the logs of machines that failed")
	return cmd
}

func (a *app) taskWatch() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "watch TASK", Short: "Follow one task until it ends", Args: oneArg("task"), ValidArgsFunction: a.complete(tasks, 1),
		Long:    "Follow one task until it ends: exit 0 when it is done, 5 when it failed or was canceled.\nCtrl-C stops watching, not the work.",
		Example: "  poolkeeper task watch demo-8f3c12-g7\n  poolkeeper task watch demo-8f3c12-g7 -o json",
		RunE: a.run(func(c *call, args []string) error {
			t, err := c.getTask(args[0])
			if err != nil {
				return err
			}
			f := follow{call: c, task: t.Name, timeout: timeout, wanted: t.Spec.To, from: t.Spec.From, began: t.CreationTimestamp.Time}
			var p v1alpha1.NodePool
			if c.Get(c.ctx, client.ObjectKey{Name: t.Spec.Pool}, &p) == nil && t.Spec.Type != v1alpha1.TaskDelete {
				f.pool, f.poolUID = p.Name, p.UID
			}
			return f.run()
		}),
	}
	given.Wait(cmd.Flags(), &timeout, "timeout", 24*time.Hour, "how long to watch")
	return cmd
}

func (a *app) taskCancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel TASK", Short: "Ask a task to stop, as far as it still can", Args: oneArg("task"), ValidArgsFunction: a.complete(tasks, 1),
		Long:    "Ask a task to stop, as far as it still can. What was released stays released. Where a\nscale task is canceled, the expected number stands.",
		Example: "  poolkeeper task cancel demo-remove-x7k2p",
		RunE: a.run(func(c *call, args []string) error {
			t, err := c.getTask(args[0])
			if err != nil {
				return err
			}
			if view.TaskEnded(t.Status.State) {
				c.say("%s has ended already: %s.", t.Name, strings.ToLower(view.TaskWord(t.Status.State)))
				return nil
			}
			if t.Spec.Type == v1alpha1.TaskDelete {
				return badInput(t.Name+" was not canceled", "a pool that is being deleted cannot be kept", "`poolkeeper why "+t.Spec.Pool+"`")
			}
			base := t.DeepCopy()
			t.Spec.Cancel = true
			if err := c.Patch(c.ctx, t, client.MergeFrom(base), fieldOwner); err != nil {
				return apiError(err, t.Name+" was not canceled")
			}
			c.say("Asked %s to stop.", t.Name)
			if t.Spec.Type == v1alpha1.TaskScale {
				c.hint("The expected number stands: poolkeeper pool scale %s --expected-nodes N sets another.", t.Spec.Pool)
			} else {
				c.hint("Follow it: poolkeeper task watch %s", t.Name)
			}
			return nil
		}),
	}
}

// emitTask writes a task where a program reads the output.
func (c *call) emitTask(t *v1alpha1.ClusterTask) error {
	if !c.machine() {
		return nil
	}
	return c.emit(result{views: []any{view.NewTask(t, c.clock.Now)}, raws: []client.Object{t}})
}
