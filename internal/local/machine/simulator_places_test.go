package machine

import (
	"context"
	"testing"
	"time"
)

// A machine whose user data takes long does not keep the others from theirs for
// ever, and one that is powered off while it waits takes no place.
func TestPlacesAreGivenUp(t *testing.T) {
	s := NewSimulator(SimulatorOptions{Boots: 1})
	defer s.Close()
	one := &session{host: s, ctx: t.Context()}
	if _, ok := one.takePlace(); !ok {
		t.Fatal("the first has no place")
	}
	off, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := (&session{host: s, ctx: off}).takePlace(); ok {
		t.Fatal("one that is powered off has a place")
	}
	began := time.Now()
	leave, ok := (&session{host: s, ctx: t.Context()}).takePlace() // the first never leaves by itself
	if !ok || time.Since(began) < bootPatience/2 {
		t.Fatalf("the next has a place: %v after %s", ok, time.Since(began))
	}
	leave()
	leave()
	if n := len(s.boots); n != 0 {
		t.Errorf("%d places are taken after all left", n)
	}
}
