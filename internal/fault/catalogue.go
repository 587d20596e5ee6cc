package fault

import "time"

var (
	expiry5  = Retry{RetryExpiry, 5 * time.Minute}
	expiry10 = Retry{RetryExpiry, 10 * time.Minute}
	expiry30 = Retry{RetryExpiry, 30 * time.Minute}
	backoff  = Retry{Kind: RetryBackoff}
	minute   = Retry{Kind: RetryMinute}
	edit     = Retry{Kind: RetryEdit}
	now      = Retry{Kind: RetryNow}
	never    = Retry{Kind: RetryNever}
)

// SeeStrength says where people see what is in stock.
const SeeStrength = "poolkeeper strength get POOL shows what is in stock"

const (
	// seenLate ends solutions that poolkeeper cannot see being carried out.
	seenLate    = "<; then poolkeeper pool resume {pool}, or wait for the next try>"
	otherImage  = "choose another instance type, or another image (poolkeeper offer list --images names them; poolkeeper pool edit POOL< --image {otherImage}>)"
	otherDisk   = "another disk category (poolkeeper pool edit POOL< --system-disk {systemDisk}>)"
	hintImage   = "the image is {image}"
	hintFits    = "in stock in {zone} and fitting the image: {fits}; to add one: poolkeeper pool edit POOL --add-type {fit}"
	hintOffered = "what {zone} offers of the family: poolkeeper offer list --zone {zone} --type {family}"
	hintDisk    = "the disks are of {disk}"
	hintDisks   = "with {instanceType} go in {zone}: {offered}"
	hintExists  = "there is {exists}"
)

// catalogue is all rows, in the order in which they are printed.
var catalogue = append(append(append([]Entry{}, pageRows...), oursRows...), wireRows...)

// index finds the row of each code.
var index = func() map[Code]int {
	m := make(map[Code]int, 2*len(catalogue))
	for i, e := range catalogue {
		m[e.Code] = i
		for _, c := range e.Also {
			m[c] = i
		}
	}
	return m
}()

// All returns every row in the order in which it is printed: those of the
// public page, ours, those of the wire.
func All() []Entry {
	out := make([]Entry, len(catalogue))
	for i := range catalogue {
		out[i] = copied(i)
	}
	return out
}

// Lookup returns the row of a code. A variant that has no row of its own has
// that of the code without it. A code that the catalogue does not have speaks
// of its resource pool, falls over, and is forgotten after 5 minutes; its
// Known is false.
func Lookup(c Code) Entry {
	i, ok := index[c]
	if !ok {
		i, ok = index[Code(c.Wire())]
	}
	if !ok {
		return unknown(c)
	}
	e := copied(i)
	if e.Code != c {
		e.Also = append(without(e.Also, c), e.Code)
		e.Code = c
	}
	e.Known = true
	return e
}

func unknown(c Code) Entry {
	return Entry{
		Code: c, Origin: OriginWire, RaisedBy: "the cloud",
		Cause:    "the cloud refused, for a reason that this version does not know",
		Solution: "read the cloud's own text; if it does not help, give the vendor the request id",
		Scope:    ScopePool, Next: NextFallOver, Retry: expiry5,
	}
}

func copied(i int) Entry {
	e := catalogue[i]
	e.Also = append([]Code(nil), e.Also...)
	e.Hints = append([]string(nil), e.Hints...)
	e.Known = true
	return e
}

func without(codes []Code, c Code) []Code {
	out := make([]Code, 0, len(codes))
	for _, have := range codes {
		if have != c {
			out = append(out, have)
		}
	}
	return out
}
