package v1alpha1

import (
	"strconv"
	"strings"
)

// maxCandidate is the length of the longest resource pool that a request names.
// Unit: bytes.
const maxCandidate = 129

// Asked reads an annotation that counts requests: a whole number, and after a
// blank what the newest of them speaks of; empty: everything. What cannot be
// read, or is too long, counts as 0.
func Asked(text string) (count int64, about string) {
	number, about, _ := strings.Cut(text, " ")
	count, err := strconv.ParseInt(number, 10, 64)
	if err != nil || count < 0 || len(about) > maxCandidate {
		return 0, ""
	}
	return count, about
}

// AskedFor writes what Asked reads.
func AskedFor(count int64, about string) string {
	return strings.TrimSpace(strconv.FormatInt(count, 10) + " " + about)
}
