package scalinggroup

import "testing"

// What left in one way is told in one clause, however many they were.
func TestLostWords(t *testing.T) {
	gone := func(n string) Lost { return Lost{Name: n, Text: n + " was released outside poolkeeper"} }
	for want, list := range map[string][]Lost{
		"":                                    nil,
		"i-1 was released outside poolkeeper": {gone("i-1")},
		"i-1, i-2 were released outside poolkeeper":                            {gone("i-1"), gone("i-2")},
		"i-1, i-2, i-3 and 2 more were released outside poolkeeper":            {gone("i-1"), gone("i-2"), gone("i-3"), gone("i-4"), gone("i-5")},
		"i-1, i-3 were released outside poolkeeper; subscription of i-2 ended": {gone("i-1"), {Name: "i-2", Text: "subscription of i-2 ended"}, gone("i-3")},
	} {
		if got := lostWords(list); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
