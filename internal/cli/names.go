package cli

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/given"
	"github.com/poolkeeper/poolkeeper/internal/cli/near"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
)

// kind is what the command line needs to know to name objects of one kind.
type kind struct {
	noun, said string
	list       func() client.ObjectList
}

var (
	pools      = kind{"pool", "node pool", func() client.ObjectList { return &v1alpha1.NodePoolList{} }}
	instances  = kind{"instance", "instance", func() client.ObjectList { return &v1alpha1.InstanceList{} }}
	nodes      = kind{"node", "node", func() client.ObjectList { return &v1alpha1.InstanceList{} }}
	tasks      = kind{"task", "task", func() client.ObjectList { return &v1alpha1.ClusterTaskList{} }}
	activities = kind{"activity", "scaling activity", func() client.ObjectList { return &v1alpha1.ScalingActivityList{} }}
)

// get reads one object; a name that nothing has is answered with those that
// are there.
func (c *call) get(k kind, name string, into client.Object) error {
	err := c.Get(c.ctx, client.ObjectKey{Name: name}, into)
	if apierrors.IsNotFound(err) && !reply.NoSuchKind(err) {
		if list, _ := c.names(c.ctx, k); slices.Contains(list, name) {
			err = c.Get(c.ctx, client.ObjectKey{Name: name}, into) // it was made between the two looks
		}
		if apierrors.IsNotFound(err) {
			return c.noSuch(k, name, err)
		}
	}
	if err != nil {
		return apiError(err, fmt.Sprintf("cannot read %s %s", k.said, name))
	}
	return nil
}

// getPool reads one pool.
func (c *call) getPool(name string) (*v1alpha1.NodePool, error) {
	p := &v1alpha1.NodePool{}
	return p, c.get(pools, name, p)
}

// noSuch says that a name is not there, what is there, and what was probably
// meant.
func (c *call) noSuch(k kind, name string, under error) error {
	e := &Error{Code: ExitNotFound, What: fmt.Sprintf("there is no %s %q", k.said, name), Err: under}
	list, err := c.names(c.ctx, k)
	if err != nil {
		e.Next = []string{fmt.Sprintf("`poolkeeper %s list`", k.noun)}
		return e
	}
	const most = 10
	switch shown := list; {
	case len(list) == 0:
		e.Cause = "there is none at all"
	case slices.Contains(list, name):
		e.Cause, e.Next = "here by now: "+name+", made while this command looked", []string{"repeat the command"}
		return e
	case len(list) > most:
		e.Cause = fmt.Sprintf("%d are here, such as %s", len(list), strings.Join(shown[:most], ", "))
	default:
		e.Cause = fmt.Sprintf("here: %s", strings.Join(shown, ", "))
	}
	e.Next = []string{fmt.Sprintf("`poolkeeper %s list`", k.noun)}
	if meant := near.To(name, list); meant != "" {
		e.Next = []string{fmt.Sprintf("did you mean `poolkeeper %s get %s`?", k.noun, meant)}
	}
	return e
}

// names lists the names of a kind, sorted.
func (c *call) names(ctx context.Context, k kind) ([]string, error) {
	l := k.list()
	if err := c.List(ctx, l); err != nil {
		return nil, err
	}
	var names []string
	err := meta.EachListItem(l, func(o runtime.Object) error {
		names = append(names, o.(client.Object).GetName())
		return nil
	})
	sort.Strings(names)
	return names, err
}

// complete gives a shell the names of a kind. At most max arguments are named;
// 0 is no limit.
func (a *app) complete(k kind, max int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if max > 0 && len(args) >= max {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.offer(func(c *call, _ []string) ([]string, error) { return c.names(c.ctx, k) })(cmd, args, typed)
	}
}

// offer gives a shell the words that were read and begin with what was typed.
func (a *app) offer(read func(c *call, args []string) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) (words []string, _ cobra.ShellCompDirective) {
		err := a.run(func(c *call, args []string) (err error) { words, err = read(c, args); return err })(cmd, args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, typed) }), cobra.ShellCompDirectiveNoFileComp
	}
}

// completePoolFlag completes the values of a flag that names a pool.
func (a *app) completePoolFlag(cmd *cobra.Command, flag string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, a.complete(pools, 0))
}

// oneArg, someArgs and noArgs say how many names a command takes.
var oneArg, someArgs, noArgs = given.One, given.Some, given.None
