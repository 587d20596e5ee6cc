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
// +kubebuilder:validation:XValidation:rule="self.spec.type == oldSelf.spec.type && self.spec.pool == oldSelf.spec.pool && self.spec.title == oldSelf.spec.title && self.spec.instances == oldSelf.spec.instances && self.spec.from == oldSelf.spec.from && self.spec.to == oldSelf.spec.to && (!oldSelf.spec.cancel || self.spec.cancel)",message="a task is written once; only cancel can be set, and not taken back"
type ClusterTask struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is the request.
	Spec ClusterTaskSpec `json:"spec"`
	// status is what came of it.
	// +optional
	Status ClusterTaskStatus `json:"status,omitempty"`
}

// TaskType says what a task does.
// +kubebuilder:validation:Enum=Scale;Delete;Remove;Attach;Rejoin;Forget;Adopt;Disown;Resume
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
)

// ClusterTaskSpec is the request.
type ClusterTaskSpec struct {
	// type says what the task does.
	Type TaskType `json:"type"`
	// title as people read it: "Scale web 4 -> 20".
	// +kubebuilder:validation:MaxLength=256
	Title string `json:"title"`
	// pool that it is about, with its UID and generation.
	// +kubebuilder:validation:MaxLength=40
	Pool string `json:"pool"`
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PoolUID string `json:"poolUID,omitempty"`
	// +optional
	PoolGeneration int64 `json:"poolGeneration,omitempty"`
	// askedBy says who asked, as far as the cluster can know, and through what.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	AskedBy string `json:"askedBy,omitempty"`
	// from and to are the expected numbers of a scale task. Unit: nodes.
	// +optional
	From int32 `json:"from"`
	// +optional
	To int32 `json:"to"`
	// instances are cloud IDs, at most 500.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MaxLength=64
	Instances []string `json:"instances,omitempty"`
	// all speaks of every instance of unknown origin (Adopt, Disown).
	// +optional
	All bool `json:"all,omitempty"`
	// drain mode and limit of what is removed. Unit of the limit: seconds.
	// +optional
	Drain DrainMode `json:"drain,omitempty"`
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
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Concurrency int32 `json:"concurrency,omitempty"`
	// deadlineSeconds ends the task, not the wish. Unit: seconds.
	// +optional
	DeadlineSeconds int32 `json:"deadlineSeconds,omitempty"`
	// cancel asks the task to stop, as far as it still can.
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
	// state: running, success, failed, canceled.
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
	// wanted, created, joined, failed and left count instances of a task.
	// +optional
	Counts TaskCounts `json:"counts,omitempty"`
	// startTime and endTime.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
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
	// events, newest last. At most 50.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	Events []TaskEvent `json:"events,omitempty"`
}

// TaskCounts counts what a task is about. Unit: instances.
type TaskCounts struct {
	// +optional
	Wanted int32 `json:"wanted"`
	// +optional
	Created int32 `json:"created"`
	// +optional
	Joined int32 `json:"joined"`
	// +optional
	Failed int32 `json:"failed"`
	// +optional
	Released int32 `json:"released"`
}

// TaskStage is one stage of the work.
type TaskStage struct {
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name"`
	// +kubebuilder:validation:MaxLength=16
	State TaskState `json:"state"`
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`
}

// TaskError is the code and message that ended a task.
type TaskError struct {
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code"`
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Message string `json:"message,omitempty"`
}

// TaskCause is one cause with its solution.
type TaskCause struct {
	// code of the failure catalogue.
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code"`
	// cause and solution in words.
	// +kubebuilder:validation:MaxLength=2048
	Cause string `json:"cause"`
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Solution string `json:"solution,omitempty"`
	// message is the vendor's text, unchanged, and its request id.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RequestID string `json:"requestID,omitempty"`
	// count is how often.
	// +optional
	Count int32 `json:"count,omitempty"`
	// instance and log of a machine that failed.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Instance string `json:"instance,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Log string `json:"log,omitempty"`
}

// TaskInstance is the result of one instance.
type TaskInstance struct {
	// +kubebuilder:validation:MaxLength=64
	Instance string `json:"instance"`
	// state: waiting, held, running, success, failed, leftOut.
	// +kubebuilder:validation:MaxLength=16
	State string `json:"state"`
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// TaskEvent is something that happened while the task ran.
type TaskEvent struct {
	Time metav1.Time `json:"time"`
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code,omitempty"`
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
