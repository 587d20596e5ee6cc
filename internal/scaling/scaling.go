// Package scaling decides what a scaling group does next: how many instances
// it creates and in which resource pools, which it releases, which it calls
// back, and why it stays as it is. In comes one Snapshot of plain values, out
// comes one Decision. The same snapshot gives the same decision, whatever the
// order of its instances: names break ties. It never reads a clock, a cloud or
// a cluster, and never changes what it is given.
package scaling

import (
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// MaxCreate is the most that one activity creates. Unit: instances.
const MaxCreate = 2000

// MaxPiece is the most that one request asks for. Unit: instances.
const MaxPiece = 100

// Policy says how resource pools are chosen.
type Policy string

// The policies.
const (
	Priority              Policy = "Priority"
	DistributionBalancing Policy = "DistributionBalancing"
	CostOptimization      Policy = "CostOptimization"
)

// ChargeType says how an instance is billed.
type ChargeType string

// The charge types.
const (
	PayAsYouGo   ChargeType = "PayAsYouGo"
	Subscription ChargeType = "Subscription"
	Spot         ChargeType = "Spot"
)

// Settings are the policy with its refinements.
type Settings struct {
	Policy Policy
	// TypeFirst tries one type in all vSwitches before the next type.
	TypeFirst bool
	// StrictBalance does not pass on the share of a zone that cannot give.
	StrictBalance bool
	// Charge is how new instances are billed.
	Charge ChargeType
	// OnDemandBase instances are on demand before any spot is asked for, and
	// OnDemandPercent of those beyond.
	OnDemandBase, OnDemandPercent int
	// SpotPools is over how many of the cheapest spot pools is spread.
	SpotPools int
	// Compensate creates on demand what spot cannot give.
	Compensate bool
}

// ResourcePool is one instance type in one vSwitch, billed in one way.
type ResourcePool struct {
	VSwitch, Zone, InstanceType string
	ChargeType                  ChargeType
	// Stock is the cloud's grade; SoldOut is true where it says that there is
	// none, or that the type is not offered.
	SoldOut bool
	// Price of one instance per hour. Unit: millionths of the currency; 0
	// where not known.
	Price int64
	// VCPU of the type; 0 where not known.
	VCPU int
	// FreeAddresses in the vSwitch; -1 where not known.
	FreeAddresses int
	// Constraint is what does not fit; empty where all fits.
	Constraint fault.Code
	// Disk names the disk categories that are asked for.
	Disk string
}

// place is what a refusal of this pool would speak of.
func (p ResourcePool) place() fault.Place {
	return fault.Place{VSwitch: p.VSwitch, Zone: p.Zone, InstanceType: p.InstanceType, ChargeType: string(p.ChargeType), Disk: p.Disk}
}

// perVCPU is the price per vCPU, very high where it is not known.
func (p ResourcePool) perVCPU() int64 {
	if p.Price <= 0 || p.VCPU <= 0 {
		return 1 << 60
	}
	return p.Price / int64(p.VCPU)
}

// Refusal is something that the cloud refused and that is remembered.
type Refusal struct {
	Code  fault.Code
	Place fault.Place
	Until time.Time
	Count int
	// All is true where it speaks of every pool of the group.
	All bool
}

// Instance is one recorded instance.
type Instance struct {
	Name, Zone, VSwitch, InstanceType string
	ChargeType                        ChargeType
	// Price per hour and VCPU, as in ResourcePool.
	Price   int64
	VCPU    int
	Created time.Time
	// Seen is true once a look by id has shown it with our tags.
	Seen bool
	// Running is true while the cloud says so.
	Running bool
	// FailedToJoin is true once its join was given up, KeepUntil how long it
	// stays to be looked at.
	FailedToJoin bool
	// ReleaseFirst is a person's wish.
	ReleaseFirst bool
	// Kept says why it may not be released; empty where it may.
	Kept string
	// Marked is when it was decided to be released; zero where it stays.
	Marked time.Time
	// ReleaseSent is true once the release call was about to be made.
	ReleaseSent bool
	// Named is true where a task named it: it is never called back.
	Named bool
	// Unknown instances carry our tags and nobody knows why; Removed ones were
	// taken out. Neither is counted.
	Unknown, Removed bool
}

// Transfer takes an instance out by name, or brings one in.
type Transfer struct {
	Instance string
	In       bool
	// Release releases what goes out.
	Release bool
	Task    string
}

// Snapshot is all that a decision depends on.
type Snapshot struct {
	Now      time.Time
	Settings Settings
	// Desired is the expected number of instances.
	Desired int
	// Pools in the group's order: vSwitch by vSwitch, type by type.
	Pools     []ResourcePool
	Instances []Instance
	Transfers []Transfer
	Refusals  []Refusal
	// Uncertain is how many instances unsettled pieces may have made.
	Uncertain int
	// Busy is true while an activity may still send.
	Busy bool
	// Emptying lets everything go: the pool is being deleted.
	Emptying bool
	// Frozen says why nothing is created or released; empty where not.
	Frozen string
	// KeepFailed is how many machines that failed to join stay, for how long.
	KeepFailed    int
	KeepFailedFor time.Duration
	// Cause says what is known of what changed; empty lets the numbers speak.
	Cause string
}

// Reason is why something is not done.
type Reason struct {
	Code fault.Code
	Text string
}

// Chosen is one instance that leaves, and why this one.
type Chosen struct {
	Name, Why string
	// Task that named it; empty where the policy chose.
	Task string
	// NotBefore puts the release off.
	NotBefore time.Time
}

// Candidate is one resource pool to ask.
type Candidate struct {
	VSwitch, Zone, InstanceType string
	ChargeType                  ChargeType
	// Price per hour, as in ResourcePool.
	Price int64
	// Share is how many this one gives before the next is asked; 0: as many
	// as are missing.
	Share int
	// ShareWith is the same for candidates that fill one share together.
	ShareWith string
	Disk      string
}

// Decision is what a group does next.
type Decision struct {
	// Cause says what changed.
	Cause      string
	Create     int
	Candidates []Candidate
	// CallBack names marked instances that stay after all.
	CallBack []string
	Release  []Chosen
	TakeOut  []Chosen
	BringIn  []string
	// Blocked says why the group stays short or over.
	Blocked []Reason
	// Wake is when to look again; zero where an event will tell.
	Wake time.Time
	// Counted and Missing are what was reckoned with: missing is negative
	// where there are too many.
	Counted, Missing int
}

// Empty says that nothing is to be done now.
func (d Decision) Empty() bool {
	return d.Create == 0 && len(d.CallBack) == 0 && len(d.Release) == 0 && len(d.TakeOut) == 0 && len(d.BringIn) == 0
}

// counted says whether an instance counts against the desired number.
func (i Instance) counted() bool {
	return i.Marked.IsZero() && !i.Unknown && !i.Removed
}
