package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

const resumeHelp = `Try at once what is held because the same cause came again and again. Mend the cause
first (` + "`poolkeeper why POOL`" + `), or the pool is held again.

--candidate speaks of one instance type in one zone only, which refusals of its own keep
from being asked; what is held of others stays held.`

func (a *app) poolResume() *cobra.Command {
	var w waitFlags
	var candidate string
	cmd := &cobra.Command{
		Use: "resume POOL", Short: "Try at once what is held", Long: resumeHelp, Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Example: "  poolkeeper pool resume demo --wait\n  poolkeeper pool resume demo --candidate cn-local-a/ecs.g7.xlarge",
		RunE: a.run(func(c *call, args []string) error {
			p, err := c.getPool(args[0])
			if err != nil {
				return err
			}
			spec := v1alpha1.ClusterTaskSpec{Type: v1alpha1.TaskResume, Title: "Resume " + p.Name, Candidate: candidate}
			if candidate != "" {
				spec.Title += ", " + candidate + " only"
				if err := c.mayResume(p, candidate); err != nil {
					return err
				}
			}
			return c.request(p, spec, w)
		}),
	}
	cmd.Flags().StringVar(&candidate, "candidate", "", "only this instance type in this zone, as `ZONE/TYPE`")
	_ = cmd.RegisterFlagCompletionFunc("candidate", a.completeHeld)
	w.addDry(cmd)
	return cmd
}

// mayResume refuses a candidate that is not held, and names those that are.
func (c *call) mayResume(p *v1alpha1.NodePool, candidate string) error {
	g, err := c.groupOf(p)
	if err != nil || g == nil {
		return err
	}
	why := view.NotHeld(g, candidate, c.Now())
	if why == "" {
		return nil
	}
	next := []string{fmt.Sprintf("what is in its way: `poolkeeper strength get %s`", p.Name)}
	for _, h := range view.Holds(g, c.Now()) {
		next = append(next, fmt.Sprintf("`poolkeeper pool resume %s --candidate %s`", p.Name, h.Candidate))
	}
	return badInput(p.Name+" was not resumed", why, append(next, fmt.Sprintf("all that is held: `poolkeeper pool resume %s`", p.Name))...)
}

// completeHeld gives a shell the candidates that are held of the pool that was
// named.
func (a *app) completeHeld(cmd *cobra.Command, args []string, typed string) (names []string, _ cobra.ShellCompDirective) {
	c, err := a.begin(cmd)
	if err == nil {
		c.WithWatch, err = a.NewClient(a.flags.kubeconfig, a.flags.context)
	}
	if err != nil || len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	g := &v1alpha1.ScalingGroup{}
	if err := c.Get(c.ctx, client.ObjectKey{Name: args[0]}, g); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	for _, name := range view.HeldNames(view.Holds(g, c.Now())) {
		if strings.HasPrefix(name, typed) {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
