package scenario

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A scenario file is read or refused; what was read, written down and read
// again, is the same.
func FuzzRead(f *testing.F) {
	f.Add(defaultYAML)
	f.Add([]byte("stock: {}\n"))
	f.Add([]byte("zones:\n- id: zone-x\nvSwitches: []\n"))
	f.Add([]byte("instancesPerMinute: -1\nthrottle: {RunInstances: 1e300}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("- x"))
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := Read(file)
		if err != nil {
			return
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Read(text)
		if err != nil {
			t.Fatalf("what was read is refused: %v\n%s", err, text)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatalf("read again it differs:\n%s", diff)
		}
	})
}
