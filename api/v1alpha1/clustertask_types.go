package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClusterTask is one request and its result, as people read it.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=pkt,categories=poolkeeper
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Title",type=string,JSONPath=`.spec.title`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Code",type=string,JSONPath=`.status.error.code`
// +kubebuilder:printcolumn:name="Progress",type=string,JSONPath=`.status.progress`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterTask struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is the request.
	Spec ClusterTaskSpec `json:"spec"`
	// status is what came of it.
	// +optional
	Status ClusterTaskStatus `json:"status,omitzero"`
}

// TaskType says what a task does.
// +kubebuilder:validation:Enum=Scale;Delete;Remove;Attach;Rejoin;Forget;Adopt;Disown;Resume;Rebalance;Thaw;Convert;Renew
type TaskType string

// The task types.
const (
	// TaskScale follows a changed expected number; the engine makes it.
	TaskScale TaskType = "Scale"
	// TaskDelete follows the deletion of a pool; the engine makes it.
	TaskDelete TaskType = "Delete"
	// TaskRemove takes named instances out of a pool.
	TaskRemove TaskType = "Remove"
	// TaskAttach brings named instances in.
	TaskAttach TaskType = "Attach"
	// TaskRejoin lets named instances join again with a new key.
	TaskRejoin TaskType = "Rejoin"
	// TaskForget deletes the records of removed instances.
	TaskForget TaskType = "Forget"
	// TaskAdopt counts instances of unknown origin as the pool's own.
	TaskAdopt TaskType = "Adopt"
	// TaskDisown takes our tags off instances of unknown origin.
	TaskDisown TaskType = "Disown"
	// TaskResume ends what is held: it is tried at once.
	TaskResume TaskType = "Resume"
	// TaskRebalance evens the zones of a pool out.
	TaskRebalance TaskType = "Rebalance"
	// TaskThaw ends a freeze of releases.
	TaskThaw TaskType = "Thaw"
	// TaskConvert changes the charge type of named instances.
	TaskConvert TaskType = "Convert"
	// TaskRenew renews the subscriptions of named instances.
	TaskRenew TaskType = "Renew"
)

// ClusterTaskSpec is the request. It is written once; only cancel can be set
// later, and not taken back.
// +kubebuilder:validation:XValidation:rule="self.type == oldSelf.type && self.title == oldSelf.title && self.pool == oldSelf.pool && has(self.poolUID) == has(oldSelf.poolUID) && (!has(self.poolUID) || self.poolUID == oldSelf.poolUID) && has(self.poolGeneration) == has(oldSelf.poolGeneration) && (!has(self.poolGeneration) || self.poolGeneration == oldSelf.poolGeneration) && has(self.askedBy) == has(oldSelf.askedBy) && (!has(self.askedBy) || self.askedBy == oldSelf.askedBy) && has(self.from) == has(oldSelf.from) && (!has(self.from) || self.from == oldSelf.from) && has(self.to) == has(oldSelf.to) && (!has(self.to) || self.to == oldSelf.to) && has(self.deadlineSeconds) == has(oldSelf.deadlineSeconds) && (!has(self.deadlineSeconds) || self.deadlineSeconds == oldSelf.deadlineSeconds)",message="a task is written once; only cancel can be set later. Cancel it and ask anew"
// +kubebuilder:validation:XValidation:rule="has(self.instances) == has(oldSelf.instances) && (!has(self.instances) || self.instances == oldSelf.instances) && has(self.all) == has(oldSelf.all) && (!has(self.all) || self.all == oldSelf.all) && has(self.drain) == has(oldSelf.drain) && (!has(self.drain) || self.drain == oldSelf.drain) && has(self.drainLimitSeconds) == has(oldSelf.drainLimitSeconds) && (!has(self.drainLimitSeconds) || self.drainLimitSeconds == oldSelf.drainLimitSeconds) && has(self.release) == has(oldSelf.release) && (!has(self.release) || self.release == oldSelf.release) && has(self.keepExpected) == has(oldSelf.keepExpected) && (!has(self.keepExpected) || self.keepExpected == oldSelf.keepExpected) && has(self.concurrency) == has(oldSelf.concurrency) && (!has(self.concurrency) || self.concurrency == oldSelf.concurrency) && has(self.convertTo) == has(oldSelf.convertTo) && (!has(self.convertTo) || self.convertTo == oldSelf.convertTo) && has(self.periodMonths) == has(oldSelf.periodMonths) && (!has(self.periodMonths) || self.periodMonths == oldSelf.periodMonths) && has(self.candidate) == has(oldSelf.candidate) && (!has(self.candidate) || self.candidate == oldSelf.candidate)",message="what a task is about is written once; only cancel can be set later. Cancel it and ask anew"
// +kubebuilder:validation:XValidation:rule="!oldSelf.?cancel.orValue(false) || self.?cancel.orValue(false)",message="a task that was canceled stays canceled: ask anew"
// +kubebuilder:validation:XValidation:rule="!(self.type in ['Remove', 'Attach', 'Rejoin', 'Forget', 'Convert', 'Renew']) || self.?instances.orValue([]).size() > 0",message="this type of task needs instances: name at least one by its cloud ID"
// +kubebuilder:validation:XValidation:rule="!(self.type in ['Adopt', 'Disown']) || self.?all.orValue(false) != (self.?instances.orValue([]).size() > 0)",message="a task of type Adopt or Disown names instances or sets all: true, one of both"
// +kubebuilder:validation:XValidation:rule="!self.?all.orValue(false) || self.type in ['Adopt', 'Disown']",message="all is read by tasks of type Adopt and Disown only: name instances instead"
// +kubebuilder:validation:XValidation:rule="self.type == 'Remove' || !(self.?release.orValue(false) || self.?keepExpected.orValue(false))",message="release and keepExpected are read by tasks of type Remove only: leave them out"
// +kubebuilder:validation:XValidation:rule="has(self.convertTo) == (self.type == 'Convert')",message="convertTo says which charge type a task of type Convert leads to: set it there, and nowhere else"
// +kubebuilder:validation:XValidation:rule="!has(self.periodMonths) || self.type == 'Renew' || self.type == 'Convert' && self.convertTo == 'Subscription'",message="periodMonths is read where a subscription is bought or renewed: leave it out"
// +kubebuilder:validation:XValidation:rule="!has(self.candidate) || self.type == 'Resume'",message="candidate is read by tasks of type Resume only: leave it out"
type ClusterTaskSpec struct {
	// type says what the task does: Remove, Attach, Rejoin, Forget, Adopt,
	// Disown, Resume, Rebalance, Thaw, Convert or Renew. Scale and Delete follow
	// a change of the pool and are written by the controller only.
	Type TaskType `json:"type"`
	// title as people read it: "Scale web 4 -> 20". At most 256 characters.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Title string `json:"title"`
	// pool is the name of the node pool that the task is about.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Pool string `json:"pool"`
	// poolUID is the UID of that pool. A pool of the same name and another
	// UID is another pool.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PoolUID string `json:"poolUID,omitempty"`
	// poolGeneration is the generation of the pool that a Scale task follows.
	// +optional
	PoolGeneration int64 `json:"poolGeneration,omitempty"`
	// askedBy says who asked, as far as the cluster can know, and through what.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	AskedBy string `json:"askedBy,omitempty"`
	// from is the expected number before a Scale task. Unit: nodes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	From int32 `json:"from"`
	// to is the expected number that a Scale task leads to. Unit: nodes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	To int32 `json:"to"`
	// instances are the cloud IDs that the task is about, each named once.
	// At most 500.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	Instances []string `json:"instances,omitempty"`
	// all speaks of every instance of unknown origin (Adopt, Disown).
	// +optional
	All bool `json:"all,omitempty"`
	// drain says how the nodes to be removed are drained: off, bestEffort or
	// required. Without it bestEffort.
	// +optional
	Drain DrainMode `json:"drain,omitempty"`
	// drainLimitSeconds is how long each drain may take. Unit: seconds, 1 to
	// 86400. Without it the controller's setting, by default 1800.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	DrainLimitSeconds int32 `json:"drainLimitSeconds,omitempty"`
	// release releases what is removed. Default: it goes on running.
	// +optional
	Release bool `json:"release,omitempty"`
	// keepExpected leaves the expected number as it is, so that what is
	// removed is replaced. Default: the number is lowered.
	// +optional
	KeepExpected bool `json:"keepExpected,omitempty"`
	// concurrency is how many instances are removed at once. 1 to 100.
	// Default 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Concurrency int32 `json:"concurrency,omitempty"`
	// convertTo is the charge type that a Convert task leads to: PayAsYouGo or
	// Subscription.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self != 'Spot'",message="an instance is converted to PayAsYouGo or to Subscription, never to Spot"
	ConvertTo ChargeType `json:"convertTo,omitempty"`
	// periodMonths is how long a subscription is bought or renewed for. Unit:
	// months, 1 to 60. Without it 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60
	PeriodMonths int32 `json:"periodMonths,omitempty"`
	// candidate is the only resource pool that a Resume task speaks of, as
	// ZONE/TYPE: what is held of others stays held. Without it all that is held
	// of the pool is tried.
	// +optional
	// +kubebuilder:validation:MaxLength=129
	// +kubebuilder:validation:Pattern=`^[^/ ]{1,64}/[^/ ]{1,64}$`
	Candidate string `json:"candidate,omitempty"`
	// deadlineSeconds ends the task, not the wish. Unit: seconds, 1 to 604800.
	// Without it the pool's taskDeadlineSeconds.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	DeadlineSeconds int32 `json:"deadlineSeconds,omitempty"`
	// cancel asks the task to stop, as far as it still can. It can be set and
	// not taken back. Default false.
	// +optional
	Cancel bool `json:"cancel"`
}

// TaskState is the state of a task.
type TaskState string

// The states of a task.
const (
	TaskRunning  TaskState = "running"
	TaskSuccess  TaskState = "success"
	TaskFailed   TaskState = "failed"
	TaskCanceled TaskState = "canceled"
)

// ClusterTaskStatus is what came of a request.
type ClusterTaskStatus struct {
	// state is running, success, failed or canceled.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	State TaskState `json:"state,omitempty"`
	// progress in words: "12 of 16 created, 11 joined".
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Progress string `json:"progress,omitempty"`
	// target is the expected number that this task ends with.
	// +optional
	Target int32 `json:"target"`
	// counts tell how far the instances of the task are.
	// +optional
	Counts TaskCounts `json:"counts,omitzero"`
	// startTime is when the work began.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// endTime is when the task ended.
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`
	// stages of the work, with their times.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Stages []TaskStage `json:"stages,omitempty"`
	// error that ended it.
	// +optional
	Error *TaskError `json:"error,omitempty"`
	// causes: one for each distinct code, with its solution.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Causes []TaskCause `json:"causes,omitempty"`
	// instances that the task is about, with the result of each. At most 500.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	Instances []TaskInstance `json:"instances,omitempty"`
	// wave is the number of the wave that the pool's update last carried.
	// +optional
	Wave int32 `json:"wave,omitempty"`
	// waveInstances are listed in the pool for that wave.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MaxLength=64
	WaveInstances []string `json:"waveInstances,omitempty"`
	// waveDone is true once every instance of the wave is through.
	// +optional
	WaveDone bool `json:"waveDone,omitempty"`
	// waveGeneration is the generation of the pool that carried the wave first:
	// a number that people set after it stands.
	// +optional
	WaveGeneration int64 `json:"waveGeneration,omitempty"`
	// events, newest last. At most 50.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	Events []TaskEvent `json:"events,omitempty"`
}

// TaskCounts counts what a task is about. Unit: instances.
type TaskCounts struct {
	// wanted is how many instances the task is to create or release.
	// +optional
	Wanted int32 `json:"wanted"`
	// created is how many of them exist in the cloud.
	// +optional
	Created int32 `json:"created"`
	// joined is how many of them have a Node that was Ready.
	// +optional
	Joined int32 `json:"joined"`
	// failed is how many were not created or did not join.
	// +optional
	Failed int32 `json:"failed"`
	// released is how many are gone from the cloud.
	// +optional
	Released int32 `json:"released"`
}

// TaskStage is one stage of the work.
type TaskStage struct {
	// name of the stage: Decide, Create, Join, Drain, Release.
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name"`
	// state is running, success, failed or canceled.
	// +kubebuilder:validation:MaxLength=16
	State TaskState `json:"state"`
	// startTime is when the stage began.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// endTime is when the stage ended.
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`
}

// TaskError is the code and message that ended a task.
type TaskError struct {
	// code of the failure catalogue.
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code"`
	// message tells it to people.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Message string `json:"message,omitempty"`
}

// TaskCause is one cause with its solution.
type TaskCause struct {
	// code of the failure catalogue.
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code"`
	// cause in words.
	// +kubebuilder:validation:MaxLength=2048
	Cause string `json:"cause"`
	// solution is what to do.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Solution string `json:"solution,omitempty"`
	// message is the vendor's text, unchanged.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// requestID of the call that failed, for the vendor's support.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RequestID string `json:"requestID,omitempty"`
	// count is how often.
	// +optional
	Count int32 `json:"count,omitempty"`
	// instance is the cloud ID of the machine that the log is of.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Instance string `json:"instance,omitempty"`
	// log is the end of that machine's join log, redacted.
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	Log string `json:"log,omitempty"`
}

// The states of one instance in a task.
const (
	TaskInstanceWaiting = "waiting"
	TaskInstanceHeld    = "held"
	TaskInstanceRunning = "running"
	TaskInstanceSuccess = "success"
	TaskInstanceFailed  = "failed"
	TaskInstanceLeftOut = "leftOut"
)

// TaskInstance is the result of one instance.
type TaskInstance struct {
	// instance is the cloud ID.
	// +kubebuilder:validation:MaxLength=64
	Instance string `json:"instance"`
	// state is waiting, held, running, success, failed or leftOut.
	// +kubebuilder:validation:MaxLength=16
	State string `json:"state"`
	// message says why.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// TaskEvent is something that happened while the task ran.
type TaskEvent struct {
	// time at which it happened.
	Time metav1.Time `json:"time"`
	// code of the failure catalogue, where something failed.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code,omitempty"`
	// message tells it to people.
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
}

// ClusterTaskList is a list of ClusterTasks.
// +kubebuilder:object:root=true
type ClusterTaskList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterTask `json:"items"`
}
