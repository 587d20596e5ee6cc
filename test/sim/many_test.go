package sim

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
)

// From when to when what looks like a mass disappearance lasts; by wrong the
// first wrong list is there for sure.
const (
	wrongFrom = 5 * time.Minute
	wrong     = 5*time.Minute + 40*time.Second
	wrongTo   = 20 * time.Minute
)

// badLists are the kinds of list that make instances seem to have gone, or to be
// more than they are. What a list says is a function of a good one and of one
// from an earlier moment. Hides is true where it is complete and hides many: then
// not even what people ask to go does; the others hide nothing or say nothing.
var badLists = map[string]struct {
	spoil func(good, before []byte) []byte
	hides bool
}{
	"empty":                 {func(good, _ []byte) []byte { return pick(good, func(int) int { return 0 }) }, true},
	"most are missing":      {func(good, _ []byte) []byte { return pick(good, func(n int) int { return min(n, 2) }) }, true},
	"from an older moment":  {func(_, before []byte) []byte { return before }, true},
	"each is repeated":      {func(good, _ []byte) []byte { return pick(good, func(n int) int { return 2 * n }) }, false},
	"cut off within a page": {func(good, _ []byte) []byte { return good[:len(good)/2] }, false},
	"a page without its end": {func(good, _ []byte) []byte {
		return []byte(strings.Replace(string(good), "{", `{"NextToken":"lost",`, 1))
	}, false},
}

// pick makes a list of the first so many entries, from the start again where
// there are not so many.
func pick(good []byte, count func(int) int) []byte {
	var page map[string]any
	if json.Unmarshal(good, &page) != nil {
		return good
	}
	holder, _ := page["Instances"].(map[string]any)
	list, _ := holder["Instance"].([]any)
	out := []any{}
	for n := range count(len(list)) {
		out = append(out, list[n%len(list)])
	}
	holder["Instance"] = out
	b, _ := json.Marshal(page)
	return b
}

// many is a history of six machines; from wrongFrom to wrongTo lists are wrong,
// and a minute after that begins people may lower the number.
func many(lower bool, spoil func(good, before []byte) []byte) func(*world) *stage {
	return func(w *world) *stage {
		var before []byte
		during := func(from time.Duration) bool { return w.now.Sub(w.began) >= from && w.now.Sub(w.began) < wrongTo }
		return &stage{
			length: wrongTo + 5*time.Minute,
			begin: func() {
				w.people.create(newPool(2))
				w.after(2*time.Minute, func() { w.people.setNumber(6) })
				if lower {
					w.after(wrongFrom+time.Minute, func() { w.people.setNumber(5) })
				}
			},
			cloud: func(_ *process, c region.Call) cloudFault {
				if !lists(c) || spoil == nil {
					return cloudFault{}
				}
				return cloudFault{kind: badList, spoil: func(good []byte) []byte {
					if during(wrongFrom) {
						return spoil(good, before)
					}
					if w.now.Sub(w.began) < 2*time.Minute {
						before = good
					}
					return good
				}}
			},
			still: func() bool { return during(wrong) },
		}
	}
}

// Whatever kind of list makes most of a pool seem to have gone, nothing is
// released, created or believed gone while it lasts; then the pool comes to what
// was asked for (I6).
func TestWhatSeemsToHaveGoneStays(t *testing.T) {
	for name, bad := range badLists {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				if r := Run(seed, Options{script: many(bad.hides, bad.spoil)}); len(r.Violations) > 0 {
					t.Fatalf("schedule %d: %s\n%s", seed, r.Violations[0], r.Story())
				}
			}
		})
	}
}

// With good lists the same history releases one: what is looked for above would
// be seen.
func TestWhatIsThereIsReleased(t *testing.T) {
	r := Run(1, Options{script: many(true, nil)})
	if len(r.Violations) != 1 || !strings.HasPrefix(r.Violations[0], "I6: ") {
		t.Errorf("violations %q, want a release while nothing is wrong", r.Violations)
	}
}
