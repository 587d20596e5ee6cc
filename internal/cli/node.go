package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/view"
	"github.com/poolkeeper/poolkeeper/internal/view/preview"
)

func (a *app) nodeCommand() *cobra.Command {
	cmd := Noun("node", "Nodes of pools, each with its instance", a.nodeList(), a.nodeGet(), a.nodeRemove(), a.nodeAttach(), a.nodeJoinCommand(), a.nodeRejoin(), a.nodeForget())
	cmd.Aliases = []string{"nodes"}
	return cmd
}

func (a *app) nodeList() *cobra.Command {
	var f instanceFilter
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the nodes of pools, those with a problem first", Args: noArgs,
		Example: "  poolkeeper node list --pool demo\n  poolkeeper node list --pool demo --state failed,unknown",
		RunE:    a.run(func(c *call, _ []string) error { return c.listInstances(f, view.NodeTable) }),
	}
	f.add(a, cmd)
	return cmd
}

func (a *app) nodeGet() *cobra.Command {
	return &cobra.Command{
		Use: "get NODE", Short: "Show one node with its instance", Args: oneArg("node"), ValidArgsFunction: a.complete(nodes, 1),
		Example: "  poolkeeper node get i-bp1a2b3c",
		RunE:    a.run(func(c *call, args []string) error { return c.showInstance(nodes, args[0]) }),
	}
}

const removeHelp = `Take named nodes out of the cluster: drain, remove, and with --release release.

Nodes and instances share their names; a node whose Node object is gone can be
named too. The expected number goes down by as many, unless --keep-expected, with
which they are replaced. A drain that does not end within --drain-timeout stops
the rest: its node stays, cordoned. Subscription and attached instances are never
released, only taken out. On a terminal it asks; elsewhere --release needs --yes.`

// mostNamed is how many instances one task may name.
const mostNamed = 500

// removeFlags are the flags of `node remove`.
type removeFlags struct {
	drain, release, keep, yes, dryRun bool
	limit                             time.Duration
	concurrency                       int32
	waitFlags
}

func (a *app) nodeRemove() *cobra.Command {
	var f removeFlags
	cmd := &cobra.Command{
		Use: "remove NODE|INSTANCE...", Short: "Take named nodes out of their pool", Long: removeHelp,
		Args: someArgs("node"), ValidArgsFunction: a.complete(nodes, 0),
		Example: "  poolkeeper node remove i-bp1a2b3c --release --wait\n  poolkeeper node remove i-1 i-2 --drain=false --keep-expected --release --yes",
		RunE: a.run(func(c *call, args []string) error {
			list, p, err := c.ofOnePool(args)
			if err != nil {
				return err
			}
			return c.removeNodes(list, p, f)
		}),
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.release, "release", false, "release the instances with their disks; else they go on running")
	fl.BoolVar(&f.keep, "keep-expected", false, "keep the expected number, so that they are replaced")
	fl.Int32Var(&f.concurrency, "concurrency", 1, "how many at once, 1 to 100")
	f.addCommon(cmd)
	return cmd
}

// addCommon adds the flags of every way to take instances out.
func (f *removeFlags) addCommon(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&f.drain, "drain", true, "evict pods first, respecting disruption budgets")
	fl.DurationVar(&f.limit, "drain-timeout", 30*time.Minute, "how long each drain may take")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	fl.BoolVar(&f.dryRun, "dry-run", false, "show what would be done, change nothing")
	f.add(cmd)
}

func (c *call) removeNodes(list []*v1alpha1.Instance, p *v1alpha1.NodePool, f removeFlags) error {
	spec, err := removeSpec(list, p, f)
	if err != nil {
		return err
	}
	plan, err := c.plan(p, removal(spec, p))
	if err != nil {
		return err
	}
	plan.Drain = "" // told node by node
	text := joinLines(removeHead(len(list), p, f), plan.Lines(), c.drains(list, f))
	if f.dryRun {
		return c.emitPlan(plan, text, p)
	}
	c.say("%s", strings.TrimSuffix(joinLines(text, plan.PriceText()), "\n"))
	n := plural(len(list), "node")
	question, again := fmt.Sprintf("Remove %s? [y/N]", n), "poolkeeper node remove "+strings.Join(spec.Instances, " ")
	if f.release {
		question, again = fmt.Sprintf("Remove and release %s? [y/N]", n), again+" --release"
	}
	if f.release || c.interactive() {
		if err := c.agree(f.yes, question, "y", again); err != nil {
			return err
		}
	}
	return c.request(p, spec, f.waitFlags)
}

// removal is what a removal wishes of the pool.
func removal(spec v1alpha1.ClusterTaskSpec, p *v1alpha1.NodePool) preview.Ask {
	ask := preview.Ask{To: p.Spec.ExpectedNodes, Out: spec.Instances, Release: spec.Release}
	if !spec.KeepExpected {
		ask.To -= int32(len(spec.Instances))
	}
	return ask
}

// removeHead says what removing means for the number.
func removeHead(n int, p *v1alpha1.NodePool, f removeFlags) string {
	expected := fmt.Sprintf("expected %d -> %d", p.Spec.ExpectedNodes, p.Spec.ExpectedNodes-int32(n))
	if f.keep {
		expected = fmt.Sprintf("expected stays %d, what goes is replaced", p.Spec.ExpectedNodes)
	}
	return fmt.Sprintf("Remove %s from %s: %s", plural(n, "node"), p.Name, expected)
}

func removeSpec(list []*v1alpha1.Instance, p *v1alpha1.NodePool, f removeFlags) (v1alpha1.ClusterTaskSpec, error) {
	spec := v1alpha1.ClusterTaskSpec{
		Type: v1alpha1.TaskRemove, Title: fmt.Sprintf("Remove %s from %s", plural(len(list), "node"), p.Name),
		Drain: v1alpha1.DrainRequired, DrainLimitSeconds: int32(f.limit.Seconds()),
		Release: f.release, KeepExpected: f.keep, Concurrency: f.concurrency,
	}
	if !f.drain {
		spec.Drain, spec.DrainLimitSeconds = v1alpha1.DrainOff, 0
	}
	for _, i := range list {
		spec.Instances = append(spec.Instances, i.Name)
	}
	for _, i := range list {
		if i.Spec.CreationType == v1alpha1.CreatedUnknown {
			return spec, badInput("nothing was removed", i.Name+" is of unknown origin: it is not in the pool, and is not counted", "take it in: `poolkeeper instance adopt "+i.Name+"`", "or let it go: `poolkeeper instance disown "+i.Name+"`")
		}
	}
	switch {
	case !p.DeletionTimestamp.IsZero():
		return spec, &Error{Code: ExitNotAllowed, What: "nothing was removed", Cause: p.Name + " is being deleted", Next: []string{fmt.Sprintf("`poolkeeper why %s`", p.Name)}}
	case len(list) > mostNamed:
		return spec, badInput("nothing was removed", fmt.Sprintf("%d were named; one task takes at most %d", len(list), mostNamed))
	case f.concurrency < 1 || f.concurrency > 100:
		return spec, badInput("nothing was removed", fmt.Sprintf("--concurrency %d is not within 1 to 100", f.concurrency))
	case f.drain && (f.limit < time.Second || f.limit > 24*time.Hour):
		return spec, badInput("nothing was removed", fmt.Sprintf("--drain-timeout %s is not within 1s to 24h", f.limit))
	case !f.keep && p.Spec.ExpectedNodes-int32(len(list)) < p.Spec.MinNodes:
		return spec, badInput("nothing was removed", fmt.Sprintf("%s would expect %s, below its min %d", p.Name, plural(int(p.Spec.ExpectedNodes)-len(list), "node"), p.Spec.MinNodes),
			"keep the number: --keep-expected", fmt.Sprintf("or `poolkeeper pool edit %s --min-nodes N`", p.Name))
	}
	return spec, nil
}

func (a *app) nodeAttach() *cobra.Command {
	var w waitFlags
	var pool string
	cmd := &cobra.Command{
		Use: "attach INSTANCE... --pool POOL", Short: "Bring existing instances into a pool", Args: someArgs("instance"),
		Long:    "Bring existing instances of the cloud into a pool. The expected number goes up by as\nmany. No disk is replaced. It prints the one command to type on each machine; one whose\nNode is in the cluster already needs none.",
		Example: "  poolkeeper node attach i-bp1a2b3c --pool demo --wait",
		RunE: a.run(func(c *call, args []string) error {
			if pool == "" {
				return badInput("nothing was attached", "no pool was named", fmt.Sprintf("`poolkeeper node attach %s --pool POOL`", strings.Join(args, " ")))
			}
			p, err := c.getPool(pool)
			if err != nil {
				return err
			}
			if n := int64(p.Spec.ExpectedNodes) + int64(len(args)); n > int64(p.Spec.MaxNodes) {
				return badInput("nothing was attached", fmt.Sprintf("%s would expect %s, above its max %d", p.Name, plural(int(n), "node"), p.Spec.MaxNodes), fmt.Sprintf("`poolkeeper pool edit %s --max-nodes %d`", p.Name, n))
			}
			title := fmt.Sprintf("Attach %s to %s", plural(len(args), "instance"), p.Name)
			return c.requestJoin(p, v1alpha1.ClusterTaskSpec{Type: v1alpha1.TaskAttach, Title: title, Instances: args}, w)
		}),
	}
	cmd.Flags().StringVar(&pool, "pool", "", "`pool` to bring them into")
	a.completePoolFlag(cmd, "pool")
	w.addDry(cmd)
	return cmd
}

func (a *app) nodeRejoin() *cobra.Command {
	return a.nodeTask(v1alpha1.TaskRejoin, &cobra.Command{
		Use: "rejoin NODE...", Short: "Let machines join again with a new key",
		Long:    "Let machines join again with a new key: their first key is forgotten, and the next\nproven request of each is approved. Their join deadline starts anew. It prints the one\ncommand to type on each machine.",
		Example: "  poolkeeper node rejoin i-bp1a2b3c --wait",
	}, "Rejoin %s of %s", nil)
}

func (a *app) nodeForget() *cobra.Command {
	return a.nodeTask(v1alpha1.TaskForget, &cobra.Command{
		Use: "forget NODE...", Short: "Delete the records of nodes that were removed",
		Long:    "Delete the records of nodes that were taken out without being released. A machine that\ncomes back under such a record is kept out; without it nobody minds it.",
		Example: "  poolkeeper node forget i-bp1a2b3c",
	}, "Forget %s of %s", func(i *v1alpha1.Instance) error {
		if i.Status.LifecycleState == v1alpha1.InstanceRemoved {
			return nil
		}
		return badInput("nothing was forgotten", fmt.Sprintf("%s was not removed: it is %s", i.Name, strings.ToLower(view.InstanceWord(i))), fmt.Sprintf("`poolkeeper node remove %s`", i.Name))
	})
}

// nodeTask makes a command that asks for a task about named nodes of one pool.
func (a *app) nodeTask(t v1alpha1.TaskType, cmd *cobra.Command, title string, check func(*v1alpha1.Instance) error) *cobra.Command {
	var w waitFlags
	cmd.Args, cmd.ValidArgsFunction = someArgs("node"), a.complete(nodes, 0)
	cmd.RunE = a.run(func(c *call, args []string) error {
		list, p, err := c.ofOnePool(args)
		if err != nil {
			return err
		}
		for _, i := range list {
			if check == nil {
				break
			}
			if err := check(i); err != nil {
				return err
			}
		}
		spec := v1alpha1.ClusterTaskSpec{Type: t, Title: fmt.Sprintf(title, plural(len(list), "node"), p.Name), Instances: args}
		if t == v1alpha1.TaskRejoin {
			return c.requestJoin(p, spec, w)
		}
		return c.request(p, spec, w)
	})
	w.addDry(cmd)
	return cmd
}
