package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Way is on which way a lifecycle hook holds an instance.
// +kubebuilder:validation:Enum=ScaleOut;ScaleIn
type Way string

// The ways.
const (
	// WayIn is from running to in service: Pending wait.
	WayIn Way = "ScaleOut"
	// WayOut is from the decision that it goes to its release: Removing wait.
	WayOut Way = "ScaleIn"
)

// HookResult is what a lifecycle hook ends with.
type HookResult string

// The results.
const (
	// HookContinue lets the instance go on its way.
	HookContinue HookResult = "Continue"
	// HookAbandon ends the other hooks of its way too: on the way in the instance
	// is released, on the way out it goes on.
	HookAbandon HookResult = "Abandon"
	// HookRollback keeps, on the way out, the instance: it is protected from then
	// on. Not where a task named the instance, nor while its pool is deleted.
	HookRollback HookResult = "Rollback"
)

// LifecycleHook holds each instance of a pool on its way in or out until a
// program has done its part, or its time is over.
type LifecycleHook struct {
	// name of the hook: a DNS label of at most 40 characters. "drain" is the
	// built-in one.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self != 'drain'",message="drain is the name of the built-in hook; choose another name"
	Name string `json:"name"`
	// transition that it holds: ScaleOut, from running to in service (Pending
	// wait), or ScaleIn, from the decision that an instance goes to its release
	// (Removing wait).
	Transition Way `json:"transition"`
	// heartbeatTimeoutSeconds is for how long it holds an instance unless it is
	// completed; each heartbeat begins that time anew, up to 20 times of it in
	// all. Unit: seconds, 30 to 21600. Default 600.
	// +optional
	// +kubebuilder:validation:Minimum=30
	// +kubebuilder:validation:Maximum=21600
	HeartbeatTimeoutSeconds *int32 `json:"heartbeatTimeoutSeconds,omitempty"`
	// defaultResult is taken where nobody completes it in time: Continue
	// (default) or Abandon.
	// +optional
	// +kubebuilder:default=Continue
	// +kubebuilder:validation:Enum=Continue;Abandon
	DefaultResult HookResult `json:"defaultResult,omitempty"`
}

// TimeoutSeconds is the heartbeat timeout of a hook, the default where it names
// none. Unit: seconds.
func (h *LifecycleHook) TimeoutSeconds() int32 {
	if h.HeartbeatTimeoutSeconds == nil {
		return 600
	}
	return *h.HeartbeatTimeoutSeconds
}

// HookAnswer is what a person or a program says to a hook that holds an
// instance.
type HookAnswer struct {
	// hook that it speaks to, by name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Hook string `json:"hook"`
	// wait that it speaks to, as status.hooks tells it: an answer to an earlier
	// wait counts no more.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Wait string `json:"wait"`
	// result ends the hook: Continue, Abandon, or on the way out Rollback. Without
	// it the hook goes on holding.
	// +optional
	// +kubebuilder:validation:Enum=Continue;Abandon;Rollback
	Result HookResult `json:"result,omitempty"`
	// heartbeats is how often its time was asked to begin anew: raise it by one.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Heartbeats int32 `json:"heartbeats,omitempty"`
}

// HookEnd says what ended a hook.
// +kubebuilder:validation:Enum=Completed;TimedOut;OtherHook;HookRemoved
type HookEnd string

// What ends a hook.
const (
	// HookCompleted was answered.
	HookCompleted HookEnd = "Completed"
	// HookTimedOut took its default result.
	HookTimedOut HookEnd = "TimedOut"
	// HookOther was ended by another hook of the same way.
	HookOther HookEnd = "OtherHook"
	// HookRemoved is no longer one of the pool's.
	HookRemoved HookEnd = "HookRemoved"
)

// HookStatus is one hook that holds an instance, or held it on its last way.
type HookStatus struct {
	// name of the hook.
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`
	// transition that it holds: ScaleOut or ScaleIn.
	Transition Way `json:"transition"`
	// wait names this wait; an answer repeats it.
	// +kubebuilder:validation:MaxLength=128
	Wait string `json:"wait"`
	// startTime is when it began to hold the instance.
	StartTime metav1.MicroTime `json:"startTime"`
	// untilTime is when its time is over and its default result is taken.
	UntilTime metav1.MicroTime `json:"untilTime"`
	// defaultResult is taken then.
	// +kubebuilder:validation:MaxLength=16
	DefaultResult HookResult `json:"defaultResult"`
	// heartbeats that were honoured.
	// +optional
	Heartbeats int32 `json:"heartbeats,omitempty"`
	// result that it ended with; empty while it holds the instance.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Result HookResult `json:"result,omitempty"`
	// endTime is when it ended.
	// +optional
	EndTime *metav1.MicroTime `json:"endTime,omitempty"`
	// endedBy says what ended it: Completed, TimedOut, OtherHook or HookRemoved.
	// +optional
	EndedBy HookEnd `json:"endedBy,omitempty"`
}
