package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

const joinCommandHelp = `Print the one command that makes a machine join which runs already.

It is made anew by "node attach" and "node rejoin", is the same for all machines of a
pool, and is typed on each as root. It admits nobody: a machine joins by the proof of
its own cloud identity, and only one that is attached or may rejoin.`

func (a *app) nodeJoinCommand() *cobra.Command {
	return &cobra.Command{
		Use: "join-command POOL", Short: "Print the command that attached machines join with", Long: joinCommandHelp,
		Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Example: "  poolkeeper node join-command demo | ssh root@10.0.1.17 sh\n  poolkeeper local instance exec i-bp1a2b3c -- sh -c \"$(poolkeeper node join-command demo)\"",
		RunE: a.run(func(c *call, args []string) error {
			s, err := c.joinSecret(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(c.Out, string(s.Data[v1alpha1.JoinCommandKey]))
			return nil
		}),
	}
}

// joinSecret reads the join command of a pool that is still of use.
func (c *call) joinSecret(pool string) (*corev1.Secret, error) {
	s := &corev1.Secret{}
	err := c.Get(c.ctx, types.NamespacedName{Namespace: v1alpha1.JoinNamespace, Name: v1alpha1.JoinSecret(pool)}, s)
	what := fmt.Sprintf("the join command of %s cannot be shown", pool)
	switch {
	case apierrors.IsForbidden(err):
		return nil, &Error{Code: ExitNotAllowed, What: what, Cause: err.Error(),
			Next: []string{fmt.Sprintf("an administrator types: `kubectl create rolebinding NAME -n %s --role=poolkeeper-join-command --user=YOU`", v1alpha1.JoinNamespace)}}
	case err != nil && !apierrors.IsNotFound(err):
		return nil, apiError(err, what)
	}
	until, _ := time.Parse(time.RFC3339, s.Annotations[v1alpha1.AnnotationJoinUntil])
	again := []string{fmt.Sprintf("`poolkeeper node attach INSTANCE --pool %s`", pool), "for a machine that is in the pool: `poolkeeper node rejoin NODE`"}
	switch {
	case err != nil || len(s.Data[v1alpha1.JoinCommandKey]) == 0:
		return nil, &Error{Code: ExitNotFound, What: what, Cause: "there is none: it is made when an instance is attached or is to join again", Next: again}
	case !c.Now().Before(until):
		return nil, &Error{Code: ExitNotFound, What: what, Cause: "it was of use until " + c.clock.At(until), Next: again}
	}
	return s, nil
}

// requestJoin writes a task whose machines are to join, prints the command for
// that, and follows the task where that was asked for.
func (c *call) requestJoin(p *v1alpha1.NodePool, spec v1alpha1.ClusterTaskSpec, w waitFlags) error {
	left, err := c.notInCluster(spec)
	if err != nil {
		return err
	}
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
	}
	if !c.machine() {
		if err := c.tellJoin(p, t, left); err != nil {
			return err
		}
	}
	if w.wait {
		return c.followTask(p, t, w)
	}
	return c.emitTask(t)
}

// notInCluster are the named machines that have no Node here. One that is to
// join again has to do so all the same.
func (c *call) notInCluster(spec v1alpha1.ClusterTaskSpec) ([]string, error) {
	if spec.Type == v1alpha1.TaskRejoin {
		return spec.Instances, nil
	}
	var left []string
	for _, id := range spec.Instances {
		n := &corev1.Node{}
		err := c.Get(c.ctx, types.NamespacedName{Name: id}, n)
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			return nil, apiError(err, "nothing was changed")
		case err != nil || !strings.HasSuffix(n.Spec.ProviderID, "."+id):
			left = append(left, id)
		}
	}
	return left, nil
}

// joinLooks is how often the join command is looked for, ten times as often as a
// follower looks though no watch has spoken; the first firstLooks of them also wait
// until the task has looked at the machines, for it fails where there are none.
const joinLooks, firstLooks = 100, 15

// tellJoin prints what is to be typed on the machines, once the controller has
// made it for this task.
func (c *call) tellJoin(p *v1alpha1.NodePool, t *v1alpha1.ClusterTask, ids []string) error {
	if len(ids) == 0 {
		c.say("On the machines nothing is to be done: their Nodes are in the cluster already.")
		return nil
	}
	var s *corev1.Secret
	var err error
	for n := range joinLooks {
		now := &v1alpha1.ClusterTask{}
		if err := c.Get(c.ctx, client.ObjectKeyFromObject(t), now); err != nil && !apierrors.IsNotFound(err) {
			return apiError(err, "the task was asked for; whether it goes on is not known")
		}
		if now.Status.State == v1alpha1.TaskFailed {
			return taskFailed(now, p)
		}
		if s, err = c.joinSecret(p.Name); err == nil && s.Annotations[v1alpha1.AnnotationJoinTask] == t.Name && (n >= firstLooks || lookedAt(now)) {
			c.say("On %s, as root, until %s:\n%s", strings.Join(ids, ", "), s.Annotations[v1alpha1.AnnotationJoinUntil], s.Data[v1alpha1.JoinCommandKey])
			c.hint("Again: poolkeeper node join-command %s", p.Name)
			return nil
		}
		if e := (*Error)(nil); errors.As(err, &e) && e.Code != ExitNotFound {
			return err
		}
		if n == joinLooks-1 {
			break
		}
		select {
		case <-c.ctx.Done():
			return c.ctx.Err()
		case <-time.After(c.LookAnyway / 10):
		}
	}
	c.hint("The join command is not there yet. Later: poolkeeper node join-command %s", p.Name)
	return nil
}

// lookedAt is true where a task has looked at each of its machines.
func lookedAt(t *v1alpha1.ClusterTask) bool {
	return len(t.Status.Instances) > 0 && !slices.ContainsFunc(t.Status.Instances, func(i v1alpha1.TaskInstance) bool { return i.State == v1alpha1.TaskInstanceWaiting })
}
