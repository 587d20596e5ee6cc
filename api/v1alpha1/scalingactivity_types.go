package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ScalingActivity is one decision of a scaling group, written before it is
// carried out.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=scalingactivities,shortName=asa,categories=poolkeeper
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.spec.group`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Cause",type=string,JSONPath=`.spec.cause`
// +kubebuilder:printcolumn:name="Summary",type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ScalingActivity struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is the whole decision. It never changes.
	Spec ScalingActivitySpec `json:"spec"`
	// status says what was asked of the cloud and what came of it.
	// +optional
	Status ScalingActivityStatus `json:"status,omitzero"`
}

// ScalingActivitySpec is the whole decision.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a scaling activity cannot be changed: change the node pool, and its group decides anew"
type ScalingActivitySpec struct {
	// group is the scaling group that decided.
	// +kubebuilder:validation:MaxLength=64
	Group string `json:"group"`
	// groupUID is the UID of that group.
	// +kubebuilder:validation:MaxLength=64
	GroupUID string `json:"groupUID"`
	// pool is the node pool above.
	// +kubebuilder:validation:MaxLength=40
	Pool string `json:"pool"`
	// number of this activity in its group, from 1.
	// +kubebuilder:validation:Minimum=1
	Number int64 `json:"number"`
	// cause says what changed, from what to what.
	// +kubebuilder:validation:MaxLength=1024
	Cause string `json:"cause"`
	// before is how many instances were counted when this was decided.
	Before int32 `json:"before"`
	// wanted is how many instances were desired when this was decided.
	Wanted int32 `json:"wanted"`
	// create is how many instances are missing. Unit: instances, 0 to 2000.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000
	Create int32 `json:"create,omitempty"`
	// surge is how many instances beyond the desired number a rebalance may
	// have while it creates.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Surge int32 `json:"surge,omitempty"`
	// policy that ordered the candidates.
	// +optional
	Policy ScalingPolicyType `json:"policy,omitempty"`
	// strictBalance forbids passing the share of one zone to another.
	// +optional
	StrictBalance bool `json:"strictBalance,omitempty"`
	// candidates are the resource pools to ask, in order; status.pieces says
	// what was asked. At most 2000.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=2000
	Candidates []Candidate `json:"candidates,omitempty"`
	// requests holds the exact requests, one for each candidate.
	// +optional
	Requests *RequestsRef `json:"requests,omitempty"`
	// settingsGeneration of the pool whose settings the requests hold.
	// +optional
	SettingsGeneration int64 `json:"settingsGeneration,omitempty"`
	// credentialExpiryTime is when the join credential in the requests dies.
	// +optional
	CredentialExpiryTime *metav1.Time `json:"credentialExpiryTime,omitempty"`
	// joinDeadlineSeconds is how long each machine may take to join.
	// +optional
	JoinDeadlineSeconds int32 `json:"joinDeadlineSeconds,omitempty"`
	// emptying is true where the whole pool goes: then protected, standby and
	// held instances go too.
	// +optional
	Emptying bool `json:"emptying,omitempty"`
	// manageAttached is true where the pool lets scaling in pick attached
	// instances.
	// +optional
	ManageAttached bool `json:"manageAttached,omitempty"`
	// release names instances to be released.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10000
	Release []Leaving `json:"release,omitempty"`
	// takeOut names instances to be taken out and left running.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	TakeOut []Leaving `json:"takeOut,omitempty"`
	// bringIn names instances to be attached.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MaxLength=64
	BringIn []string `json:"bringIn,omitempty"`
}

// Candidate is one resource pool to ask.
type Candidate struct {
	// vSwitch to create in.
	// +kubebuilder:validation:MaxLength=64
	VSwitch string `json:"vSwitch"`
	// zone of that vSwitch.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Zone string `json:"zone,omitempty"`
	// instanceType to create.
	// +kubebuilder:validation:MaxLength=64
	InstanceType string `json:"instanceType"`
	// chargeType says how it is billed.
	ChargeType ChargeType `json:"chargeType"`
	// pricePerHour of one instance when this was decided, a decimal number.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	PricePerHour string `json:"pricePerHour,omitempty"`
	// currency of the price.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	Currency string `json:"currency,omitempty"`
	// share is how many instances this candidate is to give before the next
	// is asked; 0: as many as are missing.
	// +optional
	Share int32 `json:"share,omitempty"`
	// shareWith is the same for candidates that fill one share together.
	// +optional
	// +kubebuilder:validation:MaxLength=80
	ShareWith string `json:"shareWith,omitempty"`
	// disk names the disk categories in the request, for what a refusal of
	// them is remembered under.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Disk string `json:"disk,omitempty"`
	// request is the key of this candidate's request in the Secret.
	// +kubebuilder:validation:MaxLength=64
	Request string `json:"request"`
}

// RequestsRef names the immutable Secret that holds exact requests.
type RequestsRef struct {
	// secret is its name in the namespace poolkeeper-system.
	// +kubebuilder:validation:MaxLength=253
	Secret string `json:"secret"`
	// hash is the SHA-256 of its content, in hexadecimal.
	// +kubebuilder:validation:MaxLength=64
	Hash string `json:"hash"`
}

// Leaving is one instance that leaves the group.
type Leaving struct {
	// instance is the cloud ID.
	// +kubebuilder:validation:MaxLength=64
	Instance string `json:"instance"`
	// reason says why this one.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`
	// task that asked for it by name, if one did.
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
	// notBeforeTime puts the release off (a machine kept to look at).
	// +optional
	NotBeforeTime *metav1.Time `json:"notBeforeTime,omitempty"`
}

// ActivityState is the state of a scaling activity.
type ActivityState string

// The states of an activity.
const (
	ActivityInProgress ActivityState = "InProgress"
	ActivitySuccessful ActivityState = "Successful"
	ActivityWarning    ActivityState = "Warning"
	ActivityFailed     ActivityState = "Failed"
	ActivityRejected   ActivityState = "Rejected"
)

// ScalingActivityStatus says what was asked and what came of it.
type ScalingActivityStatus struct {
	// state: InProgress, Successful, Warning (part), Failed or Rejected.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	State ActivityState `json:"state,omitempty"`
	// summary tells the results, resource pool by resource pool.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Summary string `json:"summary,omitempty"`
	// startTime is when the activity was first carried on.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// endTime is when it sent the last it sends.
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`
	// pieces are the requests announced so far, in order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=2100
	Pieces []Piece `json:"pieces,omitempty"`
	// marked are the named instances that this activity has dealt with.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10000
	// +kubebuilder:validation:items:MaxLength=64
	Marked []string `json:"marked,omitempty"`
	// leftOut are the named instances that it did not touch.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10000
	LeftOut []LeftOut `json:"leftOut,omitempty"`
	// created is how many instances came of it so far.
	// +optional
	Created int32 `json:"created,omitempty"`
	// code of what stopped it, from the failure catalogue.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code,omitempty"`
	// message tells what stopped it.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// done is true when this activity sends nothing more.
	// +optional
	Done bool `json:"done,omitempty"`
}

// LeftOut is a named instance that the activity did not touch.
type LeftOut struct {
	// instance is the cloud ID.
	// +kubebuilder:validation:MaxLength=64
	Instance string `json:"instance"`
	// reason says why.
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason"`
}

// PieceState is the state of one piece.
type PieceState string

// The states of a piece.
const (
	// PieceAnnounced is written before its first send.
	PieceAnnounced PieceState = "Announced"
	// PieceResolved is answered for good: its instances are recorded.
	PieceResolved PieceState = "Resolved"
	// PieceUncertain may have made instances nobody told us of.
	PieceUncertain PieceState = "Uncertain"
)

// Unsure is true of a piece of which nobody knows what it made: an uncertain one,
// and one in a state that this version does not know.
func (p *Piece) Unsure() bool { return p.State != PieceAnnounced && p.State != PieceResolved }

// Piece is one candidate and one amount, announced before it is first sent.
type Piece struct {
	// candidate is an index into spec.candidates.
	// +kubebuilder:validation:Minimum=0
	Candidate int32 `json:"candidate"`
	// amount asked for. Unit: instances, 1 to 100.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Amount int32 `json:"amount"`
	// state is Announced (about to be sent), Resolved (answered for good) or
	// Uncertain (may have made instances that nobody told us of).
	// +kubebuilder:validation:MaxLength=32
	State PieceState `json:"state"`
	// firstSendTime is written once, before the first send.
	// +optional
	FirstSendTime *metav1.MicroTime `json:"firstSendTime,omitempty"`
	// lastSendTime is when the newest send was written down.
	// +optional
	LastSendTime *metav1.MicroTime `json:"lastSendTime,omitempty"`
	// nextSendTime is when it is sent again, where the answer to the newest send
	// leaves that open.
	// +optional
	NextSendTime *metav1.MicroTime `json:"nextSendTime,omitempty"`
	// sends is how often it was sent, or was about to be.
	// +optional
	Sends int32 `json:"sends,omitempty"`
	// answers to the sends, in order; a send without one here has an answer
	// that nobody knows. At most the newest 20.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Answers []PieceAnswer `json:"answers,omitempty"`
	// unanswered is how many sends have no recorded answer that proves that
	// nothing was done.
	// +optional
	Unanswered int32 `json:"unanswered,omitempty"`
	// instances that the cloud answered with.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=64
	Instances []string `json:"instances,omitempty"`
	// code of the refusal that ended it, from the failure catalogue.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code,omitempty"`
	// message is the vendor's text, unchanged.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// requestID of that answer, for the vendor's support.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RequestID string `json:"requestID,omitempty"`
	// permission is the action that our key may not do, where that was refused.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Permission string `json:"permission,omitempty"`
	// looks are the complete sweeps that settle an uncertain piece.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	Looks []PieceLook `json:"looks,omitempty"`
	// resolvedTime is when it was resolved.
	// +optional
	ResolvedTime *metav1.Time `json:"resolvedTime,omitempty"`
}

// PieceAnswer is the answer to one send.
type PieceAnswer struct {
	// send that this answers, from 1.
	Send int32 `json:"send"`
	// code of the failure catalogue.
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code"`
	// provesNothing is true where the answer proves that nothing was done.
	// +optional
	ProvesNothing bool `json:"provesNothing,omitempty"`
}

// PieceLook is what one complete sweep showed of an uncertain piece.
type PieceLook struct {
	// time at which the sweep began.
	Time metav1.MicroTime `json:"time"`
	// found is how many instances of the piece it showed.
	Found int32 `json:"found"`
	// empty is true where the whole list was empty of ours.
	// +optional
	Empty bool `json:"empty,omitempty"`
}

// ScalingActivityList is a list of ScalingActivities.
// +kubebuilder:object:root=true
type ScalingActivityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ScalingActivity `json:"items"`
}
