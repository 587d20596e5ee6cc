// Package cli is the command line: one file per noun. In come arguments, a
// kubeconfig and answers typed at a terminal; out go reads and writes of our
// objects, texts made by package view, and an exit code that scripts can use.
// It never decides what an engine does, talks to no cloud, starts no server and
// keeps nothing between two commands.
package cli
