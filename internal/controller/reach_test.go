package controller

import (
	"context"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// walls are security groups with their rules, all else left out.
type walls struct {
	cloud.Checks
	groups []cloud.SecurityGroup
}

func (w walls) SecurityGroups(context.Context, ...string) ([]cloud.SecurityGroup, error) {
	return w.groups, nil
}

func TestNothingIsCreatedBehindAClosedSecurityGroup(t *testing.T) {
	deny := func(cidr string) cloud.EgressRule {
		return cloud.EgressRule{Priority: 1, Protocol: "tcp", FromPort: 1, ToPort: 65535, CIDR: cidr}
	}
	for name, c := range map[string]struct {
		rules []cloud.EgressRule
		want  []string
	}{
		"open":                         {nil, nil},
		"something else is closed":     {[]cloud.EgressRule{deny("10.9.0.0/16")}, nil},
		"the API server is closed":     {[]cloud.EgressRule{deny("10.0.0.0/24")}, []string{"10.0.0.7 port 6443", "sg-a"}},
		"the cloud's own are closed":   {[]cloud.EgressRule{deny("100.100.100.200")}, []string{"100.64.0.0/10 port 80"}},
		"both are closed and are said": {[]cloud.EgressRule{deny("0.0.0.0/0")}, []string{"10.0.0.7 port 6443 and 100.64.0.0/10 port 80"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := mayReach(t.Context(), walls{groups: []cloud.SecurityGroup{{ID: "sg-a", Egress: c.rules}}}, []string{"sg-a"}, "https://10.0.0.7:6443")
			if len(c.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			f := fault.Of(err)
			if f == nil || f.Code != fault.NodeAccessDenied {
				t.Fatalf("%v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(f.Message, w) || !strings.Contains(f.Entry().Advice(f.Details), "let sg-a reach ") {
					t.Errorf("%q is not in %q; advice %q", w, f.Message, f.Entry().Advice(f.Details))
				}
			}
		})
	}
}
