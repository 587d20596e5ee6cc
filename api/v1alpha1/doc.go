// Package v1alpha1 holds the five kinds of the API group poolkeeper.io: what
// people wish (NodePool), what the engine decides (ScalingGroup,
// ScalingActivity), what exists (Instance) and what people read about their
// requests (ClusterTask). It takes no decision and reads nothing; the rules
// that the API server upholds stand beside the fields as CEL lines.
//
// +kubebuilder:object:generate=true
// +groupName=poolkeeper.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind here.
var GroupVersion = schema.GroupVersion{Group: "poolkeeper.io", Version: "v1alpha1"}

// Finalizer holds an object of ours until its controller has settled what the
// object stands for in the cloud.
const Finalizer = "poolkeeper.io/settle"

// SystemNamespace holds the controller, and the Secrets with exact requests.
const SystemNamespace = "poolkeeper-system"

// Labels on objects of ours, for selection by people and by one list per group.
const (
	// LabelPool names the node pool that an object belongs to.
	LabelPool = "poolkeeper.io/pool"
	// LabelGroup names the scaling group that an object belongs to.
	LabelGroup = "poolkeeper.io/group"
	// LabelActivity names the scaling activity that made an object.
	LabelActivity = "poolkeeper.io/activity"
)

// AnnotationAskedBy and AnnotationAskedAt are stamped by the admission policy
// on NodePools and ClusterTasks where spec changes: who asked, and the
// generation of the object before the change (0 on creation). Nobody else can
// write them.
const (
	AnnotationAskedBy = "poolkeeper.io/asked-by"
	AnnotationAskedAt = "poolkeeper.io/asked-at-generation"
)

// AnnotationResumeCount on a NodePool is how often a Resume task has asked to
// try at once what is held. A whole number, and after a blank the only resource
// pool that the newest request speaks of, if it names one, as ZONE/TYPE; see
// Asked. The controller of node pools copies it into the group's resumeCount,
// which never falls, and its resumeCandidate.
const AnnotationResumeCount = "poolkeeper.io/resume-count"

// AnnotationRebalanceCount and AnnotationThawCount on a NodePool are, like
// AnnotationResumeCount, how often a task has asked to even the zones out, and
// to end a freeze of releases. They go into the group's counts of those names.
const (
	AnnotationRebalanceCount = "poolkeeper.io/rebalance-count"
	AnnotationThawCount      = "poolkeeper.io/thaw-count"
)

// AnnotationNumberChange on a ScalingGroup tells the change of the expected
// number that was last passed down: from, to, and who asked. The controller of
// node pools writes it in the update that changes desiredCapacity.
const AnnotationNumberChange = "poolkeeper.io/number-change"

// AnnotationWrittenTime on a Secret with requests is when it was written, on the
// clock of the controller: one that no activity names is deleted a set time
// after it, however often the controller is started again.
const AnnotationWrittenTime = "poolkeeper.io/written-time"

// JoinNamespace holds a service account and a join Secret for each pool.
const JoinNamespace = "poolkeeper-join"

// JoinSecret is the name of a pool's join Secret, and of its service account.
func JoinSecret(pool string) string { return "pool-" + pool }

// JoinCommandKey is where a join Secret holds the command that makes a machine
// join which runs already. AnnotationJoinTask beside it names the task that it
// was made for, AnnotationJoinUntil until when it is of use (RFC 3339).
const (
	JoinCommandKey      = "join-command"
	AnnotationJoinTask  = "poolkeeper.io/join-task"
	AnnotationJoinUntil = "poolkeeper.io/join-until"
)

// AddToScheme registers the kinds of this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&NodePool{}, &NodePoolList{},
		&ScalingGroup{}, &ScalingGroupList{},
		&ScalingActivity{}, &ScalingActivityList{},
		&Instance{}, &InstanceList{},
		&ClusterTask{}, &ClusterTaskList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
