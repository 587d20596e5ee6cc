package region

import "time"

// Answers in the vendor's shapes. Field names are those of the wire.

type plainAnswer struct {
	RequestId string
}

type orderAnswer struct {
	RequestId string
	OrderId   string
}

type runInstancesAnswer struct {
	RequestId      string
	OrderId        string
	TradePrice     float64
	InstanceIdSets struct{ InstanceIdSet []string }
}

// ConsoleOutput is the answer of GetInstanceConsoleOutput; whoever holds the
// machines puts ConsoleOutput in, as base64.
type ConsoleOutput struct {
	RequestId      string
	InstanceId     string
	ConsoleOutput  string
	LastUpdateTime string
}

type describeInstancesAnswer struct {
	RequestId  string
	TotalCount int
	PageNumber int
	PageSize   int
	NextToken  string
	Instances  struct{ Instance []instanceAnswer }
}

type ipList struct{ IpAddress []string }

type instanceAnswer struct {
	InstanceId, InstanceName, Description, HostName    string
	RegionId, ZoneId, InstanceType, InstanceTypeFamily string
	Cpu, Memory, GPUAmount                             int
	GPUSpec, ImageId, OSName, OSNameEn, OSType         string
	Status, CreationTime, StartTime, ExpiredTime       string
	AutoReleaseTime, InstanceChargeType                string
	InternetChargeType, ResourceGroupId, ClusterId     string
	SpotStrategy                                       string
	SpotPriceLimit                                     float64
	SpotDuration                                       int
	DeletionProtection, DeviceAvailable, IoOptimized   bool
	Recyclable                                         bool
	InternetMaxBandwidthIn, InternetMaxBandwidthOut    int
	KeyPairName, DeploymentSetId, SerialNumber         string
	InstanceNetworkType, StoppedMode                   string
	CreditSpecification                                string
	SecurityGroupIds                                   struct{ SecurityGroupId []string }
	InnerIpAddress, PublicIpAddress                    ipList
	EipAddress                                         struct{ AllocationId, IpAddress, InternetChargeType string }
	VpcAttributes                                      vpcAnswer
	NetworkInterfaces                                  struct{ NetworkInterface []interfaceAnswer }
	MetadataOptions                                    metadataAnswer
	Tags                                               struct{ Tag []instanceTag }
	OperationLocks                                     struct{ LockReason []lockAnswer }
}

type vpcAnswer struct {
	VpcId, VSwitchId, NatIpAddress string
	PrivateIpAddress               ipList
}

type interfaceAnswer struct {
	NetworkInterfaceId, MacAddress, PrimaryIpAddress, Type string
	PrivateIpSets                                          struct{ PrivateIpSet []privateIP }
}

type privateIP struct {
	PrivateIpAddress string
	Primary          bool
}

type metadataAnswer struct {
	HttpEndpoint, HttpTokens string
	HttpPutResponseHopLimit  int
}

type instanceTag struct{ TagKey, TagValue string }

type lockAnswer struct{ LockReason, LockMsg string }

type instanceResponses struct {
	RequestId         string
	InstanceResponses struct{ InstanceResponse []instanceResponse }
}

type instanceResponse struct {
	InstanceId, Code, Message, CurrentStatus, PreviousStatus string
}

type typesAnswer struct {
	RequestId     string
	NextToken     string
	InstanceTypes struct{ InstanceType []typeAnswer }
}

type typeAnswer struct {
	InstanceTypeId, InstanceTypeFamily, InstanceFamilyLevel string
	InstanceCategory, CpuArchitecture, Generation           string
	CpuCoreCount                                            int
	MemorySize                                              float64
	GPUAmount                                               int
	GPUSpec, NvmeSupport, LocalStorageCategory              string
	EniQuantity, EniPrivateIpAddressQuantity, DiskQuantity  int
	SupportedBootModes                                      struct{ SupportedBootMode []string }
}

type availableAnswer struct {
	RequestId      string
	AvailableZones struct{ AvailableZone []availableZone }
}

type availableZone struct {
	RegionId, ZoneId, Status, StatusCategory string
	AvailableResources                       struct{ AvailableResource []availableResource }
}

type availableResource struct {
	Type               string
	SupportedResources struct{ SupportedResource []supportedResource }
}

type supportedResource struct {
	Value, Status, StatusCategory string
	Min, Max                      int
	Unit                          string
}

type imagesAnswer struct {
	RequestId, RegionId              string
	TotalCount, PageNumber, PageSize int
	Images                           struct{ Image []imageAnswer }
}

type imageAnswer struct {
	ImageId, ImageName, ImageFamily, ImageOwnerAlias, ImageVersion string
	OSName, OSNameEn, OSType, Platform, Architecture, BootMode     string
	Description, Status, Usage, Progress, CreationTime             string
	Size                                                           int
	IsSupportCloudinit, IsSupportIoOptimized, IsPublic             bool
	Features                                                       struct{ NvmeSupport, ImdsSupport string }
	DiskDeviceMappings                                             struct{ DiskDeviceMapping []struct{} }
	Tags                                                           struct{ Tag []struct{} }
}

type imageSupportAnswer struct {
	RequestId, RegionId, ImageId string
	InstanceTypes                struct{ InstanceType []typeAnswer }
}

type priceAnswer struct {
	RequestId string
	PriceInfo struct {
		Price priceDetail
		Rules struct{ Rule []priceRule }
	}
}

type priceRule struct {
	RuleId      int64
	Description string
}

type priceDetail struct {
	OriginalPrice, DiscountPrice, TradePrice float64
	Currency                                 string
	DetailInfos                              struct{ DetailInfo []detailInfo }
}

type detailInfo struct {
	Resource                                 string
	OriginalPrice, DiscountPrice, TradePrice float64
}

type spotHistoryAnswer struct {
	RequestId, Currency string
	NextOffset          int
	SpotPrices          struct{ SpotPriceType []spotPrice }
}

type spotPrice struct {
	ZoneId, InstanceType, IoOptimized, NetworkType, Timestamp string
	SpotPrice, OriginPrice                                    float64
}

// minute writes a time as DescribeInstances does: whole minutes.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02T15:04Z") }

func second(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
