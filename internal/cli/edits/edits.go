// Package edits holds the flags of pool create and pool edit that change the
// lists of a pool: vSwitches, instance types and lifecycle hooks. In come what
// was typed and a spec; out goes the spec changed, or why it cannot be. It reads
// and writes nothing else.
package edits

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
)

// Lists add to the lists of a pool and take out of them.
type Lists struct {
	addVSwitch, removeVSwitch, addType, removeType []string
	Hooks
}

// Add adds the flags of pool edit.
func (l *Lists) Add(fl *pflag.FlagSet) {
	fl.StringSliceVar(&l.addVSwitch, "add-vswitch", nil, "`vSwitches` to add, after those there are")
	fl.StringSliceVar(&l.removeVSwitch, "remove-vswitch", nil, "`vSwitches` to take out")
	fl.StringSliceVar(&l.addType, "add-type", nil, "instance `types` to add, after those there are")
	fl.StringSliceVar(&l.removeType, "remove-type", nil, "instance `types` to take out")
	fl.StringSliceVar(&l.remove, "remove-hook", nil, "lifecycle `hooks` to take out; they hold nobody any more")
	l.Hooks.Add(fl)
}

// Removing are the flags that take something out.
var Removing = []string{"remove-vswitch", "remove-type", "remove-hook"}

// Removable is what one of those flags may take out of a spec.
func Removable(flag string, spec *v1alpha1.NodePoolSpec) []string {
	switch flag {
	case "remove-vswitch":
		return slices.Clone(spec.VSwitches)
	case "remove-type":
		return slices.Clone(spec.InstanceTypes)
	}
	return names(spec.LifecycleHooks)
}

// Apply changes a spec; it says whether anything was to be changed.
func (l *Lists) Apply(spec *v1alpha1.NodePoolSpec) (bool, error) {
	err := change("vSwitch", &spec.VSwitches, l.addVSwitch, l.removeVSwitch)
	if err == nil {
		err = change("instance type", &spec.InstanceTypes, l.addType, l.removeType)
	}
	if err != nil {
		return false, err
	}
	hooks, err := l.Hooks.Apply(unchanged, spec)
	return hooks || len(l.addVSwitch)+len(l.removeVSwitch)+len(l.addType)+len(l.removeType) > 0, err
}

// change adds to a list and takes out of it.
func change(what string, list *[]string, add, remove []string) error {
	for _, x := range add {
		if slices.Contains(*list, x) {
			return reply.BadInput(unchanged, fmt.Sprintf("it has the %s %s already", what, x))
		}
		*list = append(*list, x)
	}
	for _, x := range remove {
		i := slices.Index(*list, x)
		if i < 0 {
			return reply.BadInput(unchanged, fmt.Sprintf("it has no %s %s; it has %s", what, x, strings.Join(*list, ", ")))
		}
		*list = slices.Delete(*list, i, i+1)
	}
	return nil
}

// unchanged is what did not happen where pool edit refuses.
const unchanged = "the pool was not changed"
