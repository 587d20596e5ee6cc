// Package scenario tells the whole system as text: a local region with its
// control plane, its cloud and the controller runs, and each transcript types
// what a person would type and says what must then be seen. Every wait is
// divided by one factor, in our processes and in the local cloud.
//
// In come the files of testdata; out goes a comparison of every line, and
// after each file the invariants: count, tags, records, nodes, tasks and bill
// are the same story. It never reaches into a process: it sees what a person
// sees through the API server and the local cloud's controls. -rewrite writes
// what is so now; the files below testdata/pending wait for what they ask for
// and run only by name.
package scenario
