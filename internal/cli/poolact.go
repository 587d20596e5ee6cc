package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/view/preview"
)

func (a *app) poolProtect(on bool) *cobra.Command {
	use, short, done := "protect", "Refuse to delete a pool that has instances", "protected from deletion"
	if !on {
		use, short, done = "unprotect", "Let a pool be deleted with its instances", "no longer protected from deletion"
	}
	return &cobra.Command{
		Use: use + " POOL", Short: short, Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Example: fmt.Sprintf("  poolkeeper pool %s demo", use),
		RunE: a.run(func(c *call, args []string) error {
			p, err := c.getPool(args[0])
			if err != nil {
				return err
			}
			p, err = c.patchPool(p, func(p *v1alpha1.NodePool) { p.Spec.DeletionProtection = &on }, nil, fieldOwner)
			if err != nil {
				return apiError(err, args[0]+" was not changed")
			}
			c.say("%s is %s.", p.Name, done)
			return c.emitIfMachine(p)
		}),
	}
}

const deleteHelp = `Delete a pool, its pay-as-you-go and spot instances and its nodes.

Subscription and hand-added instances are kept: they lose our tags and go on
running. On a terminal the pool's name has to be typed; elsewhere --yes is
needed. A pool that is protected from deletion and has instances is refused.`

func (a *app) poolDelete() *cobra.Command {
	var yes, dryRun bool
	var w waitFlags
	cmd := &cobra.Command{
		Use: "delete POOL", Short: "Delete a pool with its instances", Long: deleteHelp, Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Example: "  poolkeeper pool unprotect demo\n  poolkeeper pool delete demo --wait\n  poolkeeper pool delete demo --yes --wait --timeout 20m",
		RunE: a.run(func(c *call, args []string) error {
			p, err := c.getPool(args[0])
			if err != nil {
				return err
			}
			if err := c.mayDelete(p); err != nil {
				return err
			}
			counts := p.Status.Counts
			kept := counts.Subscription + counts.Attached
			c.say("Delete %s: up to %d instances and their disks are released; %d subscription or attached ones are kept.", p.Name, max(counts.Instances+counts.Removing-kept, 0), kept)
			if held := preview.HooksOut(p); held != "" && counts.Instances > 0 {
				c.say("%s", strings.TrimSuffix(held, "\n"))
			}
			if dryRun {
				c.say("Nothing was changed.")
				return nil
			}
			if err := c.agree(yes, fmt.Sprintf("Type the name of the pool to delete it [%s]:", p.Name), p.Name, fmt.Sprintf("poolkeeper pool delete %s", p.Name)); err != nil {
				return err
			}
			if err := c.Delete(c.ctx, p, client.Preconditions{UID: &p.UID}); err != nil {
				return apiError(err, p.Name+" was not deleted")
			}
			c.say("Accepted: %s is being deleted.", p.Name)
			if !w.wait {
				return nil
			}
			f := follow{call: c, pool: p.Name, poolUID: p.UID, task: taskPrefix(p) + "-delete", deleting: true, timeout: w.timeout}
			return f.run()
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be done, change nothing")
	w.add(cmd)
	return cmd
}

// mayDelete refuses to delete a protected pool that has instances, as the
// cluster would.
func (c *call) mayDelete(p *v1alpha1.NodePool) error {
	protected := p.Spec.DeletionProtection == nil || *p.Spec.DeletionProtection
	n := p.Status.Counts.Instances + p.Status.Counts.Removing
	if !protected || n == 0 {
		return nil
	}
	return &Error{
		Code: ExitNotAllowed, What: p.Name + " was not deleted",
		Cause: "it is protected from deletion and has " + plural(int(n), "instance"),
		Next: []string{
			fmt.Sprintf("`poolkeeper pool unprotect %s`, then delete it", p.Name),
			fmt.Sprintf("or empty it first: `poolkeeper pool scale %s --expected-nodes 0 --wait`", p.Name),
		},
	}
}

// agree asks before something that cannot be taken back: on a terminal for a
// word, elsewhere for --yes.
func (c *call) agree(yes bool, question, want, command string) error {
	switch {
	case yes:
		return nil
	case c.interactive():
		return c.ask(question, want)
	}
	return badInput("nothing was changed", "this may take something away for good, and nobody can be asked here", fmt.Sprintf("`%s --yes`", command))
}

func (a *app) poolAdopt() *cobra.Command {
	var w waitFlags
	var all bool
	cmd := &cobra.Command{
		Use: "adopt POOL --all", Short: "Count every instance of unknown origin as the pool's own", Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Long:    "Count every instance that carries the tags of this pool, and that no decision of ours\nexplains, as the pool's own. This is what one does after a loss of etcd. Those beyond\nthe expected number are then released.",
		Example: "  poolkeeper instance list --pool demo\n  poolkeeper pool adopt demo --all",
		RunE: a.run(func(c *call, args []string) error {
			if !all {
				return badInput("nothing was adopted", "this speaks of every instance of unknown origin", fmt.Sprintf("`poolkeeper pool adopt %s --all`", args[0]), "single ones: `poolkeeper instance adopt INSTANCE`")
			}
			p, err := c.getPool(args[0])
			if err != nil {
				return err
			}
			return c.request(p, v1alpha1.ClusterTaskSpec{Type: v1alpha1.TaskAdopt, Title: "Adopt all unknown instances into " + p.Name, All: true}, w)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "every instance of unknown origin")
	w.addDry(cmd)
	return cmd
}

// request writes a task and follows it where that was asked for.
func (c *call) request(p *v1alpha1.NodePool, spec v1alpha1.ClusterTaskSpec, w waitFlags) error {
	t, err := c.askFor(p, spec, w)
	if err != nil {
		return err
	}
	if w.dry {
		c.say("%s would be accepted. Nothing was changed.", t.Spec.Title)
		return nil
	}
	if !w.wait {
		c.accepted(t)
		return c.emitTask(t)
	}
	return c.followTask(p, t, w)
}

// askFor writes a task, or lets the cluster check it only.
func (c *call) askFor(p *v1alpha1.NodePool, spec v1alpha1.ClusterTaskSpec, w waitFlags) (*v1alpha1.ClusterTask, error) {
	spec.Pool, spec.PoolUID, spec.PoolGeneration = p.Name, string(p.UID), p.Generation
	t := &v1alpha1.ClusterTask{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: fmt.Sprintf("%s-%s-", p.Name, taskWords[spec.Type]),
			Labels:       map[string]string{v1alpha1.LabelPool: p.Name},
		},
		Spec: spec,
	}
	opts := []client.CreateOption{fieldOwner}
	if w.dry {
		opts = append(opts, client.DryRunAll)
	}
	if err := c.Create(c.ctx, t, opts...); err != nil {
		return nil, apiError(err, spec.Title+" was not accepted")
	}
	return t, nil
}

func (c *call) accepted(t *v1alpha1.ClusterTask) {
	c.say("Accepted: %s. Task %s.", t.Spec.Title, t.Name)
	c.hint("Follow it: poolkeeper task watch %s", t.Name)
}

func (c *call) followTask(p *v1alpha1.NodePool, t *v1alpha1.ClusterTask, w waitFlags) error {
	f := follow{call: c, pool: p.Name, poolUID: p.UID, task: t.Name, timeout: w.timeout}
	return f.run()
}

// taskWords are the parts of task names that tell their type.
var taskWords = map[v1alpha1.TaskType]string{
	v1alpha1.TaskRemove: "remove", v1alpha1.TaskAttach: "attach", v1alpha1.TaskRejoin: "rejoin", v1alpha1.TaskForget: "forget",
	v1alpha1.TaskAdopt: "adopt", v1alpha1.TaskDisown: "disown", v1alpha1.TaskResume: "resume",
	v1alpha1.TaskRebalance: "rebalance", v1alpha1.TaskThaw: "thaw", v1alpha1.TaskConvert: "convert", v1alpha1.TaskRenew: "renew",
}
