package fault

import "strings"

// Codes of the public page.
const (
	InstanceTypeNoStock       Code = "RecommendEmpty.InstanceTypeNoStock"
	NoStock                   Code = "OperationDenied.NoStock"
	ZoneNotOnSale             Code = "Zone.NotOnSale"
	InstanceTypeOffline       Code = "InstanceType.Offline"
	ResourceTypeNotSupported  Code = "InvalidResourceType.NotSupported"
	DiskTypeNoStock           Code = "RecommendEmpty.DiskTypeNoStock"
	InstanceTypeNotAuthorized Code = "RecommendEmpty.InstanceTypeNotAuthorized"
	NotMatch                  Code = "InvalidParameter.NotMatch"
	NotMatchBootMode          Code = "InvalidParameter.NotMatch/BootMode"
	NotMatchVTPM              Code = "InvalidParameter.NotMatch/VTPM"
	ImageNotSupported         Code = "InvalidImage.NotSupported"
	InstanceTypeNotSupported  Code = "InvalidInstanceType.NotSupported"
	InstanceTypeDeploymentSet Code = "InvalidInstanceType.NotSupported/DeploymentSet"
	ParameterConflict         Code = "InvalidParameter.Conflict"
	EncryptionNeedsESSD       Code = "NotSupportSnapshotEncrypted.DiskCategory"
	KMSNotActivated           Code = "InvalidParameter.KmsNotEnabled"
	KMSKeyDisabled            Code = "InvalidParameter.KMSKeyId.CMKNotEnabled"
	KMSUnauthorized           Code = "InvalidParameter.KMSKeyId.KMSUnauthorized"
	ElasticQuota              Code = "QuotaExceed.ElasticQuota"
	ElasticQuotaZone          Code = "QuotaExceed.ElasticQuota/ZoneVCPU"
	PrivateIPAddress          Code = "QuotaExceeded.PrivateIpAddress"
	NotEnoughBalance          Code = "InvalidAccountStatus.NotEnoughBalance"
	InsufficientBalance       Code = "InsufficientBalance.CreditPay"
	Arrearage                 Code = "Account.Arrearage"
	FailedJoinCluster         Code = "NodepoolScaleFailed.FailedJoinCluster"
	APIServerInternalError    Code = "ApiServer.InternalError"
	QueryEndpoints            Code = "Err.QueryEndpoints"
	APIServerTooManyRequests  Code = "ApiServer.TooManyRequests"
	ScalingActivityInProgress Code = "ScalingActivityInProgress"
	StartInstanceFailed       Code = "Instance.StartInstanceFailed"
	WaitForDesiredSizeTimeout Code = "NodepoolScaleFailed.WaitForDesiredSizeTimeout"
	PartialSuccess            Code = "NodepoolScaleFailed.PartialSuccess"
	DrainRoleMissing          Code = "MissingAuth.AliyunOOSLifecycleHook4CSRole"
)

// Codes of our own.
const (
	// OnlyKeptInstances: above the number, and nothing may be released.
	OnlyKeptInstances Code = "ScaleIn.OnlyKeptInstances"
	// DrainLimit: a required drain came to its limit, and pods are left.
	DrainLimit Code = "Drain.LimitReached"
	// HookAbandoned: a lifecycle hook ended the way in of an instance.
	HookAbandoned Code = "LifecycleHook.Abandoned"
	// HookTimedOut: nobody completed a lifecycle hook whose default is Abandon.
	HookTimedOut Code = "LifecycleHook.TimedOut"
	// NodeAccessDenied: the security groups keep nodes from what they need.
	NodeAccessDenied Code = "SecurityGroup.NodeAccessDenied"
	// CloudNoAnswer: a call was sent and its answer is not known.
	CloudNoAnswer Code = "Cloud.NoAnswer"
	// CloudUnreachable: nothing was sent; no connection came about.
	CloudUnreachable Code = "Cloud.Unreachable"
	// CloudNotSent: nothing was sent; its time was over before it was its turn.
	CloudNotSent Code = "Cloud.NotSent"
	// CredentialsMissing: there are no credentials to sign with.
	CredentialsMissing Code = "Credentials.Missing"
	// AccountChanged: the credentials are those of another account.
	AccountChanged Code = "Account.Changed"
	// CeilingNodes, CeilingCreations and CeilingSpend: what a person set as the
	// most of a pool, or of the installation, is reached.
	CeilingNodes     Code = "Ceiling.Nodes"
	CeilingCreations Code = "Ceiling.Creations"
	CeilingSpend     Code = "Ceiling.Spend"
	// CeilingPriceUnknown: there is a ceiling on spend, and no price to reckon
	// with.
	CeilingPriceUnknown Code = "Ceiling.PriceUnknown"
	// RequestInvalid: the request cannot be sent as it is written.
	RequestInvalid Code = "Request.Invalid"
)

// OfHook says whether a code tells that a lifecycle hook ended the way in of an
// instance.
func OfHook(c Code) bool { return c == HookAbandoned || c == HookTimedOut }

// Codes of the wire beside those of the page.
const (
	Throttling                 Code = "Throttling"
	ServiceUnavailable         Code = "ServiceUnavailable"
	InternalError              Code = "InternalError"
	OperationConflict          Code = "OperationConflict"
	IdempotentProcessing       Code = "IdempotentProcessing"
	LastTokenProcessing        Code = "LastTokenProcessing"
	TokenMismatch              Code = "IdempotentParameterMismatch"
	AccessKeyNotFound          Code = "InvalidAccessKeyId.NotFound"
	SignatureDoesNotMatch      Code = "SignatureDoesNotMatch"
	TimeStampExpired           Code = "InvalidTimeStamp.Expired"
	SignatureNonceUsed         Code = "SignatureNonceUsed"
	ForbiddenRAM               Code = "Forbidden.RAM"
	NoPermission               Code = "NoPermission"
	PassRoleForbidden          Code = "InvalidUser.PassRoleForbidden"
	RiskControl                Code = "Forbidden.RiskControl"
	RealNameAuthentication     Code = "RealNameAuthenticationError"
	VSwitchNotFound            Code = "InvalidVSwitchId.NotFound"
	SecurityGroupNotFound      Code = "InvalidSecurityGroupId.NotFound"
	ImageNotFound              Code = "InvalidImageId.NotFound"
	KeyPairNotFound            Code = "InvalidKeyPairName.NotFound"
	TypeValueNotSupported      Code = "InvalidInstanceType.ValueNotSupported"
	TypeZoneNotSupported       Code = "InvalidInstanceType.ZoneNotSupported"
	ResourceNotAvailable       Code = "ResourceNotAvailable"
	ZoneNotOpen                Code = "Zone.NotOpen"
	ZoneNotAllowed             Code = "OperationDenied.ZoneNotAllowed"
	VpcZoneNotSupported        Code = "InvalidVpcZone.NotSupported"
	PaygNotAvailable           Code = "OperationDenied.PaygNotAvailable"
	ZoneSharedEncryptedImage   Code = "InvalidZoneId.NotSupportShareEncryptedImage"
	SystemDiskCategory         Code = "InvalidSystemDiskCategory.ValueNotSupported"
	CategoryNotSupported       Code = "CategoryNotSupported"
	ZoneSystemCategoryNotMatch Code = "OperationDenied.ZoneSystemCategoryNotMatch"
	CloudSSDNotSupported       Code = "OperationDenied.CloudSSDNotSupported"
	DiskCapacityQuota          Code = "QuotaExceed.DiskCapacity"
	AfterpayInstanceQuota      Code = "QuotaExceed.AfterpayInstance"
	PostPaidDiskQuota          Code = "QuotaExceed.PostPaidDisk"
	DeploymentSetFull          Code = "QuotaExceed.DeploymentSetInstanceQuotaFull"
	SecurityGroupFull          Code = "SecurityGroupInstanceLimitExceed"
	SpotPriceLimitLow          Code = "InvalidSpotPriceLimit.LowerThanPublicPrice"
	SpotPriceLow               Code = "OperationDenied.SpotPriceLowerThanPublicPrice"
	ImageTypeNotSupported      Code = "ImageNotSupportInstanceType"
	InstanceNotFound           Code = "InvalidInstanceId.NotFound"
	InstanceForbidden          Code = "Forbidden.InstanceNotFound"
	InstanceBusy               Code = "IncorrectInstanceStatus"
	DeletionProtection         Code = "InvalidOperation.DeletionProtection"
	ChargeTypeViolation        Code = "ChargeTypeViolation"
)

// IsCeiling says whether a code stands for a ceiling that a person set.
func IsCeiling(c Code) bool { return strings.HasPrefix(string(c), "Ceiling.") }
