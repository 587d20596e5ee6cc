package lifecycle

import "slices"

// Member is one instance of the region as the guard against mass disappearance
// sees it.
type Member struct {
	Name, Pool string
	// Ran is true once it was seen running, Decided where we decided that it
	// goes: such a one is not missed.
	Ran, Decided bool
	// Missed is how many complete sweeps in a row did not show it with our
	// tags, and GoneByID in how many of them a look by its id found nothing.
	Missed, GoneByID int
	// Confirmed is true where the newest complete look by id at all of its pool
	// showed it.
	Confirmed bool
	// NotReady is true where it joined and its Node is not Ready now.
	NotReady bool
}

// Freeze is what the guard stops for one pool. Creation that a person asks for
// goes on under it.
type Freeze struct {
	// Releases is true where nothing may be released.
	Releases bool
	// Replacements is true where nothing missing may be believed gone, hence
	// nothing is created in its place.
	Replacements bool
	// Ended is true where a person ended the freeze of releases; it stays so
	// while what raised it lasts.
	Ended bool
	// Alarm is true while what raises a freeze lasts.
	Alarm bool
	// Missing is how many are missing, NotReady how many Nodes are not Ready,
	// of Of instances of the pool.
	Missing, NotReady, Of int
}

// Frozen says whether anything is stopped.
func (f Freeze) Frozen() bool { return f.Releases || f.Replacements }

// surely is in how many sweeps a look by id must find nothing before one of
// many missing instances is believed gone.
const surely = 3

// Many is the most that may be missing of so many before the guard speaks: 3,
// or a fifth where that is more.
func Many(of int) int { return max(3, of/5) }

// Guard returns the freeze of each pool that has one or what would raise one,
// over all instances of a region. Was is what it returned
// at the look before: a freeze of replacements lasts until every missing
// instance was confirmed gone by id in three sweeps or came back, one of
// releases until a complete confirmed look, or until a person ends it, which is
// to set Ended in was.
func Guard(region []Member, was map[string]Freeze) map[string]Freeze {
	pools := map[string][]Member{}
	missing, of := 0, 0
	for _, m := range region {
		pools[m.Pool] = append(pools[m.Pool], m)
		if m.Ran && !m.Decided {
			of++
			if m.Missing() {
				missing++
			}
		}
	}
	wide := missing > Many(of)
	out := map[string]Freeze{}
	for pool, members := range pools {
		if f := guard(members, was[pool], wide); f.Frozen() || f.Ended || f.Alarm {
			out[pool] = f
		}
	}
	return out
}

// Missing says whether one that ran, and that nobody decided to release, was not
// shown by the newest sweep.
func (m Member) Missing() bool { return m.Ran && !m.Decided && m.Missed > 0 }

// guard is the freeze of one pool; wide is true where too many of the region
// are missing.
func guard(members []Member, was Freeze, wide bool) Freeze {
	f := Freeze{}
	unsure := false
	for _, m := range members {
		if !m.Ran || m.Decided {
			continue
		}
		f.Of++
		if m.NotReady {
			f.NotReady++
		}
		if m.Missing() {
			f.Missing++
			unsure = unsure || m.GoneByID < surely
		}
	}
	offline := f.Of > 3 && f.NotReady*2 > f.Of
	f.Alarm = offline || f.Missing > Many(f.Of) || (wide && f.Missing > 0)
	f.Replacements = unsure && (f.Alarm || was.Replacements)
	f.Ended = was.Ended && (f.Alarm || f.Replacements)
	f.Releases = (f.Alarm || was.Releases) && !was.Ended && !confirmed(members)
	return f
}

// confirmed says whether every instance was shown by a look by id, or surely
// is gone.
func confirmed(members []Member) bool {
	return !slices.ContainsFunc(members, func(m Member) bool {
		return m.Ran && !m.Decided && !m.Confirmed && m.GoneByID < surely
	})
}
