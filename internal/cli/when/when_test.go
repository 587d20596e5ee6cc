package when

import (
	"testing"
	"time"
)

// TestMoment: each way to write a time, and what is none.
func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 24, 14, 5, 18, 0, time.FixedZone("there", 8*3600))
	for typed, want := range map[string]string{
		"90m":                  "2026-11-24T12:35:18+08:00",
		"+1h":                  "2026-11-24T15:05:18+08:00",
		"2026-11-24T14:00:00Z": "2026-11-24T14:00:00Z",
		"2026-11-23":           "2026-11-23T00:00:00+08:00",
		"2026-11-23 07:30":     "2026-11-23T07:30:00+08:00",
		"07:30":                "2026-11-24T07:30:00+08:00",
		"07:30:15":             "2026-11-24T07:30:15+08:00",
		"noon":                 "", "": "", "-5m": "", "25:00": "",
	} {
		got, ok := Moment(typed, now)
		if ok != (want != "") || (ok && got.Format(time.RFC3339) != want) {
			t.Errorf("%q is %s, %v; want %q", typed, got.Format(time.RFC3339), ok, want)
		}
	}
}

// TestMonths: months and years, and what is neither.
func TestMonths(t *testing.T) {
	for typed, want := range map[string]int32{"3": 3, "3m": 3, "1y": 12, "5y": 60, "72": 72, "99999": -1, "y": -1, "": -1, "1w": -1, "1.5": -1} {
		got, ok := Months(typed)
		if ok != (want >= 0) || (ok && got != want) {
			t.Errorf("%q is %d, %v; want %d", typed, got, ok, want)
		}
	}
}
