// Package scenario says what a local cloud has to give and how it behaves:
// zones, vSwitches, instance types, images, stock, quotas, money, waits.
//
// In comes YAML, read strictly over the built-in default; out comes a checked
// Scenario. It never holds what runs: instances, tokens and addresses belong
// to the region.
package scenario

import (
	"fmt"
	"time"
)

// Scenario describes one region. Lists of a file replace those of the default
// whole; objects are merged key by key.
type Scenario struct {
	Region         string          `json:"region"`
	Zones          []string        `json:"zones"`
	Times          Times           `json:"times"`
	VPCs           []VPC           `json:"vpcs"`
	VSwitches      []VSwitch       `json:"vSwitches"`
	InstanceTypes  []InstanceType  `json:"instanceTypes"`
	Images         []Image         `json:"images"`
	DiskCategories []DiskCategory  `json:"diskCategories"`
	SecurityGroups []SecurityGroup `json:"securityGroups"`
	KeyPairs       []string        `json:"keyPairs"`
	DeploymentSets []DeploymentSet `json:"deploymentSets,omitempty"`
	KMS            KMS             `json:"kms"`
	// Roles are the RAM roles that the account has.
	Roles   []string `json:"roles"`
	Account Account  `json:"account"`
	Quotas  Quotas   `json:"quotas"`
	// Stock is what is left; an offer that is not listed has plenty.
	Stock []Stock `json:"stock,omitempty"`
	// DiskStock is the same for disk categories. Unit: disks.
	DiskStock []DiskStock `json:"diskStock,omitempty"`
	// Throttle bounds the calls of an operation; "*" is for all that are not
	// named. Unit: calls per minute; 0 for no bound.
	Throttle map[string]int `json:"throttle"`
	// InstancesPerMinute bounds the instances that RunInstances asks for.
	InstancesPerMinute int `json:"instancesPerMinute"`
}

// Times are waits of the cloud, before division by the time factor.
type Times struct {
	// Pending and Starting are how long a new instance is in that state, and
	// Boot how long the machine then takes to its first line of cloud-init.
	Pending  Duration `json:"pending"`
	Starting Duration `json:"starting"`
	Boot     Duration `json:"boot"`
	// Stop and Release are how long those take.
	Stop    Duration `json:"stop"`
	Release Duration `json:"release"`
	// Visible is how long a new instance is not shown.
	Visible Duration `json:"visible"`
	// Token is how long a client token is remembered.
	Token Duration `json:"token"`
	// ExpiredRelease is how long an expired subscription is kept, stopped.
	ExpiredRelease Duration `json:"expiredRelease"`
	// SpotNotice is how long a spot instance goes on after its notice.
	SpotNotice Duration `json:"spotNotice"`
	// Vanish is how long an instance that vanishes young is shown.
	Vanish Duration `json:"vanish"`
}

// Duration is a time.Duration written as text, such as "1m30s".
type Duration time.Duration

// MarshalText writes a duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration that is not negative.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return fmt.Errorf("read duration %q: write it as in 1m30s, not negative", b)
	}
	*d = Duration(v)
	return nil
}

// VPC is a private network.
type VPC struct {
	ID   string `json:"id"`
	CIDR string `json:"cidr"`
}

// VSwitch is a part of a VPC in one zone.
type VSwitch struct {
	ID   string `json:"id"`
	Zone string `json:"zone"`
	VPC  string `json:"vpc"`
	CIDR string `json:"cidr"`
	// Taken addresses are held by others than instances.
	Taken int `json:"taken,omitempty"`
}

// InstanceType is a kind of machine.
type InstanceType struct {
	Name   string `json:"name"`
	Family string `json:"family"`
	VCPU   int    `json:"vcpu"`
	// MemoryMiB is the memory. Unit: MiB.
	MemoryMiB int `json:"memoryMiB"`
	// Arch is x86_64 or arm64.
	Arch string `json:"arch"`
	// BootModes are BIOS, UEFI or both.
	BootModes []string `json:"bootModes"`
	GPUs      int      `json:"gpus,omitempty"`
	GPU       string   `json:"gpu,omitempty"`
	// VTPM types take only images with vTPM, VSGX types only such with vSGX.
	VTPM bool `json:"vtpm,omitempty"`
	VSGX bool `json:"vsgx,omitempty"`
	// PricePerHour of pay-as-you-go; SpotPerHour is a fifth of it where 0, and
	// PricePerMonth of a subscription 400 hours of it.
	PricePerHour  float64 `json:"pricePerHour"`
	SpotPerHour   float64 `json:"spotPerHour,omitempty"`
	PricePerMonth float64 `json:"pricePerMonth,omitempty"`
	// DiskCategories that fit the type; none: all.
	DiskCategories []string `json:"diskCategories,omitempty"`
	// Zones that offer the type; none: all.
	Zones []string `json:"zones,omitempty"`
	// Unauthorized types need an authorization that the account lacks.
	Unauthorized bool `json:"unauthorized,omitempty"`
	// Offline types are not sold any more anywhere.
	Offline bool `json:"offline,omitempty"`
	// MIGPartitions are left on new machines, and MIGReset is how long their
	// reset takes.
	MIGPartitions bool     `json:"migPartitions,omitempty"`
	MIGReset      Duration `json:"migReset,omitempty"`
}

// Image is what machines start from.
type Image struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	OS       string `json:"os"`
	Platform string `json:"platform"`
	Arch     string `json:"arch"`
	// BootMode is BIOS, UEFI or UEFI-Preferred (either).
	BootMode string `json:"bootMode"`
	// VTPM and VSGX say what trusted types it supports.
	VTPM bool `json:"vtpm,omitempty"`
	VSGX bool `json:"vsgx,omitempty"`
	// SizeGiB is the smallest system disk. Unit: GiB.
	SizeGiB int `json:"sizeGiB"`
}

// DiskCategory is a kind of disk.
type DiskCategory struct {
	Name string `json:"name"`
	// PricePerGiBHour of pay-as-you-go. Unit: currency per GiB and hour.
	PricePerGiBHour float64 `json:"pricePerGiBHour"`
	// Zones that offer it; none: all.
	Zones  []string `json:"zones,omitempty"`
	MinGiB int      `json:"minGiB"`
	MaxGiB int      `json:"maxGiB"`
	// Encrypts says that a system disk of it can be encrypted (ESSD).
	Encrypts bool `json:"encrypts,omitempty"`
}

// SecurityGroup is a set of rules about traffic.
type SecurityGroup struct {
	ID  string `json:"id"`
	VPC string `json:"vpc"`
	// Enterprise groups refuse outbound traffic unless a rule allows it.
	Enterprise bool `json:"enterprise,omitempty"`
	// Limit of instances in the group; 0 for none.
	Limit  int    `json:"limit,omitempty"`
	Egress []Rule `json:"egress,omitempty"`
}

// Rule is one outbound rule.
type Rule struct {
	// Policy is Accept or Drop.
	Policy string `json:"policy"`
	// Priority 1 to 100; the lower goes first, Drop before Accept.
	Priority int `json:"priority"`
	// Protocol is ALL, TCP, UDP, ICMP or GRE.
	Protocol string `json:"protocol"`
	// Ports as from/to; -1/-1 is every port.
	Ports string `json:"ports"`
	CIDR  string `json:"cidr"`
}

// DeploymentSet spreads instances over hardware.
type DeploymentSet struct {
	ID string `json:"id"`
	// Limit of instances in each zone.
	Limit int `json:"limit"`
}

// KMS is the key management service.
type KMS struct {
	// Inactive says that the service was not activated.
	Inactive bool     `json:"inactive,omitempty"`
	Keys     []KMSKey `json:"keys,omitempty"`
}

// KMSKey is one key of it.
type KMSKey struct {
	ID       string `json:"id"`
	Disabled bool   `json:"disabled,omitempty"`
}

// Account is the money and the rights of the account.
type Account struct {
	// Balance and the least one that lets instances be created.
	Balance    float64 `json:"balance"`
	MinBalance float64 `json:"minBalance"`
	// CreditUsedUp and Arrears refuse creation.
	CreditUsedUp bool   `json:"creditUsedUp,omitempty"`
	Arrears      bool   `json:"arrears,omitempty"`
	Currency     string `json:"currency"`
	// DeniedActions are not allowed to the access key ("RunInstances").
	DeniedActions []string `json:"deniedActions,omitempty"`
}

// Quotas bound what exists at one time; what is not named has no bound.
type Quotas struct {
	// Types bounds instances of a type in the region.
	Types map[string]int `json:"types,omitempty"`
	// VCPUs bounds the vCPUs in a zone.
	VCPUs map[string]int `json:"vcpus,omitempty"`
	// PayAsYouGoInstances, PayAsYouGoDisks and DiskGiB bound the account; 0
	// for none.
	PayAsYouGoInstances int `json:"payAsYouGoInstances,omitempty"`
	PayAsYouGoDisks     int `json:"payAsYouGoDisks,omitempty"`
	DiskGiB             int `json:"diskGiB,omitempty"`
}

// Stock is what a zone has left of an instance type.
type Stock struct {
	Zone string `json:"zone"`
	Type string `json:"type"`
	// Spot is about stock for spot instances, which share the other where no
	// such entry exists.
	Spot bool `json:"spot,omitempty"`
	// Count left; -1 for plenty. Released instances come back.
	Count int `json:"count"`
	// Closed stock is not replenished.
	Closed bool `json:"closed,omitempty"`
	// NotOffered takes the type out of the zone's offer.
	NotOffered bool `json:"notOffered,omitempty"`
}

// DiskStock is what a zone has left of a disk category.
type DiskStock struct {
	Zone     string `json:"zone"`
	Category string `json:"category"`
	Count    int    `json:"count"`
	Closed   bool   `json:"closed,omitempty"`
}
