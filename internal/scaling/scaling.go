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

// HoldAfter is how often the same cause may come in a row before it is only
// tried now and then, where nothing else is set.
const HoldAfter = 3

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

// Stock is a grade of stock.
type Stock string

// The grades of stock.
const (
	WithStock          Stock = "WithStock"
	ClosedWithStock    Stock = "ClosedWithStock"
	WithoutStock       Stock = "WithoutStock"
	ClosedWithoutStock Stock = "ClosedWithoutStock"
	NotOffered         Stock = "NotOffered"
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
	// Stock is the cloud's grade; empty where not known.
	Stock Stock
	// SoldOut is true where the cloud says that there is none, or that the type
	// is not offered, whatever Stock says.
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

// Refusal is something that the cloud refused, or a failure to join, that is
// remembered until it expires.
type Refusal struct {
	Code fault.Code
	// Place that was asked: what was sent, never what was wished.
	Place fault.Place
	// All is true where it speaks of every pool of the group, whatever its row
	// in the catalogue speaks of.
	All bool
	// First and Last are when it came first and last in a row, Until when it
	// may be tried again.
	First, Last, Until time.Time
	// Count is how often it came in a row, from 1.
	Count int
	// Generation of the settings that were refused; 0 where not known.
	Generation int64
	// Burnt is the money spent on failed tries. Unit: millionths of the
	// currency.
	Burnt int64
}

// Instance is one recorded instance.
type Instance struct {
	Name, Zone, VSwitch, InstanceType string
	ChargeType                        ChargeType
	// Price per hour and VCPU, as in ResourcePool.
	Price   int64
	VCPU    int
	Created time.Time
	// Activity is the number of the activity that created it and Piece the
	// piece there, which tell who is newer where creation times tie; 0 where
	// not known.
	Activity, Piece int
	// Seen is true once a look by id has shown it with our tags.
	Seen bool
	// Running is true while the cloud says so.
	Running bool
	// FailedToJoin is true once its join was given up, NotStarted where that is
	// because it never ran: nothing on it could be looked at.
	FailedToJoin, NotStarted bool
	// Resetting is true where it was given up while it reset its MIG partitions,
	// and neither an edit nor a person's word since lets it be replaced.
	Resetting bool
	// Abandoned is true where it failed because a lifecycle hook ended its way
	// in: it goes at once.
	Abandoned bool
	// Joined is true once its Node was Ready and no lifecycle hook held it any
	// more.
	Joined bool
	// Unhealthy is true where the health check is on and two sweeps in a row
	// did not show it running.
	Unhealthy bool
	// State is what the cloud says of it, in lower case; empty where not known.
	State string
	// ReleaseFirst is a person's wish.
	ReleaseFirst bool
	// Kept says why it may not be released, one of the Kept words; empty where
	// it may.
	Kept string
	// Marked is when it was decided to be released; zero where it stays.
	Marked time.Time
	// ReleaseSent is true once the release call was about to be made.
	ReleaseSent bool
	// Named is true where a task named it, or it is only taken out: a higher
	// number does not call it back.
	Named bool
	// Task that marked it; empty where none did.
	Task string
	// Unknown instances carry our tags and nobody knows why; Removed ones were
	// taken out. Neither is counted.
	Unknown, Removed bool
	// Lost is true of an unknown one that a piece of the group names: its record
	// was there once, and was lost.
	Lost bool
}

// Why an instance may not be released by scaling in.
const (
	KeptSubscription     = "subscription"
	KeptProtected        = "protected"
	KeptStandby          = "standby"
	KeptAttached         = "attached"
	KeptReleaseProtected = "release-protected"
	KeptHeld             = "held by another task"
	KeptNewer            = "of an origin that this version does not know"
)

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
	// Uncertain is how many instances unsettled pieces may have made, and
	// UncertainByZone where they would be.
	Uncertain       int
	UncertainByZone map[string]int
	// New is true of a group that has no activity yet.
	New bool
	// Busy is true while an activity may still send.
	Busy bool
	// Emptying lets everything go: the pool is being deleted.
	Emptying bool
	// Frozen says why nothing is created or released; empty where not.
	Frozen string
	// NoRelease says why nothing is released while creating goes on (mass
	// disappearance); empty where not.
	NoRelease string
	// Undrained says why what scaling in picks cannot be drained first, as the
	// group requires: a state of fault.DrainRoleCause. It waits. Empty where it
	// can, or need not.
	Undrained string
	// Rebalance is true while a person wants zones evened out: first created,
	// never beyond Max, then released. Max 0 is no limit.
	Rebalance bool
	Max       int
	// Ceilings bound what is created.
	Ceilings []Ceiling
	// Generation of the settings that new instances are created with; 0 where
	// not known.
	Generation int64
	// HoldAfter is how often the same cause may come in a row before it is
	// only tried now and then. 0 stands for 3.
	HoldAfter int
	// NextLook is when stock is read again; zero where not known.
	NextLook time.Time
	// KeepFailed is how many machines that failed to join stay, for how long.
	KeepFailed    int
	KeepFailedFor time.Duration
	// Cause says what is known of what changed; empty lets the numbers speak.
	Cause string
	// Lost says what became of instances that left by nobody of ours and are
	// not replaced yet; empty where none did.
	Lost string
	// Left is what the activity before took away with the number unchanged and
	// without a person's word; zero where it did not.
	Left Left
}

// Left says how many instances an activity took away, and its cause.
type Left struct {
	Count int
	Cause string
}

// Reason is why something is not done. Text is a sentence without a full stop.
type Reason struct {
	Code fault.Code
	Text string
	// Edit is what helps in this case; empty: what the catalogue says.
	Edit string
	// Next is what comes next where neither time nor edit decides; empty: what
	// the catalogue says.
	Next string
	// Names are the instances that it speaks of, in an order that is always the
	// same.
	Names []string
	// Place is what could not be asked, or the first of several; empty where
	// it speaks of all.
	Place fault.Place
	// Since is when it began and Until when the next try is due; zero where
	// not known.
	Since, Until time.Time
	// Count is how often the cause came in a row; Held is true where it came so
	// often that it is only tried now and then, Burnt what that cost so far.
	Count int
	Held  bool
	Burnt int64
	// OnWord is true where nothing is tried until a person says so.
	OnWord bool
	// Ceiling that it speaks of, in words; empty where it speaks of none.
	Ceiling string
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
	// as are missing. Where zones are balanced, it is how far its zone is
	// below the level that all zones are filled to; negative: above it.
	Share int
	// ShareWith is the same for candidates that fill one share together.
	ShareWith string
	// Disk as in ResourcePool.
	Disk string
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
	// Surge is how many of Create go beyond the desired number, for a rebalance.
	Surge int
	// RebalanceEnd says why a rebalance that was asked for ends now: zones are
	// even, or cannot be made more even; empty where it goes on.
	RebalanceEnd string
	// Imbalance is by how many instances the fullest zone exceeds the emptiest,
	// where zones are to be balanced.
	Imbalance int
	// Checks are what the ceilings say of what was to be created, each that is
	// set once.
	Checks []CeilingCheck
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
