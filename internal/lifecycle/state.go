package lifecycle

// State is the state of an instance in its group.
type State string

// The lifecycle states.
const (
	Pending      State = "Pending"
	PendingWait  State = "PendingWait"
	InService    State = "InService"
	Protected    State = "Protected"
	Standby      State = "Standby"
	Stopped      State = "Stopped"
	Removing     State = "Removing"
	RemovingWait State = "RemovingWait"
	// Removed was taken out and not released.
	Removed State = "Removed"
	// NotOurs is of unknown origin: nothing is done about it until a person
	// decides.
	NotOurs State = "UnknownOrigin"
)

// NodeState is the state of an instance's Node.
type NodeState string

// The node states.
const (
	NodeJoining  NodeState = "Joining"
	NodeReady    NodeState = "Ready"
	NodeNotReady NodeState = "NotReady"
	// NodeUnknown is a Node that joined and is gone from the API.
	NodeUnknown NodeState = "Unknown"
	// NodeFailed did not join.
	NodeFailed NodeState = "Failed"
)

// StateOf returns the lifecycle state that people read.
func StateOf(f Facts) State {
	r := f.Record
	_, held := f.held()
	switch {
	case r.State == Removed:
		return Removed
	case r.Origin == UnknownOrigin:
		return NotOurs
	case r.Mark != nil && (held || r.draining()):
		return RemovingWait
	case r.Mark != nil:
		return Removing
	case !r.Running.IsZero() && f.Sweep.Present && f.Sweep.Stopped >= 2:
		return Stopped
	case r.Standby:
		return Standby
	case held:
		return PendingWait
	case !joined(f), r.abandoned():
		return Pending
	case r.Protected:
		return Protected
	}
	return InService
}

// DrainOn says whether the drain of its mark is under way and has not stopped.
func (r Record) DrainOn() bool {
	return r.Mark != nil && r.DrainFor == r.Mark.Activity && r.draining() && !r.DrainStopped
}

func (r Record) draining() bool { return !r.DrainStart.IsZero() && r.DrainEnd.IsZero() }

// joined says whether it is in service: its Node was Ready, or it was attached
// and runs.
func joined(f Facts) bool {
	if f.Record.Origin == AutoCreated || f.Record.Origin == "" {
		return !f.Record.Joined.IsZero()
	}
	return !f.Record.Running.IsZero()
}

// NodeStateOf returns the state of its Node. A Node with another provider ID is
// not its Node. One of unknown origin without a Node has none: it is not let in.
func NodeStateOf(f Facts) NodeState {
	n := f.node()
	switch {
	case n.Ready:
		return NodeReady
	case f.Record.Origin == UnknownOrigin && n.Exists:
		return NodeNotReady
	case f.Record.Origin == UnknownOrigin:
		return ""
	case f.Record.Joined.IsZero() && f.Record.failed():
		return NodeFailed
	case f.Record.Joined.IsZero():
		return NodeJoining
	case !n.Exists:
		return NodeUnknown
	}
	return NodeNotReady
}

// node is the Node that is truly its own.
func (f Facts) node() Node {
	if f.Node.Foreign {
		return Node{}
	}
	return f.Node
}

// Unhealthy says whether the health check of the cloud would replace it: it ran
// once, and two sweeps in a row did not show it running. Protected and standby
// ones are exempt.
func Unhealthy(f Facts) bool {
	r := f.Record
	return r.Mark == nil && !r.Running.IsZero() && !r.Protected && !r.Standby && f.Sweep.Present && f.Sweep.Ours && f.Sweep.Stopped >= 2
}
