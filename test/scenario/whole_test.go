package scenario

import "testing"

// TestWhole plays what is done to a whole region, in the order of the names, in a
// region of its own: definitions that are deleted, and an uninstallation.
func TestWhole(t *testing.T) { tell(t, "testdata/whole/*.txt", 1) }
