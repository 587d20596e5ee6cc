// Package when reads times and periods as people type them. In come a text and the
// present time; out comes a time or a number. It reads no clock.
package when

import (
	"strconv"
	"strings"
	"time"
)

// layouts are the ways to write a day and a time of it.
var layouts = []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

// Moment reads a time: how long ago ("90m"), how long from now ("+1h"), a date
// with or without a time, or a time of the day. What names no zone is in that of
// now.
func Moment(s string, now time.Time) (time.Time, bool) {
	if d, err := time.ParseDuration(strings.TrimPrefix(s, "+")); err == nil && d >= 0 {
		if strings.HasPrefix(s, "+") {
			return now.Add(d), true
		}
		return now.Add(-d), true
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, true
		}
	}
	y, m, d := now.Date()
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), true
		}
	}
	return time.Time{}, false
}

// Months reads a period: "3", "3m" or "1y". Unit: months.
func Months(s string) (int32, bool) {
	unit, digits := int64(1), strings.TrimSuffix(s, "m")
	if strings.HasSuffix(s, "y") {
		unit, digits = 12, strings.TrimSuffix(s, "y")
	}
	n, err := strconv.ParseInt(digits, 10, 16)
	return int32(n * unit), err == nil && n > 0
}
