package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NodePool keeps a number of nodes.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=pkp,categories=poolkeeper
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.expectedNodes,statuspath=.status.nodes,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.word`
// +kubebuilder:printcolumn:name="Expected",type=integer,JSONPath=`.spec.expectedNodes`
// +kubebuilder:printcolumn:name="In Service",type=integer,JSONPath=`.status.counts.inService`
// +kubebuilder:printcolumn:name="Joining",type=integer,JSONPath=`.status.counts.joining`
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.counts.failed`
// +kubebuilder:printcolumn:name="Policy",type=string,JSONPath=`.spec.scalingPolicy.type`,priority=1
// +kubebuilder:printcolumn:name="Strength",type=string,JSONPath=`.status.strength`
// +kubebuilder:printcolumn:name="Score",type=integer,JSONPath=`.status.strengthScore`,priority=1
// +kubebuilder:printcolumn:name="Summary",type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="the name of a node pool is a DNS label of at most 40 characters: lower-case letters, digits and dashes, starting and ending with a letter or digit"
type NodePool struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what people wish.
	Spec NodePoolSpec `json:"spec"`
	// status is what is so.
	// +optional
	Status NodePoolStatus `json:"status,omitzero"`
}

// NodePoolSpec is the wish: how many nodes, and how each is made.
// +kubebuilder:validation:XValidation:rule="self.minNodes <= self.maxNodes",message="minNodes is above maxNodes: lower minNodes or raise maxNodes",fieldPath=".minNodes"
// +kubebuilder:validation:XValidation:rule="self.expectedNodes <= self.maxNodes",message="expectedNodes is above maxNodes: ask for fewer nodes, or raise maxNodes with it",fieldPath=".expectedNodes"
// +kubebuilder:validation:XValidation:rule="self.expectedNodes >= self.minNodes",message="expectedNodes is below minNodes: ask for more nodes, or lower minNodes with it",fieldPath=".expectedNodes"
type NodePoolSpec struct {
	// expectedNodes is how many instances the pool keeps. Required, without a
	// default: 0 is written out, so that leaving it out of an apply is refused
	// and empties nothing. Unit: nodes, 0 to 10000, within minNodes and
	// maxNodes.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	ExpectedNodes int32 `json:"expectedNodes"`
	// minNodes is the least that expectedNodes may be. Unit: nodes, 0 to
	// 10000. Default 0.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	MinNodes int32 `json:"minNodes"`
	// maxNodes is the most that expectedNodes may be. Unit: nodes, 1 to 10000.
	// Default 2000.
	// +optional
	// +kubebuilder:default=2000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxNodes int32 `json:"maxNodes,omitempty"`
	// maxCreationsPerHour is the most instances that the pool begins to create
	// within any hour. Unit: instances, 1 to 100000; 0: no ceiling. Default 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxCreationsPerHour int32 `json:"maxCreationsPerHour,omitempty"`
	// maxSpendPerHour is the most that the pool's instances may cost together
	// per hour for one more to be created: a decimal number above 0 in the
	// currency of the prices, such as "60.00". It releases nothing; a resource
	// pool whose price is not known is not asked, and an instance whose price is
	// not known is reckoned at the dearest known. Empty: no ceiling.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,9}([.][0-9]{1,6})?)?$') && (self == '' || self.matches('[1-9]'))",message="maxSpendPerHour is a price per hour above 0, such as 60.00: leave it out for no ceiling, and lower expectedNodes to create nothing"
	MaxSpendPerHour string `json:"maxSpendPerHour,omitempty"`
	// scalingPolicy says which resource pool (an instance type in a vSwitch)
	// is asked next, and which instance goes first. Default Priority.
	// +optional
	// +kubebuilder:default={type: Priority}
	ScalingPolicy ScalingPolicy `json:"scalingPolicy,omitzero"`

	LaunchSettings `json:",inline"`

	// drain says how nodes are drained before scaling in releases them.
	// Default bestEffort within 1800 seconds.
	// +optional
	// +kubebuilder:default={mode: bestEffort}
	Drain Drain `json:"drain,omitzero"`
	// lifecycleHooks hold each instance on its way in or out until a program has
	// done its part, or its time is over. Who waits, for what and until when stands
	// in the status of each Instance; people answer with poolkeeper hook. At most
	// 8.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	LifecycleHooks []LifecycleHook `json:"lifecycleHooks,omitempty"`
	// healthCheck says what happens to an instance that is not running: None
	// (default) leaves it alone and shows it; ECS replaces it.
	// +optional
	// +kubebuilder:default=None
	HealthCheck HealthCheck `json:"healthCheck,omitempty"`
	// deletionProtection refuses to delete a pool that has instances: it is
	// never emptied by its deletion. Default true.
	// +optional
	// +kubebuilder:default=true
	DeletionProtection *bool `json:"deletionProtection,omitempty"`
	// joinDeadlineSeconds is how long a machine may take from running to Node
	// Ready before it is replaced. Unit: seconds, 1 to 4500. Default 900, for
	// GPU bare metal 2400.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4500
	JoinDeadlineSeconds *int32 `json:"joinDeadlineSeconds,omitempty"`
	// taskDeadlineSeconds ends a scale task, not the wish: the pool goes on
	// trying. Unit: seconds, 1 to 604800. Default 3600.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	TaskDeadlineSeconds *int32 `json:"taskDeadlineSeconds,omitempty"`
	// keepFailed is how many machines that failed to join are kept for four
	// hours to look at. Unit: instances, 0 to 20. Default 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20
	KeepFailed *int32 `json:"keepFailed,omitempty"`
	// manageAttached lets scaling in pick instances that were brought in by
	// hand. Default false.
	// +optional
	ManageAttached bool `json:"manageAttached,omitempty"`
	// transfers are instances on their way out or in by name. Written by
	// tasks, together with expectedNodes, and by nobody else. At most 500.
	// +optional
	// +listType=map
	// +listMapKey=instance
	// +kubebuilder:validation:MaxItems=500
	Transfers []Transfer `json:"transfers,omitempty"`
}

// PoolState is the state of a pool, as machines read it.
type PoolState string

// The states of a pool.
const (
	PoolActive   PoolState = "Active"
	PoolScaling  PoolState = "Scaling"
	PoolRemoving PoolState = "Removing"
	PoolDeleting PoolState = "Deleting"
	PoolUpdating PoolState = "Updating"
)

// NodePoolStatus is what is so.
type NodePoolStatus struct {
	// observedGeneration is the newest spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// state is Active, Scaling, Removing, Deleting or Updating.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	State PoolState `json:"state,omitempty"`
	// word is the state as people read it, with n of m where nodes and wish
	// differ: "Activated", "Expanding 15 of 20".
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Word string `json:"word,omitempty"`
	// summary is one sentence: is the pool as wished, and if not, why.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Summary string `json:"summary,omitempty"`
	// nodes is how many instances are in service with their Node Ready.
	// +optional
	Nodes int32 `json:"nodes"`
	// selector selects the pool's Nodes, for the scale subresource.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Selector string `json:"selector,omitempty"`
	// counts tells what the pool's instances are doing.
	// +optional
	Counts PoolCounts `json:"counts,omitzero"`
	// why says what keeps the pool from its wish. Absent when nothing does.
	// +optional
	Why *Why `json:"why,omitempty"`
	// price is what the pool costs.
	// +optional
	Price *Price `json:"price,omitempty"`
	// strength is the elastic strength: Strong, Medium or Weak.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Strength string `json:"strength,omitempty"`
	// strengthScore is the sum of the scores of its resource pools: 3 with
	// stock, 1 where stock is low or not known, else 0.
	// +optional
	StrengthScore int32 `json:"strengthScore,omitempty"`
	// scalingGroup is the name of the pool's group.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ScalingGroup string `json:"scalingGroup,omitempty"`
	// task is the newest scale task.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Task string `json:"task,omitempty"`
	// healthCheckPassed is the healthCheck that was last passed down to the
	// group; only a change of the pool's own value is passed down again.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	HealthCheckPassed HealthCheck `json:"healthCheckPassed,omitempty"`
	// conditions: AtExpectedNumber, NodesJoined, Valid, Held, Frozen,
	// DeletionBlocked.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// PoolCounts counts instances by what they are doing. Unit: instances.
type PoolCounts struct {
	// instances is how many are counted against the expected number.
	// +optional
	Instances int32 `json:"instances"`
	// inService is how many are in service with a Ready node.
	// +optional
	InService int32 `json:"inService"`
	// joining is how many are created and not yet Ready, or held by a lifecycle
	// hook on their way in.
	// +optional
	Joining int32 `json:"joining"`
	// pendingWait is how many of the joining ones a lifecycle hook holds.
	// +optional
	PendingWait int32 `json:"pendingWait,omitempty"`
	// failed is how many did not join.
	// +optional
	Failed int32 `json:"failed"`
	// offline is how many joined once and are not Ready, or gone from the
	// API, now.
	// +optional
	Offline int32 `json:"offline"`
	// removing is how many are decided to be released or taken out.
	// +optional
	Removing int32 `json:"removing"`
	// uncertain is how many may have been made by calls whose answers were
	// lost. They are looked for.
	// +optional
	Uncertain int32 `json:"uncertain"`
	// protected is how many are protected by a person: never released by scaling in.
	// +optional
	Protected int32 `json:"protected"`
	// standby is how many are out of service and counted.
	// +optional
	Standby int32 `json:"standby"`
	// subscription is how many are paid in advance: never released by scaling in.
	// +optional
	Subscription int32 `json:"subscription"`
	// attached is how many were brought in by hand.
	// +optional
	Attached int32 `json:"attached"`
}

// Why says what keeps something from its wish.
type Why struct {
	// short is how many nodes are missing; negative: too many.
	// +optional
	Short int32 `json:"short"`
	// code of the failure catalogue; empty where nothing failed.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code,omitempty"`
	// sentence tells it to people.
	// +kubebuilder:validation:MaxLength=1024
	Sentence string `json:"sentence"`
	// solution is what to do.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Solution string `json:"solution,omitempty"`
	// sinceTime is when this reason began.
	// +optional
	SinceTime *metav1.Time `json:"sinceTime,omitempty"`
	// count is how often the same cause came in a row.
	// +optional
	Count int32 `json:"count,omitempty"`
	// nextTime is when the next try is due.
	// +optional
	NextTime *metav1.Time `json:"nextTime,omitempty"`
	// next says what is tried next.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Next string `json:"next,omitempty"`
}

// Price is a price in one currency.
type Price struct {
	// currency of the price: CNY or USD.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	Currency string `json:"currency,omitempty"`
	// perHour is the price per hour now, as a decimal number.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	PerHour string `json:"perHour,omitempty"`
	// billing tells it apart by how instances are billed.
	// +optional
	// +listType=map
	// +listMapKey=chargeType
	// +kubebuilder:validation:MaxItems=3
	Billing []BilledAs `json:"billing,omitempty"`
	// spentTime is until when what was spent is reckoned. From then on perHour
	// adds to it.
	// +optional
	SpentTime *metav1.Time `json:"spentTime,omitempty"`
}

// BilledAs is what instances that are billed in one way cost.
type BilledAs struct {
	// chargeType of these instances. What a subscription costs is paid in
	// advance.
	ChargeType ChargeType `json:"chargeType"`
	// instances there are now. Unit: instances.
	// +optional
	Instances int32 `json:"instances"`
	// perHour is what they cost per hour, a decimal number.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	PerHour string `json:"perHour,omitempty"`
	// spent is what they cost until spentTime, together with those that were
	// released since the pool was created, a decimal number.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Spent string `json:"spent,omitempty"`
}

// NodePoolList is a list of NodePools.
// +kubebuilder:object:root=true
type NodePoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NodePool `json:"items"`
}
