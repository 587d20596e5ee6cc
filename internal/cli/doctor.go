package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// finding is what one check of doctor found.
type finding struct {
	Result string `json:"result"` // ok, warn or FAIL
	What   string `json:"what"`
	Mend   string `json:"mend,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check what poolkeeper needs, and say how to mend what is missing", Args: noArgs,
		Long:    "Check the cluster, the kinds, what you may do, and each pool. Exit 9 where something is\nto be mended.",
		Example: "  poolkeeper doctor\n  poolkeeper doctor -o json",
		RunE:    a.run(func(c *call, _ []string) error { return c.doctor() }),
	}
}

func (c *call) doctor() error {
	var list []finding
	var ns corev1.Namespace
	if err := c.Get(c.ctx, client.ObjectKey{Name: "kube-system"}, &ns); err != nil {
		if u := unreachable(err); u != nil {
			return u
		}
		list = append(list, finding{"warn", "the namespace kube-system cannot be read: " + statusText(err), ""})
	} else {
		list = append(list, finding{"ok", "API server answers, cluster " + string(ns.UID), ""})
	}
	list = append(list, c.checkKinds()...)
	list = append(list, c.checkPools()...)
	return c.report(list)
}

// checkKinds looks whether each kind of ours is served and may be listed.
func (c *call) checkKinds() []finding {
	var list []finding
	for _, k := range []kind{pools, instances, tasks, activities} {
		_, err := c.names(c.ctx, k)
		switch {
		case err == nil:
			list = append(list, finding{"ok", "you may list every " + k.said, ""})
		case isNoSuchKind(err):
			list = append(list, finding{"FAIL", "the cluster does not know the kind of a " + k.said, "install the manifests of config/, or `poolkeeper local up`"})
		default:
			list = append(list, finding{"FAIL", statusText(err), "ask an admin for the role poolkeeper-operator"})
		}
	}
	return list
}

// checkPools looks whether each pool is valid and looked after.
func (c *call) checkPools() []finding {
	var list []finding
	var all v1alpha1.NodePoolList
	if c.List(c.ctx, &all) != nil {
		return nil // checkKinds has said it
	}
	for i := range all.Items {
		p := &all.Items[i]
		v := view.NewPool(p, nil, c.clock.Now)
		switch {
		case p.Status.ObservedGeneration < p.Generation:
			list = append(list, finding{"warn", p.Name + " was changed and nobody has looked at it yet", "is the controller running? `poolkeeper local status`"})
		case len(v.Conditions) > 0:
			list = append(list, finding{"FAIL", v.Summary, "`poolkeeper why " + p.Name + "`"})
		case !v.Complete:
			list = append(list, finding{"warn", v.Summary, "`poolkeeper why " + p.Name + "`"})
		default:
			list = append(list, finding{"ok", v.Summary, ""})
		}
	}
	return list
}

// report writes findings and ends with exit 9 where one failed.
func (c *call) report(list []finding) error {
	tones := map[string]view.Tone{"ok": view.ToneOK, "warn": view.ToneWarn, "FAIL": view.ToneBad}
	count := map[string]int{}
	var b strings.Builder
	var views []any
	for _, f := range list {
		count[f.Result]++
		views = append(views, f)
		b.WriteString(view.Paint(fmt.Sprintf("%-4s", f.Result), tones[f.Result], c.color) + "  " + view.OneLine(f.What) + "\n")
		if f.Mend != "" {
			b.WriteString("      mend: " + f.Mend + "\n")
		}
	}
	fmt.Fprintf(&b, "%d ok, %d to look at, %d failed\n", count["ok"], count["warn"], count["FAIL"])
	if err := c.emit(result{list: true, views: views, text: b.String()}); err != nil {
		return err
	}
	if count["FAIL"] > 0 {
		return silently(ExitDoctor)
	}
	return nil
}
