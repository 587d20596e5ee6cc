package scaling

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
)

// RequestsHash is the SHA-256 of the exact requests of an activity, by their
// keys, in hexadecimal. It stands in the activity's spec, so that no other
// bytes are ever sent for it.
func RequestsHash(data map[string][]byte) string {
	keys := make([]string, 0, len(data))
	for k := range data {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	h := sha256.New()
	for _, k := range keys {
		fmt.Fprintf(h, "%d:%s%d:", len(k), k, len(data[k]))
		h.Write(data[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}
