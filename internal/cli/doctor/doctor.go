// Package doctor judges what poolkeeper needs of a cloud, for the command
// `doctor` and for warnings before a write. In come pools and ways to ask the
// cloud; out come findings, each with what mends it, and their text. It writes
// nothing and reads no cluster.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// Finding is what one check found.
type Finding struct {
	Result string `json:"result"` // ok, warn or FAIL
	What   string `json:"what"`
	Mend   string `json:"mend,omitempty"`
}

// OK is what is as it should be.
func OK(what string) Finding { return Finding{Result: "ok", What: what} }

// Warn is what a person should know.
func Warn(what, mend string) Finding { return Finding{"warn", what, mend} }

// Fail is what is to be mended.
func Fail(what, mend string) Finding { return Finding{"FAIL", what, mend} }

// Text writes findings with their sum, and counts those that failed.
func Text(list []Finding, color bool) (text string, failed int) {
	tones := map[string]view.Tone{"ok": view.ToneOK, "warn": view.ToneWarn, "FAIL": view.ToneBad}
	count := map[string]int{}
	var b strings.Builder
	for _, f := range list {
		count[f.Result]++
		b.WriteString(view.Paint(fmt.Sprintf("%-4s", f.Result), tones[f.Result], color) + "  " + view.OneLine(f.What) + "\n")
		if f.Mend != "" {
			b.WriteString("      mend: " + f.Mend + "\n")
		}
	}
	warnings := fmt.Sprintf("%d warnings", count["warn"])
	if count["warn"] == 1 {
		warnings = "1 warning"
	}
	fmt.Fprintf(&b, "%d ok, %s, %d failed\n", count["ok"], warnings, count["FAIL"])
	return b.String(), count["FAIL"]
}

// Access looks whether the security groups of the pools let nodes reach the API
// server and the services of the cloud.
func Access(ctx context.Context, checks cloud.Checks, server string, pools []v1alpha1.NodePool) []Finding {
	var found []Finding
	var seen []string
	for i := range pools {
		groups := pools[i].Spec.SecurityGroups
		name := strings.Join(groups, ", ")
		if server == "" || len(groups) == 0 || slices.Contains(seen, name) {
			continue
		}
		seen = append(seen, name)
		f, err := cloud.NodesReach(ctx, checks, groups, server)
		switch {
		case err != nil:
			found = append(found, Finding{"warn", "the rules of " + name + " are not known: " + err.Error(), ""})
		case f != nil:
			found = append(found, Finding{"FAIL", f.Message + " (" + string(f.Code) + ")", fault.Lookup(f.Code).Advice(f.Details)})
		default:
			found = append(found, Finding{"ok", name + " lets nodes reach " + server, ""})
		}
	}
	return found
}

// Server is the API server that a kubeconfig names; empty where it names none.
func Server(config, context string) string {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = config
	c, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	if err != nil {
		return ""
	}
	return c.Host
}

// ServerOf is the API server that the text of a kubeconfig names; empty where it
// names none.
func ServerOf(text string) string {
	config, err := clientcmd.Load([]byte(text))
	if err != nil {
		return ""
	}
	for _, cluster := range config.Clusters {
		return cluster.Server
	}
	return ""
}

// Roles tells whether the account has a role.
type Roles interface {
	HasRole(ctx context.Context, name string) (bool, error)
}

// Drain looks for the role of what drains nodes, where a pool drains any.
func Drain(ctx context.Context, roles Roles, all []v1alpha1.NodePool) []Finding {
	var pools []string
	for i := range all {
		if all[i].Spec.Drain.Mode != v1alpha1.DrainOff {
			pools = append(pools, all[i].Name)
		}
	}
	if len(pools) == 0 {
		return nil
	}
	f, err := fault.DrainRoleOf(roles.HasRole(ctx, fault.DrainRole))
	switch {
	case err != nil:
		return []Finding{{"warn", "whether what drains nodes has its role is not known: " + err.Error(), ""}}
	case f != nil:
		state := fault.DrainRoleState(f)
		return []Finding{{"warn", fault.DrainRoleCause(state) + " (" + string(f.Code) + "), of " + fault.List(pools), fault.DrainRoleSolution(state)}}
	}
	return []Finding{{"ok", "what drains nodes has its role", ""}}
}

// Undrained says why the nodes of a pool cannot be drained as it wishes; empty
// where they can, or need not. Where the cloud does not tell, the pool's own
// condition does; roles may be nil.
func Undrained(ctx context.Context, roles Roles, p *v1alpha1.NodePool) string {
	mode := p.Spec.Drain.Mode
	if mode == v1alpha1.DrainOff {
		return ""
	}
	if mode == "" {
		mode = v1alpha1.DrainBestEffort // the cluster's default
	}
	if roles != nil {
		if f, err := fault.DrainRoleOf(roles.HasRole(ctx, fault.DrainRole)); err == nil && f != nil {
			return view.Undrained(mode, f)
		} else if err == nil {
			return ""
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == v1alpha1.ConditionDrainReady && c.Status == "False" {
			return c.Message
		}
	}
	return ""
}

// Masked shows enough of an account to know it again.
func Masked(id string) string {
	if len(id) < 8 {
		return id
	}
	return id[:4] + "..." + id[len(id)-2:]
}

// Pools looks whether each pool is valid and looked after. One that lacks
// nothing but the role of the drain is well: Drain has told that.
func Pools(all []v1alpha1.NodePool, now time.Time) []Finding {
	var list []Finding
	for i := range all {
		p := &all[i]
		v := view.NewPool(p, nil, now)
		drain := len(v.Conditions) == 1 && v.Conditions[0].Name == "Drain"
		switch {
		case p.Status.ObservedGeneration < p.Generation:
			list = append(list, Finding{"warn", p.Name + " was changed and nobody has looked at it yet", "is the controller running? `poolkeeper local status`"})
		case len(v.Conditions) > 0 && !drain:
			list = append(list, Finding{"FAIL", v.Summary, "`poolkeeper why " + p.Name + "`"})
		case !v.Complete:
			list = append(list, Finding{"warn", v.Summary, "`poolkeeper why " + p.Name + "`"})
		default:
			list = append(list, Finding{"ok", v.Summary, ""})
		}
	}
	return list
}
