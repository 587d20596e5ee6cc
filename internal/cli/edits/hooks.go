package edits

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/near"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// Hooks set lifecycle hooks of a pool and take them out.
type Hooks struct{ set, remove []string }

// HookHelp tells the form of --hook.
const HookHelp = `--hook NAME=in|out[,timeout=10m][,default=continue|abandon] sets a lifecycle hook, and
may be repeated: in holds instances on their way in (from running to in service), out
on their way out (until they are released). Of a hook that the pool has, what is left
out stays: --hook warm-up=timeout=20m.`

// hookExample is the shortest hook that can be typed.
const hookExample = "such as --hook warm-up=in or --hook warm-up=in,timeout=10m,default=continue"

// mostHooks is how many a pool takes.
const mostHooks = 8

// The bounds of a heartbeat timeout.
const leastTimeout, mostTimeout = 30 * time.Second, 6 * time.Hour

// Add adds the flag that pool create and pool edit share.
func (h *Hooks) Add(fl *pflag.FlagSet) {
	fl.StringArrayVar(&h.set, "hook", nil, "a lifecycle `hook`, NAME=in|out and more as above; may be repeated")
}

// Apply changes the hooks of a spec; it says whether anything was to be changed.
// What says what did not happen where an error is returned.
func (h *Hooks) Apply(what string, spec *v1alpha1.NodePoolSpec) (bool, error) {
	spec.LifecycleHooks = slices.Clone(spec.LifecycleHooks)
	find := func(name string) int {
		return slices.IndexFunc(spec.LifecycleHooks, func(k v1alpha1.LifecycleHook) bool { return k.Name == name })
	}
	for _, name := range h.remove {
		i := find(name)
		if i < 0 {
			return false, noHook(what, name, spec.LifecycleHooks)
		}
		spec.LifecycleHooks = slices.Delete(spec.LifecycleHooks, i, i+1)
	}
	seen := map[string]bool{}
	for _, typed := range h.set {
		name, settings, _ := strings.Cut(typed, "=")
		i := find(name)
		if seen[name] {
			return false, reply.BadInput(what, fmt.Sprintf("--hook %s is given twice", name), "put all of it into one --hook")
		}
		seen[name] = true
		var k v1alpha1.LifecycleHook
		if i >= 0 {
			k = spec.LifecycleHooks[i]
		}
		k.Name = name
		if cause := parse(&k, settings); cause != "" {
			return false, reply.BadInput(what, fmt.Sprintf("--hook %s: %s", typed, cause), hookExample)
		}
		if i >= 0 {
			spec.LifecycleHooks[i] = k
		} else {
			spec.LifecycleHooks = append(spec.LifecycleHooks, k)
		}
	}
	if n := len(spec.LifecycleHooks); n > mostHooks {
		return false, reply.BadInput(what, fmt.Sprintf("it would have %d lifecycle hooks, and takes %d at most", n, mostHooks), "take one out: --remove-hook NAME")
	}
	return len(h.set)+len(h.remove) > 0, nil
}

// noHook says that a pool has no hook of a name, and what it has.
func noHook(what, name string, list []v1alpha1.LifecycleHook) error {
	names := names(list)
	if len(names) == 0 {
		return reply.BadInput(what, fmt.Sprintf("it has no lifecycle hook %s, and no other", name))
	}
	cause := fmt.Sprintf("it has no lifecycle hook %s; it has %s", name, strings.Join(names, ", "))
	if meant := near.To(name, names); meant != "" {
		return reply.BadInput(what, cause, "did you mean --remove-hook "+meant+"?")
	}
	return reply.BadInput(what, cause)
}

func names(list []v1alpha1.LifecycleHook) []string {
	var out []string
	for _, k := range list {
		out = append(out, k.Name)
	}
	return out
}

var hookName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

// parse puts what was typed behind the name into a hook; the cause says what is
// wrong with it.
func parse(k *v1alpha1.LifecycleHook, settings string) (cause string) {
	switch {
	case k.Name == view.BuiltInHook:
		return k.Name + " is the name of the built-in hook; choose another name"
	case !hookName.MatchString(k.Name):
		return fmt.Sprintf("%q is no name of a hook: at most 40 lower case letters, digits and hyphens", k.Name)
	case settings == "" && k.Transition == "":
		return "it does not say on which way it holds instances, in or out"
	case settings == "":
		return "it says nothing to change"
	}
	for _, s := range strings.Split(settings, ",") {
		if cause := setting(k, s); cause != "" {
			return cause
		}
	}
	if k.Transition == "" {
		return "it does not say on which way it holds instances, in or out"
	}
	return ""
}

// setting puts one part of --hook into a hook.
func setting(k *v1alpha1.LifecycleHook, s string) (cause string) {
	switch key, value, named := strings.Cut(s, "="); {
	case s == "in":
		k.Transition = v1alpha1.WayIn
	case s == "out":
		k.Transition = v1alpha1.WayOut
	case named && key == "timeout":
		d, err := time.ParseDuration(value)
		if err != nil || d < leastTimeout || d > mostTimeout || d%time.Second != 0 {
			return fmt.Sprintf("timeout %q is not a time of 30s to 6h, in whole seconds", value)
		}
		seconds := int32(d / time.Second)
		k.HeartbeatTimeoutSeconds = &seconds
	case named && key == "default" && strings.EqualFold(value, "continue"):
		k.DefaultResult = v1alpha1.HookContinue
	case named && key == "default" && strings.EqualFold(value, "abandon"):
		k.DefaultResult = v1alpha1.HookAbandon
	case named && key == "default":
		return fmt.Sprintf("default %q is not continue or abandon", value)
	default:
		return fmt.Sprintf("%q is not in, out, timeout=... or default=...", s)
	}
	return ""
}

// Complete is what a shell offers for --hook: what may come next.
func Complete(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	const stay = cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	name, settings, named := strings.Cut(typed, "=")
	if !named || name == "" {
		return nil, stay
	}
	done, last := "", settings
	if i := strings.LastIndexByte(settings, ','); i >= 0 {
		done, last = settings[:i+1], settings[i+1:]
	}
	var out []string
	for _, s := range []string{"in", "out", "timeout=10m", "default=continue", "default=abandon"} {
		key, _, _ := strings.Cut(s, "=")
		given := strings.Contains(","+done, ","+key+",") || strings.Contains(","+done, ","+key+"=")
		way := (s == "in" || s == "out") && done != ""
		if !given && !way && strings.HasPrefix(s, last) {
			out = append(out, name+"="+done+s)
		}
	}
	return out, stay
}
