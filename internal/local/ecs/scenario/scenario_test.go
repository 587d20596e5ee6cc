package scenario

import (
	"strings"
	"testing"
	"time"
)

// The built-in region is what the documentation and the sample pool count on.
func TestDefault(t *testing.T) {
	s := Default()
	addresses := 0
	for range s.VSwitches {
		addresses += 4092
	}
	if s.Region != "cn-local" || len(s.Zones) != 3 || addresses < 10000 || len(s.InstanceTypes) < 20 {
		t.Errorf("%s, %v, %d addresses, %d types", s.Region, s.Zones, addresses, len(s.InstanceTypes))
	}
	for _, name := range []string{"ecs.g7.xlarge", "ecs.c7.xlarge", "ecs.ebmgn7.26xlarge", "ecs.ebmgn7e.32xlarge", "ecs.g7t.xlarge"} {
		if s.Type(name) == nil {
			t.Errorf("no %s", name)
		}
	}
	if s.Image("aliyun_3_x64_20G_local.vhd") == nil || s.SecurityGroup("sg-local") == nil || s.VSwitch("vsw-c") == nil || s.Key("key-local") == nil {
		t.Error("an image, a security group, a vSwitch or a key is missing")
	}
	if time.Duration(s.Times.Boot) != 2*time.Second {
		t.Errorf("boot %s", time.Duration(s.Times.Boot))
	}
}

// Objects are merged, lists replaced, and what is not named stays.
func TestRead(t *testing.T) {
	s, err := Read([]byte("times: {boot: 0s}\nkeyPairs: [a]\nquotas: {types: {ecs.g7.large: 3}}\nkms: {inactive: true}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Times.Boot != 0 || s.Times.Token == 0 || len(s.KeyPairs) != 1 || s.Quotas.Types["ecs.g7.large"] != 3 || !s.KMS.Inactive || s.Key("key-local") == nil {
		t.Errorf("%+v", s)
	}
}

// Everything wrong with a file is told with its path, at once.
func TestRefusedFiles(t *testing.T) {
	for file, wants := range map[string][]string{
		"zone: [a]\ntimes: {bot: 1s}":                   {`unknown field "zone"`, `unknown field "times.bot"`},
		"times: {boot: -1s}":                            {"not negative"},
		"keyPairs: 3":                                   {"keyPairs"},
		"a: 1\na: 2":                                    {`"a" already set`},
		"stock: [{zone: x, type: t, count: -2}]":        {"stock[0].zone", "stock[0].type", "stock[0].count"},
		"account: {currency: EUR}":                      {"account.currency"},
		"quotas: {types: {ecs.none: 1}, vcpus: {z: 1}}": {"quotas.types", "quotas.vcpus"},
		"vSwitches: [{id: v, zone: cn-local-a, vpc: x, cidr: 10.0.0.0/8}]":                                                              {"vSwitches[0].cidr", "vSwitches[0].vpc"},
		"securityGroups: [{id: g, vpc: vpc-local, egress: [{policy: Maybe, priority: 1, protocol: TCP, ports: 1/2, cidr: 0.0.0.0/0}]}]": {"securityGroups[0].egress[0]", "Maybe"},
		"images: [{id: i, bootMode: DOS}, {id: i, bootMode: UEFI}]":                                                                     {"images[0].bootMode", "images[1].id"},
	} {
		_, err := Read([]byte(file))
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", file, err, want)
			}
		}
	}
}

func TestRule(t *testing.T) {
	for ports, want := range map[string]bool{"-1/-1": true, "80/80": true, "1/65535": true, "80": false, "0/1": false, "9/8": false, "1/65536": false, "a/b": false} {
		if _, _, err := (Rule{Ports: ports}).PortRange(); (err == nil) != want {
			t.Errorf("%s: %v", ports, err)
		}
	}
	if p, err := (Rule{CIDR: "10.1.2.3"}).Prefix(); err != nil || p.Bits() != 32 {
		t.Errorf("%v, %v", p, err)
	}
	if p, err := (Rule{CIDR: "10.1.2.3/16"}).Prefix(); err != nil || p.String() != "10.1.0.0/16" {
		t.Errorf("%v, %v", p, err)
	}
}
