package when

import (
	"testing"
	"time"
)

// A time that is typed is understood or refused; what is understood and written
// as RFC 3339 means the same moment.
func FuzzMoment(f *testing.F) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 8*3600))
	for _, s := range []string{"90m", "+1h", "2026-03-01", "2026-03-01 08:00", "24:00", "-5m", "+-5m", "292y", "2026-03-01T08:00:00Z", "0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := Moment(s, now)
		if !ok {
			return
		}
		at = at.Truncate(time.Second)
		if y := at.Year(); y < 0 || y > 9999 {
			t.Fatalf("%q is a time that cannot be written: %s", s, at)
		}
		if again, ok := Moment(at.Format(time.RFC3339), now); !ok || !again.Equal(at) {
			t.Errorf("%q is %s, which is read as %s", s, at, again)
		}
	})
}

func FuzzMonths(f *testing.F) {
	for _, s := range []string{"3", "3m", "1y", "-1y", "32767y", "1ym", "", "m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := Months(s)
		if ok && (n < 0 || n > 12*32767) {
			t.Errorf("%q is %d months", s, n)
		}
	})
}
