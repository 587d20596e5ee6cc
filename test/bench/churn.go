package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// churnPart is how many of the nodes go and come in one turn: one in twenty.
	churnPart = 20
	// leastTurns is how many turns a judgement takes: two for each quarter.
	leastTurns = 8
	// mostGrowth is by which part a series may grow from its second quarter to
	// its last; smaller steps than that are how a garbage collector breathes.
	mostGrowth = 0.15
	// goroutines is the series of the controller's goroutines.
	goroutines = "controller goroutines"
)

// track is one thing that must stay flat, measured after each turn.
type track struct {
	name, unit string
	slack      float64 // growth that is never held against it, in its unit
	values     []float64
}

// churn keeps the pool at its size for a time while one node in twenty goes and
// another comes, turn after turn, and fails where memory or goroutines grow.
func (s *subject) churn(ctx context.Context) error {
	tracks := []*track{
		{name: controllerProcess + " resident", unit: "MiB", slack: 12}, {name: planeProcess + " resident", unit: "MiB", slack: 64},
		{name: cloudProcess + " resident", unit: "MiB", slack: 24}, {name: goroutines, slack: 20},
	}
	n, part := s.at, max(1, s.at/churnPart)
	for began, turn := time.Now(), 1; time.Since(began) < s.b.churnFor; turn++ {
		for _, to := range []int{n - part, n} {
			if err := s.scale(ctx, to); err != nil {
				return err
			}
			if err := s.settled(ctx); err != nil {
				return fmt.Errorf("turn %d: %w", turn, err)
			}
		}
		if err := s.measure(ctx, tracks); err != nil {
			return err
		}
		var now []string
		for _, t := range tracks {
			now = append(now, strings.TrimSpace(fmt.Sprintf("%s %s %s", t.name, number(t.values[turn-1]), t.unit)))
		}
		s.b.say("turn %d, %d of %d nodes new: %s", turn, part, n, strings.Join(now, ", "))
	}
	return s.judge(tracks)
}

// measure adds one value to each track.
func (s *subject) measure(ctx context.Context, tracks []*track) error {
	const mega = 1 << 20
	m, err := readMetrics(ctx, s.region.metricsURL())
	if err != nil {
		return err
	}
	for _, t := range tracks {
		v := m["go_goroutines"]
		if t.name != goroutines {
			bytes, _, err := memory(s.pids[strings.TrimSuffix(t.name, " resident")])
			if err != nil {
				return err
			}
			v = bytes / mega
		}
		t.values = append(t.values, v)
	}
	return nil
}

// judge adds what came of it to the figures; the error names what grew.
func (s *subject) judge(tracks []*track) error {
	var errs []error
	for _, t := range tracks {
		before, after, err := t.growth()
		s.b.rep.add(figure{Name: "churn " + t.name + ", second quarter", Unit: t.unit, Value: before},
			figure{Name: "churn " + t.name + ", last quarter", Unit: t.unit, Value: after, Target: t.most(before)})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// most is what a track that was at a value may come to.
func (t *track) most(before float64) float64 { return max(before*(1+mostGrowth), before+t.slack) }

// growth are the medians of the second and the last quarter, and an error where
// the last is too much: the first quarter warms up.
func (t *track) growth() (before, after float64, err error) {
	n := len(t.values)
	if n < leastTurns {
		return 0, 0, fmt.Errorf("%s: %d turns say nothing, %d are needed: measure longer, or with fewer nodes", t.name, n, leastTurns)
	}
	before, after = median(t.values[n/4:n/2]), median(t.values[n-n/4:])
	if after > t.most(before) {
		err = fmt.Errorf("%s grew from %s to %s %s", t.name, number(before), number(after), t.unit)
	}
	return before, after, err
}
