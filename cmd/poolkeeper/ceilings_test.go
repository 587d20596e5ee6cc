package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

func TestCeilingFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		env  string
		want *api.Ceilings
		says string
	}{
		{args: ""},
		{args: "--ceiling-nodes 20 --ceiling-creations-per-hour 5 --ceiling-spend-per-hour 60.5", want: &api.Ceilings{Nodes: 20, CreationsPerHour: 5, SpendPerHour: "60.5"}},
		{env: "40", want: &api.Ceilings{Nodes: 40}},
		{env: "many", says: "--ceiling-nodes is not"},
		{args: "--ceiling-nodes -1 --ceiling-spend-per-hour 0.00", says: "above 0"},
		{args: "--ceiling-spend-per-hour -3", says: "--ceiling-spend-per-hour -3 is not a price"},
	} {
		var got api.Ceilings
		fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
		ceilingFlags(fs, &got, func(name, otherwise string) string {
			if name == "CEILING_NODES" && c.env != "" {
				return c.env
			}
			return otherwise
		})
		if err := fs.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		checked, err := checkCeilings(got)
		switch {
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s %s: %v, want %q", c.env, c.args, err, c.says)
		case c.says == "" && (err != nil || (checked == nil) != (c.want == nil) || checked != nil && *checked != *c.want):
			t.Errorf("%s %s: %+v, %v", c.env, c.args, checked, err)
		}
	}
}
