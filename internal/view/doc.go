// Package view turns objects into what people see: the word beside a pool, the
// sentence that says whether it is as wished and why not, rows of tables, bars
// of progress and the JSON views that scripts read. In come objects of our API
// and the time at which they were read; out come texts and plain values. Command
// line, console and controllers all take their words from here, so that one
// thing has one name everywhere. It never reads a cluster, a cloud or a clock,
// and decides nothing about what is done.
package view

// APIVersion is the version of the JSON views.
const APIVersion = "view.poolkeeper.io/v1"
