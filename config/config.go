// Package config holds the manifests that poolkeeper needs in a cluster: the
// five definitions, the rights of the controller and of people, the admission
// policies, what a machine that joins may do, the fair queues of the API
// server, and one sample. Nothing comes in; out go the files as they were
// built into the binary. It never applies them and never changes them.
//
// The folders are applied in the order of Folders, the files of one folder in
// the order of their names, by server-side apply. The sample is different: it
// is a person's object from the moment it exists, so it is created once and
// never applied over what is there.
//
// Right after the definitions were applied, and for up to five seconds after
// each start of an API server, writes of pools and tasks are answered with 503:
// a mutating policy waits for their schema. Whoever says "ready" waits until a
// dry run of creating one passes.
package config

import "embed"

// FS holds the folders crd, rbac, policy, join, flow and samples with one or
// more YAML documents in each file.
//
//go:embed crd/*.yaml rbac/*.yaml policy/*.yaml join/*.yaml flow/*.yaml samples/*.yaml
var FS embed.FS

// Folders are the folders to apply, in order. The folder samples is not among
// them.
var Folders = []string{"crd", "rbac", "join", "policy", "flow"}

// Samples is the folder whose objects are created where they are missing and
// left alone where they are not.
const Samples = "samples"

// Stamp is the annotation that a policy puts on every pool that is created: one
// without it was made before the policies acted.
const Stamp = "poolkeeper.io/asked-by"

// Identities and names that the manifests and the controller agree on.
const (
	// Namespace holds the controller and the exact requests of
	// scaling activities.
	Namespace = "poolkeeper-system"
	// JoinNamespace holds one service account and one join Secret per pool,
	// and nothing else.
	JoinNamespace = "poolkeeper-join"
	// ControllerAccount is the service account of the controller in Namespace.
	ControllerAccount = "poolkeeper-controller"
	// ControllerUser is the user name of that service account.
	ControllerUser = "system:serviceaccount:" + Namespace + ":" + ControllerAccount
	// JoinAccountPrefix and the name of a pool make the name of the service
	// account whose tokens are the pool's join credentials.
	JoinAccountPrefix = "pool-"
	// JoinRequestPrefix, the name of a pool and a dash are the generateName of
	// every certificate request that a join credential files.
	JoinRequestPrefix = "poolkeeper-"
)
