// Package cloud says what poolkeeper asks of a cloud: six calls that create,
// find and release instances of one account in one region, and beside them
// small interfaces for tags, billing, the account and checks of settings.
//
// In go plain values in our terms; out come plain values, and errors that
// carry a fault.Fault and an Outcome. Nothing here remembers what was asked,
// decides what to ask next, or knows of pools, groups or nodes; and nothing
// behind it ever repeats a mutation by itself: one call of Create is at most
// one send.
package cloud

import (
	"context"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// A Cloud creates, finds and releases instances of one account in one region.
// Every call may be made again with the same arguments and then has no further
// effect. Errors carry a *fault.Fault; Classify tells what they prove.
type Cloud interface {
	// Create sends one request of an activity, once, and returns the IDs it
	// got. They may be fewer than asked: that is a result and no error, and
	// the answer does not say why; a request for the rest is refused with the
	// reason. The same request (it holds its token) gives the same IDs, or the
	// same refusal. Nothing is put on the wire after the deadline of ctx.
	Create(ctx context.Context, r Request) (ids []string, err error)
	// Release releases instances with their disks, in calls of at most 50.
	// One that is not found is released already. Where some cannot be
	// released the rest is released all the same, and the errors are joined,
	// each a *ReleaseError that names its instance.
	Release(ctx context.Context, ids ...string) error
	// List is one complete sweep of all instances in the VPCs that the
	// provider was set up with, ours or not: the caller compares tags. An
	// error means that the sweep was not complete, and no list is returned.
	List(ctx context.Context) ([]Instance, error)
	// Find looks at instances by their IDs, in calls of at most 100. Those not
	// found are absent from the answer.
	Find(ctx context.Context, ids ...string) ([]Instance, error)
	// ResourcePools tells stock, price and free addresses of each instance
	// type in each vSwitch for each of the charge types (none: pay-as-you-go).
	// Constraint says what rules a pool out as far as place and type tell;
	// what depends on image and disks is asked through Checks.Fits.
	ResourcePools(ctx context.Context, vSwitches, instanceTypes []string, charge ...ChargeType) ([]ResourcePool, error)
	// BootLog returns the console output of an instance as last kept by the
	// cloud, which may be stale or empty. At most 64 KiB, from its end.
	BootLog(ctx context.Context, id string) ([]byte, error)
}

// An Encoder writes launch settings down as an exact request.
type Encoder interface {
	// Encode returns the bytes that Request.Body holds: every parameter that
	// goes on the wire but amount, token, user data and the tags of the
	// activity. The same settings give the same bytes; only the provider that
	// made them reads them, and every later version of it must.
	Encode(l Launch) ([]byte, error)
}

// Tags puts tags on instances and takes them off.
type Tags interface {
	// Tag sets tags, in calls of at most 50 instances.
	Tag(ctx context.Context, tags map[string]string, ids ...string) error
	// Untag takes tags off by their keys, in calls of at most 50 instances.
	// Instances and keys that are not there are no error.
	Untag(ctx context.Context, keys []string, ids ...string) error
}

// Account tells whose credentials are used.
type Account interface {
	// ID asks the cloud, each time, which account signs our calls.
	ID(ctx context.Context) (string, error)
	// Allow tells whether the credentials as they are now belong to this
	// account: nil, or an error with fault.AccountChanged. The cloud is asked
	// only when the credentials have changed since. An empty account is any.
	Allow(ctx context.Context, account string) error
	// HasRole tells whether the account has a role of this name. An error that
	// carries fault.ForbiddenRAM or its kin says that our key may not read it.
	HasRole(ctx context.Context, name string) (bool, error)
}

// Billing changes how an existing instance is billed.
type Billing interface {
	// Convert makes an instance pay-as-you-go, or a subscription for a period.
	// One that is billed so already is no error.
	Convert(ctx context.Context, id string, to ChargeType, p Period) error
	// Renew prolongs the subscription of an instance by a period. The token
	// (at most 64 ASCII characters) makes a repeated call count once.
	Renew(ctx context.Context, id string, p Period, token string) error
}

// Checks tells what only the cloud can know about settings.
type Checks interface {
	// VSwitches looks vSwitches up by id; without ids, all of the VPCs.
	VSwitches(ctx context.Context, ids ...string) ([]VSwitch, error)
	// Images looks images up by id; without ids, those of the vendor and the
	// account, at most 100.
	Images(ctx context.Context, ids ...string) ([]Image, error)
	// SecurityGroups looks groups up by id with their rules; without ids, all
	// of the VPCs, without rules.
	SecurityGroups(ctx context.Context, ids ...string) ([]SecurityGroup, error)
	// InstanceTypes looks types up by name; without names, all of the region.
	InstanceTypes(ctx context.Context, names ...string) ([]InstanceType, error)
	// KeyPairs looks key pairs up by name; without names, all of the region.
	KeyPairs(ctx context.Context, names ...string) ([]string, error)
	// Fits tells which of the instance types do not go together with image or
	// disks, as far as can be looked up.
	Fits(ctx context.Context, image string, disks []Disk, instanceTypes ...string) (Fit, error)
}

// Trials tells what the cloud would answer. Nothing is made.
type Trials interface {
	// Try asks what the cloud would answer to a launch of one instance: nil
	// where it would create it, else its refusal.
	Try(ctx context.Context, l Launch) error
	// Sold returns the instance types in stock in each zone for a system disk
	// of this category (empty: any), billed so.
	Sold(ctx context.Context, c ChargeType, systemDisk string, zones ...string) (map[string][]string, error)
}

// Request is one exact request: what Create sends is a function of its fields
// alone, whatever the version of poolkeeper.
type Request struct {
	// Body is what Encode returned for the candidate.
	Body []byte
	// UserData is what the machines get, before any encoding of the wire. It
	// stands apart because all candidates of an activity share it. At most
	// 32 KiB.
	UserData []byte
	// Tags are added to those in Body: what only the sender knows, the
	// activity's UID and the piece (see Origin).
	Tags map[string]string
	// Amount is how many instances are asked for, 1 to 100. Fewer are taken.
	Amount int
	// Token makes a repeated request count once: 1 to 64 ASCII characters.
	Token string
}

// ChargeType says how an instance is billed.
type ChargeType string

// The charge types.
const (
	PayAsYouGo   ChargeType = "PayAsYouGo"
	Subscription ChargeType = "Subscription"
	Spot         ChargeType = "Spot"
)

// Status is the state of an instance as the cloud tells it.
type Status string

// The states of an instance.
const (
	Pending  Status = "Pending"
	Starting Status = "Starting"
	Running  Status = "Running"
	Stopping Status = "Stopping"
	Stopped  Status = "Stopped"
)

// Instance is one instance as the cloud shows it.
type Instance struct {
	ID           string
	VPC          string
	VSwitch      string
	Zone         string
	InstanceType string
	ImageID      string
	Status       Status
	// PrivateIP is empty until the cloud has chosen it.
	PrivateIP  string
	ChargeType ChargeType
	// SpotPriceLimit per hour, its currency perhaps unsaid; zero where there is
	// none.
	SpotPriceLimit Price
	// Tags are all tags, ours and others.
	Tags map[string]string
	// CreationTime as the cloud says it, whole minutes perhaps.
	CreationTime time.Time
	// ExpiredTime of a subscription; zero for all others.
	ExpiredTime time.Time
	// ReleaseProtected instances are not released by a call.
	ReleaseProtected bool
	// OperationLocks name why the cloud locks it, such as "financial",
	// "security" or "Recycling" (a spot instance about to be taken back).
	OperationLocks []string
}

// Disk is a disk that is created with an instance and goes with it.
type Disk struct {
	Category string
	// SizeGiB is the size. Unit: GiB.
	SizeGiB          int
	PerformanceLevel string
	Encrypted        bool
	KMSKeyID         string
}

// Period is a time paid in advance.
type Period struct {
	// Count of units: weeks 1 to 4, months 1 to 60.
	Count int
	// Unit is Week or Month.
	Unit string
	// AutoRenew renews when it ends.
	AutoRenew bool
}

// Launch is everything about new instances of one candidate that does not
// change from send to send.
type Launch struct {
	VSwitch      string
	Zone         string
	InstanceType string
	ChargeType   ChargeType
	// Period of a subscription.
	Period Period
	// SpotPriceLimit per hour, three decimals, in the account's currency; zero
	// buys at the market price.
	SpotPriceLimit Price
	// SpotProtectedHours is how long a spot instance is not taken back: 0, 1.
	SpotProtectedHours int
	ImageID            string
	SystemDisk         Disk
	DataDisks          []Disk
	SecurityGroups     []string
	// KeyPair and Password: at most one of both.
	KeyPair       string
	Password      string
	DeploymentSet string
	RAMRole       string
	// Name of the instances as people see it in the cloud.
	Name string
	// HostName of the machines; "${instance_id}" stands for their ID.
	HostName string
	// Tags on instances, disks and network interfaces, but those of Origin
	// that only the sender knows.
	Tags map[string]string
}

// Stock is how much of an instance type is left in a zone.
type Stock string

// The grades of stock.
const (
	// WithStock: enough, and replenished.
	WithStock Stock = "WithStock"
	// ClosedWithStock: little, and not replenished.
	ClosedWithStock Stock = "ClosedWithStock"
	// WithoutStock: none now, will be replenished.
	WithoutStock Stock = "WithoutStock"
	// ClosedWithoutStock: none, for good.
	ClosedWithoutStock Stock = "ClosedWithoutStock"
	// NotOffered: the zone does not have it.
	NotOffered Stock = "NotOffered"
	// StockUnknown: the cloud did not say.
	StockUnknown Stock = "Unknown"
)

// ResourcePool is what is known of one instance type in one vSwitch, billed in
// one way.
type ResourcePool struct {
	VSwitch      string
	Zone         string
	InstanceType string
	ChargeType   ChargeType
	Stock        Stock
	// VCPU and MemoryMiB of the type; 0 where the type does not exist.
	VCPU      int
	MemoryMiB int64
	// Price of one instance per hour, without disks; no currency where not
	// known. That of a subscription is spread over the hours of a month.
	Price Price
	// FreeAddresses in the vSwitch; -1 where not known.
	FreeAddresses int
	// Constraint says what rules this pool out, nil where nothing does.
	Constraint *fault.Fault
}

// VSwitch is a part of a VPC in one zone.
type VSwitch struct {
	ID   string
	Zone string
	VPC  string
	CIDR string
	// FreeAddresses are private addresses not in use.
	FreeAddresses int
}

// Image is what machines start from.
type Image struct {
	ID   string
	Name string
	// OS as people name it.
	OS string
	// Architecture is x86_64 or arm64.
	Architecture string
	// BootMode is BIOS, UEFI or UEFI-Preferred; empty where not said.
	BootMode string
	// Trusted is what it supports of vTPM and vSGX, in words.
	Trusted string
}

// Fit says what goes together with an image and disks.
type Fit struct {
	Image Image
	// Types start the image, the likest to the first of those asked about
	// first.
	Types []string
	// Misfits are what does not go together, in the order of those asked about.
	Misfits []Misfit
}

// Misfit is an instance type that does not go together with image or disks.
type Misfit struct {
	InstanceType string
	// Zone that it speaks of; empty for every zone.
	Zone string
	// Fault says why. It has no text where nobody asked the cloud to create.
	Fault *fault.Fault
	// Offered are disk categories that would do.
	Offered []string
}

// Of is why an instance type does not fit in a zone, nil where it does.
func (f Fit) Of(instanceType, zone string) *Misfit {
	for i := range f.Misfits {
		if m := &f.Misfits[i]; m.InstanceType == instanceType && (m.Zone == "" || m.Zone == zone) {
			return m
		}
	}
	return nil
}

// InstanceType is a kind of machine.
type InstanceType struct {
	Name         string
	Family       string
	VCPU         int
	MemoryMiB    int64
	GPUs         int
	Architecture string
	// BootModes are BIOS, UEFI or both; none where not said.
	BootModes []string
}

// SecurityGroup is a set of rules about traffic.
type SecurityGroup struct {
	ID  string
	VPC string
	// Enterprise groups refuse outbound traffic unless a rule allows it;
	// basic ones allow it unless a rule refuses.
	Enterprise bool
	// Egress are the outbound rules, in no order.
	Egress []EgressRule
}
