package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/hooks"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

const hookHelp = `Lifecycle hooks hold instances on their way in (Pending wait) and out (Removing
wait), until a program has done its part or their time is over. A pool names them in
spec.lifecycleHooks, which --hook of pool create and pool edit sets; the drain is the
built-in one.`

func (a *app) hookCommand() *cobra.Command {
	cmd := Noun("hook", "Lifecycle hooks: what holds instances on their way in and out", a.hookList(), a.hookComplete(), a.hookHeartbeat())
	cmd.Long, cmd.Aliases = hookHelp, []string{"hooks"}
	return cmd
}

func (a *app) hookList() *cobra.Command {
	var pool string
	var all bool
	cmd := &cobra.Command{
		Use: "list [INSTANCE...]", Aliases: []string{"ls"}, Short: "List the hooks that hold instances", ValidArgsFunction: a.complete(instances, 0),
		Example: "  poolkeeper hook list --pool demo\n  poolkeeper hook list i-bp1a2b3c --all\n  poolkeeper hook list -o json | jq -r '.items[] | select(.name == \"warm-up\") | .instance'",
		RunE: a.run(func(c *call, args []string) error {
			list, err := c.allInstances(args)
			if len(args) == 0 && err == nil {
				list, err = c.instancesOf(pool)
			}
			if err != nil {
				return err
			}
			return c.listHooks(list, all)
		}),
	}
	cmd.Flags().StringVar(&pool, "pool", "", "only those of this `pool`")
	cmd.Flags().BoolVar(&all, "all", false, "with those that have ended on the last way of an instance")
	a.completePoolFlag(cmd, "pool")
	return cmd
}

// instancesOf reads the instances of a pool, or all of them, in order.
func (c *call) instancesOf(pool string) ([]*v1alpha1.Instance, error) {
	_, raws, _, err := c.choose(instanceFilter{pool: pool})
	var list []*v1alpha1.Instance
	for _, o := range raws {
		list = append(list, o.(*v1alpha1.Instance))
	}
	return list, err
}

func (c *call) listHooks(list []*v1alpha1.Instance, all bool) error {
	r := result{list: true}
	var shown []view.Hook
	for _, i := range list {
		for _, h := range view.HooksOf(i) {
			if all || h.Waits() {
				shown, r.views = append(shown, h), append(r.views, h)
				r.names = append(r.names, h.Instance+"/"+h.Name)
			}
		}
	}
	r.table = view.HookTable(shown, c.clock)
	if err := c.emit(r); err != nil {
		return err
	}
	n := slices.IndexFunc(shown, func(h view.Hook) bool { return h.Answerable() })
	switch {
	case n >= 0:
		c.hint("To complete one: %s", view.HookAct(shown[n].Instance, shown[n].Name, "continue"))
	case len(shown) == 0:
		c.hint("No lifecycle hook holds an instance.")
	}
	return nil
}

func (a *app) hookComplete() *cobra.Command {
	var typed string
	cmd := &cobra.Command{
		Use: "complete INSTANCE HOOK --result continue|abandon|rollback", Short: "End a hook that holds an instance", Args: hookArgs, ValidArgsFunction: a.completeHook,
		Long: "End a hook that holds an instance. On the way in continue lets it into service, and\nabandon releases it; on the way out both let it go. Abandon ends the other hooks too.\n" +
			"Rollback keeps an instance that scaling in has chosen, and protects it. To say the same\ntwice does no harm.",
		Example: "  poolkeeper hook complete i-bp1a2b3c warm-up --result continue",
		RunE: a.run(func(c *call, args []string) error {
			r, err := hooks.Result(typed)
			if err != nil {
				return err
			}
			return c.answerHook(args, "was not completed", func(i *v1alpha1.Instance) (string, error) {
				list, done, err := hooks.Complete(i, args[1], r)
				if err != nil || done {
					return fmt.Sprintf("%s of %s ended so already: %s.", args[1], i.Name, r), err
				}
				i.Spec.HookAnswers = list
				return fmt.Sprintf("%s of %s is completed: %s.", args[1], i.Name, r), nil
			})
		}),
	}
	cmd.Flags().StringVar(&typed, "result", "", "what it ends with: continue, abandon or rollback")
	_ = cmd.RegisterFlagCompletionFunc("result", cobra.FixedCompletions(hooks.Results, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) hookHeartbeat() *cobra.Command {
	return &cobra.Command{
		Use: "heartbeat INSTANCE HOOK", Short: "Let the time of a hook begin anew", Args: hookArgs, ValidArgsFunction: a.completeHook,
		Long:    "Let the time of a hook that holds an instance begin anew, while the work that it waits\nfor goes on. In all a hook holds an instance for at most 20 times its heartbeat timeout.",
		Example: "  poolkeeper hook heartbeat i-bp1a2b3c warm-up",
		RunE: a.run(func(c *call, args []string) error {
			return c.answerHook(args, "was given no more time", func(i *v1alpha1.Instance) (string, error) {
				list, n, err := hooks.Heartbeat(i, args[1])
				i.Spec.HookAnswers = list
				return fmt.Sprintf("%s of %s: heartbeat %d, its time begins anew.", args[1], i.Name, n), err
			})
		}),
	}
}

// answerHook writes what is said to a hook, over the very record that was read,
// so that two programs that answer at once both are heard.
func (c *call) answerHook(args []string, not string, change func(*v1alpha1.Instance) (said string, err error)) error {
	var i *v1alpha1.Instance
	said := ""
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		if i, err = c.getInstance(args[0]); err != nil {
			return err
		}
		base := i.DeepCopy()
		if said, err = change(i); err != nil || slices.Equal(base.Spec.HookAnswers, i.Spec.HookAnswers) {
			return err
		}
		return c.Patch(c.ctx, i, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}), fieldOwner)
	})
	if err != nil {
		return apiError(err, fmt.Sprintf("%s of %s %s", args[1], args[0], not))
	}
	c.say("%s", said)
	for _, h := range view.HooksOf(i) {
		if h.Name == args[1] && c.machine() {
			return c.emit(result{views: []any{h}, raws: []client.Object{i}})
		}
	}
	return nil
}

// hookArgs takes an instance and one of its hooks.
func hookArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 2 {
		return nil
	}
	return badInput("nothing was done", fmt.Sprintf("this command takes an instance and a hook; %d were given", len(args)),
		"`poolkeeper hook list` shows what waits", fmt.Sprintf("`%s --help`", cmd.CommandPath()))
}

// completeHook gives a shell the instances, then the hooks that hold the one
// that was chosen.
func (a *app) completeHook(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return a.complete(instances, 1)(cmd, args, typed)
	}
	return a.offer(func(c *call, args []string) (names []string, err error) {
		i, err := c.getInstance(args[0])
		for _, h := range view.Held(i) {
			names = append(names, h.Name)
		}
		return names, err
	})(cmd, args, typed)
}
