package view

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// Clock says how times are written.
type Clock struct {
	// Now is the time of reading.
	Now time.Time
	// Zone is the zone that times are written in; nil is UTC.
	Zone *time.Location
	// Relative writes "3m ago" and "in 3m" instead of the time of day.
	Relative bool
}

// At writes a time: the time of day where it is of the same day as now, else
// the date with it. Times in UTC say so.
func (c Clock) At(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	if c.Relative {
		if d := t.Sub(c.Now); d > 0 {
			return "in " + duration.HumanDuration(d)
		}
		return c.Age(t) + " ago"
	}
	zone := c.Zone
	if zone == nil {
		zone = time.UTC
	}
	t, now := t.In(zone), c.Now.In(zone)
	layout := "15:04:05"
	if y, m, d := t.Date(); y != now.Year() || m != now.Month() || d != now.Day() {
		layout = "2006-01-02 15:04:05"
	}
	s := t.Format(layout)
	if zone == time.UTC {
		s += " UTC"
	}
	return s
}

// Age writes how long ago a time was: "44m", "12d".
func (c Clock) Age(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return duration.HumanDuration(max(c.Now.Sub(t), 0))
}

// Took writes a duration as people read it: "41 s", "3 min 12 s", "2 h 5 min".
func Took(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
}
