package view

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// InstanceNote says what is worth knowing about an instance beyond its states:
// the step of its join, why it goes, why it is kept. Empty where nothing is.
func InstanceNote(i *v1alpha1.Instance, clock Clock) string {
	st := &i.Status
	switch {
	case st.LifecycleState == v1alpha1.InstanceRemoved:
		return "taken out, not released; it goes on costing until it is released by hand. Its record ends with: poolkeeper node forget " + i.Name
	case i.Spec.Release != nil:
		return leavingNote(i, clock)
	case ofUnknownOrigin(i):
		return fmt.Sprintf("not counted, never released: poolkeeper instance adopt %s, or poolkeeper instance disown %s", i.Name, i.Name)
	case st.NodeState == v1alpha1.NodeFailed, abandoned(i):
		return failedNote(i)
	case st.LifecycleState == v1alpha1.InstancePendingWait:
		return hookNote(i, clock)
	case JoinStep(i) != "":
		return lateNote(i, clock)
	case st.LifecycleState == v1alpha1.InstanceStopped:
		return "not running in the cloud, and replaced only where the health check is on: start it there, or poolkeeper pool edit " +
			i.Spec.Pool + " --health-check ECS"
	case st.NodeState == v1alpha1.NodeUnknown && st.Message != "":
		return trimPoint(st.Message)
	case st.NodeState == v1alpha1.NodeUnknown:
		return "its Node object is gone; the instance still counts: restart its kubelet, or poolkeeper node remove " + i.Name
	}
	notes := keptNotes(i)
	if i.Status.RecallTime != nil {
		notes = append(notes, lifecycle.RecallNotice)
	}
	if DrainStopped(i) {
		notes = append(notes, fmt.Sprintf("its drain stopped: %s. To use it again: kubectl uncordon %s; to remove it again: poolkeeper node remove %s", i.Status.DrainBlocked, i.Name, i.Name))
	}
	for _, kind := range []string{v1alpha1.ConditionSchedulingDisabled, v1alpha1.ConditionOtherNode} {
		if c := meta.FindStatusCondition(i.Status.Conditions, kind); c != nil {
			notes = append(notes, trimPoint(c.Message))
		}
	}
	if i.Spec.ReleaseFirst {
		notes = append(notes, "released first")
	}
	return strings.Join(notes, ", ")
}

// ofUnknownOrigin is true of an instance that is nobody's until a person decides.
func ofUnknownOrigin(i *v1alpha1.Instance) bool {
	return i.Spec.CreationType == v1alpha1.CreatedUnknown && i.Status.LifecycleState != v1alpha1.InstanceRemoved
}

// leavingNote says why an instance goes, and what holds it up.
func leavingNote(i *v1alpha1.Instance, clock Clock) string {
	m, verb := i.Spec.Release, "to be released"
	if m.TakeOut {
		verb = "to be taken out, goes on running"
	}
	parts := []string{joinNonEmpty(": ", verb, m.Reason)}
	if m.NotBeforeTime != nil && m.NotBeforeTime.After(clock.Now) {
		parts = append(parts, "kept to look at until "+clock.At(m.NotBeforeTime.Time))
	}
	if note := hookNote(i, clock); note != "" {
		parts = append(parts, note)
	}
	if i.Status.DrainBlocked != "" {
		parts = append(parts, "drain waits: "+i.Status.DrainBlocked)
	}
	return strings.Join(parts, "; ")
}

// lateNote says when a machine that joins late is given up.
func lateNote(i *v1alpha1.Instance, clock Clock) string {
	if end := JoinEnd(i); !end.IsZero() {
		return "late; given up at " + clock.At(end)
	}
	return "late"
}

// JoinEnd is when the join of a machine is given up; zero where not known.
func JoinEnd(i *v1alpha1.Instance) time.Time {
	began, limit := i.Status.RunningTime, time.Duration(i.Spec.JoinDeadlineSeconds)*time.Second
	if again := i.Spec.RejoinTime; again != nil && (began == nil || began.Before(again)) {
		began = again
	}
	if began == nil || limit <= 0 {
		return time.Time{}
	}
	return began.Add(limit)
}

// failedNote says where a join stopped.
func failedNote(i *v1alpha1.Instance) string {
	var parts []string
	if step := bootstrap.Step(i.Status.Step).Words(); step != "" && !strings.Contains(i.Status.Message, step) {
		parts = append(parts, "stopped at "+step)
	}
	if i.Status.Message != "" {
		parts = append(parts, trimPoint(i.Status.Message))
	}
	if len(parts) == 0 {
		return i.Status.Code
	}
	return strings.Join(parts, ": ")
}

// keptNotes are the reasons for which scaling in never picks an instance.
func keptNotes(i *v1alpha1.Instance) []string {
	var parts []string
	add := func(ok bool, text string) {
		if ok {
			parts = append(parts, text)
		}
	}
	if i.Status.ChargeType == v1alpha1.ChargeSubscription {
		text := "subscription"
		if t := i.Status.ExpiryTime; t != nil {
			text = fmt.Sprintf("subscription until %s", t.UTC().Format("2006-01-02"))
		}
		parts = append(parts, text)
	}
	add(i.Spec.Protected, "protected")
	add(i.Spec.Standby, "standby")
	add(i.Spec.CreationType == v1alpha1.CreatedAttached, "attached")
	add(i.Spec.CreationType == v1alpha1.CreatedUnknown, "origin unknown")
	add(i.Status.ReleaseProtected, "release protection of the cloud")
	return parts
}
