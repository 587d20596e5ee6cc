package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ScalingGroup decides which instances a pool has. It is written by the
// controller of node pools; of its spec only healthCheck may be set by people,
// and what they set desiredCapacity, minSize or maxSize to is put back.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=pkg,categories=poolkeeper
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Pool",type=string,JSONPath=`.spec.pool`
// +kubebuilder:printcolumn:name="Desired",type=integer,JSONPath=`.spec.desiredCapacity`
// +kubebuilder:printcolumn:name="Counted",type=integer,JSONPath=`.status.counted`
// +kubebuilder:printcolumn:name="Stable",type=integer,JSONPath=`.status.stable`
// +kubebuilder:printcolumn:name="Coming",type=integer,JSONPath=`.status.coming`
// +kubebuilder:printcolumn:name="Strength",type=string,JSONPath=`.status.strength`
// +kubebuilder:printcolumn:name="Score",type=integer,JSONPath=`.status.strengthScore`,priority=1
// +kubebuilder:printcolumn:name="Summary",type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ScalingGroup struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the group keeps.
	Spec ScalingGroupSpec `json:"spec"`
	// status is what the group has.
	// +optional
	Status ScalingGroupStatus `json:"status,omitzero"`
}

// ScalingGroupSpec is what the group keeps.
// +kubebuilder:validation:XValidation:rule="self.pool == oldSelf.pool && self.poolUID == oldSelf.poolUID",message="a scaling group belongs to one node pool for good"
// +kubebuilder:validation:XValidation:rule="self.minSize <= self.maxSize",message="minSize is above maxSize"
type ScalingGroupSpec struct {
	// pool is the node pool above.
	// +kubebuilder:validation:MaxLength=40
	Pool string `json:"pool"`
	// poolUID is the UID of that pool.
	// +kubebuilder:validation:MaxLength=64
	PoolUID string `json:"poolUID"`
	// poolGeneration is the generation of the pool that this spec was made of.
	PoolGeneration int64 `json:"poolGeneration"`
	// desiredCapacity is the expected number of instances. Unit: instances, 0
	// to 10000.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	DesiredCapacity int32 `json:"desiredCapacity"`
	// minSize is the least that desiredCapacity may be. Unit: instances.
	// +kubebuilder:validation:Minimum=0
	MinSize int32 `json:"minSize"`
	// maxSize is the most that desiredCapacity may be. Unit: instances.
	// +kubebuilder:validation:Minimum=0
	MaxSize int32 `json:"maxSize"`
	// maxCreationsPerHour is the most instances that the group begins to create
	// within any hour. Unit: instances; 0: no ceiling.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxCreationsPerHour int32 `json:"maxCreationsPerHour,omitempty"`
	// maxSpendPerHour is the most that its instances may cost together per hour
	// for one more to be created, a decimal number. Empty: no ceiling.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	MaxSpendPerHour string `json:"maxSpendPerHour,omitempty"`
	// settingsGeneration is the generation of the pool whose launch settings and
	// lifecycle hooks these are: the last valid ones.
	SettingsGeneration int64 `json:"settingsGeneration"`
	// scalingPolicy chooses resource pools.
	ScalingPolicy ScalingPolicy `json:"scalingPolicy"`

	LaunchSettings `json:",inline"`

	// drain says how nodes are drained before scaling in releases them.
	Drain Drain `json:"drain"`
	// lifecycleHooks hold instances on their way in or out.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	LifecycleHooks []LifecycleHook `json:"lifecycleHooks,omitempty"`
	// undrained says why nodes cannot be drained before scaling in releases
	// them: what drains lacks its role (Missing), or that may not be read
	// (Unread). Then best effort goes on without a drain, and required waits.
	// Empty where they can.
	// +optional
	// +kubebuilder:validation:Enum=Missing;Unread
	Undrained string `json:"undrained,omitempty"`
	// healthCheck says who looks after the health of instances: None or ECS.
	// The one field of a group that a person may set.
	// +optional
	HealthCheck HealthCheck `json:"healthCheck,omitempty"`
	// joinDeadlineSeconds is how long a machine may take from running to Node
	// Ready. Unit: seconds. Default 900, GPU bare metal 2400.
	// +optional
	JoinDeadlineSeconds *int32 `json:"joinDeadlineSeconds,omitempty"`
	// keepFailed is how many machines that failed to join are kept to look
	// at. Unit: instances.
	// +optional
	KeepFailed int32 `json:"keepFailed,omitempty"`
	// manageAttached lets scaling in pick attached instances.
	// +optional
	ManageAttached bool `json:"manageAttached,omitempty"`
	// emptying is set while the pool is being deleted: every instance goes.
	// +optional
	Emptying bool `json:"emptying,omitempty"`
	// frozen stops creating and releasing; it says why.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Frozen string `json:"frozen,omitempty"`
	// transfers are instances on their way out or in by name.
	// +optional
	// +listType=map
	// +listMapKey=instance
	// +kubebuilder:validation:MaxItems=500
	Transfers []Transfer `json:"transfers,omitempty"`
	// resumeCount is raised by each request to resume: what is held is tried
	// at once.
	// +optional
	ResumeCount int64 `json:"resumeCount,omitempty"`
	// resumeCandidate is the only resource pool that the newest of these
	// requests speaks of, as ZONE/TYPE. Empty: all.
	// +optional
	// +kubebuilder:validation:MaxLength=129
	ResumeCandidate string `json:"resumeCandidate,omitempty"`
	// rebalanceCount is raised by each request to even the zones out.
	// +optional
	RebalanceCount int64 `json:"rebalanceCount,omitempty"`
	// thawCount is raised by each request to end the freeze of releases that
	// many disappeared instances caused.
	// +optional
	ThawCount int64 `json:"thawCount,omitempty"`
}

// ScalingGroupStatus is what the group has.
type ScalingGroupStatus struct {
	// observedGeneration is the newest spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// summary is one sentence about the group.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Summary string `json:"summary,omitempty"`
	// accountID is the cloud account that the group was first used with. No
	// mutation is sent with credentials of another one.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	AccountID string `json:"accountID,omitempty"`
	// lastActivity is the highest number that an activity of this group had.
	// +optional
	LastActivity int64 `json:"lastActivity,omitempty"`
	// openActivity is the activity that may still send; empty for none.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	OpenActivity string `json:"openActivity,omitempty"`
	// missing are the instances that the newest sweep did not show, while that
	// freezes the group: at most the first 500 by name.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MaxLength=64
	Missing []string `json:"missing,omitempty"`
	// counted against desiredCapacity. Unit: instances.
	// +optional
	Counted int32 `json:"counted"`
	// stable instances: in service, protected, standby.
	// +optional
	Stable int32 `json:"stable"`
	// coming instances: pending.
	// +optional
	Coming int32 `json:"coming"`
	// uncertain: may have been made by calls whose answers were lost.
	// +optional
	Uncertain int32 `json:"uncertain"`
	// strength is the elastic strength: Strong, Medium or Weak.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Strength string `json:"strength,omitempty"`
	// strengthScore is the sum of the scores of the resource pools that may be
	// asked: 3 with stock, 1 where stock is low or not known, else 0.
	// +optional
	StrengthScore int32 `json:"strengthScore,omitempty"`
	// resourcePools is what is known of each resource pool.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=3000
	ResourcePools []ResourcePoolStatus `json:"resourcePools,omitempty"`
	// image is what the cloud says of the image that new instances start from.
	// +optional
	Image *ImageStatus `json:"image,omitempty"`
	// misfits say why resource pools do not go together with image or disks, or
	// are not offered, in the cloud's own words where it was asked.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	Misfits []Misfit `json:"misfits,omitempty"`
	// fits are instance types that the group does not name, fit its image and
	// are in stock, and vSwitches that it does not name; known where some of its
	// own cannot be had.
	// +optional
	// +listType=map
	// +listMapKey=zone
	// +kubebuilder:validation:MaxItems=64
	Fits []ZoneFits `json:"fits,omitempty"`
	// refusals are remembered until they expire, by what they speak of.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	Refusals []Refusal `json:"refusals,omitempty"`
	// rememberedActivity is the number of the newest ended activity whose
	// results are in refusals: each is taken in once.
	// +optional
	RememberedActivity int64 `json:"rememberedActivity,omitempty"`
	// failedInstances are the machines that failed to join, or vanished before
	// they ran, are still recorded, and are in refusals: each is taken in once.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10000
	// +kubebuilder:validation:items:MaxLength=64
	FailedInstances []string `json:"failedInstances,omitempty"`
	// why says what keeps the group from its desired capacity.
	// +optional
	Why *Why `json:"why,omitempty"`
	// resumedCount is the resumeCount that was last honoured.
	// +optional
	ResumedCount int64 `json:"resumedCount,omitempty"`
	// resumedTime is when that was: refusals from before are forgotten.
	// +optional
	ResumedTime *metav1.Time `json:"resumedTime,omitempty"`
	// rebalancedCount is the rebalanceCount that was last carried to its end.
	// +optional
	RebalancedCount int64 `json:"rebalancedCount,omitempty"`
	// thawedCount is the thawCount that was last honoured.
	// +optional
	ThawedCount int64 `json:"thawedCount,omitempty"`
	// imbalance is by how many instances the fullest zone exceeds the
	// emptiest, where zones are to be balanced.
	// +optional
	Imbalance int32 `json:"imbalance,omitempty"`
	// installation are the ceilings of the whole installation, as the controller
	// was started with them; a preview reckons with them. Absent for none.
	// +optional
	Installation *Ceilings `json:"installation,omitempty"`
	// conditions: AtDesiredCapacity, Held, Frozen, Balanced, UnknownInstances,
	// AccountMatches, Valid (false where its requests cannot be written down),
	// DeletionBlocked.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Ceilings are what a person allows at most of all pools together.
type Ceilings struct {
	// nodes that may be counted or coming. Unit: instances; 0: no ceiling.
	// +optional
	Nodes int32 `json:"nodes,omitempty"`
	// creationsPerHour that may begin within any hour. Unit: instances; 0: no
	// ceiling.
	// +optional
	CreationsPerHour int32 `json:"creationsPerHour,omitempty"`
	// spendPerHour is what all instances may cost together per hour for one more
	// to be created, a decimal number. Empty: no ceiling.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	SpendPerHour string `json:"spendPerHour,omitempty"`
}

// ResourcePoolStatus is what is known of one instance type in one vSwitch.
type ResourcePoolStatus struct {
	// vSwitch that this speaks of.
	// +kubebuilder:validation:MaxLength=64
	VSwitch string `json:"vSwitch"`
	// zone of that vSwitch.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Zone string `json:"zone,omitempty"`
	// instanceType in that vSwitch.
	// +kubebuilder:validation:MaxLength=64
	InstanceType string `json:"instanceType"`
	// chargeType that stock and price speak of.
	// +optional
	ChargeType ChargeType `json:"chargeType,omitempty"`
	// stock is WithStock, ClosedWithStock, WithoutStock, ClosedWithoutStock,
	// NotOffered or Unknown.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Stock string `json:"stock,omitempty"`
	// constraint is the code of what does not fit; empty where all fits.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Constraint string `json:"constraint,omitempty"`
	// vCPU of the instance type.
	// +optional
	VCPU int32 `json:"vCPU,omitempty"`
	// memoryMiB of the instance type.
	// +optional
	MemoryMiB int64 `json:"memoryMiB,omitempty"`
	// pricePerHour in currency, a decimal number.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	PricePerHour string `json:"pricePerHour,omitempty"`
	// currency of the price.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	Currency string `json:"currency,omitempty"`
	// freeAddresses in the vSwitch; -1 where not known.
	// +optional
	FreeAddresses int32 `json:"freeAddresses"`
	// checkedTime is when this was read from the cloud. It is written when a
	// grade changes or a price moves, not at each reading.
	// +optional
	CheckedTime *metav1.Time `json:"checkedTime,omitempty"`
}

// ImageStatus is what the cloud says of an image.
type ImageStatus struct {
	// id of the image.
	// +kubebuilder:validation:MaxLength=128
	ID string `json:"id"`
	// os as the cloud names it.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	OS string `json:"os,omitempty"`
	// architecture is x86_64 or arm64.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Architecture string `json:"architecture,omitempty"`
	// bootMode is BIOS, UEFI or UEFI-Preferred.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	BootMode string `json:"bootMode,omitempty"`
	// trusted is what it supports of vTPM and vSGX, in words.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Trusted string `json:"trusted,omitempty"`
}

// Misfit says why an instance type cannot be created as the group wants it.
type Misfit struct {
	// instanceType that this speaks of.
	// +kubebuilder:validation:MaxLength=64
	InstanceType string `json:"instanceType"`
	// zone that this speaks of; empty for every zone.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Zone string `json:"zone,omitempty"`
	// code of the failure catalogue.
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code"`
	// message is the vendor's text, unchanged; empty where the cloud was not
	// asked.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// requestID of the call that was refused.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RequestID string `json:"requestID,omitempty"`
	// offered are the disk categories that are in stock for the instance type.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MaxLength=64
	Offered []string `json:"offered,omitempty"`
	// otherImage starts the instance type, where the group's image does not.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	OtherImage string `json:"otherImage,omitempty"`
}

// ZoneFits are what would help in one zone.
type ZoneFits struct {
	// zone of these.
	// +kubebuilder:validation:MaxLength=64
	Zone string `json:"zone"`
	// instanceTypes, the likest to the group's own first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MaxLength=64
	InstanceTypes []string `json:"instanceTypes,omitempty"`
	// vSwitch of the zone that the group does not name, with free addresses,
	// where one of the group's own types is in stock.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	VSwitch string `json:"vSwitch,omitempty"`
}

// Refusal is something that the cloud refused, remembered until it expires.
type Refusal struct {
	// code of the failure catalogue.
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code"`
	// scope that the refusal speaks of: pool, type, vswitch, zone, disk,
	// template, account, group, cluster.
	// +kubebuilder:validation:MaxLength=32
	Scope string `json:"scope"`
	// vSwitch that was asked, where the scope speaks of it.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	VSwitch string `json:"vSwitch,omitempty"`
	// zone that was asked, where the scope speaks of it.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Zone string `json:"zone,omitempty"`
	// instanceType that was asked for, where the scope speaks of it.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	InstanceType string `json:"instanceType,omitempty"`
	// chargeType that was asked for, where the scope speaks of it.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ChargeType ChargeType `json:"chargeType,omitempty"`
	// disk names the disk categories that were asked for, where the scope
	// speaks of them.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Disk string `json:"disk,omitempty"`
	// message is the vendor's text, unchanged.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// requestID of the call that was refused.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RequestID string `json:"requestID,omitempty"`
	// solution is what helps, where more is known of the case than the failure
	// catalogue says.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Solution string `json:"solution,omitempty"`
	// firstTime is when this refusal first came in a row.
	FirstTime metav1.Time `json:"firstTime"`
	// lastTime is when it came last.
	LastTime metav1.Time `json:"lastTime"`
	// untilTime is when it may be tried again.
	UntilTime metav1.Time `json:"untilTime"`
	// count is how often it came in a row.
	Count int32 `json:"count"`
	// settingsGeneration whose requests were refused: an edit ends a refusal
	// that only an edit can end.
	// +optional
	SettingsGeneration int64 `json:"settingsGeneration,omitempty"`
	// burnt is the money spent on failed tries, a decimal number.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Burnt string `json:"burnt,omitempty"`
}

// ScalingGroupList is a list of ScalingGroups.
// +kubebuilder:object:root=true
type ScalingGroupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ScalingGroup `json:"items"`
}
