// Package change says how an object is written of which another version of ours
// may know more. In comes an object as it was read, out goes the patch that
// writes what was changed of it since, under the version that was read. Fields
// that this version does not know stay as they are (docs/decisions/0023); those
// inside the entries of a list that is changed do not. It reads and writes
// nothing.
package change

import "sigs.k8s.io/controller-runtime/pkg/client"

// Since is the patch of what was changed of an object since it was copied. It
// meets a conflict where somebody else has written meanwhile.
func Since(before client.Object) client.Patch {
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}
