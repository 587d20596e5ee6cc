// Package archtest upholds the rules of the house by test: who may import whom,
// what every package says about itself, how long things may get, what tests
// may not do, and which dependencies have a reason written down. In comes the
// source of this repository, out go the lines that break a rule. It holds no
// code of the product and is imported by nobody.
package archtest
