package v1alpha1

import (
	"strings"
	"testing"
)

func TestAskedReadsWhatAskedForWrote(t *testing.T) {
	for text, want := range map[string]struct {
		count int64
		about string
	}{
		"":                                 {0, ""},
		"7":                                {7, ""},
		"7 cn-local-a/ecs.g7.xlarge":       {7, "cn-local-a/ecs.g7.xlarge"},
		"x cn-local-a/ecs.g7.xlarge":       {0, ""},
		"-1":                               {0, ""},
		"7 " + strings.Repeat("a", 130):    {0, ""},
		AskedFor(8, ""):                    {8, ""},
		AskedFor(9, "zone-a/ecs.c7.large"): {9, "zone-a/ecs.c7.large"},
	} {
		if count, about := Asked(text); count != want.count || about != want.about {
			t.Errorf("Asked(%q) = %d, %q, want %d, %q", text, count, about, want.count, want.about)
		}
	}
}
