// Package machine is what the local cloud runs instead of hardware.
//
// A Host takes the description of an instance and behaves as its hardware and
// operating system would: it boots, consumes user data, joins a cluster, keeps
// a disk, a system log and a serial console, and stops when told. The local
// cloud (internal/local/ecs) decides which instances exist; a Host never does.
// Simulated machines (Simulator) are one Host; real virtual machines can be
// another behind the same seam.
package machine

import (
	"context"
	"net/http"
	"time"
)

// Spec is what the cloud tells a Host about one instance. It does not change
// while the instance lives.
type Spec struct {
	ID           string
	Region       string
	Zone         string
	InstanceType string
	ImageID      string
	HostName     string
	PrivateIP    string
	// VCPU and MemoryMiB size the Node that the machine registers.
	VCPU      int
	MemoryMiB int
	// UserData is what was given at creation, decoded. At most 32 KiB.
	UserData []byte
	// BootDelay passes between power on and the first line of cloud-init.
	BootDelay time.Duration
	// Faults are the misbehaviours that the local cloud's controls ask of this
	// machine, such as a join step to stop at. Empty for a good machine.
	Faults Faults
}

// Faults are misbehaviours of one machine.
type Faults struct {
	// StopAtStep names the step of the join (as the join log names it) at
	// which the machine fails. Empty: none.
	StopAtStep string
	// MIGPartitions says that a GPU machine comes with MIG partitions left on
	// it, and MIGReset how long their reset takes.
	MIGPartitions bool
	MIGReset      time.Duration
}

// Host runs machines. All methods may be called from several goroutines; a
// call about a machine that the Host does not know does nothing and reports
// ErrUnknown where it has an error to give.
type Host interface {
	// Start powers a machine on: the first time with an empty disk, later
	// with the disk it left. Starting a running machine does nothing.
	Start(spec Spec) error
	// Stop powers a machine off and keeps its disk.
	Stop(id string) error
	// Release powers a machine off and destroys its disk.
	Release(id string) error
	// Console is what the serial console showed since the last power on. At
	// most 64 KiB, the newest.
	Console(id string) []byte
	// Exec runs one command on a running machine, as a person on its shell.
	Exec(ctx context.Context, id string, argv []string) (output []byte, exitCode int, err error)
}

// Cloud is what a machine reaches of its cloud from inside.
type Cloud interface {
	// Metadata answers the machine's requests to http://100.100.100.200
	// (hardened mode: a token by PUT first).
	Metadata(id string) http.Handler
	// Reach says whether the security groups and the network let the machine
	// open a connection to a TCP address ("host:port"). An error is the
	// connection error that the machine sees, "connection timed out" for one.
	Reach(id, address string) error
}

// Disks keeps the files of machines. What Write has returned for survives a
// kill -9 of the process that holds it.
type Disks interface {
	// Read returns the whole disk of a machine: path to content.
	Read(id string) (map[string][]byte, error)
	// Write stores files of one machine in one step; a nil content deletes.
	Write(id string, files map[string][]byte) error
	// Destroy forgets the disk of a machine.
	Destroy(id string) error
}
