// Package near finds the word that was probably meant by one that was typed. In
// come a word and those that there are; out comes one of them, or nothing. It
// knows nothing of commands.
package near

import "strings"

// Bare takes the kind off names that are written as `-o name` and kubectl write
// them, such as nodepool.poolkeeper.io/web or node/i-1.
func Bare(typed []string) []string {
	out := make([]string, len(typed))
	for i, t := range typed {
		kind, name, ok := strings.Cut(t, "/")
		if out[i] = t; ok && (kind == "node" || strings.HasSuffix(kind, ".poolkeeper.io")) {
			out[i] = name
		}
	}
	return out
}

// To is the name that a typed one was probably meant to be; empty where
// none is near.
func To(typed string, names []string) string {
	best, least := "", len(typed)/2+1
	for _, n := range names {
		if d := distance(typed, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is how many letters must be put in, taken out, changed or swapped
// with a neighbour to make one word of the other.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
