package v1alpha1

import corev1 "k8s.io/api/core/v1"

// ScalingPolicyType says how a scaling group chooses resource pools.
// +kubebuilder:validation:Enum=Priority;DistributionBalancing;CostOptimization
type ScalingPolicyType string

// The scaling policies.
const (
	PolicyPriority              ScalingPolicyType = "Priority"
	PolicyDistributionBalancing ScalingPolicyType = "DistributionBalancing"
	PolicyCostOptimization      ScalingPolicyType = "CostOptimization"
)

// ScalingPolicy is the policy of a group with its settings.
// +kubebuilder:validation:XValidation:rule="!has(self.costOptimization) || self.type == 'CostOptimization'",message="costOptimization is read by the policy CostOptimization only; set type: CostOptimization or remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.strictBalance) || !self.strictBalance || self.type == 'DistributionBalancing'",message="strictBalance is read by the policy DistributionBalancing only; set type: DistributionBalancing or remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.typeFirst) || !self.typeFirst || self.type == 'Priority'",message="typeFirst is read by the policy Priority only; set type: Priority or remove it"
type ScalingPolicy struct {
	// type chooses the resource pools: Priority by the order of vSwitches, then
	// of instance types; DistributionBalancing keeps zones even;
	// CostOptimization takes the lowest price per vCPU.
	// +optional
	// +kubebuilder:default=Priority
	Type ScalingPolicyType `json:"type,omitempty"`
	// typeFirst makes Priority try one instance type in all vSwitches before
	// the next type. Default: all types in the first vSwitch first.
	// +optional
	TypeFirst bool `json:"typeFirst,omitempty"`
	// strictBalance forbids DistributionBalancing to pass the share of a zone
	// that cannot give to another zone. Default: shares are passed on.
	// +optional
	StrictBalance bool `json:"strictBalance,omitempty"`
	// costOptimization refines the policy CostOptimization.
	// +optional
	CostOptimization *CostOptimization `json:"costOptimization,omitempty"`
}

// CostOptimization says how much is created on demand and how widely spot
// instances are spread.
type CostOptimization struct {
	// onDemandBaseCapacity is how many instances are on demand before any spot
	// instance is created. Unit: instances, 0 to 1000. Default 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	OnDemandBaseCapacity int32 `json:"onDemandBaseCapacity,omitempty"`
	// onDemandPercentageAboveBaseCapacity is the share of instances beyond the
	// base capacity that are on demand. Unit: percent, 0 to 100. Default 0
	// where spot is asked for.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	OnDemandPercentageAboveBaseCapacity int32 `json:"onDemandPercentageAboveBaseCapacity,omitempty"`
	// spotInstancePools is over how many of the cheapest spot resource pools
	// instances are spread. 1 to 10. Default 2.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	SpotInstancePools int32 `json:"spotInstancePools,omitempty"`
	// compensateWithOnDemand creates on-demand instances where spot cannot
	// give enough. Default true.
	// +optional
	// +kubebuilder:default=true
	CompensateWithOnDemand *bool `json:"compensateWithOnDemand,omitempty"`
}

// ChargeType says how an instance is billed.
// +kubebuilder:validation:Enum=PayAsYouGo;Subscription;Spot
type ChargeType string

// The charge types.
const (
	ChargePayAsYouGo   ChargeType = "PayAsYouGo"
	ChargeSubscription ChargeType = "Subscription"
	ChargeSpot         ChargeType = "Spot"
)

// Billing says how new instances are billed.
// +kubebuilder:validation:XValidation:rule="!has(self.subscription) || self.chargeType == 'Subscription'",message="billing.subscription needs chargeType: Subscription; set it or remove subscription"
// +kubebuilder:validation:XValidation:rule="self.chargeType != 'Subscription' || has(self.subscription)",message="chargeType Subscription needs billing.subscription with a period"
// +kubebuilder:validation:XValidation:rule="!has(self.spot) || self.chargeType == 'Spot'",message="billing.spot needs chargeType: Spot; set it or remove spot"
type Billing struct {
	// chargeType is how new instances are billed. Default PayAsYouGo.
	// +optional
	// +kubebuilder:default=PayAsYouGo
	ChargeType ChargeType `json:"chargeType,omitempty"`
	// subscription is the period that is bought with each new instance.
	// +optional
	Subscription *Subscription `json:"subscription,omitempty"`
	// spot bounds what is paid for spot instances.
	// +optional
	Spot *Spot `json:"spot,omitempty"`
}

// Turn changes how new instances are billed; what belongs to another way goes.
func (b *Billing) Turn(to ChargeType) {
	if b.ChargeType = to; to != ChargeSpot {
		b.Spot = nil
	}
	if to != ChargeSubscription {
		b.Subscription = nil
	}
}

// Subscription is a period paid in advance.
// +kubebuilder:validation:XValidation:rule="self.periodUnit != 'Week' || self.period <= 4",message="a subscription in weeks has a period of 1 to 4; set periodUnit: Month for more"
type Subscription struct {
	// period is how many units are bought with each new instance. Unit:
	// periodUnit; 1 to 4 weeks, or 1 to 60 months.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60
	Period int32 `json:"period"`
	// periodUnit is the unit of period: Week or Month. Default Month.
	// +optional
	// +kubebuilder:default=Month
	// +kubebuilder:validation:Enum=Week;Month
	PeriodUnit string `json:"periodUnit,omitempty"`
	// autoRenew renews the subscription when it ends. Default false.
	// +optional
	AutoRenew bool `json:"autoRenew,omitempty"`
}

// Spot bounds what is paid for spot instances.
type Spot struct {
	// priceLimits are upper limits per instance type. A type without one is
	// bought at the market price.
	// +optional
	// +listType=map
	// +listMapKey=instanceType
	// +kubebuilder:validation:MaxItems=50
	PriceLimits []SpotPriceLimit `json:"priceLimits,omitempty"`
	// protectedHours is how long a new spot instance is not reclaimed.
	// Unit: hours, 0 or 1. Default 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1
	ProtectedHours *int32 `json:"protectedHours,omitempty"`
}

// SpotPriceLimit is the most that is paid for one instance type.
type SpotPriceLimit struct {
	// instanceType names the type.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	InstanceType string `json:"instanceType"`
	// pricePerHour is the limit in the account's currency, with at most three
	// decimals, such as "0.125".
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[0-9]{1,6}(\.[0-9]{1,3})?$`
	PricePerHour string `json:"pricePerHour"`
}

// Disk is a disk that is created with an instance and goes with it.
// +kubebuilder:validation:XValidation:rule="!has(self.kmsKeyID) || (has(self.encrypted) && self.encrypted)",message="kmsKeyID needs encrypted: true"
// +kubebuilder:validation:XValidation:rule="!has(self.performanceLevel) || self.category == 'cloud_essd'",message="performanceLevel is for the category cloud_essd only"
type Disk struct {
	// category is the cloud's disk category, such as cloud_essd.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Category string `json:"category"`
	// sizeGiB is the size. Unit: GiB, 20 to 32768.
	// +kubebuilder:validation:Minimum=20
	// +kubebuilder:validation:Maximum=32768
	SizeGiB int32 `json:"sizeGiB"`
	// performanceLevel of a disk of category cloud_essd: PL0, PL1, PL2 or
	// PL3. Default: the cloud's own, PL1.
	// +optional
	// +kubebuilder:validation:Enum=PL0;PL1;PL2;PL3
	PerformanceLevel string `json:"performanceLevel,omitempty"`
	// encrypted encrypts the disk. Default false.
	// +optional
	Encrypted bool `json:"encrypted,omitempty"`
	// kmsKeyID is the key that encrypts; without it the service's own key.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	KMSKeyID string `json:"kmsKeyID,omitempty"`
}

// Login says how people sign in to the machines. One of both, or none.
// +kubebuilder:validation:XValidation:rule="!(has(self.keyPair) && has(self.passwordSecret))",message="set keyPair or passwordSecret, not both"
type Login struct {
	// keyPair is the name of a key pair in the cloud.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	KeyPair string `json:"keyPair,omitempty"`
	// passwordSecret names a Secret in the namespace poolkeeper-system whose
	// key "password" holds the password.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PasswordSecret string `json:"passwordSecret,omitempty"`
}

// UserData are the scripts of the pool's owner that run while a machine joins.
// Together with our own part at most 32 KiB.
type UserData struct {
	// beforeJoin runs before the machine joins. Exit code 0 or the join fails.
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	BeforeJoin string `json:"beforeJoin,omitempty"`
	// afterJoin runs once the Node is Ready.
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	AfterJoin string `json:"afterJoin,omitempty"`
}

// NodeTemplate is what new Nodes carry.
type NodeTemplate struct {
	// labels that new Nodes register with. At most 64. Labels that a node may
	// not give itself (of kubernetes.io and k8s.io, but for those the node
	// restriction allows) are refused.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="a label key is an optional prefix (a DNS name and a slash) and a name of at most 63 letters, digits, dashes, dots and underscores"
	// +kubebuilder:validation:XValidation:rule="self.all(k, self[k].size() <= 63)",message="a label value has at most 63 characters"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([^/]*\\\\.)?(kubernetes|k8s)\\\\.io/') || k.matches('^([^/]*\\\\.)?(kubelet|node)\\\\.kubernetes\\\\.io/'))",message="a node may not give itself labels of kubernetes.io or k8s.io (but for kubelet.kubernetes.io and node.kubernetes.io): use a prefix of your own"
	Labels map[string]string `json:"labels,omitempty"`
	// taints that new Nodes register with, one for each key and effect. At
	// most 64.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +listMapKey=effect
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(t, t.effect in ['NoSchedule', 'PreferNoSchedule', 'NoExecute'])",message="the effect of a taint is NoSchedule, PreferNoSchedule or NoExecute"
	// +kubebuilder:validation:XValidation:rule="self.all(t, t.key.size() > 0 && t.key.size() <= 317 && (!has(t.value) || t.value.size() <= 63))",message="a taint's key has 1 to 317 characters, its value at most 63"
	Taints []corev1.Taint `json:"taints,omitempty"`
	// unschedulable makes new Nodes start cordoned. Default false.
	// +optional
	Unschedulable bool `json:"unschedulable,omitempty"`
}

// LaunchSettings is all that is needed to create an instance of a pool.
type LaunchSettings struct {
	// vSwitches in priority order, each in one zone. 1 to 20, no duplicates.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(x, self.exists_one(y, x == y))",message="a vSwitch is named twice; name each once, in priority order"
	VSwitches []string `json:"vSwitches"`
	// instanceTypes in priority order. 1 to 50, no duplicates.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(x, self.exists_one(y, x == y))",message="an instance type is named twice; name each once, in priority order"
	InstanceTypes []string `json:"instanceTypes"`
	// billing says how new instances are billed. Default pay-as-you-go.
	// +optional
	// +kubebuilder:default={chargeType: PayAsYouGo}
	Billing Billing `json:"billing,omitzero"`
	// imageID is the image that machines start from.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	ImageID string `json:"imageID"`
	// systemDisk of each instance; it goes with the instance. Default:
	// cloud_essd, 40 GiB.
	// +optional
	// +kubebuilder:default={category: cloud_essd, sizeGiB: 40}
	SystemDisk Disk `json:"systemDisk,omitzero"`
	// dataDisks of each instance. At most 16. They go with the instance.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	DataDisks []Disk `json:"dataDisks,omitempty"`
	// securityGroups of each instance. 1 to 5. They must let the machine reach
	// the API server.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(x, self.exists_one(y, x == y))",message="a security group is named twice; name each once"
	SecurityGroups []string `json:"securityGroups"`
	// login says how people sign in to the machines. Default: nobody can.
	// +optional
	Login *Login `json:"login,omitempty"`
	// deploymentSet spreads instances over hardware.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	DeploymentSet string `json:"deploymentSet,omitempty"`
	// ramRole is the role that machines act under in the cloud.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RAMRole string `json:"ramRole,omitempty"`
	// nodes is what new Nodes carry.
	// +optional
	Nodes NodeTemplate `json:"nodes,omitzero"`
	// userData are scripts that run while a machine joins.
	// +optional
	UserData UserData `json:"userData,omitzero"`
	// tags on instances, disks and network interfaces. At most 15; keys at
	// most 128 characters, not starting with "acs:", "aliyun" or
	// "poolkeeper.io".
	// +optional
	// +kubebuilder:validation:MaxProperties=15
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() > 0 && k.size() <= 128 && self[k].size() <= 128)",message="a tag's key has 1 to 128 characters, its value at most 128"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('acs:') && !k.startsWith('aliyun') && !k.startsWith('poolkeeper.io'))",message="tag keys must not start with acs:, aliyun or poolkeeper.io: choose another key"
	Tags map[string]string `json:"tags,omitempty"`
}

// DrainMode says what scaling in does for the pods of a node before its
// instance is released.
// +kubebuilder:validation:Enum=off;bestEffort;required
type DrainMode string

// The drain modes.
const (
	DrainOff        DrainMode = "off"
	DrainBestEffort DrainMode = "bestEffort"
	DrainRequired   DrainMode = "required"
)

// Drain says how nodes are drained before their instances are released.
type Drain struct {
	// mode: off releases at once; bestEffort (default) cordons, evicts within
	// the limit and then goes on; required releases nothing whose drain did
	// not succeed.
	// +optional
	// +kubebuilder:default=bestEffort
	Mode DrainMode `json:"mode,omitempty"`
	// limitSeconds is how long a drain may take. Unit: seconds, 1 to 86400.
	// Without it the controller's setting, by default 1800.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	LimitSeconds *int32 `json:"limitSeconds,omitempty"`
}

// HealthCheck says who looks after the health of instances.
// +kubebuilder:validation:Enum=None;ECS
type HealthCheck string

// The health checks.
const (
	HealthCheckNone HealthCheck = "None"
	HealthCheckECS  HealthCheck = "ECS"
)

// Transfer takes one instance out of a pool or brings it in, by name. It is
// written by tasks together with the expected number, in one update.
// +kubebuilder:validation:XValidation:rule="self.direction == 'Out' || !(has(self.release) && self.release)",message="release is read for direction Out only"
type Transfer struct {
	// instance is the cloud ID.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Instance string `json:"instance"`
	// task is the UID of the task that asked.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Task string `json:"task"`
	// direction is Out or In.
	// +kubebuilder:validation:Enum=Out;In
	Direction TransferDirection `json:"direction"`
	// release releases an instance that goes out; without it the instance is
	// only taken out and goes on running. Default false.
	// +optional
	Release bool `json:"release,omitempty"`
	// drain says how the node of an instance that goes out is drained: off,
	// bestEffort or required. Without it bestEffort.
	// +optional
	Drain DrainMode `json:"drain,omitempty"`
	// drainLimitSeconds bounds its drain. Unit: seconds, 1 to 86400.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	DrainLimitSeconds int32 `json:"drainLimitSeconds,omitempty"`
}

// TransferDirection says whether an instance leaves a pool or comes in.
type TransferDirection string

// The directions.
const (
	TransferOut TransferDirection = "Out"
	TransferIn  TransferDirection = "In"
)
