package region

import (
	"maps"
	"slices"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

func typeNamed(name string) scenario.InstanceType { return scenario.InstanceType{Name: name} }

func imageNamed(id string) scenario.Image { return scenario.Image{ID: id} }

// refusal says what speaks against a launch whatever its amount, and fills in
// what the launch names.
func (r *Region) refusal(l *Launch, p *args) *Error {
	for _, check := range []func(*Launch) *Error{r.resolve, r.offered, r.fits, r.diskFits, r.encryption, r.spotPrice, r.money} {
		if err := check(l); err != nil {
			return err
		}
	}
	if l.Protected && (l.Charge != postPaid || l.spot()) {
		return refuse(403, "InvalidChargeType.ValueNotSupported", "The specified DeletionProtection is only supported by pay-as-you-go instances.")
	}
	return nil
}

// resolve looks up what the launch names.
func (r *Region) resolve(l *Launch) *Error {
	v := r.world.VSwitch(l.VSwitch)
	if v == nil {
		return refuse(404, "InvalidVSwitchId.NotFound", "The specified VSwitchId %s does not exist.", l.VSwitch)
	}
	l.Zone, l.VPC = v.Zone, v.VPC
	t := r.world.Type(l.Type.Name)
	if t == nil {
		return refuse(400, "InvalidInstanceType.ValueNotSupported", "The specified InstanceType %s does not exist.", l.Type.Name)
	}
	l.Type = *t
	m := r.world.Image(l.Image.ID)
	if m == nil {
		return refuse(404, "InvalidImageId.NotFound", "The specified ImageId %s does not exist.", l.Image.ID)
	}
	l.Image = *m
	for _, id := range l.Groups {
		if g := r.world.SecurityGroup(id); g == nil || g.VPC != l.VPC {
			return refuse(404, "InvalidSecurityGroupId.NotFound", "The specified SecurityGroupId %s does not exist.", id)
		}
	}
	if l.KeyPair != "" && !slices.Contains(r.world.KeyPairs, l.KeyPair) {
		return refuse(404, "InvalidKeyPairName.NotFound", "The specified KeyPairName %s does not exist.", l.KeyPair)
	}
	if l.DeploymentSet != "" && r.world.DeploymentSet(l.DeploymentSet) == nil {
		return refuse(404, "InvalidDeploymentSetId.NotFound", "The specified DeploymentSetId %s does not exist.", l.DeploymentSet)
	}
	switch {
	case l.RAMRole == "":
	case !slices.Contains(r.world.Roles, l.RAMRole):
		return refuse(404, "InvalidRamRole.NotFound", "The specified RamRoleName %s does not exist.", l.RAMRole)
	case slices.Contains(r.world.Account.DeniedActions, PassRole):
		return refuse(403, "InvalidUser.PassRoleForbidden", "The RAM user does not have the privilege to pass a RAM role.")
	}
	return nil
}

// PassRole is the permission to hand a RAM role on to instances, which no call
// of its own needs.
const PassRole = "ram:PassRole"

// sold says whether a zone offers a type at all.
func (r *Region) sold(zone string, t *scenario.InstanceType) bool {
	s, _ := r.stockOf(zone, t.Name, false)
	return !t.Offline && (len(t.Zones) == 0 || slices.Contains(t.Zones, zone)) && (s == nil || !s.NotOffered)
}

func (r *Region) offered(l *Launch) *Error {
	switch {
	case l.Type.Unauthorized:
		return refuse(400, "InvalidInstanceType.ValueUnauthorized", "The specified InstanceType %s is not authorized.", l.Type.Name)
	case l.Type.Offline:
		return refuse(403, "InstanceType.Offline", "The specified InstanceType %s has been offline.", l.Type.Name)
	case !r.sold(l.Zone, &l.Type):
		return refuse(403, "InvalidResourceType.NotSupported", "user order resource type [%s] not exists in [%s]", l.Type.Name, l.Zone)
	}
	s, _ := r.stockOf(l.Zone, l.Type.Name, l.spot())
	if s != nil && s.Closed && r.left(l.Zone, l.Type.Name, l.spot()) == 0 {
		return refuse(403, "Zone.NotOnSale", "The resource in the specified zone is no longer available for sale. Please try other regions and zones.")
	}
	return nil
}

// fits says whether image and instance type go together.
func (r *Region) fits(l *Launch) *Error { return fits(&l.Type, &l.Image) }

func fits(t *scenario.InstanceType, m *scenario.Image) *Error {
	boots := slices.Contains(t.BootModes, m.BootMode) || m.BootMode == "UEFI-Preferred"
	switch {
	case t.Arch != m.Arch:
		return refuse(400, "InvalidInstanceType.NotSupported", "The specified instanceType is not supported by the image architecture.")
	case t.VTPM && !m.VTPM:
		return refuse(403, "InvalidParameter.NotMatch", "The specified instanceType only support vTPM image.")
	case t.VSGX && !m.VSGX:
		return refuse(403, "InvalidImage.NotSupported", "The specified image does not support vSGX instance.")
	case !boots:
		return refuse(403, "InvalidParameter.NotMatch", "Image bootMode %s does not match instanceType bootMode", m.BootMode)
	}
	return nil
}

func (r *Region) diskFits(l *Launch) *Error {
	for k, d := range append([]Disk{l.SystemDisk}, l.DataDisks...) {
		system := k == 0
		c := r.world.DiskCategory(d.Category)
		switch {
		case c == nil || (len(c.Zones) > 0 && !slices.Contains(c.Zones, l.Zone)):
			if system {
				return refuse(403, "InvalidSystemDiskCategory.ValueNotSupported", "The specified parameter SystemDisk.Category %s is not valid in zone %s.", d.Category, l.Zone)
			}
			return refuse(403, "CategoryNotSupported", "The specified zone does not offer the specified disk category %s.", d.Category)
		case d.SizeGiB < c.MinGiB || d.SizeGiB > c.MaxGiB || (system && d.SizeGiB < l.Image.SizeGiB):
			return refuse(400, "InvalidDiskSize.NotSupported", "The specified disk size %d is not from %d to %d GiB.", d.SizeGiB, max(c.MinGiB, l.Image.SizeGiB), c.MaxGiB)
		case len(l.Type.DiskCategories) > 0 && !slices.Contains(l.Type.DiskCategories, d.Category):
			if system {
				return refuse(400, "InvalidParameter.Conflict", "The specified disk category (%s) is not support the specified instance type.", d.Category)
			}
			return refuse(403, "InvalidDiskCategory.NotSupported", "The specified disk category (%s) is not support the specified instance type.", d.Category)
		}
		if s := r.diskStock(l.Zone, d.Category); s != nil && s.Closed && r.disksLeft(l.Zone, d.Category) == 0 {
			return refuse(403, "OperationDenied.ZoneSystemCategoryNotMatch", "The specified zone %s no longer offers the disk category %s.", l.Zone, d.Category)
		}
	}
	return nil
}

func (r *Region) encryption(l *Launch) *Error {
	for k, d := range append([]Disk{l.SystemDisk}, l.DataDisks...) {
		if !d.Encrypted {
			continue
		}
		if c := r.world.DiskCategory(d.Category); k == 0 && !c.Encrypts {
			return refuse(400, "NotSupportSnapshotEncrypted.DiskCategory", "The specified disk category %s does not support encryption of the system disk; use an ESSD.", d.Category)
		}
		if r.world.KMS.Inactive {
			return refuse(400, "InvalidParameter.KmsNotEnabled", "The specified operation requires that KMS is activated.")
		}
		if !slices.Contains(r.world.Roles, roleDiskEncrypt) {
			return refuse(403, "InvalidParameter.KMSKeyId.KMSUnauthorized", "ECS service have no right to access your KMS.")
		}
		if d.Key == "" {
			continue
		}
		key := r.world.Key(d.Key)
		if key == nil {
			return refuse(404, "InvalidParameter.KMSKeyId.NotFound", "The specified KMSKeyId %s does not exist.", d.Key)
		}
		if key.Disabled {
			return refuse(403, "InvalidParameter.KMSKeyId.CMKNotEnabled", "The CMK %s needs to be enabled.", d.Key)
		}
	}
	return nil
}

const roleDiskEncrypt = "AliyunECSDiskEncryptDefaultRole"

func (r *Region) spotPrice(l *Launch) *Error {
	if l.SpotStrategy == "SpotWithPriceLimit" && l.SpotLimit > 0 && l.SpotLimit < r.spotMarket(&l.Type) {
		return refuse(400, "InvalidSpotPriceLimit.LowerThanPublicPrice", "The specified SpotPriceLimit can't be lower than the current public price.")
	}
	if l.spot() && l.Charge == prePaid {
		return refuse(400, "InvalidSpotStrategy", "The spot strategy cannot be used with the specified InstanceChargeType.")
	}
	return nil
}

func (r *Region) money(l *Launch) *Error {
	a := r.world.Account
	switch {
	case a.Arrears:
		return refuse(400, "Account.Arrearage", "Your account has an outstanding payment.")
	case a.CreditUsedUp:
		return refuse(403, "InsufficientBalance", "Your account does not have enough credit.")
	case a.Balance < a.MinBalance:
		return refuse(403, "InvalidAccountStatus.NotEnoughBalance", "Your account does not have enough balance.")
	}
	return nil
}

// bound is one reason why not all may be created.
type bound struct {
	left int
	why  *Error
}

// capacity says how many of a launch there are, and what stands against more.
func (r *Region) capacity(l *Launch, amount int) (int, *Error) {
	n, why := amount, (*Error)(nil)
	for _, b := range append(r.bounds(l), r.quotas(l)...) {
		if b.left < n {
			n, why = max(b.left, 0), b.why
		}
	}
	return n, why
}

func (r *Region) bounds(l *Launch) []bound {
	out := []bound{
		{r.o.MaxNodes - len(r.instances), refuse(403, "QuotaExceed.ElasticQuota",
			"The number of instances has reached the %d that this local region was started for: restart it with `poolkeeper local up --max-nodes N`.", r.o.MaxNodes)},
		{r.left(l.Zone, l.Type.Name, l.spot()), refuse(403, "OperationDenied.NoStock",
			"The requested resource is sold out in the specified zone; try other types of resources or other regions and zones.")},
		{r.freeAddresses(r.world.VSwitch(l.VSwitch)), refuse(400, "QuotaExceeded.PrivateIpAddress",
			"The specified vSwitch %s has not enough private IP addresses.", l.VSwitch)},
	}
	per := map[string]int{}
	for _, d := range append([]Disk{l.SystemDisk}, l.DataDisks...) {
		per[d.Category]++
	}
	for _, category := range slices.Sorted(maps.Keys(per)) {
		out = append(out, bound{r.disksLeft(l.Zone, category) / per[category], refuse(403, "OperationDenied.NoStock",
			"The requested disk category %s is sold out in the specified zone; try other disk categories or other regions and zones.", category)})
	}
	for _, id := range l.Groups {
		if g := r.world.SecurityGroup(id); g.Limit > 0 {
			out = append(out, bound{g.Limit - r.count["group/"+id], refuse(403, "SecurityGroupInstanceLimitExceed",
				"The maximum number of instances in the security group %s is exceeded.", id)})
		}
	}
	if d := r.world.DeploymentSet(l.DeploymentSet); d != nil {
		out = append(out, bound{d.Limit - r.count["set/"+d.ID+"/"+l.Zone], refuse(403, "QuotaExceed.DeploymentSetInstanceQuotaFull",
			"The instance quota of the deployment set %s in the zone is full.", d.ID)})
	}
	return out
}

func (r *Region) quotas(l *Launch) []bound {
	var out []bound
	q := r.world.Quotas
	disks := append([]Disk{l.SystemDisk}, l.DataDisks...)
	if most, ok := q.Types[l.Type.Name]; ok {
		out = append(out, bound{most - r.count["type/"+l.Type.Name], refuse(403, "QuotaExceed.ElasticQuota",
			"The number of the specified ECS instances has exceeded the quota of the specified instance type %s.", l.Type.Name)})
	}
	if most, ok := q.VCPUs[l.Zone]; ok {
		out = append(out, bound{(most - r.count["vcpu/"+l.Zone]) / l.Type.VCPU, refuse(403, "QuotaExceed.ElasticQuota",
			"The number of vCPUs assigned to the ECS instances has exceeded the quota in the zone %s.", l.Zone)})
	}
	if q.PayAsYouGoInstances > 0 && l.Charge == postPaid {
		out = append(out, bound{q.PayAsYouGoInstances - r.count["postpaid"], refuse(403, "QuotaExceed.AfterpayInstance",
			"The maximum number of pay-as-you-go instances is exceeded.")})
	}
	if q.PayAsYouGoDisks > 0 && l.Charge == postPaid {
		out = append(out, bound{(q.PayAsYouGoDisks - r.count["postpaiddisks"]) / len(disks), refuse(403, "QuotaExceed.PostPaidDisk",
			"The maximum number of pay-as-you-go disks is exceeded.")})
	}
	if q.DiskGiB > 0 {
		size := 0
		for _, d := range disks {
			size += d.SizeGiB
		}
		out = append(out, bound{(q.DiskGiB - r.count["gib"]) / size, refuse(403, "QuotaExceed.DiskCapacity",
			"The used capacity of disk has exceeded the quota.")})
	}
	return out
}
