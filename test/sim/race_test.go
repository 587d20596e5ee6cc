//go:build race

package sim

// seeds is the bounded set under the race detector, which takes ten times as
// long.
const seeds = 100
