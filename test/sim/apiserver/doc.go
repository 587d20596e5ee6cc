// Package apiserver is a model of the Kubernetes API server and of a
// controller's cache, for one goroutine at a time. In come the calls of a
// controller-runtime client, a clock and a source of names; out come the
// answers that the real server gives: resource versions, conflicts,
// generations, generated names, finalizers and deletion in flight, status apart
// from the rest, merge and JSON patches, preconditions, and an ordered log of
// what changed, which caches follow as far behind as they are told to. A script
// of calls is run against it and against the real server with the same
// outcome. What it does not know it refuses, and never makes up: admission,
// the rules of the definitions (CEL, bounds, defaults), server-side apply,
// garbage collection by owner, field selectors and pages.
package apiserver
