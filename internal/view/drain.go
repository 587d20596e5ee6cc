package view

import (
	"fmt"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Undrained says why the nodes of a pool cannot be drained, what that means for
// it, and the one thing that mends it.
func Undrained(mode v1alpha1.DrainMode, f *fault.Fault) string {
	state, then := fault.DrainRoleState(f), "nodes are released without a drain"
	if mode == v1alpha1.DrainRequired {
		then = "scaling in waits, as the pool requires a drain"
	}
	return fmt.Sprintf("%s (%s); until that is mended %s. What mends it: %s", fault.DrainRoleCause(state), f.Code, then, fault.DrainRoleSolution(state))
}
