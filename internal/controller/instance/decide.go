package instance

import (
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/node"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// facts are all that next knows of one instance.
type facts struct {
	now     time.Time
	waits   wait.Settings
	i       *api.Instance
	seen    *cloud.Instance // in the newest complete sweep
	ours    bool            // with our tags
	node    *node.Node
	misses  int // complete sweeps in a row without it
	keeping bool
}

// step is what is to be done about one instance now.
type step struct {
	lookByID bool // for seen, or before it is believed gone
	gone     bool // two sweeps missed it: gone if the look by id finds nothing
	drain    bool // one pass
	release  bool // due, after a look by id
	takeOut  bool // due
	taken    bool // our tags are off, and it is still there
	readLog  bool
	again    time.Time
}

// next is pure: the same facts, the same step.
func next(f facts) step {
	var s step
	i := f.i
	switch {
	case i.Status.LifecycleState == api.InstanceRemoved:
		return s
	case f.misses >= 2 && (i.Status.SeenTime != nil || f.now.Sub(i.CreationTimestamp.Time) > f.waits.Visibility):
		s.lookByID, s.gone = true, true
		return s
	case f.seen != nil && !f.ours && i.Spec.CreationType != api.CreatedUnknown && i.Spec.Release == nil:
		s.lookByID, s.taken = true, true
	case i.Status.SeenTime == nil && f.seen != nil:
		s.lookByID = true
	}
	if i.Spec.Release != nil {
		leaving(f, &s)
		return s
	}
	if i.Spec.Disown && i.Spec.CreationType == api.CreatedUnknown {
		s.takeOut = true
		return s
	}
	joining(f, &s)
	return s
}

// leaving: drain, then release or take out.
func leaving(f facts, s *step) {
	mark := f.i.Spec.Release
	if mark.NotBeforeTime != nil && f.now.Before(mark.NotBeforeTime.Time) {
		s.again = mark.NotBeforeTime.Time
		return
	}
	if f.i.Status.ReleaseSentTime != nil {
		if f.seen != nil && f.now.Sub(f.i.Status.ReleaseSentTime.Time) > f.waits.ReleaseAgain {
			s.release = true
		}
		return
	}
	if mark.Drain != api.DrainOff && mark.Drain != "" && f.i.Status.DrainEndTime == nil && f.node != nil {
		s.drain = true
		s.again = f.now.Add(f.waits.DrainPass)
		return
	}
	if mark.Drain == api.DrainRequired && f.i.Status.DrainBlocked != "" {
		return // the limit passed: it stays, cordoned, and the task says why
	}
	if f.seen != nil && (f.seen.Status == cloud.Pending || f.seen.Status == cloud.Starting) {
		s.again = f.now.Add(f.waits.SweepBusy)
		return
	}
	s.takeOut = mark.TakeOut
	s.release = !mark.TakeOut
}

// joining: read the log of one that is late, and say when it is given up.
func joining(f facts, s *step) {
	i := f.i
	if i.Status.JoinedTime != nil || i.Status.FailedTime != nil || i.Spec.CreationType != api.CreatedByUs {
		return
	}
	began := i.CreationTimestamp.Time
	if i.Status.RunningTime != nil {
		began = i.Status.RunningTime.Time
	}
	if i.Spec.RejoinTime != nil && i.Spec.RejoinTime.After(began) {
		began = i.Spec.RejoinTime.Time
	}
	deadline := began.Add(joinDeadline(i, f.waits))
	late := began.Add(f.waits.JoinLate)
	s.again = deadline
	switch {
	case f.now.Before(late):
		s.again = late
	case i.Status.RunningTime != nil:
		s.readLog = true
		if next := f.now.Add(f.waits.JoinLogAgain); next.Before(deadline) {
			s.again = next
		}
	}
}

// joinDeadline is how long one instance may take from running to Ready.
func joinDeadline(i *api.Instance, w wait.Settings) time.Duration {
	if i.Spec.JoinDeadlineSeconds > 0 {
		return time.Duration(i.Spec.JoinDeadlineSeconds) * time.Second
	}
	return w.JoinDeadline
}

// overdue says whether an instance is past its join deadline.
func overdue(f facts) bool {
	if f.i.Status.RunningTime == nil {
		return f.now.Sub(f.i.CreationTimestamp.Time) > f.waits.StartDeadline
	}
	began := f.i.Status.RunningTime.Time
	if f.i.Spec.RejoinTime != nil && f.i.Spec.RejoinTime.After(began) {
		began = f.i.Spec.RejoinTime.Time
	}
	return f.now.Sub(began) > joinDeadline(f.i, f.waits)
}

// lifecycleState is the state that people read.
func lifecycleState(i *api.Instance, cloudStatus cloud.Status, joined bool) api.LifecycleState {
	switch {
	case i.Status.LifecycleState == api.InstanceRemoved:
		return api.InstanceRemoved
	case i.Spec.Release != nil && i.Status.DrainStartTime != nil && i.Status.DrainEndTime == nil:
		return api.InstanceRemovingWait
	case i.Spec.Release != nil:
		return api.InstanceRemoving
	case cloudStatus == cloud.Stopped || cloudStatus == cloud.Stopping:
		return api.InstanceStopped
	case i.Spec.Standby:
		return api.InstanceStandby
	case cloudStatus != cloud.Running || (!joined && i.Spec.CreationType == api.CreatedByUs):
		return api.InstancePending
	case i.Spec.Protected:
		return api.InstanceProtected
	}
	return api.InstanceInService
}

// nodeState is the state of its Node.
func nodeState(i *api.Instance, n *node.Node) api.NodeState {
	switch {
	case n != nil && n.Ready:
		return api.NodeReady
	case i.Status.JoinedTime == nil && i.Status.FailedTime != nil:
		return api.NodeFailed
	case i.Status.JoinedTime == nil:
		return api.NodeJoining
	case n == nil:
		return api.NodeUnknown
	}
	return api.NodeNotReady
}
