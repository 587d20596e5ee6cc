// Package lifecycle decides what one instance does next: wait for its start,
// its join and its hooks, serve, drain, be released or taken out, and when its record
// ends. In comes what is known of the instance at one moment: its record, what
// complete sweeps and a look by id showed, its Node, its log, its drain. Out
// comes one Step. The same facts give the same step. It never reads a clock, a
// cloud or a cluster, never decides which instance goes, and never believes an
// instance gone on the word of one look.
package lifecycle

import (
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Facts are all that a step depends on. All times are of our own clock.
type Facts struct {
	Now    time.Time
	Waits  wait.Settings
	Record Record
	Sweep  Sweep
	// Look is the look by id of this pass; its Made is false where none was.
	Look  Look
	Node  Node
	Log   Log
	Drain Drain
	// Hooks are those of its pool, Answers what was said to those that hold it.
	Hooks   []HookRule
	Answers []Answer
	// Hold says why nothing may be changed, in cloud or cluster: a frozen
	// group, another account's credentials. Empty where it may.
	Hold string
	// PoolGoes is true while the pool is being deleted: nothing is kept to be
	// looked at any longer.
	PoolGoes bool
	// Freeze is the guard against mass disappearance, of the instance's pool.
	Freeze Freeze
	// Remembered is true once its group has taken in that its creation failed.
	Remembered bool
	// LastRelease is the last release call of this process for it; zero where
	// there was none.
	LastRelease time.Time
}

// Origin says how an instance came to its group.
type Origin string

// The origins.
const (
	AutoCreated Origin = "AutoCreated"
	Attached    Origin = "Attached"
	// UnknownOrigin instances carry our tags and nobody knows why.
	UnknownOrigin Origin = "Unknown"
)

// Record is what was written about an instance.
type Record struct {
	Origin Origin
	// Created is when the record was made, or the instance attached.
	Created time.Time
	// Seen is when a look by id first showed it with our tags, Running when it
	// was first seen running, Joined when its Node was first Ready, Failed when
	// its join was given up, Rejoin when a person last let it join again. Zero
	// where not.
	Seen, Running, Joined, Failed, Rejoin time.Time
	// NeverRan is true where it was given up because it vanished before it ran.
	NeverRan bool
	// JoinDeadline is from running to Ready; 0 stands for the default.
	JoinDeadline time.Duration
	// Address that was written.
	Address string
	// TagsSure is true for an attached one once no untag call of an earlier
	// leaving can still land.
	TagsSure bool
	// Hooks hold it, or held it on its last way.
	Hooks []Hook
	// Protected and Standby are a person's wish, HeldBy the task that holds it.
	Protected, Standby bool
	HeldBy             string
	// Mark is the decision that it goes; nil where it stays.
	Mark *Mark
	// DrainStart and DrainEnd bracket its drain, ReleaseSent is written before
	// the release call. Zero where not.
	DrainStart, DrainEnd, ReleaseSent time.Time
	// DrainFor is the activity of the mark that the drain is, or was, for.
	DrainFor string
	// DrainStopped is true where a required drain stopped at its limit. The node
	// stays cordoned; a chosen one also when the mark is taken off.
	DrainStopped bool
	// Disown is a person's wish that our tags be taken off one of unknown
	// origin.
	Disown bool
	// Expiry of a subscription; zero where there is none.
	Expiry time.Time
	// Recalled is true of a spot instance that the cloud gave notice to take back.
	Recalled bool
	// State and NodeState as they were last written.
	State     State
	NodeState NodeState
}

// DrainMode says how a node is drained before it goes.
type DrainMode string

// The modes; empty is DrainOff.
const (
	DrainOff        DrainMode = "off"
	DrainBestEffort DrainMode = "bestEffort"
	DrainRequired   DrainMode = "required"
)

// Mark is the decision that an instance goes.
type Mark struct {
	// Activity that decided; it marks an instance once.
	Activity string
	Time     time.Time
	// TakeOut leaves it running.
	TakeOut bool
	// Task that named it; empty where the policy chose.
	Task  string
	Drain DrainMode
	// Limit of the drain; 0 stands for the default.
	Limit time.Duration
	// NotBefore puts the release off; zero where it is due.
	NotBefore time.Time
	// Emptying is true where the whole pool goes: protected, standby and held
	// ones go too.
	Emptying bool
	// ManageAttached is true where the pool lets scaling in pick attached ones.
	ManageAttached bool
}

// Status is what the cloud says an instance does.
type Status string

// The statuses.
const (
	CloudPending  Status = "Pending"
	CloudStarting Status = "Starting"
	CloudRunning  Status = "Running"
	CloudStopping Status = "Stopping"
	CloudStopped  Status = "Stopped"
)

// Shown is an instance as the cloud showed it.
type Shown struct {
	// Ours is true where it carries our tags.
	Ours             bool
	Status           Status
	Address          string
	Subscription     bool
	ReleaseProtected bool
}

// Sweep is what complete sweeps showed. Sweeps are counted only where they
// began the set time apart.
type Sweep struct {
	// Began is the start of the newest; zero before the first.
	Began time.Time
	// Present is true where the newest showed it, as Shown.
	Present bool
	Shown
	// Missed is how many in a row did not show it, Untagged how many in a row
	// showed it without our tags, Stopped how many in a row not running or
	// locked.
	Missed, Untagged, Stopped int
	// Empty is how many in a row showed nothing of ours, and Recorded how many
	// instances are on record.
	Empty, Recorded int
}

// Look is a look by id, made in this pass.
type Look struct {
	Made, Found bool
	Shown
}

// Node is what the cluster says.
type Node struct {
	// Cordoned is by anyone, CordonedByUs only where it was us.
	Exists, Ready, Cordoned, CordonedByUs bool
	// Foreign is true where a Node of this name has another provider ID: it is
	// not touched.
	Foreign bool
}

// Log is what is known of the machine's own log.
type Log struct {
	// Tried is when it was last asked for; zero for never.
	Tried time.Time
	// Failed is true where the machine says that it failed.
	Failed bool
	// Denied is true where its security groups keep it from what it could not
	// reach.
	Denied bool
}

// Drain is how far the drain has come.
type Drain struct {
	// Passed is when the last pass was made; zero for none in this process.
	Passed time.Time
	// Drained is true where that pass left no pod to evict.
	Drained bool
	// Left is how many pods are to be evicted yet, Blocked names what they
	// wait for.
	Left    int
	Blocked string
}

// Kind is what is to be done.
type Kind string

// The kinds of step. Those that Writes names change the status alone: a
// controller may gather several of them into one write. Every other one but Wait ends a pass, LookByID and
// ReadConsole go on in it with what they found.
const (
	// Wait does nothing until Until, or until an event where it is zero.
	Wait Kind = "Wait"
	// LookByID looks at the instance by its id.
	LookByID Kind = "LookByID"
	// ReadConsole reads the machine's own log.
	ReadConsole Kind = "ReadConsole"
	// WriteSeen writes that a look by id showed it with our tags.
	WriteSeen Kind = "WriteSeen"
	// WriteRunning writes that it runs, with its address.
	WriteRunning Kind = "WriteRunning"
	// WriteTagsSure writes that missing tags of an attached one are believed
	// from now on.
	WriteTagsSure Kind = "WriteTagsSure"
	// WriteState writes the states that people read.
	WriteState Kind = "WriteState"
	// WriteHooks writes its hooks as HooksOf says they are now.
	WriteHooks Kind = "WriteHooks"
	// MarkInService writes that its Node is Ready.
	MarkInService Kind = "MarkInService"
	// MarkFailed writes that its join, or its start, was given up.
	MarkFailed Kind = "MarkFailed"
	// Cordon cordons its Node; the start of the drain is written with it, unless
	// the drain of its mark is under way: its limit runs on.
	Cordon Kind = "Cordon"
	// DrainPass makes one pass of the drain, whose limit is Until; at its limit
	// it only looks.
	DrainPass Kind = "DrainPass"
	// WriteDrainEnd writes that the drain is over.
	WriteDrainEnd Kind = "WriteDrainEnd"
	// WriteDrainStopped writes that a required drain stopped at its limit.
	WriteDrainStopped Kind = "WriteDrainStopped"
	// LeaveCordoned takes the start of the drain back and leaves the cordon:
	// the drain of a chosen node stopped at its limit.
	LeaveCordoned Kind = "LeaveCordoned"
	// ForgetDrain forgets that a drain stopped, since a person uncordoned the
	// Node.
	ForgetDrain Kind = "ForgetDrain"
	// Uncordon uncordons its Node and takes the start of the drain back.
	Uncordon Kind = "Uncordon"
	// TakeMarkBack takes the mark off: it is kept after all. Where a hook rolled
	// its leaving back, it is protected in the same write.
	TakeMarkBack Kind = "TakeMarkBack"
	// WriteReleaseSent writes, under the resource version, that the release
	// call is about to be made. From there on the mark stands.
	WriteReleaseSent Kind = "WriteReleaseSent"
	// Release makes the release call.
	Release Kind = "Release"
	// WriteRemoved writes, after a live look at the record, that it was taken
	// out and not released.
	WriteRemoved Kind = "WriteRemoved"
	// BeginAnew forgets the leaving of one that was brought in again.
	BeginAnew Kind = "BeginAnew"
	// Untag takes our tags off.
	Untag Kind = "Untag"
	// PutTagsBack puts our tags on an attached one again.
	PutTagsBack Kind = "PutTagsBack"
	// DeleteNode deletes its Node.
	DeleteNode Kind = "DeleteNode"
	// DeleteRecord ends its record.
	DeleteRecord Kind = "DeleteRecord"
)

// RecallNotice is said of a spot instance that the cloud gave notice to.
const RecallNotice = "the cloud takes this spot instance back in a few minutes, and it is replaced then"

// Gone says why a record ends.
type Gone string

// Why a record ends.
const (
	// GoneReleased was released by us.
	GoneReleased Gone = "released"
	// GoneNoStock vanished young, before it ran: a failed creation.
	GoneNoStock Gone = "no stock"
	// GoneExpired was a subscription that ran out.
	GoneExpired Gone = "expired"
	// GoneTakenBack was a spot instance that the cloud took back.
	GoneTakenBack Gone = "taken back"
	// GoneTakenOut lost our tags to somebody: it is left alone.
	GoneTakenOut Gone = "taken out"
	// GoneVanished was released by somebody else.
	GoneVanished Gone = "vanished"
)

// Step is what is to be done next, and only that.
type Step struct {
	Kind Kind
	// Until is when to look again, of Wait; zero where an event tells. Of
	// DrainPass it is the limit.
	Until time.Time
	// Code of MarkFailed, and Hook where a lifecycle hook ended the way in.
	Code fault.Code
	Hook string
	// Reason says why, for people; a sentence without a full stop.
	Reason string
	// Gone of DeleteRecord.
	Gone Gone
	// Protect of TakeMarkBack.
	Protect bool
}

// Writes says whether a step changes the record's status alone.
func (s Step) Writes() bool {
	switch s.Kind {
	case WriteSeen, WriteRunning, WriteTagsSure, WriteState, WriteHooks, WriteDrainEnd, WriteDrainStopped, LeaveCordoned, ForgetDrain, MarkInService, MarkFailed, BeginAnew:
		return true
	}
	return false
}
