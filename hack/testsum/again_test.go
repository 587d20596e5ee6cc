package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestLeaves(t *testing.T) {
	got := leaves(map[string]string{"p/a ": "", "p/a TestX": "", "p/a TestX/one": "", "p/a TestX1": "", "p/b ": ""})
	if want := []string{"p/a TestX/one", "p/a TestX1", "p/b "}; !slices.Equal(got, want) {
		t.Errorf("leaves are %q, want %q", got, want)
	}
}

func TestNothingIsRunAgainThatMayNotBe(t *testing.T) {
	allowed := regexp.MustCompile(`/scenario TestTranscripts/[a-z-]+$`)
	for name, failures := range map[string]map[string]string{
		"another package": {"p/kill TestKill": "x"},
		"a whole package": {"p/scenario ": "panic"},
		"one of two":      {"p/scenario TestTranscripts/in": "x", "p/scenario TestTranscripts/rights_of_all": "x"},
		"an invariant":    {"p/scenario TestTranscripts/in": "invariants, 10s after"},
		"never ended":     {"p/scenario TestTranscripts/in": "never ended"},
		"too many": {"p/scenario TestTranscripts/a": "", "p/scenario TestTranscripts/b": "", "p/scenario TestTranscripts/c": "",
			"p/scenario TestTranscripts/d": "", "p/scenario TestTranscripts/e": ""},
	} {
		t.Run(name, func(t *testing.T) {
			if n := again(failures, allowed, "invariants,"); n != 0 {
				t.Errorf("%d were run again", n)
			}
		})
	}
}

func TestARunThatEndsBadlyWithoutAFailedTestIsAFailure(t *testing.T) {
	s := summary{outputs: map[string]*strings.Builder{}, failures: map[string]string{}}
	run := `{"Action":"fail","Package":"p","Test":"TestX"}
{"Action":"ended-badly"}
{"Action":"pass","Package":"q","Test":"TestY"}
{"Action":"ended-badly"}
`
	if err := s.read(strings.NewReader(run)); err != nil || len(s.failures) != 2 || s.passed != 1 {
		t.Errorf("failures %q, passed %d, error %v", s.failures, s.passed, err)
	}
}
