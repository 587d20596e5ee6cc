package given_test

import (
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/poolkeeper/poolkeeper/internal/cli/given"
)

// Names that are empty are refused, as unset variables of a shell leave them.
func TestNames(t *testing.T) {
	cmd := &cobra.Command{Use: "get"}
	for name, c := range map[string]struct {
		check cobra.PositionalArgs
		args  []string
		want  bool
	}{
		"one":                     {given.One("pool"), []string{"demo"}, true},
		"an empty one":            {given.One("pool"), []string{""}, false},
		"a blank one":             {given.One("pool"), []string{" "}, false},
		"two for one":             {given.One("pool"), []string{"a", "b"}, false},
		"some":                    {given.Some("node"), []string{"a", "b"}, true},
		"some, one of them empty": {given.Some("node"), []string{"a", ""}, false},
		"none of some":            {given.Some("node"), nil, false},
		"nothing":                 {given.None, nil, true},
		"something for nothing":   {given.None, []string{"a"}, false},
	} {
		if err := c.check(cmd, c.args); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// States are known however they are written; others are refused with what was
// probably meant.
func TestStates(t *testing.T) {
	known := []string{"in-service", "failed"}
	if err := given.States([]string{"InService", "Failed", "in service"}, known); err != nil {
		t.Error(err)
	}
	if err := given.States([]string{"faild"}, known); err == nil || err.Error() != `--state "faild" is not known: it is one of in-service, failed` {
		t.Error(err)
	}
}

func TestAWaitIsAbove0(t *testing.T) {
	var d time.Duration
	flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
	given.Wait(flags, &d, "timeout", time.Hour, "how long")
	for _, v := range []string{"0", "0s", "-5m", "10", ""} {
		if flags.Set("timeout", v) == nil || d != time.Hour {
			t.Errorf("--timeout %q: %s", v, d)
		}
	}
	if err := flags.Set("timeout", "90s"); err != nil || d != 90*time.Second {
		t.Error(err, d)
	}
}
