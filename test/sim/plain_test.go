//go:build !race

package sim

// seeds is the bounded set.
const seeds = 1000
