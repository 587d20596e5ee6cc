// Package kill is the crash test: it runs the real control plane, local cloud
// and controller as three processes, lets a pool scale out and in, and ends one
// of them with SIGKILL at a chosen call. In come the table of steps and, with
// the build tag kill, a seed; out comes a report of what was hit and how long
// the pool took to be as wished. It never ends a process gently while it
// measures, never waits for a fixed time, and passes nothing that the cloud,
// the records and the Nodes do not agree on.
package kill
