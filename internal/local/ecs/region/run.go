package region

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// runInstances creates instances: all that are asked for, or with MinAmount
// what there is.
func (r *Region) runInstances(p *args) (any, *Error) {
	l := r.readLaunch(p)
	amount := p.int("Amount", 1, 1, 100)
	least := p.int("MinAmount", amount, 1, 100)
	dry := p.bool("DryRun")
	if p.err == nil && least > amount {
		p.fail(invalid("MinAmount", "it is more than Amount"))
	}
	if p.err != nil {
		return nil, p.err
	}
	if err := r.refusal(l, p); err != nil {
		return nil, err
	}
	n, why := r.capacity(l, amount)
	if n < least {
		return nil, why
	}
	if dry {
		return nil, refuse(400, "DryRunOperation", "Request validation has been passed with DryRun flag set.")
	}
	return newRunInstancesAnswer(p.requestID, r.create(l, n)), nil
}

func newRunInstancesAnswer(requestID string, ids []string) *runInstancesAnswer {
	a := &runInstancesAnswer{RequestId: requestID}
	a.InstanceIdSets.InstanceIdSet = ids
	return a
}

func (r *Region) readLaunch(p *args) *Launch {
	l := &Launch{ID: p.requestID, VSwitch: p.need("VSwitchId"), Type: typeNamed(p.need("InstanceType")), Image: imageNamed(p.need("ImageId")),
		Charge:       p.oneOf("InstanceChargeType", postPaid, prePaid),
		SpotStrategy: p.oneOf("SpotStrategy", noSpot, "SpotWithPriceLimit", "SpotAsPriceGo"),
		SpotLimit:    p.float("SpotPriceLimit"), SpotDuration: p.int("SpotDuration", 1, 0, 6),
		KeyPair: p.Params["KeyPairName"], RAMRole: p.Params["RamRoleName"], DeploymentSet: p.Params["DeploymentSetId"],
		HTTPEndpoint: p.oneOf("HttpEndpoint", "enabled", "disabled"), HTTPTokens: p.oneOf("HttpTokens", "optional", "required"),
		HopLimit: p.int("HttpPutResponseHopLimit", 1, 1, 64), Protected: p.bool("DeletionProtection"),
		Name: p.Params["InstanceName"], HostName: p.Params["HostName"], Description: p.Params["Description"], UniqueSuffix: p.bool("UniqueSuffix")}
	l.Groups = p.list("SecurityGroupIds")
	if g := p.Params["SecurityGroupId"]; g != "" {
		l.Groups = append([]string{g}, l.Groups...)
	}
	if len(l.Groups) == 0 {
		p.fail(missing("SecurityGroupId"))
	}
	l.Tags = p.tags()
	p.fail2(checkTags(l.Tags))
	if l.Charge == prePaid {
		l.Period, l.PeriodUnit = p.period()
	}
	r.readDisks(l, p)
	r.readUserData(l, p)
	return l
}

func (a *args) fail2(e *Error) {
	if e != nil {
		a.fail(e)
	}
}

// period reads a paid time: weeks 1 to 4, months 1 to 60.
func (a *args) period() (int, string) {
	unit := a.oneOf("PeriodUnit", "Month", "Week", "Year")
	most := map[string]int{"Week": 4, "Month": 60, "Year": 5}[unit]
	if a.Params["Period"] == "" {
		a.fail(missing("Period"))
	}
	return a.int("Period", 1, 1, most), unit
}

func periodEnd(from time.Time, n int, unit string) time.Time {
	switch unit {
	case "Week":
		return from.AddDate(0, 0, 7*n)
	case "Year":
		return from.AddDate(n, 0, 0)
	}
	return from.AddDate(0, n, 0)
}

func (r *Region) readDisks(l *Launch, p *args) {
	l.SystemDisk = Disk{Category: p.Params["SystemDisk.Category"], SizeGiB: p.int("SystemDisk.Size", 40, 1, 65536),
		Level: p.Params["SystemDisk.PerformanceLevel"], Encrypted: p.bool("SystemDisk.Encrypted"), Key: p.Params["SystemDisk.KMSKeyId"]}
	if l.SystemDisk.Category == "" {
		l.SystemDisk.Category = "cloud_essd"
	}
	for n := 1; n <= 16; n++ {
		at := fmt.Sprintf("DataDisk.%d.", n)
		if p.Params[at+"Category"] == "" && p.Params[at+"Size"] == "" {
			return
		}
		d := Disk{Category: p.Params[at+"Category"], SizeGiB: p.int(at+"Size", 40, 1, 65536), Level: p.Params[at+"PerformanceLevel"],
			Encrypted: p.bool(at + "Encrypted"), Key: p.Params[at+"KMSKeyId"]}
		if d.Category == "" {
			d.Category = "cloud_essd"
		}
		l.DataDisks = append(l.DataDisks, d)
	}
}

const maxUserData = 32 << 10

func (r *Region) readUserData(l *Launch, p *args) {
	text := p.Params["UserData"]
	if text == "" {
		return
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		p.fail(refuse(400, "InvalidUserData.Base64FormatInvalid", "The specified parameter UserData must be base64 encoded."))
		return
	}
	if len(data) > maxUserData {
		p.fail(refuse(400, "InvalidUserData.SizeExceeded", "The specified user data exceeds the maximum allowed size."))
		return
	}
	sum := sha256.Sum256(data)
	l.UserData, l.data = hex.EncodeToString(sum[:]), data
}

// checkTags refuses more than 20 tags and keys that nobody may set.
func checkTags(tags map[string]string) *Error {
	if len(tags) > 20 {
		return refuse(400, "InvalidTagCount", "The specified tags are beyond the permitted range.")
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		low := strings.ToLower(k)
		if k == "" || len(k) > 128 || strings.HasPrefix(low, "aliyun") || strings.HasPrefix(low, "acs:") || strings.Contains(low, "http://") || strings.Contains(low, "https://") {
			return refuse(400, "InvalidTagKey.Malformed", "The specified Tag.n.Key is not valid: %s.", k)
		}
		if len(tags[k]) > 128 {
			return refuse(400, "InvalidTagValue.Malformed", "The specified Tag.n.Value is not valid.")
		}
	}
	return nil
}

// create makes n instances of a launch that nothing speaks against.
func (r *Region) create(l *Launch, n int) []string {
	r.launches[l.ID] = l
	r.touch(bucketLaunches, l.ID)
	if l.UserData != "" {
		b := r.userData[l.UserData]
		if b == nil {
			b = &blob{data: l.data}
			r.userData[l.UserData] = b
			r.touch(bucketUserData, l.UserData)
		}
		b.refs++
		l.data = b.data
	}
	ids := make([]string, n)
	for k := range ids {
		i := r.newInstance(l, k)
		ids[k] = i.ID
		r.instances[i.ID] = i
		r.order = append(r.order, i)
		l.refs++
		r.add(i, 1)
		r.changed(i)
		r.arm(i)
	}
	r.dropSpent()
	r.touch(bucketWorld, keySeq)
	return ids
}

func (r *Region) newInstance(l *Launch, k int) *Instance {
	r.seq++
	i := &Instance{ID: r.newID(), Seq: r.seq, Launch: l.ID, IP: r.vSwitches[l.VSwitch].pick(), Status: statusPending,
		Charge: l.Charge, Created: r.now, Tags: l.Tags, Groups: l.Groups, Protected: l.Protected,
		Due: r.now.Add(r.wait(r.world.Times.Pending)), launch: l}
	i.Name = numbered(l.Name, k, l.UniqueSuffix)
	i.HostName = strings.ReplaceAll(numbered(l.HostName, k, l.UniqueSuffix), "${instance_id}", i.ID)
	if i.Name == "" {
		i.Name = i.ID
	}
	if i.HostName == "" {
		i.HostName = "iZ" + strings.TrimPrefix(i.ID, "i-") + "Z"
	}
	if l.Charge == prePaid {
		i.Expires = periodEnd(r.now, l.Period, l.PeriodUnit)
	}
	r.afflict(i)
	return i
}

var numbering = regexp.MustCompile(`\[(\d*),(\d*)\]`)

// numbered writes the number of an instance of a batch into its name: at
// [begin,digits], or as three digits at the end.
func numbered(name string, k int, suffix bool) string {
	m := numbering.FindStringSubmatchIndex(name)
	if m == nil {
		if suffix && name != "" && !strings.Contains(name, "${instance_id}") {
			return fmt.Sprintf("%s%03d", name, k+1)
		}
		return name
	}
	begin, _ := strconv.Atoi(name[m[2]:m[3]])
	digits, _ := strconv.Atoi(name[m[4]:m[5]])
	return fmt.Sprintf("%s%0*d%s", name[:m[0]], min(digits, 6), begin+k, name[m[1]:])
}
