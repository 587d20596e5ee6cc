package fault

import (
	"strconv"
	"time"
)

// Waits are the waits of the catalogue, every one a setting. The zero value
// counts as DefaultWaits.
type Waits struct {
	// Divide divides the times of RetryExpiry entries. At least 1.
	Divide int
	// BackoffFirst is the longest first wait of a backoff. Default 2 s.
	BackoffFirst time.Duration
	// BackoffMax is the longest wait of a backoff. Default 5 min.
	BackoffMax time.Duration
	// Recheck is how often something is tried that only an edit is expected
	// to mend. Default 30 min.
	Recheck time.Duration
	// Minute is the length of the window that throttling lasts to the end of.
	// Default 1 min.
	Minute time.Duration
}

// DefaultWaits returns the waits of the specification.
func DefaultWaits() Waits {
	return Waits{
		Divide:       1,
		BackoffFirst: 2 * time.Second,
		BackoffMax:   5 * time.Minute,
		Recheck:      30 * time.Minute,
		Minute:       time.Minute,
	}
}

// Divided returns the waits with every one divided by n.
func (w Waits) Divided(n int) Waits {
	w = w.filled()
	if n < 1 {
		n = 1
	}
	d := time.Duration(n)
	return Waits{
		Divide:       w.Divide * n,
		BackoffFirst: w.BackoffFirst / d,
		BackoffMax:   w.BackoffMax / d,
		Recheck:      w.Recheck / d,
		Minute:       w.Minute / d,
	}
}

// Wait returns how long to wait before the next try of something that has
// failed so many times in a row (from 1). random is a number from 0 up to, not
// including, 1; now is the caller's clock. ok is false where it is never tried
// again by itself.
func (w Waits) Wait(r Retry, tries int, now time.Time, random float64) (d time.Duration, ok bool) {
	w = w.filled()
	switch r.Kind {
	case RetryExpiry:
		return r.After / time.Duration(w.Divide), true
	case RetryBackoff:
		return Backoff(w.BackoffFirst, w.BackoffMax, tries, random), true
	case RetryMinute:
		left := w.Minute - time.Duration(now.UnixNano()%int64(w.Minute))
		return left + time.Duration(random*float64(w.Minute)/60), true
	case RetryEdit:
		return w.Recheck, true
	case RetryNow:
		return 0, true
	}
	return 0, false
}

// Backoff returns the wait before the next try after so many failures in a row
// (from 1): it doubles from first to most, and between half of it and the
// whole is chosen by random, a number from 0 up to, not including, 1.
func Backoff(first, most time.Duration, tries int, random float64) time.Duration {
	d := first
	for i := 1; i < tries && d < most; i++ {
		d *= 2
	}
	d = min(d, most)
	return d/2 + time.Duration(random*float64(d-d/2))
}

func (w Waits) filled() Waits {
	def := DefaultWaits()
	if w.Divide < 1 {
		w.Divide = def.Divide
	}
	for _, p := range []struct{ have, want *time.Duration }{
		{&w.BackoffFirst, &def.BackoffFirst}, {&w.BackoffMax, &def.BackoffMax},
		{&w.Recheck, &def.Recheck}, {&w.Minute, &def.Minute},
	} {
		if *p.have <= 0 {
			*p.have = *p.want
		}
	}
	return w
}

func minutes(d time.Duration) string {
	return strconv.Itoa(int(d/time.Minute)) + " minutes"
}
