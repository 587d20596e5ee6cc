package v1alpha1

// Condition types of NodePool, ScalingGroup and Instance.
const (
	// ConditionAtExpectedNumber is true when the instances number as expected.
	ConditionAtExpectedNumber = "AtExpectedNumber"
	// ConditionAtDesiredCapacity is the same for a scaling group.
	ConditionAtDesiredCapacity = "AtDesiredCapacity"
	// ConditionBalanced is false while zones differ by more than one instance
	// where they are to be balanced.
	ConditionBalanced = "Balanced"
	// ConditionNodesJoined is true when every expected node is Ready.
	ConditionNodesJoined = "NodesJoined"
	// ConditionValid is false where the cloud has not what the spec names.
	ConditionValid = "Valid"
	// ConditionHeld is true while the same cause is only tried now and then.
	ConditionHeld = "Held"
	// ConditionDrainReady is false where what drains nodes lacks its role;
	// absent where the pool drains no node.
	ConditionDrainReady = "DrainReady"
	// ConditionFrozen is true while nothing is released or replaced.
	ConditionFrozen = "Frozen"
	// ConditionDeletionBlocked is true where a deletion is held.
	ConditionDeletionBlocked = "DeletionBlocked"
	// ConditionSubscriptionsEnding is true while a subscription of the pool ends
	// within a set time, after which the cloud releases its instance.
	ConditionSubscriptionsEnding = "SubscriptionsEnding"
	// ConditionUnknownInstances is true while instances carry our tags that
	// no decision of ours explains, or those of another installation for a pool
	// of this name.
	ConditionUnknownInstances = "UnknownInstances"
	// ConditionAccountMatches is false while the credentials are of another
	// account than the group's.
	ConditionAccountMatches = "AccountMatches"
	// ConditionDrainStopped is true of an Instance while the required drain of
	// its node has stopped at its limit: the node stays, cordoned.
	ConditionDrainStopped = "DrainStopped"
	// ConditionSchedulingDisabled: the Node of the instance takes no new pods,
	// and it was not poolkeeper that cordoned it.
	ConditionSchedulingDisabled = "SchedulingDisabled"
	// ConditionOtherNode: a Node of another name carries the provider ID of the
	// instance. It is not its Node, and is not touched.
	ConditionOtherNode = "OtherNode"
)

// Reasons of conditions.
const (
	ReasonAsExpected        = "AsExpected"
	ReasonScalingOut        = "ScalingOut"
	ReasonScalingIn         = "ScalingIn"
	ReasonWaiting           = "Waiting"
	ReasonHeld              = "Held"
	ReasonOnlyKept          = "OnlyKeptInstances"
	ReasonCeiling           = "Ceiling"
	ReasonJoining           = "Joining"
	ReasonJoinFailed        = "JoinFailed"
	ReasonNotReady          = "NotReady"
	ReasonNotFound          = "NotFound"
	ReasonChecked           = "Checked"
	ReasonProtected         = "DeletionProtection"
	ReasonDefinitionDeleted = "DefinitionDeleted"
	ReasonMassDisappearance = "MassDisappearance"
	ReasonOtherAccount      = "OtherAccount"
	ReasonOtherCluster      = "OtherCluster"
	ReasonDrainRoleMissing  = "DrainRoleMissing"
	ReasonDrainRoleUnread   = "DrainRoleUnread"
	ReasonDrainLimit        = "DrainLimit"
	ReasonInUse             = "InUse"
	ReasonCordoned          = "Cordoned"
	ReasonProviderIDTaken   = "ProviderIDTaken"
	ReasonUnknownInstances  = "UnknownInstances"
	ReasonRenewOrRemove     = "RenewOrRemove"
	ReasonAccountUnknown    = "AccountUnknown"
	ReasonCloudNotRead      = "CloudNotRead"
	ReasonThawed            = "Thawed"
	ReasonUnbalanced        = "Unbalanced"
	ReasonRebalancing       = "Rebalancing"
	ReasonCannotRebalance   = "CannotRebalance"
	ReasonRequestInvalid    = "RequestInvalid"
)
