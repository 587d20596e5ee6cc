package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Instance is one instance of the cloud that a group has. Its name is its
// cloud ID, which is also the name of its Node.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=pki,categories=poolkeeper
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Pool",type=string,JSONPath=`.spec.pool`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.lifecycleState`
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.status.nodeState`
// +kubebuilder:printcolumn:name="Zone",type=string,JSONPath=`.spec.placement.zone`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.placement.instanceType`
// +kubebuilder:printcolumn:name="Billing",type=string,JSONPath=`.status.chargeType`,priority=1
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.privateIP`,priority=1
// +kubebuilder:printcolumn:name="Summary",type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Instance struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what was decided about it.
	Spec InstanceSpec `json:"spec"`
	// status is what is so.
	// +optional
	Status InstanceStatus `json:"status,omitzero"`
}

// CreationType says how an instance came to its group.
// +kubebuilder:validation:Enum=AutoCreated;Attached;Unknown
type CreationType string

// The creation types.
const (
	// CreatedByUs was created by an activity of the group.
	CreatedByUs CreationType = "AutoCreated"
	// CreatedAttached was brought in by hand.
	CreatedAttached CreationType = "Attached"
	// CreatedUnknown carries our tags, and nobody knows why: it is kept and
	// not counted until a person decides.
	CreatedUnknown CreationType = "Unknown"
)

// Known says whether this version knows how an instance came. One of which it does
// not is kept: whose it is to release only a newer version can say.
func (c CreationType) Known() bool {
	return c == CreatedByUs || c == CreatedAttached || c == CreatedUnknown || c == ""
}

// InstanceSpec is what was decided about an instance.
// +kubebuilder:validation:XValidation:rule="self.placement == oldSelf.placement",message="placement tells where the instance was created and cannot be changed"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.joinKey) || !has(self.joinKey) || self.joinKey == oldSelf.joinKey",message="another key for an instance needs a person's word: poolkeeper node rejoin"
type InstanceSpec struct {
	// pool is the node pool that it belongs to.
	// +kubebuilder:validation:MaxLength=40
	Pool string `json:"pool"`
	// group is the scaling group that it belongs to.
	// +kubebuilder:validation:MaxLength=64
	Group string `json:"group"`
	// groupUID is the UID of that group.
	// +kubebuilder:validation:MaxLength=64
	GroupUID string `json:"groupUID"`
	// activity is the scaling activity that created it or brought it in.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Activity string `json:"activity,omitempty"`
	// activityUID is the UID of that activity.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ActivityUID string `json:"activityUID,omitempty"`
	// piece is the index of the activity's piece that created it; -1 where none
	// did.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	Piece int32 `json:"piece,omitempty"`
	// creationType says how it came: AutoCreated by an activity, Attached by
	// hand, or Unknown: it carries our tags and nobody knows why.
	CreationType CreationType `json:"creationType"`
	// placement is where and as what it was created.
	Placement Placement `json:"placement"`
	// joinDeadlineSeconds is how long it may take from running to Node Ready.
	// Unit: seconds, 1 to 4500.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4500
	JoinDeadlineSeconds int32 `json:"joinDeadlineSeconds,omitempty"`
	// protected keeps it from scaling in. People set it. Default false.
	// +optional
	Protected bool `json:"protected,omitempty"`
	// standby takes it out of service; it stays counted and is kept. People
	// set it. Default false.
	// +optional
	Standby bool `json:"standby,omitempty"`
	// releaseFirst makes it the first choice of scaling in. People set it.
	// Default false.
	// +optional
	ReleaseFirst bool `json:"releaseFirst,omitempty"`
	// disown takes our tags off an instance of unknown origin. People set it.
	// Default false.
	// +optional
	Disown bool `json:"disown,omitempty"`
	// convert asks for another charge type. People set it, or a task does.
	// +optional
	Convert *ConvertWish `json:"convert,omitempty"`
	// renew asks for a longer subscription. People set it, or a task does.
	// +optional
	Renew *RenewWish `json:"renew,omitempty"`
	// release is the decision that it goes. Absent: it stays.
	// +optional
	Release *ReleaseMark `json:"release,omitempty"`
	// joinKey is the SHA-256 of the public key that it joined with, in
	// hexadecimal. Another key needs a person's word: poolkeeper node rejoin.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	JoinKey string `json:"joinKey,omitempty"`
	// heldBy is the UID of the task that holds it.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	HeldBy string `json:"heldBy,omitempty"`
	// rejoinTime is when a person last let it join again: its join deadline
	// counts from there.
	// +optional
	RejoinTime *metav1.Time `json:"rejoinTime,omitempty"`
	// hookAnswers are what people and programs say to the hooks that hold it;
	// see status.hooks. poolkeeper hook complete writes them.
	// +optional
	// +listType=map
	// +listMapKey=hook
	// +kubebuilder:validation:MaxItems=16
	HookAnswers []HookAnswer `json:"hookAnswers,omitempty"`
}

// ConvertWish asks for another charge type. What came of it stands in
// status.wishes.
type ConvertWish struct {
	// to is the charge type that is wished: PayAsYouGo or Subscription.
	// +kubebuilder:validation:XValidation:rule="self != 'Spot'",message="an instance is converted to PayAsYouGo or to Subscription, never to Spot"
	To ChargeType `json:"to"`
	// periodMonths is paid in advance where to is Subscription. Unit: months, 1
	// to 60. Without it 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60
	PeriodMonths int32 `json:"periodMonths,omitempty"`
	// id tells this wish from an earlier one: the UID of the task that asked.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`
}

// RenewWish asks for a longer subscription. What came of it stands in
// status.wishes.
type RenewWish struct {
	// periodMonths is by how much it is renewed. Unit: months, 1 to 60.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60
	PeriodMonths int32 `json:"periodMonths"`
	// id tells this wish from an earlier one: the UID of the task that asked.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`
}

// Placement is where and as what an instance was created.
type Placement struct {
	// vSwitch that it is in.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	VSwitch string `json:"vSwitch,omitempty"`
	// zone of that vSwitch.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Zone string `json:"zone,omitempty"`
	// instanceType that it was created as.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	InstanceType string `json:"instanceType,omitempty"`
	// chargeType that it was created with; status.chargeType is today's.
	// +optional
	ChargeType ChargeType `json:"chargeType,omitempty"`
	// pricePerHour when it was created, a decimal number.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	PricePerHour string `json:"pricePerHour,omitempty"`
	// currency of the price: CNY or USD.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	Currency string `json:"currency,omitempty"`
}

// ReleaseMark is the decision that an instance goes.
type ReleaseMark struct {
	// activity that decided.
	// +kubebuilder:validation:MaxLength=128
	Activity string `json:"activity"`
	// time of the mark.
	Time metav1.MicroTime `json:"time"`
	// reason says why this one.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`
	// takeOut leaves it running: it is only taken out of the group.
	// +optional
	TakeOut bool `json:"takeOut,omitempty"`
	// task that named it, if one did.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Task string `json:"task,omitempty"`
	// drain says how its node is drained before: off, bestEffort or required.
	// +optional
	Drain DrainMode `json:"drain,omitempty"`
	// drainLimitSeconds is how long the drain may take. Unit: seconds.
	// +optional
	// +kubebuilder:validation:Minimum=0
	DrainLimitSeconds int32 `json:"drainLimitSeconds,omitempty"`
	// notBeforeTime puts the release off.
	// +optional
	NotBeforeTime *metav1.Time `json:"notBeforeTime,omitempty"`
	// emptying is true where the whole pool goes: then protected, standby and
	// held instances go too.
	// +optional
	Emptying bool `json:"emptying,omitempty"`
	// manageAttached is true where the pool let scaling in pick attached
	// instances.
	// +optional
	ManageAttached bool `json:"manageAttached,omitempty"`
}

// LifecycleState is the state of an instance in its group.
type LifecycleState string

// The lifecycle states.
const (
	InstancePending      LifecycleState = "Pending"
	InstancePendingWait  LifecycleState = "PendingWait"
	InstanceInService    LifecycleState = "InService"
	InstanceProtected    LifecycleState = "Protected"
	InstanceStandby      LifecycleState = "Standby"
	InstanceStopped      LifecycleState = "Stopped"
	InstanceRemoving     LifecycleState = "Removing"
	InstanceRemovingWait LifecycleState = "RemovingWait"
	InstanceRemoved      LifecycleState = "Removed"
	// InstanceUnknownOrigin waits for a person to adopt or disown it.
	InstanceUnknownOrigin LifecycleState = "UnknownOrigin"
)

// NodeState is the state of an instance's Node.
type NodeState string

// The node states.
const (
	NodeJoining  NodeState = "Joining"
	NodeReady    NodeState = "Ready"
	NodeNotReady NodeState = "NotReady"
	NodeUnknown  NodeState = "Unknown"
	NodeFailed   NodeState = "Failed"
)

// InstanceStatus is what is so.
type InstanceStatus struct {
	// lifecycleState in the group: Pending, PendingWait, InService, Protected,
	// Standby, Stopped, Removing, RemovingWait, Removed (taken out and not
	// released) or UnknownOrigin (it waits for a person to adopt or disown it).
	// +optional
	// +kubebuilder:validation:MaxLength=32
	LifecycleState LifecycleState `json:"lifecycleState,omitempty"`
	// nodeState of its Node: Joining, Ready, NotReady, Unknown (gone from the
	// API) or Failed (did not join).
	// +optional
	// +kubebuilder:validation:MaxLength=32
	NodeState NodeState `json:"nodeState,omitempty"`
	// summary is one sentence about it.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Summary string `json:"summary,omitempty"`
	// cloudStatus as the cloud says it: Pending, Starting, Running, Stopping,
	// Stopped.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	CloudStatus string `json:"cloudStatus,omitempty"`
	// privateIP is its address in the vSwitch.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PrivateIP string `json:"privateIP,omitempty"`
	// chargeType today.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ChargeType ChargeType `json:"chargeType,omitempty"`
	// terms are how it was billed since it was first billed otherwise than
	// spec.placement says, the newest last. The oldest are added up where there
	// would be more than 8.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Terms []BillingTerms `json:"terms,omitempty"`
	// expiryTime of a subscription.
	// +optional
	ExpiryTime *metav1.Time `json:"expiryTime,omitempty"`
	// recallTime is when a sweep first showed the cloud's notice that it takes
	// this spot instance back.
	// +optional
	RecallTime *metav1.Time `json:"recallTime,omitempty"`
	// releaseProtected in the cloud.
	// +optional
	ReleaseProtected bool `json:"releaseProtected,omitempty"`
	// seenTime is when a look by id first showed it with our tags. Written
	// once.
	// +optional
	SeenTime *metav1.MicroTime `json:"seenTime,omitempty"`
	// tagsSure is true once no untag call of an earlier leaving can still
	// land.
	// +optional
	TagsSure bool `json:"tagsSure,omitempty"`
	// runningTime is when it was first seen running.
	// +optional
	RunningTime *metav1.Time `json:"runningTime,omitempty"`
	// joinedTime is when its Node was first Ready.
	// +optional
	JoinedTime *metav1.Time `json:"joinedTime,omitempty"`
	// failedTime is when it was given up to join.
	// +optional
	FailedTime *metav1.Time `json:"failedTime,omitempty"`
	// code of its failure to join, from the failure catalogue.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code,omitempty"`
	// message tells that failure to people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// solution is what helps, where more is known of the case than the failure
	// catalogue says.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Solution string `json:"solution,omitempty"`
	// step of the join that it is at, or stopped at.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Step string `json:"step,omitempty"`
	// resetting is true where its join was given up while a reset of MIG
	// partitions was under way, which may yet end. It is not replaced by itself:
	// another machine would begin the same.
	// +optional
	Resetting bool `json:"resetting,omitempty"`
	// log is the end of its join log, redacted, at most 4096 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=8192
	Log string `json:"log,omitempty"`
	// drainFor is the activity whose mark its drain is for: what an earlier one
	// left of its own does not count.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	DrainFor string `json:"drainFor,omitempty"`
	// drainStartTime is when its drain began.
	// +optional
	DrainStartTime *metav1.Time `json:"drainStartTime,omitempty"`
	// drainEndTime is when its drain ended.
	// +optional
	DrainEndTime *metav1.Time `json:"drainEndTime,omitempty"`
	// podsLeft is how many pods are still to be evicted.
	// +optional
	PodsLeft int32 `json:"podsLeft,omitempty"`
	// drainBlocked names the pod and the disruption budget that the drain
	// waits for.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	DrainBlocked string `json:"drainBlocked,omitempty"`
	// releaseSentTime is written before the release call; from there on the
	// mark stands.
	// +optional
	ReleaseSentTime *metav1.MicroTime `json:"releaseSentTime,omitempty"`
	// untagSentTime is written before our tags are taken off.
	// +optional
	UntagSentTime *metav1.MicroTime `json:"untagSentTime,omitempty"`
	// hooks are the lifecycle hooks that hold it, or held it on its last way. The
	// built-in one, drain, has its times of its own.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Hooks []HookStatus `json:"hooks,omitempty"`
	// wishes tells what came of the newest wish of each kind.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +kubebuilder:validation:MaxItems=8
	Wishes []WishResult `json:"wishes,omitempty"`
	// conditions of this instance.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BillingTerms are how an instance was billed from a time on, until the next
// terms.
type BillingTerms struct {
	// sinceTime is when they began: when the cloud was asked to convert it, or
	// when a sweep began that showed what somebody else converted.
	SinceTime metav1.Time `json:"sinceTime"`
	// chargeType that it was converted to.
	ChargeType ChargeType `json:"chargeType"`
	// pricePerHour from then on, a decimal number: that of a subscription is
	// spread over the hours of a month. Absent while it is not known.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	PricePerHour string `json:"pricePerHour,omitempty"`
	// currency of the price: CNY or USD.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	Currency string `json:"currency,omitempty"`
	// spentBefore is what it cost until sinceTime since it was created, a decimal
	// number, where earlier terms were added up. Absent where they are on record.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	SpentBefore string `json:"spentBefore,omitempty"`
}

// WishResult is what came of a wish.
type WishResult struct {
	// kind is Convert or Renew.
	// +kubebuilder:validation:MaxLength=16
	Kind string `json:"kind"`
	// id of the wish.
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`
	// sentTime is written before the cloud is asked.
	// +optional
	SentTime *metav1.MicroTime `json:"sentTime,omitempty"`
	// done is true once the cloud has granted or refused it.
	// +optional
	Done bool `json:"done,omitempty"`
	// code of the refusal, from the failure catalogue; empty where granted.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code,omitempty"`
	// message is the vendor's text, unchanged.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// InstanceList is a list of Instances.
// +kubebuilder:object:root=true
type InstanceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Instance `json:"items"`
}

// LetRejoin lets the instance join with another key from now on, and its join
// deadline count from there. Clocks of ours differ: the time that is written is
// later than those it overrules, of joining and of being given up, and not
// before that of the task which asks for it; nil: none does.
func (i *Instance) LetRejoin(now time.Time, asked *metav1.Time) {
	at := metav1.NewTime(now.UTC().Truncate(time.Second))
	for _, t := range []*metav1.Time{i.Status.JoinedTime, i.Status.FailedTime, asked} {
		if t != nil && !at.After(t.Time) {
			at = metav1.NewTime(t.Truncate(time.Second).Add(time.Second))
		}
	}
	i.Spec.JoinKey, i.Spec.RejoinTime = "", &at
}
