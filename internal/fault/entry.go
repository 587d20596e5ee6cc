package fault

import "time"

// Entry is one row of the catalogue.
type Entry struct {
	// Code that was looked up.
	Code Code
	// Also are further codes of the same row.
	Also []Code
	// Origin says where the row comes from.
	Origin Origin
	// RaisedBy says who raises it, for the printed catalogue.
	RaisedBy string
	// Cause is one sentence without a full stop, in lower case.
	Cause string
	// Solution is what a person can do, in the same form, for Advice to fill: a
	// part in <> is left out where one of its {details} is not known, and POOL
	// stands for the pool.
	Solution string
	// Hints are sentences that are added to the solution where all their
	// {details} are known; see Details.
	Hints []string
	// Scope is what the failure says something about.
	Scope Scope
	// Next is what is done now.
	Next Next
	// Retry says when it may be tried again.
	Retry Retry
	// Known is false for a code that the catalogue does not have.
	Known bool
}

// Origin says where a row comes from.
type Origin string

// The origins.
const (
	// OriginPage rows are those of the public page on adjusting the expected
	// number of nodes.
	OriginPage Origin = "page"
	// OriginWire rows are met on the wire beside them.
	OriginWire Origin = "wire"
	// OriginOurs rows are raised by poolkeeper alone.
	OriginOurs Origin = "ours"
)

// Scope is what a failure says something about.
type Scope string

// The scopes.
const (
	// ScopePool is one resource pool: a type in a zone, billed in one way.
	ScopePool Scope = "pool"
	// ScopeType is an instance type in every zone.
	ScopeType Scope = "type"
	// ScopeTypeImage is an instance type together with the image.
	ScopeTypeImage Scope = "typeImage"
	// ScopeTypeDisk is an instance type together with the disk categories.
	ScopeTypeDisk Scope = "typeDisk"
	// ScopeVSwitch is one vSwitch.
	ScopeVSwitch Scope = "vswitch"
	// ScopeZone is one zone.
	ScopeZone Scope = "zone"
	// ScopeDisk is the disk categories in one zone.
	ScopeDisk Scope = "disk"
	// ScopeTemplate is the launch settings as written.
	ScopeTemplate Scope = "template"
	// ScopeAccount is the account or its credentials.
	ScopeAccount Scope = "account"
	// ScopeInstance is one instance.
	ScopeInstance Scope = "instance"
	// ScopeCluster is the API server.
	ScopeCluster Scope = "cluster"
	// ScopeGroup is the whole group.
	ScopeGroup Scope = "group"
	// ScopePiece is one request of an activity.
	ScopePiece Scope = "piece"
)

// Place is what was sent, as far as a refusal can speak of it.
type Place struct {
	VSwitch      string
	Zone         string
	InstanceType string
	ChargeType   string
	// Disk names the disk categories that were asked for.
	Disk string
}

// Of returns the parts of a place that the scope speaks of: what a refusal is
// remembered under. Scopes wider than a candidate give an empty place.
func (s Scope) Of(p Place) Place {
	switch s {
	case ScopePool:
		k := Place{Zone: p.Zone, InstanceType: p.InstanceType, ChargeType: p.ChargeType}
		if p.Zone == "" {
			k.VSwitch = p.VSwitch
		}
		return k
	case ScopeType, ScopeTypeImage:
		return Place{InstanceType: p.InstanceType}
	case ScopeTypeDisk:
		return Place{InstanceType: p.InstanceType, Disk: p.Disk}
	case ScopeVSwitch:
		return Place{VSwitch: p.VSwitch}
	case ScopeZone:
		return Place{Zone: p.Zone}
	case ScopeDisk:
		return Place{Zone: p.Zone, Disk: p.Disk}
	}
	return Place{}
}

// Covers tells whether a refusal of this scope, met at one place, speaks of
// another place too. A scope of one instance or one piece covers nothing.
func (s Scope) Covers(refused, asked Place) bool {
	if s == ScopeInstance || s == ScopePiece {
		return false
	}
	return s.Of(refused) == s.Of(asked)
}

// Narrow says whether a scope speaks of some candidates of a group, and not of
// all or of none.
func (s Scope) Narrow() bool {
	switch s {
	case ScopePool, ScopeType, ScopeTypeImage, ScopeTypeDisk, ScopeVSwitch, ScopeZone, ScopeDisk:
		return true
	}
	return false
}

// Next is what is done after a failure.
type Next string

// What is done next.
const (
	// NextFallOver tries the next candidate in this activity.
	NextFallOver Next = "fall over"
	// NextStop ends the activity: no candidate can help, the pool waits.
	NextStop Next = "stop"
	// NextWait waits and goes on with the same thing.
	NextWait Next = "wait"
	// NextSameToken sends the same bytes with the same token again.
	NextSameToken Next = "same token"
	// NextReplace releases the instance and creates another, boundedly.
	NextReplace Next = "replace"
	// NextUncertain leaves the piece uncertain.
	NextUncertain Next = "uncertain"
	// NextReject refuses the request.
	NextReject Next = "reject"
	// NextEndTask ends the task; the pool goes on.
	NextEndTask Next = "end task"
	// NextKeep takes the mark of release back: the instance is kept.
	NextKeep Next = "keep"
	// NextGone takes it as done: what was to go is gone.
	NextGone Next = "gone"
	// NextGoOn goes on and says so.
	NextGoOn Next = "go on"
)

// RetryKind says what ends the wait after a failure.
type RetryKind string

// The kinds of retry.
const (
	// RetryExpiry tries again when a fixed time has passed.
	RetryExpiry RetryKind = "expiry"
	// RetryBackoff tries again after a growing time with jitter.
	RetryBackoff RetryKind = "backoff"
	// RetryMinute tries again when the next minute has begun.
	RetryMinute RetryKind = "next minute"
	// RetryEdit tries again when pool or account changed, and now and then to
	// see whether the account did.
	RetryEdit RetryKind = "edit"
	// RetryNow tries again as soon as what stood in the way ends.
	RetryNow RetryKind = "now"
	// RetryNever does not try again.
	RetryNever RetryKind = "never"
)

// Retry says when something may be tried again.
type Retry struct {
	Kind RetryKind
	// After is the time of RetryExpiry at its default. Zero otherwise.
	After time.Duration
}

// String says it in words.
func (r Retry) String() string {
	switch r.Kind {
	case RetryExpiry:
		return "after " + minutes(r.After)
	case RetryBackoff:
		return "growing waits"
	case RetryMinute:
		return "in the next minute"
	case RetryEdit:
		return "when pool or account changed; looked at every 30 minutes"
	case RetryNow:
		return "as soon as it ends"
	}
	return "-"
}
