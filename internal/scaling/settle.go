package scaling

import (
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// How many complete sweeps make one believe that an uncertain piece made fewer
// than it asked for: those that show something and agree, or empty ones.
const (
	agreeing = 3
	empties  = 10
)

// Unsettled is an uncertain piece: what it asked for, and what sweeps that were
// late enough showed of it (rule 8).
type Unsettled struct {
	// Amount asked for.
	Amount int
	// FirstSend is when it was first sent.
	FirstSend time.Time
	// Looks are the sweeps that count, in order, at most the newest 10.
	Looks []Shown
}

// Shown is what one complete sweep showed of a piece.
type Shown struct {
	// Began is the start of the sweep.
	Began time.Time
	// Found is how many instances of the piece it showed.
	Found int
	// Empty is true where it showed nothing of ours at all.
	Empty bool
}

// Sure is from when on no call of the piece can land any more, and what landed
// is visible.
func (u Unsettled) Sure(w wait.Settings) time.Time {
	return u.FirstSend.Add(w.SendWindow + w.SignatureLife + 2*w.Visibility)
}

// With returns the piece with one more sweep, where that one counts: it began
// late enough, and an interval after the one before.
func (u Unsettled) With(s Shown, w wait.Settings) Unsettled {
	if s.Began.Before(u.next(w)) {
		return u
	}
	u.Looks = append(slices.Clone(u.Looks), s)
	if n := len(u.Looks); n > empties {
		u.Looks = u.Looks[n-empties:]
	}
	return u
}

// next is when the next sweep that counts may begin.
func (u Unsettled) next(w wait.Settings) time.Time {
	if n := len(u.Looks); n > 0 {
		return u.Looks[n-1].Began.Add(w.Sweep)
	}
	return u.Sure(w)
}

// Settle says whether an uncertain piece is resolved, with how many instances,
// and else from when on the next sweep counts. All that it asked for is believed
// at once.
func Settle(u Unsettled, newest Shown, w wait.Settings) (found int, done bool, again time.Time) {
	if newest.Found >= u.Amount {
		return u.Amount, true, time.Time{}
	}
	agree, empty, last := 0, 0, -1
	for _, s := range u.Looks {
		if s.Empty {
			empty++
			continue
		}
		if empty = 0; s.Found != last {
			agree, last = 0, s.Found
		}
		agree++
	}
	switch {
	case agree >= agreeing:
		return last, true, time.Time{}
	case empty >= empties:
		return 0, true, time.Time{}
	}
	return 0, false, u.next(w)
}
