package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	authv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/doctor"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

type finding = doctor.Finding

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check what poolkeeper needs, and say how to mend what is missing", Args: noArgs,
		Long:    "Check the cluster and its clock, the kinds, what you may do, the cloud where credentials\nare at hand, and each pool. Exit 9 where something is to be mended.",
		Example: "  poolkeeper doctor\n  poolkeeper doctor -o json",
		RunE:    a.run(func(c *call, _ []string) error { return c.doctor() }),
	}
}

func (c *call) doctor() error {
	var ns corev1.Namespace
	if err := c.Get(c.ctx, client.ObjectKey{Name: "kube-system"}, &ns); err != nil {
		if u := reply.Unreachable(err); u != nil {
			return u
		}
	}
	return c.report(c.findings())
}

// findings are what all checks found.
func (c *call) findings() []finding {
	list := c.checkServer()
	list = append(list, c.checkKinds()...)
	list = append(list, c.checkRights()...)
	list = append(list, c.checkCloud()...)
	return append(list, c.checkPools()...)
}

// clockOff is how far the clocks of here and of the API server may be apart.
const clockOff = 30 * time.Second

// checkServer looks which API server answers, and how its clock is.
func (c *call) checkServer() []finding {
	var list []finding
	if c.Probe != nil {
		version, date, err := c.Probe(c.ctx, c.flags.kubeconfig, c.flags.context)
		off := c.Now().Sub(date).Abs()
		switch {
		case err != nil:
			list = append(list, doctor.Warn("the API server does not tell its version: "+err.Error(), ""))
		case off > clockOff:
			list = append(list, doctor.Fail(fmt.Sprintf("API server %s, its clock is %s off", version, view.Took(off)), "set the clocks by NTP: certificates and waits depend on them"))
		default:
			list = append(list, doctor.OK(fmt.Sprintf("API server %s, clock right", version)))
		}
	}
	var ns corev1.Namespace
	if err := c.Get(c.ctx, client.ObjectKey{Name: "kube-system"}, &ns); err != nil {
		return append(list, doctor.Warn("the namespace kube-system cannot be read: "+reply.Text(err), ""))
	}
	return append(list, doctor.OK("cluster "+string(ns.UID)))
}

// needed are the rights of an operator beyond reading.
var needed = []authv1.ResourceAttributes{
	{Verb: "patch", Resource: "nodepools"}, {Verb: "create", Resource: "clustertasks"},
	{Verb: "patch", Resource: "clustertasks"}, {Verb: "patch", Resource: "instances"},
}

// checkRights looks whether one may do what an operator does.
func (c *call) checkRights() []finding {
	var lacking []string
	for _, n := range needed {
		n.Group = v1alpha1.GroupVersion.Group
		review := &authv1.SelfSubjectAccessReview{Spec: authv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &n}}
		if err := c.Create(c.ctx, review); err != nil {
			return []finding{doctor.Warn("what you may do is not known: "+reply.Text(err), "")}
		}
		if !review.Status.Allowed {
			lacking = append(lacking, n.Verb+" "+n.Resource)
		}
	}
	if len(lacking) > 0 {
		return []finding{doctor.Warn("you may look and not act: "+strings.Join(lacking, ", ")+" is missing", "for acts ask an admin for the role poolkeeper-operator")}
	}
	return []finding{doctor.OK("you may scale pools and ask for tasks")}
}

// checkCloud looks whether the cloud answers to the credentials of here, and
// whether they are of the account that the pools belong to.
func (c *call) checkCloud() []finding {
	if c.Market == nil {
		return nil
	}
	m, err := c.Market()
	if err != nil {
		return []finding{doctor.Warn("the cloud was not asked: no credentials here", reply.CloudNext[0]+", or set ALIBABA_CLOUD_*; only offer and strength --refresh need it")}
	}
	id, err := m.ID(c.ctx)
	if err != nil {
		e := explain(c.ctx, cloudError(err, "the cloud does not answer"))
		return []finding{doctor.Fail(e.What+": "+e.Cause, strings.Join(e.Next, "; or "))}
	}
	var groups v1alpha1.ScalingGroupList
	if c.List(c.ctx, &groups) != nil {
		return nil // checkKinds has said it
	}
	for _, g := range groups.Items {
		if a := g.Status.AccountID; a != "" && a != id {
			return []finding{doctor.Warn(fmt.Sprintf("your credentials are of account %s, pool %s is of %s", doctor.Masked(id), g.Spec.Pool, doctor.Masked(a)), "use credentials of that account here")}
		}
	}
	found := []finding{doctor.OK("the cloud answers, account " + doctor.Masked(id))}
	var all v1alpha1.NodePoolList
	if c.List(c.ctx, &all) != nil {
		return found // checkKinds has said it
	}
	found = append(found, doctor.Access(c.ctx, m, c.nodeServer(), all.Items)...)
	return append(found, doctor.Drain(c.ctx, m, all.Items)...)
}

// checkKinds looks whether each kind of ours is served and may be listed.
func (c *call) checkKinds() []finding {
	var list []finding
	for _, k := range []kind{pools, instances, tasks, activities} {
		_, err := c.names(c.ctx, k)
		switch {
		case err == nil:
		case reply.NoSuchKind(err):
			list = append(list, doctor.Fail(fmt.Sprintf("the cluster does not know the kind %q", k.said), "install the manifests of config/, or `poolkeeper local up`"))
		default:
			list = append(list, doctor.Fail(reply.Text(err), "ask an admin for the role poolkeeper-viewer"))
		}
	}
	if len(list) == 0 {
		list = []finding{doctor.OK("you may read pools, instances, tasks and activities")}
	}
	return list
}

// checkPools looks whether each pool is valid and looked after.
func (c *call) checkPools() []finding {
	var all v1alpha1.NodePoolList
	if c.List(c.ctx, &all) != nil {
		return nil // checkKinds has said it
	}
	return doctor.Pools(all.Items, c.clock.Now)
}

// report writes findings and ends with exit 9 where one failed.
func (c *call) report(list []finding) error {
	var views []any
	for _, f := range list {
		views = append(views, f)
	}
	text, failed := doctor.Text(list, c.color)
	if err := c.emit(result{list: true, views: views, text: text}); err != nil {
		return err
	}
	if failed > 0 {
		return silently(ExitDoctor)
	}
	return nil
}

// nodeServer is the API server as kube-public/cluster-info names it to nodes, or
// else as we reach it ourselves.
func (c *call) nodeServer() string {
	var m corev1.ConfigMap
	if c.Get(c.ctx, client.ObjectKey{Namespace: "kube-public", Name: "cluster-info"}, &m) == nil {
		return doctor.ServerOf(m.Data["kubeconfig"])
	}
	return doctor.Server(c.flags.kubeconfig, c.flags.context)
}

// warnDrain says before anything is written that nodes cannot be drained as the
// pool wishes. It refuses nothing.
func (c *call) warnDrain(p *v1alpha1.NodePool) {
	ctx, cancel := context.WithTimeout(c.ctx, checkTime)
	defer cancel()
	var roles doctor.Roles
	if m, err := c.market(); err == nil {
		roles = m
	}
	if text := doctor.Undrained(ctx, roles, p); text != "" {
		c.hint("Drain: %s", text)
	}
}
