// Package up starts a local region and watches it: the control plane, the local
// cloud and the controller, each a process of its own. In come a directory, a
// base port and the programs to run; out go a running region, progress in plain
// lines, and files that say how to reach it. It applies the manifests at every
// start, starts again what ends, and takes its children with it when it dies.
// It never decides about node pools, never listens on a port itself, and never
// runs the controller as an admin.
package up
