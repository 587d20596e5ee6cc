package cli

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/given"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

func (a *app) instanceCommand() *cobra.Command {
	verbs := []*cobra.Command{a.instanceList(), a.instanceGet(), a.instanceLog()}
	for _, m := range marks {
		verbs = append(verbs, a.instanceMark(m))
	}
	verbs = append(verbs, a.instanceConvert(), a.instanceRenew(), a.instanceDetach(), a.instanceClaim(v1alpha1.TaskAdopt), a.instanceClaim(v1alpha1.TaskDisown))
	cmd := Noun("instance", "Instances: machines of the cloud that pools have", verbs...)
	cmd.Aliases = []string{"instances"}
	return cmd
}

// instanceFilter says which instances a list shows.
type instanceFilter struct {
	pool, zone, typ string
	states          []string
}

func (f *instanceFilter) add(a *app, cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.pool, "pool", "", "only those of this `pool`")
	cmd.Flags().StringVar(&f.zone, "zone", "", "only those in this `zone`")
	cmd.Flags().StringVar(&f.typ, "type", "", "only those of this instance `type`")
	cmd.Flags().StringSliceVar(&f.states, "state", nil, "only those in one of these `states`, such as failed,unknown,in-service")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(view.InstanceStates, cobra.ShellCompDirectiveNoFileComp))
	a.completePoolFlag(cmd, "pool")
}

// choose picks instances and puts them in order; all is how many there are
// before the filter's states.
func (c *call) choose(f instanceFilter) (views []view.Instance, raws []client.Object, all int, err error) {
	var list v1alpha1.InstanceList
	if err := c.List(c.ctx, &list); err != nil {
		return nil, nil, 0, apiError(err, "cannot list instances")
	}
	byName := map[string]*v1alpha1.Instance{}
	for k := range list.Items {
		i := &list.Items[k]
		p := i.Spec.Placement
		if (f.pool != "" && i.Spec.Pool != f.pool) || (f.zone != "" && p.Zone != f.zone) || (f.typ != "" && p.InstanceType != f.typ) {
			continue
		}
		all++
		if v := view.NewInstance(i, c.clock); v.Matches(f.states) {
			byName[i.Name] = i
			views = append(views, v)
		}
	}
	view.SortInstances(views)
	for _, v := range views {
		raws = append(raws, byName[v.Name])
	}
	return views, raws, all, nil
}

func (a *app) instanceList() *cobra.Command {
	var f instanceFilter
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List instances, those with a problem first", Args: noArgs,
		Example: "  poolkeeper instance list --pool demo\n  poolkeeper instance list --state failed,unknown -o wide",
		RunE: a.run(func(c *call, _ []string) error {
			return c.listInstances(f, view.InstanceTable)
		}),
	}
	f.add(a, cmd)
	return cmd
}

// listInstances writes a list of instances under one of the two tables.
func (c *call) listInstances(f instanceFilter, table func([]view.Instance, view.Clock) view.Table) error {
	if err := given.States(f.states, view.InstanceStates); err != nil {
		return err
	}
	views, raws, all, err := c.choose(f)
	if err == nil {
		err = c.mayBeEmpty(f.pool, all)
	}
	if err != nil {
		return err
	}
	r := result{list: true, raws: raws, table: table(views, c.clock)}
	for _, v := range views {
		r.views = append(r.views, v)
	}
	if err := c.emit(r); err != nil {
		return err
	}
	if len(views) < all {
		c.hint("%d of %d.", len(views), all)
	}
	if len(views) == 0 {
		c.hint("None matches.")
		if all == 0 && f.zone+f.typ != "" {
			c.hint("What zones and types there are: poolkeeper node list, poolkeeper offer list")
		}
	} else if v := views[0]; v.NodeState == string(v1alpha1.NodeFailed) || v.NodeState == string(v1alpha1.NodeUnknown) {
		c.hint("Why: poolkeeper why %s", v.Name)
	}
	return nil
}

// mayBeEmpty refuses a list that is empty because its pool is not there.
func (c *call) mayBeEmpty(pool string, n int) error {
	if n > 0 || pool == "" {
		return nil
	}
	_, err := c.getPool(pool)
	return err
}

func (c *call) getInstance(name string) (*v1alpha1.Instance, error) {
	i := &v1alpha1.Instance{}
	return i, c.get(instances, name, i)
}

func (a *app) instanceGet() *cobra.Command {
	return &cobra.Command{
		Use: "get INSTANCE", Short: "Show one instance", Args: oneArg("instance"), ValidArgsFunction: a.complete(instances, 1),
		Example: "  poolkeeper instance get i-bp1a2b3c",
		RunE:    a.run(func(c *call, args []string) error { return c.showInstance(instances, args[0]) }),
	}
}

func (c *call) showInstance(k kind, name string) error {
	i := &v1alpha1.Instance{}
	if err := c.get(k, name, i); err != nil {
		return err
	}
	v := view.NewInstance(i, c.clock)
	return c.emit(result{views: []any{v}, raws: []client.Object{i}, text: v.Describe(c.clock, c.color)})
}

func (a *app) instanceLog() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "log INSTANCE", Short: "Show the join log of an instance", Args: oneArg("instance"), ValidArgsFunction: a.complete(instances, 1),
		Long:    "Show the end of the join log that the controller read from the machine's console,\nredacted. With --all what tasks keep of it too, also where the instance is gone.",
		Example: "  poolkeeper instance log i-bp1a2b3c\n  poolkeeper instance log i-bp1a2b3c --all",
		RunE: a.run(func(c *call, args []string) error {
			return c.instanceLog(args[0], all)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "with what tasks keep of it")
	return cmd
}

func (c *call) instanceLog(name string, all bool) error {
	i, err := c.getInstance(name)
	if err != nil && !all {
		return err
	}
	logs := map[string]string{}
	if err == nil && i.Status.Log != "" {
		logs["instance "+name] = i.Status.Log
	}
	if all {
		var list v1alpha1.ClusterTaskList
		if err := c.List(c.ctx, &list); err != nil {
			return apiError(err, "cannot list tasks")
		}
		for _, t := range list.Items {
			for _, cause := range t.Status.Causes {
				if cause.Instance == name && cause.Log != "" {
					logs["task "+t.Name] = cause.Log
				}
			}
		}
		if err != nil && len(logs) == 0 {
			return err
		}
	}
	if len(logs) == 0 {
		c.hint("No log of %s was read. It is read when a machine is late or has failed.", name)
		return nil
	}
	return c.writeLogs(logs)
}

func (c *call) writeLogs(logs map[string]string) error {
	var from []string
	for k := range logs {
		from = append(from, k)
	}
	sort.Strings(from)
	for _, k := range from {
		if len(from) > 1 {
			fmt.Fprintf(c.Out, "== %s ==\n", k)
		}
		fmt.Fprintln(c.Out, strings.TrimRight(view.Printable(logs[k]), "\n"))
	}
	return nil
}

// mark is a wish about one instance that is one field of its spec.
type mark struct {
	use, short, done string
	undo             bool
	set              func(s *v1alpha1.InstanceSpec, on bool)
}

// marks are the wishes that a person sets on instances.
var marks = []mark{
	{"protect", "Keep instances from being released by scaling in", "protected", false, func(s *v1alpha1.InstanceSpec, on bool) { s.Protected = on }},
	{"unprotect", "Let scaling in release instances again", "no longer protected", false, func(s *v1alpha1.InstanceSpec, on bool) { s.Protected = !on }},
	{"standby", "Take instances out of service; they stay counted and are kept", "on standby", false, func(s *v1alpha1.InstanceSpec, on bool) { s.Standby = on }},
	{"in-service", "Put instances on standby back into service", "to be in service again", false, func(s *v1alpha1.InstanceSpec, on bool) { s.Standby = !on }},
	{"release-first", "Let scaling in pick instances before all others", "released first", true, func(s *v1alpha1.InstanceSpec, on bool) { s.ReleaseFirst = on }},
}

func (a *app) instanceMark(m mark) *cobra.Command {
	var undo bool
	cmd := &cobra.Command{
		Use: m.use + " INSTANCE...", Short: m.short, Args: someArgs("instance"), ValidArgsFunction: a.complete(instances, 0),
		Example: fmt.Sprintf("  poolkeeper instance %s i-bp1a2b3c", m.use),
		RunE: a.run(func(c *call, args []string) error {
			list, err := c.allInstances(args)
			if err != nil {
				return err
			}
			for _, i := range list {
				base := i.DeepCopy()
				m.set(&i.Spec, !undo)
				if err := c.Patch(c.ctx, i, client.MergeFrom(base), fieldOwner); err != nil {
					return apiError(err, i.Name+" was not changed")
				}
				if undo {
					c.say("%s is no longer %s.", i.Name, m.done)
				} else {
					c.say("%s is %s.", i.Name, m.done)
				}
			}
			return nil
		}),
	}
	if m.undo {
		cmd.Flags().BoolVar(&undo, "undo", false, "take it back")
	}
	return cmd
}

// allInstances reads instances by name, all of them before anything is done to
// one.
func (c *call) allInstances(names []string) ([]*v1alpha1.Instance, error) {
	var list []*v1alpha1.Instance
	seen := map[string]bool{}
	for _, n := range names {
		if seen[n] {
			return nil, badInput("nothing was done", n+" is named twice")
		}
		seen[n] = true
		i, err := c.getInstance(n)
		if err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	return list, nil
}

// ofOnePool reads instances and the one pool that they must share.
func (c *call) ofOnePool(names []string) ([]*v1alpha1.Instance, *v1alpha1.NodePool, error) {
	list, err := c.allInstances(names)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range list[1:] {
		if i.Spec.Pool != list[0].Spec.Pool {
			return nil, nil, badInput("nothing was done", fmt.Sprintf("%s is of pool %s, %s of %s", list[0].Name, list[0].Spec.Pool, i.Name, i.Spec.Pool), "name those of one pool at a time")
		}
	}
	p, err := c.getPool(list[0].Spec.Pool)
	return list, p, err
}

// instanceClaim makes the commands that decide about instances of unknown
// origin.
func (a *app) instanceClaim(t v1alpha1.TaskType) *cobra.Command {
	var w waitFlags
	use, short := "adopt", "Count instances of unknown origin as their pool's own"
	if t == v1alpha1.TaskDisown {
		use, short = "disown", "Take our tags off instances of unknown origin and let them be"
	}
	cmd := &cobra.Command{
		Use: use + " INSTANCE...", Short: short, Args: someArgs("instance"), ValidArgsFunction: a.complete(instances, 0),
		Example: fmt.Sprintf("  poolkeeper instance %s i-bp1a2b3c --wait", use),
		RunE: a.run(func(c *call, args []string) error {
			list, p, err := c.ofOnePool(args)
			orphans := false
			if e := (*Error)(nil); errors.As(err, &e) && e.Code == ExitNotFound && list != nil && t == v1alpha1.TaskDisown {
				orphans = true // their pool is not there
			} else if err != nil {
				return err
			}
			for _, i := range list {
				if i.Spec.CreationType != v1alpha1.CreatedUnknown {
					return badInput("nothing was done", fmt.Sprintf("the origin of %s is known: %s", i.Name, i.Spec.CreationType), "`poolkeeper instance get "+i.Name+"`")
				}
			}
			if orphans {
				return c.disownOrphans(list, w.dry)
			}
			title := fmt.Sprintf("%s%s %s of %s", strings.ToUpper(use[:1]), use[1:], plural(len(args), "instance"), p.Name)
			return c.request(p, v1alpha1.ClusterTaskSpec{Type: t, Title: title, Instances: args}, w)
		}),
	}
	w.addDry(cmd)
	return cmd
}

// disownOrphans lets instances go whose pool is not there: no task follows it.
func (c *call) disownOrphans(list []*v1alpha1.Instance, dry bool) error {
	for _, i := range list {
		if dry {
			c.say("%s would be disowned. Nothing was changed.", i.Name)
			continue
		}
		base := i.DeepCopy()
		i.Spec.Disown = true
		if err := c.Patch(c.ctx, i, client.MergeFrom(base), fieldOwner); err != nil {
			return apiError(err, i.Name+" was not changed")
		}
		c.say("%s is disowned: our tags are taken off, and it runs on. Its pool %s is not there.", i.Name, i.Spec.Pool)
	}
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
