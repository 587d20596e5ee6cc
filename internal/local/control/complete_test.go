package control

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
)

// Every argument that names something is completed from what the cloud has.
func TestCompletion(t *testing.T) {
	dir, stop := localRegion(t)
	made, err := local(t, dir, "instance", "make")
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(strings.TrimPrefix(made, "made "))
	if _, err := local(t, dir, "fault", "add", "RunInstances", "--code", "Throttling"); err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{
		"stock set ":                               "all",
		"stock set cn-local-a ":                    "cloud_essd",
		"stock set cn-local-a ecs.g7.large ":       "not-offered",
		"quota set ":                               "disk-gib",
		"type grant ":                              "ecs.r8a.4xlarge",
		"kms off ":                                 "key-local",
		"role revoke ":                             "AliyunOOSLifecycleHook4CSRole",
		"permission revoke ":                       "DescribePrice",
		"security-group deny ":                     "sg-local",
		"vswitch set ":                             "vsw-b",
		"instance stop ":                           id,
		"instance exec ":                           id,
		"instance log ":                            id,
		"instance make --image ":                   "aliyun_3_x64_20G_local.vhd",
		"fault add ":                               "RunInstances",
		"fault add --machine ":                     "stop-at-step",
		"fault add --machine mig --zone ":          "cn-local-c",
		"fault add --machine stop-at-step --step ": "reach-apiserver",
		"fault remove ":                            "f1",
	}
	for line, want := range lines {
		if got := completions(t, dir, line); !slices.Contains(got, want) {
			t.Errorf("%q is completed with %q, want %s among them", line, got, want)
		}
	}
	if got := completions(t, dir, "instance stop "+id+" "); slices.Contains(got, id) {
		t.Errorf("an id is offered twice: %q", got)
	}
	stop()
	if got := completions(t, dir, "security-group deny "); len(got) != 0 {
		t.Errorf("a stopped cloud offers %q", got)
	}
}

func completions(t *testing.T, dir, line string) []string {
	t.Helper()
	args := append([]string{cobra.ShellCompNoDescRequestCmd}, strings.Split(line, " ")...)
	out, err := local(t, dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for l := range strings.Lines(out) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, ":") && !strings.HasPrefix(l, "Completion ended") {
			got = append(got, l)
		}
	}
	return got
}

// Lists are read by programs too.
func TestListsForPrograms(t *testing.T) {
	dir, _ := localRegion(t)
	made, err := local(t, dir, "instance", "make", "--spot", "--tag", "a=b")
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(strings.TrimPrefix(made, "made "))
	if got, err := local(t, dir, "instance", "leftover-mig", id); err != nil || got != "instance "+id+": MIG partitions are left on it\n" {
		t.Errorf("%q, %v", got, err)
	}
	text, err := local(t, dir, "instance", "list", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var told struct{ Items []region.Summary }
	err = json.Unmarshal([]byte(text), &told)
	all := told.Items
	if err != nil || len(all) != 1 || all[0].ID != id || all[0].Tags["a"] != "b" || all[0].Trouble != "MIG left over" {
		t.Errorf("%s, %v", text, err)
	}
	for format, want := range map[string]string{"name": id + "\n", "yaml": "items:\n- charge: Spot\n"} {
		if got, err := local(t, dir, "instance", "list", "-o", format); err != nil || !strings.Contains(got, want) {
			t.Errorf("-o %s: %s, %v, want %q", format, got, err, want)
		}
	}
	var scenario struct{ Zones []any }
	if got, err := local(t, dir, "scenario", "show", "-o", "json"); err != nil || json.Unmarshal([]byte(got), &scenario) != nil || len(scenario.Zones) == 0 {
		t.Errorf("scenario: %.200q, %v", got, err)
	}
	if got, err := local(t, dir, "fault", "list", "-o", "json"); err != nil || got != "{\n  \"items\": []\n}\n" {
		t.Errorf("no faults: %q, %v", got, err)
	}
}
