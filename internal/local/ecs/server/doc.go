// Package server is the local cloud: an HTTP server on loopback that speaks the
// vendor's RPC OpenAPI, with simulated machines behind it.
//
// In come signed requests, controls of `poolkeeper local`, and what machines
// ask of their metadata service; out go answers in the vendor's shapes, and
// calls to a machine.Host. What is decided stands in region, what is kept in
// store, who signed in signature; here they are put together. It never
// answers before what it answers for is on disk.
package server
