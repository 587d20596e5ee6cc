package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// ceilingFlags are the ceilings of a whole installation, for the controller and
// for what starts one. From reads what a flag that is not given falls back to.
func ceilingFlags(f *pflag.FlagSet, c *api.Ceilings, from func(name, otherwise string) string) {
	number := func(name string) int32 {
		n, err := strconv.ParseInt(from(name, "0"), 10, 32)
		if err != nil {
			return -1 // refused with the flags
		}
		return int32(n)
	}
	f.Int32Var(&c.Nodes, "ceiling-nodes", number("CEILING_NODES"), "most `nodes` that all pools together may have; 0: no ceiling")
	f.Int32Var(&c.CreationsPerHour, "ceiling-creations-per-hour", number("CEILING_CREATIONS_PER_HOUR"), "most `instances` that all pools together begin to create within any hour; 0: no ceiling")
	f.StringVar(&c.SpendPerHour, "ceiling-spend-per-hour", from("CEILING_SPEND_PER_HOUR", ""), "most that all instances together may cost per hour for one more to be created, a `price` such as 60.00; empty: no ceiling")
}

// price is a decimal number above 0.
var price = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,6})?$`)

// checkCeilings names everything that is wrong with ceilings; nil where none is
// set.
func checkCeilings(c api.Ceilings) (*api.Ceilings, error) {
	var errs []error
	if c.Nodes < 0 {
		errs = append(errs, errors.New("--ceiling-nodes is not a number of nodes"))
	}
	if c.CreationsPerHour < 0 {
		errs = append(errs, errors.New("--ceiling-creations-per-hour is not a number of instances"))
	}
	if s := c.SpendPerHour; s != "" && (!price.MatchString(s) || !strings.ContainsAny(s, "123456789")) {
		errs = append(errs, fmt.Errorf("--ceiling-spend-per-hour %s is not a price above 0, such as 60.00", s))
	}
	if c == (api.Ceilings{}) || len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &c, nil
}
