package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/past"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

func (a *app) whyCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use: "why POOL|NODE|INSTANCE|TASK|ACTIVITY", Short: "Say in one sentence whether it is as wished, and if not, why and what next",
		Long: "Say in one sentence whether something is as wished, and if not, why and what comes next.\n\nWith --check the exit code is 5 where it is not as wished.",
		Args: oneArg("name"), ValidArgsFunction: a.complete(pools, 1),
		Example: "  poolkeeper why demo\n  poolkeeper why i-bp1a2b3c\n  poolkeeper why demo --check -q && echo all well",
		RunE: a.run(func(c *call, args []string) error {
			well, err := c.why(args[0])
			if err != nil {
				return err
			}
			if check && !well {
				return silently(ExitFailed)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&check, "check", false, "exit 5 where it is not as wished")
	return cmd
}

// reasons are the kinds that `why` speaks of, in the order in which a name is
// looked for.
var reasons = []struct {
	kind
	object func() client.Object
	tell   func(c *call, o client.Object) (bool, error)
}{
	{pools, func() client.Object { return &v1alpha1.NodePool{} }, (*call).whyPool},
	{instances, func() client.Object { return &v1alpha1.Instance{} }, (*call).whyInstance},
	{tasks, func() client.Object { return &v1alpha1.ClusterTask{} }, (*call).whyTask},
	{activities, func() client.Object { return &v1alpha1.ScalingActivity{} }, (*call).whyActivity},
}

// why finds out what a name is and says what is to be said about it.
func (c *call) why(name string) (well bool, err error) {
	for _, r := range reasons {
		o := r.object()
		err := c.Get(c.ctx, client.ObjectKey{Name: name}, o)
		if err == nil {
			return r.tell(c, o)
		}
		if !apierrors.IsNotFound(err) || reply.NoSuchKind(err) {
			return false, apiError(err, fmt.Sprintf("cannot read %s %s", r.said, name))
		}
	}
	var list v1alpha1.ScalingActivityList
	if c.List(c.ctx, &list) == nil {
		if a, how := past.Of(name, list.Items); a != nil {
			return false, &Error{Code: ExitNotFound, What: name + " is no longer an instance of " + a.Spec.Pool, Cause: how, Next: []string{"`poolkeeper activity get " + a.Name + "`"}}
		}
	}
	var e *Error
	e, _ = c.noSuch(pools, name, nil).(*Error)
	e.What = fmt.Sprintf("nothing here is called %q: no pool, node, instance, task or activity", name)
	e.Cause = "pools " + e.Cause
	for i := range e.Next {
		e.Next[i] = strings.Replace(e.Next[i], "pool get", "why", 1)
	}
	return false, e
}

// whyPool tells about a pool: the sentence, then cause, next try and help.
func (c *call) whyPool(o client.Object) (bool, error) {
	p := o.(*v1alpha1.NodePool)
	g, err := c.groupOf(p)
	if err != nil {
		return false, err
	}
	var list v1alpha1.ClusterTaskList
	if err := c.List(c.ctx, &list, client.MatchingLabels{v1alpha1.LabelPool: p.Name}); err != nil && !reply.NoSuchKind(err) {
		return false, apiError(err, "cannot list tasks")
	}
	v := view.NewPool(p, g, c.clock.Now)
	v.Running = view.RunningTasks(p, list.Items)
	return v.Complete && !view.IsFrozen(p), c.emit(result{views: []any{v}, raws: []client.Object{p}, text: v.Tell(c.clock, c.color)})
}

func (c *call) whyInstance(o client.Object) (bool, error) {
	i := o.(*v1alpha1.Instance)
	v := view.NewInstance(i, c.clock)
	well := i.Status.NodeState == v1alpha1.NodeReady && i.Spec.Release == nil && len(view.Held(i)) == 0 && i.Spec.CreationType != v1alpha1.CreatedUnknown
	if err := c.emit(result{views: []any{v}, raws: []client.Object{i}, text: v.Tell(i.Status.Log)}); err != nil {
		return well, err
	}
	if held := view.Held(i); len(held) > 0 {
		c.hint("To complete a hook: %s", view.HookAct(i.Name, held[0].Name, "continue"))
	}
	return well, nil
}

func (c *call) whyTask(o client.Object) (bool, error) {
	t := o.(*v1alpha1.ClusterTask)
	v := view.NewTask(t, c.clock.Now)
	text := v.Summary + "\n"
	if len(v.Causes) > 0 {
		text += v.DescribeCauses(c.color)
	}
	return t.Status.State != v1alpha1.TaskFailed, c.emit(result{views: []any{v}, raws: []client.Object{t}, text: text})
}

func (c *call) whyActivity(o client.Object) (bool, error) {
	a := o.(*v1alpha1.ScalingActivity)
	v := view.NewActivity(a, c.clock.Now)
	well := a.Status.State != v1alpha1.ActivityFailed && a.Status.State != v1alpha1.ActivityRejected && a.Status.State != v1alpha1.ActivityWarning
	return well, c.emit(result{views: []any{v}, raws: []client.Object{a}, text: v.Summary + "\n"})
}
