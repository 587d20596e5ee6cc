package fault

import "strings"

// Detail names one thing that may be known of a case.
type Detail string

// The details that advice can name.
const (
	// DetailPool is the node pool: it takes the place of POOL in commands.
	DetailPool Detail = "pool"
	// DetailFits is up to ten instance types that fit the image and are in
	// stock, and DetailFit the first of them.
	DetailFits Detail = "fits"
	DetailFit  Detail = "fit"
	// DetailOffered is the disk categories that the zone has for the type.
	DetailOffered Detail = "offered"
	// DetailExists is what exists instead of what was not found.
	DetailExists Detail = "exists"
	// DetailField is the field of the pool that is wrong.
	DetailField Detail = "field"
	// DetailValue is the value that is wrong.
	DetailValue Detail = "value"
	// DetailOtherVSwitch is a vSwitch of the account where an instance type of the
	// pool can be had, and DetailOtherImage an image that starts the type.
	DetailOtherVSwitch Detail = "otherVSwitch"
	DetailOtherImage   Detail = "otherImage"
	// DetailOther is one of what exists instead of what was not found, or is full.
	DetailOther Detail = "other"
	// DetailRole is the RAM role of the pool's instances.
	DetailRole Detail = "role"
	// DetailImage is the image id, with OS, architecture, boot mode and
	// trusted support as far as known.
	DetailImage Detail = "image"
	// DetailInstanceType is the instance type that was asked for.
	DetailInstanceType Detail = "instanceType"
	// DetailZone is the zone that was asked for.
	DetailZone Detail = "zone"
	// DetailVSwitch is the vSwitch that was asked for.
	DetailVSwitch Detail = "vSwitch"
	// DetailDisk is the disk category that was asked for.
	DetailDisk Detail = "disk"
	// DetailSystemDisk is a category and size in GiB that would do, as the
	// command line takes them.
	DetailSystemDisk Detail = "systemDisk"
	// DetailGiB is the size of the system disk.
	DetailGiB Detail = "gib"
	// DetailFamily is the family of the instance type.
	DetailFamily Detail = "family"
	// DetailAddress is a host and port that must be reachable.
	DetailAddress Detail = "address"
	// DetailGroup is a security group.
	DetailGroup Detail = "group"
	// DetailPermission is the action that the key may not do.
	DetailPermission Detail = "permission"
	// DetailCommand is the one command that helps.
	DetailCommand Detail = "command"
	// DetailBlocked is the pod that a drain waits for, and its budget.
	DetailBlocked Detail = "blocked"
	// DetailInstance is one instance, which failed.
	DetailInstance Detail = "instance"
	// DetailMIG is an instance whose reset of MIG partitions took too long, or
	// several with a blank between.
	DetailMIG Detail = "mig"
	// DetailInstances names instances, each with its way out.
	DetailInstances Detail = "instances"
	// DetailCodes are the codes that stopped the rest.
	DetailCodes Detail = "codes"
	// DetailKey is the KMS key that encrypts the disk.
	DetailKey Detail = "key"
	// DetailHook is the lifecycle hook that ended the way in of an instance.
	DetailHook Detail = "hook"
	// DetailRunning is what runs in the group, and since when.
	DetailRunning Detail = "running"
)

// Details are what is known of one case. Values are shown to people as they
// are.
type Details map[Detail]string

// ListMost is how many values List names at most.
const ListMost = 10

// List joins values for a detail; at most ListMost are named.
func List(values []string) string {
	if len(values) > ListMost {
		return strings.Join(values[:ListMost], ", ") + ", …"
	}
	return strings.Join(values, ", ")
}

// Advice returns the solution, followed by those hints whose details are all
// known.
func (e Entry) Advice(d Details) string { return e.AdviceFor(e.Solution, d) }

// AdviceFor is Advice with another text in the place of the solution: what
// helps in this case more than in others. It is written as Entry.Solution is.
func (e Entry) AdviceFor(solution string, d Details) string {
	parts := []string{optional(solution, d)}
	for _, h := range e.Hints {
		if s, ok := fill(h, d); ok {
			parts = append(parts, s)
		}
	}
	return InPool(strings.Join(parts, "; "), d[DetailPool])
}

// General is the solution as it is printed where no case is at hand: the details
// of commands stand there in capitals.
func (e Entry) General() string {
	s := strings.NewReplacer("<", "", ">", "").Replace(e.Solution)
	for d, word := range words {
		s = strings.ReplaceAll(s, "{"+string(d)+"}", word)
	}
	return s
}

// words are the details that solutions name, as they are printed in general.
var words = map[Detail]string{
	DetailPool: "POOL", DetailFit: "TYPE", DetailInstanceType: "TYPE", DetailZone: "ZONE", DetailKey: "KEY", DetailPermission: "ACTION",
	DetailSystemDisk: "CATEGORY:GIB", DetailGiB: "GIB", DetailVSwitch: "VSWITCH", DetailOtherVSwitch: "VSWITCH",
	DetailOther: "ID", DetailOtherImage: "ID", DetailHook: "HOOK", DetailRole: "ROLE", DetailInstance: "ID",
}

// optional takes out the parts in <> whose details are not all known, or are
// more than one value.
func optional(text string, d Details) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "<")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		part, after, closed := strings.Cut(rest, ">")
		if !closed {
			return b.String() + "<" + rest
		}
		if s, ok := fill(part, single(d)); ok {
			b.WriteString(s)
		}
		text = after
	}
}

// single are the details that are one value.
func single(d Details) Details {
	one := Details{}
	for k, v := range d {
		if !strings.Contains(v, ",") {
			one[k] = v
		}
	}
	return one
}

// ResetAdvice is what helps where the MIG reset of instances took too long.
func ResetAdvice(instances []string) string {
	text, _ := fill(hintReset, Details{DetailMIG: strings.Join(instances, " ")})
	return text
}

// InPool writes a pool's name into a text that says POOL for it.
func InPool(text, pool string) string {
	if pool == "" {
		return text
	}
	return strings.ReplaceAll(text, " POOL", " "+pool)
}

// fill replaces {name} by the detail of that name; ok is false where one is
// not known.
func fill(hint string, d Details) (s string, ok bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(hint, "{")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || d[Detail(name)] == "" {
			return "", false
		}
		b.WriteString(d[Detail(name)])
		hint = after
	}
}
