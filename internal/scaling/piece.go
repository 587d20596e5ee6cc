package scaling

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Activity is an open activity as NextPiece reads it.
type Activity struct {
	StrictBalance bool
	// Create is how many it may create in all.
	Create     int
	Candidates []Candidate
	// Pieces asked so far, in order.
	Pieces []Piece
}

// Piece is one candidate and one amount, with what came of it.
type Piece struct {
	// Candidate is an index into the activity's candidates.
	Candidate int
	// Amount asked for, 1 to 100.
	Amount int
	// Created is how many came.
	Created int
	// Code of the refusal, empty where it gave all.
	Code fault.Code
}

// asked is an activity with what its pieces came to.
type asked struct {
	Activity
	made    int
	stopped bool
	// created and closed of each candidate: a closed one has nothing more to
	// give, or a refusal elsewhere speaks of it too.
	created []int
	closed  []bool
}

func (a Activity) asked() asked {
	t := asked{Activity: a, created: make([]int, len(a.Candidates)), closed: make([]bool, len(a.Candidates))}
	for _, p := range a.Pieces {
		if p.Candidate < 0 || p.Candidate >= len(a.Candidates) {
			continue
		}
		t.made += p.Created
		t.created[p.Candidate] += p.Created
		if p.Code == "" && p.Created > 0 {
			continue // gave all, or fewer without saying why: the next piece is told
		}
		t.closed[p.Candidate] = true
		if p.Code == "" {
			continue
		}
		entry := fault.Lookup(p.Code)
		t.stopped = t.stopped || entry.Next == fault.NextStop
		for c, other := range a.Candidates {
			t.closed[c] = t.closed[c] || entry.Scope.Covers(a.Candidates[p.Candidate].place(), other.place())
		}
	}
	return t
}

// NextPiece returns what an open activity asks for next, never more than is
// still wanted. It is a pure function of the candidates, the pieces before and
// that number; ok is false where the activity has nothing more to ask.
func NextPiece(a Activity, wanted int) (p Piece, ok bool) {
	t := a.asked()
	wanted = min(wanted, a.Create-t.made)
	if wanted <= 0 || t.stopped {
		return Piece{}, false
	}
	var c, n int
	if slices.ContainsFunc(a.Candidates, func(c Candidate) bool { return strings.HasPrefix(c.ShareWith, zoneShare) }) {
		c, n = t.nextZone(wanted)
	} else {
		c, n = t.nextInOrder(wanted)
	}
	if n <= 0 {
		return Piece{}, false
	}
	return Piece{Candidate: c, Amount: min(n, MaxPiece)}, true
}

// nextInOrder is the first candidate that is not closed and has not given its
// share.
func (t asked) nextInOrder(wanted int) (candidate, n int) {
	for c, cand := range t.Candidates {
		if t.closed[c] {
			continue
		}
		if cand.Share == 0 {
			return c, wanted
		}
		if left := min(wanted, cand.Share-t.given(cand, c)); left > 0 {
			return c, left
		}
	}
	return 0, 0
}

// given is how much of a candidate's share has come, from it and from those
// that fill the same share with it.
func (t asked) given(cand Candidate, c int) int {
	if cand.ShareWith == "" {
		return t.created[c]
	}
	n := 0
	for o, other := range t.Candidates {
		if other.ShareWith == cand.ShareWith {
			n += t.created[o]
		}
	}
	return n
}

// zoneGroup is the candidates of one zone: the first that may still be asked,
// and by how much the zone is above its share.
type zoneGroup struct {
	candidate, above int
	got              *int
}

// nextZone spreads what is wanted over the zones that still give, each time to
// the one that is furthest below its share, and asks the first of them for its
// part. So the share of a zone that cannot give goes to the zones with the
// fewest; not where balance is strict.
func (t asked) nextZone(wanted int) (candidate, n int) {
	var zones []zoneGroup
	seen := map[string]bool{}
	for c, cand := range t.Candidates {
		if t.closed[c] || seen[cand.ShareWith] {
			continue
		}
		seen[cand.ShareWith] = true
		zones = append(zones, zoneGroup{candidate: c, above: t.given(cand, c) - cand.Share, got: new(int)})
	}
	if t.StrictBalance {
		zones = slices.DeleteFunc(zones, func(z zoneGroup) bool { return z.above >= 0 })
	}
	if len(zones) == 0 {
		return 0, 0
	}
	level := func(z zoneGroup) int { return z.above + *z.got }
	first := fewest(zones, level)
	for range wanted {
		*fewest(zones, level).got++
	}
	if t.StrictBalance {
		return first.candidate, min(*first.got, -first.above)
	}
	return first.candidate, *first.got
}

func (c Candidate) place() fault.Place {
	return fault.Place{VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: string(c.ChargeType), Disk: c.Disk}
}

// Token is the client token of a piece: a function of its activity's UID and
// its index, at most 64 ASCII characters. It never changes between versions.
func Token(activityUID string, piece int) string {
	const most = 48 // with prefix and index well under 64
	if len(activityUID) > most {
		sum := sha256.Sum256([]byte(activityUID))
		activityUID = hex.EncodeToString(sum[:16])
	}
	return "pk-" + activityUID + "-" + strconv.Itoa(piece)
}
