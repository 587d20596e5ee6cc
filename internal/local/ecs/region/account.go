package region

import (
	"fmt"
	"slices"
	"strconv"
)

type keyPairsAnswer struct {
	RequestId                        string
	TotalCount, PageNumber, PageSize int
	KeyPairs                         struct{ KeyPair []keyPairAnswer }
}

type keyPairAnswer struct{ KeyPairName, KeyPairFingerPrint, CreationTime string }

func (r *Region) describeKeyPairs(p *args) (any, *Error) {
	size, page := p.int("PageSize", 10, 1, 50), p.int("PageNumber", 1, 1, 1<<30)
	if p.err != nil {
		return nil, p.err
	}
	a := &keyPairsAnswer{RequestId: p.requestID, PageNumber: page, PageSize: size}
	a.KeyPairs.KeyPair = []keyPairAnswer{}
	for _, k := range r.world.KeyPairs {
		if want := p.Params["KeyPairName"]; want != "" && !matchesName(want, k) {
			continue
		}
		if a.TotalCount/size == page-1 {
			a.KeyPairs.KeyPair = append(a.KeyPairs.KeyPair, keyPairAnswer{KeyPairName: k, CreationTime: "2026-01-01T00:00:00Z"})
		}
		a.TotalCount++
	}
	return a, nil
}

type accountAttributesAnswer struct {
	RequestId             string
	AccountAttributeItems struct{ AccountAttributeItem []accountAttribute }
}

type accountAttribute struct {
	AttributeName   string
	AttributeValues struct{ ValueItem []attributeValue }
}

type attributeValue struct {
	Value, ZoneId, InstanceType, InstanceChargeType string
	Count                                           int
}

func (r *Region) describeAccountAttributes(p *args) (any, *Error) {
	want, zone := p.list("AttributeName"), p.Params["ZoneId"]
	a := &accountAttributesAnswer{RequestId: p.requestID}
	a.AccountAttributeItems.AccountAttributeItem = []accountAttribute{}
	add := func(name string, values []attributeValue) {
		if len(want) > 0 && !slices.Contains(want, name) {
			return
		}
		item := accountAttribute{AttributeName: name}
		item.AttributeValues.ValueItem = values
		a.AccountAttributeItems.AccountAttributeItem = append(a.AccountAttributeItems.AccountAttributeItem, item)
	}
	var most, used []attributeValue
	for _, z := range r.world.Zones {
		if zone != "" && zone != z {
			continue
		}
		if q, ok := r.world.Quotas.VCPUs[z]; ok {
			most = append(most, attributeValue{Value: strconv.Itoa(q), ZoneId: z, InstanceChargeType: postPaid})
		}
		used = append(used, attributeValue{Value: strconv.Itoa(r.count["vcpu/"+z]), ZoneId: z, InstanceChargeType: postPaid})
	}
	add("max-postpaid-instance-vcpu-count", most)
	add("used-postpaid-instance-vcpu-count", used)
	groups := []attributeValue{{Value: "100"}}
	add("max-security-groups", groups)
	return a, nil
}

func (r *Region) describeRegions(p *args) (any, *Error) {
	type region struct{ RegionId, LocalName, RegionEndpoint, Status string }
	a := &struct {
		RequestId string
		Regions   struct{ Region []region }
	}{RequestId: p.requestID}
	a.Regions.Region = []region{{RegionId: r.world.Region, LocalName: r.world.Region, Status: "available"}}
	return a, nil
}

func (r *Region) describeZones(p *args) (any, *Error) {
	type zone struct {
		ZoneId, LocalName, ZoneType string
		AvailableInstanceTypes      struct{ InstanceTypes []string }
		AvailableDiskCategories     struct{ DiskCategories []string }
	}
	a := &struct {
		RequestId string
		Zones     struct{ Zone []zone }
	}{RequestId: p.requestID}
	for _, z := range r.world.Zones {
		v := zone{ZoneId: z, LocalName: z, ZoneType: "AvailabilityZone"}
		for k := range r.world.InstanceTypes {
			if t := &r.world.InstanceTypes[k]; r.sold(z, t) {
				v.AvailableInstanceTypes.InstanceTypes = append(v.AvailableInstanceTypes.InstanceTypes, t.Name)
			}
		}
		for _, c := range r.world.DiskCategories {
			if len(c.Zones) == 0 || slices.Contains(c.Zones, z) {
				v.AvailableDiskCategories.DiskCategories = append(v.AvailableDiskCategories.DiskCategories, c.Name)
			}
		}
		a.Zones.Zone = append(a.Zones.Zone, v)
	}
	return a, nil
}

func (r *Region) callerIdentity(p *args) (any, *Error) {
	return &struct{ RequestId, IdentityType, AccountId, PrincipalId, UserId, Arn string }{
		p.requestID, "Account", r.o.Account, r.o.Account, r.o.Account, "acs:ram::" + r.o.Account + ":root"}, nil
}

func (r *Region) describeKey(p *args) (any, *Error) {
	if r.world.KMS.Inactive {
		return nil, refuse(403, "Forbidden.KeyServiceNotOpened", "KMS is not activated.")
	}
	k := r.world.Key(p.need("KeyId"))
	if p.err != nil {
		return nil, p.err
	}
	if k == nil {
		return nil, refuse(404, "Forbidden.KeyNotFound", "The specified Key is not found.")
	}
	state := "Enabled"
	if k.Disabled {
		state = "Disabled"
	}
	type metadata struct{ KeyId, KeyState, KeyUsage, KeySpec, Creator, Arn, CreationDate string }
	return &struct {
		RequestId   string
		KeyMetadata metadata
	}{p.requestID, metadata{k.ID, state, "ENCRYPT/DECRYPT", "Aliyun_AES_256", r.o.Account,
		fmt.Sprintf("acs:kms:%s:%s:key/%s", r.world.Region, r.o.Account, k.ID), "2026-01-01T00:00:00Z"}}, nil
}

func (r *Region) getRole(p *args) (any, *Error) {
	name := p.need("RoleName")
	if p.err != nil {
		return nil, p.err
	}
	if !slices.Contains(r.world.Roles, name) {
		return nil, refuse(404, "EntityNotExist.Role", "The role not exists: %s.", name)
	}
	type role struct{ RoleId, RoleName, Arn, CreateDate string }
	return &struct {
		RequestId string
		Role      role
	}{p.requestID, role{"3000", name, "acs:ram::" + r.o.Account + ":role/" + name, "2026-01-01T00:00:00Z"}}, nil
}

func (r *Region) accountBalance(p *args) (any, *Error) {
	type data struct{ AvailableAmount, AvailableCashAmount, CreditAmount, MybankCreditAmount, Currency string }
	amount := strconv.FormatFloat(r.world.Account.Balance, 'f', 2, 64)
	return &struct {
		RequestId, Code, Message string
		Success                  bool
		Data                     data
	}{p.requestID, "200", "Successful!", true, data{amount, amount, "0.00", "0.00", r.world.Account.Currency}}, nil
}
