package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/view"
	"github.com/poolkeeper/poolkeeper/internal/view/preview"
)

// fieldOwner is the name that our writes carry.
const fieldOwner = client.FieldOwner("poolkeeper-cli")

// mostNodes is the most that any pool may expect. Unit: nodes.
const mostNodes = 10000

const scaleHelp = `Set the expected number of nodes of a pool.

Scaling out starts at once. Scaling in says what it does first; on a terminal it
asks (--yes answers), elsewhere it goes on, so that scripts need no flag.

--wait follows the task of this very change until it is done (exit 0), has
failed or the pool is held (exit 5), or --timeout has passed (exit 6). Ctrl-C
stops watching, not the work (exit 130). If a newer request takes the place of
this one, that is said and the newer one is followed; the exit code is 7 then,
unless it asked for the same number.`

// scaleFlags are the flags of `pool scale`.
type scaleFlags struct {
	nodes       int64
	dryRun, yes bool
	waitFlags
}

// waitFlags are the flags of every act that can be followed.
type waitFlags struct {
	wait    bool
	timeout time.Duration
}

func (w *waitFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.wait, "wait", false, "follow the task until it ends")
	cmd.Flags().DurationVar(&w.timeout, "timeout", time.Hour, "how long to --wait; the work goes on after it")
}

func (a *app) poolScale() *cobra.Command {
	var f scaleFlags
	cmd := &cobra.Command{
		Use: "scale POOL --expected-nodes N", Short: "Set the expected number of nodes", Long: scaleHelp,
		Example: "  poolkeeper pool scale demo --expected-nodes 8 --wait\n  poolkeeper pool scale demo --expected-nodes 3 --dry-run\n  poolkeeper pool scale demo --expected-nodes 3 --wait --timeout 10m --yes",
		Args:    oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		RunE: a.run(func(c *call, args []string) error {
			if !c.cmd.Flags().Changed("expected-nodes") {
				return badInput(args[0]+" was not changed", "no number was given", fmt.Sprintf("`poolkeeper pool scale %s --expected-nodes N`", args[0]))
			}
			return c.scale(args[0], f)
		}),
	}
	cmd.Flags().Int64Var(&f.nodes, "expected-nodes", 0, "how many nodes the pool is to have")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would be done, change nothing")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	f.add(cmd)
	return cmd
}

func (c *call) scale(name string, f scaleFlags) error {
	p, err := c.getPool(name)
	if err != nil {
		return err
	}
	if err := checkBounds(p, f.nodes); err != nil {
		return err
	}
	from, to := p.Spec.ExpectedNodes, int32(f.nodes)
	if from == to {
		c.say("%s expects %d nodes already. Nothing was changed.", name, to)
		return c.afterScale(p, from, f)
	}
	if f.dryRun {
		return c.tryScale(p, to)
	}
	if to < from && !c.machine() {
		plan, err := c.plan(p, to)
		if err != nil {
			return err
		}
		c.say("%s", strings.TrimSuffix(plan.Text(), "\n"))
	}
	if to < from && c.interactive() && !f.yes {
		if err := c.ask(fmt.Sprintf("Reduce %s by %s? [y/N]", name, plural(int(from-to), "node")), "y"); err != nil {
			return err
		}
	}
	if p, err = c.writeNumber(p, to, false); err != nil {
		return err
	}
	return c.afterScale(p, from, f)
}

// checkBounds refuses a number before anything is sent.
func checkBounds(p *v1alpha1.NodePool, n int64) error {
	what := fmt.Sprintf("%s stays at %d nodes: %d was not accepted", p.Name, p.Spec.ExpectedNodes, n)
	switch s := p.Spec; {
	case !p.DeletionTimestamp.IsZero():
		return &Error{Code: ExitNotAllowed, What: what, Cause: "the pool is being deleted", Next: []string{"create another: `poolkeeper pool create --help`"}}
	case n < 0:
		return badInput(what, "a number of nodes is 0 or more", fmt.Sprintf("ask for at least %d", s.MinNodes))
	case n > mostNodes:
		return badInput(what, fmt.Sprintf("no pool can have more than %d nodes", mostNodes), fmt.Sprintf("ask for at most %d, its max", s.MaxNodes))
	case n > int64(s.MaxNodes):
		return badInput(what, fmt.Sprintf("expected nodes %d is above max %d", n, s.MaxNodes),
			fmt.Sprintf("ask for at most %d, or `poolkeeper pool edit %s --max-nodes %d`", s.MaxNodes, p.Name, n))
	case n < int64(s.MinNodes):
		return badInput(what, fmt.Sprintf("expected nodes %d is below min %d", n, s.MinNodes),
			fmt.Sprintf("ask for at least %d, or `poolkeeper pool edit %s --min-nodes %d`", s.MinNodes, p.Name, n))
	}
	return nil
}

// afterScale says what was accepted and follows it where that was asked for.
func (c *call) afterScale(p *v1alpha1.NodePool, from int32, f scaleFlags) error {
	if f.dryRun {
		return nil
	}
	changed, task := from != p.Spec.ExpectedNodes, scaleTask(p)
	if !changed {
		task = c.runningTask(p)
	}
	if f.wait {
		h := follow{call: c, pool: p.Name, poolUID: p.UID, task: task, changed: changed, generation: p.Generation, from: from, wanted: p.Spec.ExpectedNodes, timeout: f.timeout}
		return h.run()
	}
	if changed {
		c.say("Accepted: %s %d -> %d, task %s", p.Name, from, p.Spec.ExpectedNodes, task)
		c.hint("Follow it: poolkeeper task watch %s", task)
	}
	return c.emitIfMachine(p)
}

// runningTask is the pool's newest scale task, if it still runs.
func (c *call) runningTask(p *v1alpha1.NodePool) string {
	var t v1alpha1.ClusterTask
	if p.Status.Task == "" || c.Get(c.ctx, client.ObjectKey{Name: p.Status.Task}, &t) != nil || view.TaskEnded(t.Status.State) {
		return ""
	}
	return t.Name
}

// emitIfMachine writes a pool where a program reads the output.
func (c *call) emitIfMachine(p *v1alpha1.NodePool) error {
	if !c.machine() {
		return nil
	}
	return c.emitPool(p, nil)
}

// scaleTask is the name of the task that the engine makes for a changed number.
func scaleTask(p *v1alpha1.NodePool) string {
	return fmt.Sprintf("%s-g%d", taskPrefix(p), p.Generation)
}

// taskPrefix begins the names of the tasks that the engine makes for a pool.
func taskPrefix(p *v1alpha1.NodePool) string {
	uid := strings.ReplaceAll(string(p.UID), "-", "")
	return p.Name + "-" + uid[:min(6, len(uid))]
}

// tryScale shows what a change would do and lets the server check it, without
// making it.
func (c *call) tryScale(p *v1alpha1.NodePool, to int32) error {
	plan, err := c.plan(p, to)
	if err != nil {
		return err
	}
	if _, err := c.writeNumber(p, to, true); err != nil {
		return err
	}
	if err := c.emit(result{views: []any{plan}, raws: []client.Object{p}, text: plan.Text()}); err != nil {
		return err
	}
	c.say("Nothing was changed.")
	c.hint("Do it: poolkeeper pool scale %s --expected-nodes %d", p.Name, to)
	return nil
}

// writeNumber writes the expected number on the pool that was read; where a
// person may only scale, through the scale subresource.
func (c *call) writeNumber(p *v1alpha1.NodePool, to int32, dry bool) (*v1alpha1.NodePool, error) {
	opts := []client.PatchOption{fieldOwner}
	if dry {
		opts = append(opts, client.DryRunAll)
	}
	changed, err := c.patchPool(p, func(p *v1alpha1.NodePool) { p.Spec.ExpectedNodes = to }, opts...)
	if apierrors.IsForbidden(err) && forbidden(&Error{Cause: statusText(err)}, err).Next != nil {
		return c.writeScale(p, to, dry, err)
	}
	if err != nil {
		return nil, apiError(err, fmt.Sprintf("%s stays at %d nodes: %d was not accepted", p.Name, p.Spec.ExpectedNodes, to))
	}
	return changed, nil
}

// writeScale writes the number through the scale subresource, then reads the
// pool to learn the generation of the change.
func (c *call) writeScale(p *v1alpha1.NodePool, to int32, dry bool, first error) (*v1alpha1.NodePool, error) {
	body := fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"spec":{"replicas":%d}}`, p.ResourceVersion, to)
	opts := []client.SubResourcePatchOption{client.WithSubResourceBody(&autoscalingv1.Scale{}), fieldOwner}
	if dry {
		opts = append(opts, client.DryRunAll)
	}
	err := c.SubResource("scale").Patch(c.ctx, p.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(body)), opts...)
	if err != nil {
		if apierrors.IsForbidden(err) {
			err = errors.Join(err, first)
		}
		return nil, apiError(err, "you may not scale "+p.Name)
	}
	if dry {
		return p, nil
	}
	return c.getPool(p.Name)
}

// patchPool changes a pool as it was read. If only its status moved meanwhile,
// it is read again and the change repeated; if its spec did, nothing is sent.
func (c *call) patchPool(p *v1alpha1.NodePool, change func(*v1alpha1.NodePool), opts ...client.PatchOption) (*v1alpha1.NodePool, error) {
	base := p
	for range 10 {
		next := base.DeepCopy()
		change(next)
		err := c.Patch(c.ctx, next, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}), opts...)
		if err == nil || !apierrors.IsConflict(err) {
			return next, err
		}
		if base, err = c.getPool(p.Name); err != nil {
			return nil, err
		}
		if base.Generation != p.Generation || base.UID != p.UID {
			return nil, &Error{
				Code: ExitConflict, What: "nothing was sent: " + p.Name + " was changed meanwhile",
				Cause: fmt.Sprintf("it expects %d nodes now", base.Spec.ExpectedNodes),
				Next:  []string{fmt.Sprintf("look again: `poolkeeper pool get %s`", p.Name)},
			}
		}
	}
	return nil, &Error{Code: ExitConflict, What: "nothing was sent: " + p.Name + " changes too fast", Cause: "ten tries met ten newer versions", Next: []string{"try again in a moment"}}
}

// plan says what a change of the number means, before it is made.
func (c *call) plan(p *v1alpha1.NodePool, to int32) (preview.Plan, error) {
	g, err := c.groupOf(p)
	if err != nil {
		return preview.Plan{}, err
	}
	var list v1alpha1.InstanceList
	if err := c.List(c.ctx, &list); err != nil {
		return preview.Plan{}, apiError(err, "cannot list instances")
	}
	return preview.New(p, g, list.Items, to, c.clock.Now), nil
}
