package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/given"
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

--dry-run shows the plan: which instances would be created or released, where and
as what, what blocks it, and the price before and after. Each plan has a name;
--plan NAME carries out that very plan, and sends nothing where the world has
moved so that another would be made (exit 7).

--wait follows the task of this very change until it is done (exit 0), has
failed or the pool is held (exit 5), or --timeout has passed (exit 6). Ctrl-C
stops watching, not the work (exit 130). If a newer request takes the place of
this one, that is said and the newer one is followed; the exit code is 7 then,
unless it asked for the same number.`

// scaleFlags are the flags of `pool scale`.
type scaleFlags struct {
	nodes       int64
	plan        string
	dryRun, yes bool
	waitFlags
}

// waitFlags are the flags of every act that can be followed.
type waitFlags struct {
	wait    bool
	timeout time.Duration
	// dry only lets the cluster check the task.
	dry bool
}

func (w *waitFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.wait, "wait", false, "follow the task until it ends")
	given.Wait(cmd.Flags(), &w.timeout, "timeout", time.Hour, "how long to --wait; the work goes on after it")
}

// addDry adds --dry-run too, for an act whose preview is that the cluster would
// take it.
func (w *waitFlags) addDry(cmd *cobra.Command) {
	w.add(cmd)
	cmd.Flags().BoolVar(&w.dry, "dry-run", false, "let the cluster check it, change nothing")
}

func (a *app) poolScale() *cobra.Command {
	var f scaleFlags
	cmd := &cobra.Command{
		Use: "scale POOL --expected-nodes N", Short: "Set the expected number of nodes", Long: scaleHelp,
		Example: "  poolkeeper pool scale demo --expected-nodes 8 --wait\n  poolkeeper pool scale demo --expected-nodes 3 --dry-run\n  poolkeeper pool scale demo --expected-nodes 3 --plan 5f1c9e\n  poolkeeper pool scale demo --expected-nodes 3 --wait --timeout 10m --yes",
		Args:    scaleArgs, ValidArgsFunction: a.complete(pools, 1),
		RunE: a.run(func(c *call, args []string) error {
			if !c.cmd.Flags().Changed("expected-nodes") {
				return badInput(args[0]+" was not changed", "no number was given", fmt.Sprintf("`poolkeeper pool scale %s --expected-nodes N`", args[0]))
			}
			if f.plan != "" && f.dryRun {
				return badInput(args[0]+" was not changed", "--dry-run makes a plan, --plan carries one out: only one of both", "`poolkeeper pool scale --help`")
			}
			return c.scale(args[0], f)
		}),
	}
	cmd.Flags().Int64Var(&f.nodes, "expected-nodes", 0, "how many nodes the pool is to have")
	cmd.Flags().StringVar(&f.plan, "plan", "", "do it only if it is still this `plan`, as --dry-run named it; asks nothing")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would be done, change nothing")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	f.add(cmd)
	return cmd
}

// scaleArgs takes one pool. A number beside it was meant as the flag.
func scaleArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 2 {
		if n, err := strconv.Atoi(args[1]); err == nil {
			return badInput(args[0]+" was not changed", "the number is given by --expected-nodes",
				fmt.Sprintf("did you mean `%s %s --expected-nodes %d`?", cmd.CommandPath(), args[0], n))
		}
	}
	return oneArg("pool")(cmd, args)
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
	if from == to && f.plan == "" {
		c.say("%s expects %s already. Nothing was changed.", name, plural(int(to), "node"))
		return c.afterScale(p, from, f)
	}
	c.warnDrain(p)
	if f.dryRun {
		return c.tryScale(p, to)
	}
	if f.plan == "" && to < from {
		if f.plan, err = c.showScaleIn(p, to, f.yes); err != nil {
			return err
		}
	}
	still := c.stillPlan(f.plan, to)
	if err := still(p); err != nil {
		return err
	}
	if p, err = c.writeNumber(p, to, false, still); err != nil {
		return err
	}
	return c.afterScale(p, from, f)
}

// showScaleIn shows what scaling in does and asks where a person can answer;
// the plan that was agreed to is returned.
func (c *call) showScaleIn(p *v1alpha1.NodePool, to int32, yes bool) (string, error) {
	if c.machine() {
		return "", nil
	}
	plan, err := c.plan(p, preview.Ask{To: to})
	if err != nil {
		return "", err
	}
	c.say("%s", strings.TrimSuffix(joinLines(plan.Text(), plan.PriceText()), "\n"))
	if yes || !c.interactive() {
		return "", nil
	}
	return plan.Hash, c.ask(plan.Question(), "y")
}

// stillPlan makes the check that a pool, as it was read last, still comes to
// the plan that was agreed to. Without one everything is agreed to.
func (c *call) stillPlan(agreed string, to int32) func(*v1alpha1.NodePool) error {
	return func(p *v1alpha1.NodePool) error {
		if agreed == "" {
			return nil
		}
		now, err := c.plan(p, preview.Ask{To: to})
		if err != nil || strings.EqualFold(now.Hash, agreed) {
			return err
		}
		return &Error{
			Code: ExitConflict, What: fmt.Sprintf("nothing was sent: plan %s is out of date", agreed),
			Cause: "it would now be " + now.Brief(),
			Next:  []string{fmt.Sprintf("look again: `poolkeeper pool scale %s --expected-nodes %d --dry-run`", p.Name, to)},
		}
	}
}

func joinLines(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p != "" {
			b.WriteString(strings.TrimSuffix(p, "\n") + "\n")
		}
	}
	return b.String()
}

// checkBounds refuses a number before anything is sent.
func checkBounds(p *v1alpha1.NodePool, n int64) error {
	what := fmt.Sprintf("%s stays at %s: %d was not accepted", p.Name, plural(int(p.Spec.ExpectedNodes), "node"), n)
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
	plan, err := c.plan(p, preview.Ask{To: to})
	if err != nil {
		return err
	}
	if _, err := c.writeNumber(p, to, true, nil); err != nil {
		return err
	}
	if err := c.emitPlan(plan, plan.Text(), p); err != nil {
		return err
	}
	c.hint("Do it: poolkeeper pool scale %s --expected-nodes %d --plan %s", p.Name, to, plan.Hash)
	return nil
}

// emitPlan writes a plan that is not carried out.
func (c *call) emitPlan(plan preview.Plan, text string, p *v1alpha1.NodePool) error {
	end := "Nothing was changed."
	if t := plan.PriceText(); t != "" {
		end = t + ". " + end
	}
	return c.emit(result{views: []any{plan}, raws: []client.Object{p}, text: joinLines(text, end)})
}

// plan says what a wish means, before it is made.
func (c *call) plan(p *v1alpha1.NodePool, ask preview.Ask) (preview.Plan, error) {
	g, err := c.groupOf(p)
	if err != nil {
		return preview.Plan{}, err
	}
	return c.planWith(p, g, ask)
}

// planWith is the same for a group as it was read, or as it would be. The
// activities are read before the instances, as the engine does; those of other
// groups only where the installation has ceilings.
func (c *call) planWith(p *v1alpha1.NodePool, g *v1alpha1.ScalingGroup, ask preview.Ask) (preview.Plan, error) {
	w := preview.World{Pool: p, Group: g, Now: c.Now()}
	if g != nil {
		var mine []client.ListOption
		if g.Status.Installation == nil {
			mine = append(mine, client.MatchingLabels{v1alpha1.LabelGroup: g.Name})
		} else if err := c.List(c.ctx, &w.Groups); err != nil {
			return preview.Plan{}, apiError(err, "cannot list scaling groups")
		}
		if err := c.List(c.ctx, &w.Activities, mine...); err != nil {
			return preview.Plan{}, apiError(err, "cannot list activities")
		}
	}
	if err := c.List(c.ctx, &w.Instances); err != nil {
		return preview.Plan{}, apiError(err, "cannot list instances")
	}
	return preview.New(w, ask), nil
}
