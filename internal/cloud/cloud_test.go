package cloud_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

func TestEgress(t *testing.T) {
	api, all := netip.MustParsePrefix("10.0.0.5/32"), netip.MustParsePrefix("100.64.0.0/10")
	rule := func(accept bool, prio int, proto string, from, to int, cidr string) cloud.EgressRule {
		return cloud.EgressRule{Accept: accept, Priority: prio, Protocol: proto, FromPort: from, ToPort: to, CIDR: cidr}
	}
	cases := map[string]struct {
		groups []cloud.SecurityGroup
		to     netip.Prefix
		want   bool
	}{
		"a basic group without rules allows":        {[]cloud.SecurityGroup{{}}, api, true},
		"an enterprise group without rules refuses": {[]cloud.SecurityGroup{{Enterprise: true}}, api, false},
		"a refusal of the port counts": {
			[]cloud.SecurityGroup{{Egress: []cloud.EgressRule{rule(false, 1, "tcp", 6443, 6443, "0.0.0.0/0")}}}, api, false},
		"a refusal of another port does not": {
			[]cloud.SecurityGroup{{Egress: []cloud.EgressRule{rule(false, 1, "tcp", 80, 443, "0.0.0.0/0")}}}, api, true},
		"a refusal of another protocol does not": {
			[]cloud.SecurityGroup{{Egress: []cloud.EgressRule{rule(false, 1, "udp", -1, -1, "0.0.0.0/0")}}}, api, true},
		"the lower priority number goes first": {
			[]cloud.SecurityGroup{{Egress: []cloud.EgressRule{rule(false, 2, "all", -1, -1, ""), rule(true, 1, "tcp", 6443, 6443, "10.0.0.0/8")}}}, api, true},
		"among equals refusing goes first": {
			[]cloud.SecurityGroup{{Egress: []cloud.EgressRule{rule(true, 1, "all", -1, -1, ""), rule(false, 1, "tcp", 1, 65535, "10.0.0.5")}}}, api, false},
		"allowing a part of a prefix is not enough": {
			[]cloud.SecurityGroup{{Enterprise: true, Egress: []cloud.EgressRule{rule(true, 1, "all", -1, -1, "100.100.0.0/16")}}}, all, false},
		"refusing a part of a prefix is too much": {
			[]cloud.SecurityGroup{{Egress: []cloud.EgressRule{rule(false, 1, "all", -1, -1, "100.100.0.0/16")}}}, all, false},
		"a rule of a second group counts": {
			[]cloud.SecurityGroup{{Enterprise: true}, {Enterprise: true, Egress: []cloud.EgressRule{rule(true, 1, "tcp", 6443, 6443, "10.0.0.0/24")}}}, api, true},
		"a refusal in a second group counts": {
			[]cloud.SecurityGroup{{}, {Egress: []cloud.EgressRule{rule(false, 1, "all", -1, -1, "")}}}, api, false},
		"a rule of IPv6 does not concern IPv4": {
			[]cloud.SecurityGroup{{Egress: []cloud.EgressRule{rule(false, 1, "all", -1, -1, "::/0")}}}, api, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := cloud.EgressAllowed(c.groups, c.to, 6443); got != c.want {
				t.Errorf("allowed: %v, want %v", got, c.want)
			}
		})
	}
}

func TestPrice(t *testing.T) {
	for text, want := range map[string]string{
		"0.9": "0.9", "12": "12", "0.1250": "0.125", "1e-3": "0.001", "-0.5": "-0.5", "0": "0", "0.0000004": "0", "100": "100",
	} {
		p, err := cloud.ParsePrice(text, "CNY")
		if err != nil || p.Decimal() != want {
			t.Errorf("%s is read as %s, want %s: %v", text, p.Decimal(), want, err)
		}
	}
	for _, text := range []string{"", "a", "NaN", "Inf", "1e300"} {
		if p, err := cloud.ParsePrice(text, "CNY"); err == nil {
			t.Errorf("%q is read as %s", text, p)
		}
	}
	if s := (cloud.Price{}).String(); s != "unknown" {
		t.Errorf("a price not known reads %q", s)
	}
}

func TestPriceRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := cloud.Price{Micros: rapid.Int64Range(-1e12, 1e12).Draw(t, "micros"), Currency: "USD"}
		if got, err := cloud.ParsePrice(p.Decimal(), "USD"); err != nil || got != p {
			t.Fatalf("%v reads back as %v: %v", p, got, err)
		}
	})
}

func TestOriginRoundTrips(t *testing.T) {
	for _, o := range []cloud.Origin{
		{ClusterID: "c", Pool: "p", GroupUID: "g", ActivityUID: "a", Piece: 0},
		{ClusterID: "c", Pool: "p", GroupUID: "g", ActivityUID: "a", Piece: 41},
		{ClusterID: "c", Pool: "p", GroupUID: "g", Piece: -1},
	} {
		got, ok := cloud.OriginOf(o.Tags())
		if !ok || got != o {
			t.Errorf("%+v reads back as %+v, %v", o, got, ok)
		}
	}
	if o, ok := cloud.OriginOf(map[string]string{cloud.TagCluster: "c", cloud.TagPool: "p"}); ok {
		t.Errorf("tags without a group are ours: %+v", o)
	}
	if n := len(cloud.Origin{ClusterID: "c", Pool: "p", GroupUID: "g", ActivityUID: "a"}.Tags()); n != len(cloud.TagKeys()) {
		t.Errorf("%d tags, %d keys", n, len(cloud.TagKeys()))
	}
}

func TestReleaseErrors(t *testing.T) {
	gone := cloud.Fail("Release", cloud.Refused, fault.New(fault.DeletionProtection, ""), nil)
	err := fmt.Errorf("release of web: %w", errors.Join(
		&cloud.ReleaseError{ID: "i-1", Err: gone},
		errors.Join(nil, &cloud.ReleaseError{ID: "i-2", Err: gone}),
	))
	got := map[string]fault.Code{}
	for id, err := range cloud.ReleaseErrors(err) {
		got[id] = fault.CodeOf(err)
	}
	want := map[string]fault.Code{"i-1": fault.DeletionProtection, "i-2": fault.DeletionProtection}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := len(cloud.ReleaseErrors(nil)); n != 0 {
		t.Errorf("nothing went wrong with %d", n)
	}
}

func TestOutcomes(t *testing.T) {
	cases := map[cloud.Outcome]struct{ proves, again bool }{
		cloud.NotSent: {true, true}, cloud.Throttled: {true, true}, cloud.Refused: {true, false},
		cloud.Processing: {false, true}, cloud.Unknown: {false, true}, cloud.Mismatch: {false, false},
		cloud.Done: {false, false},
	}
	for o, want := range cases {
		if o.ProvesNothingDone() != want.proves || o.SendAgain() != want.again {
			t.Errorf("%s proves %v, again %v", o, o.ProvesNothingDone(), o.SendAgain())
		}
		if o == cloud.Done {
			continue
		}
		err := fmt.Errorf("send piece: %w", cloud.Fail("Create", o, fault.New(fault.NoStock, ""), nil))
		if cloud.Classify(err) != o || fault.Of(err).ProvesNothingDone != want.proves {
			t.Errorf("%s is read as %s", o, cloud.Classify(err))
		}
	}
}
