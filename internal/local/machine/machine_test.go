package machine

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
)

func TestJoin(t *testing.T) {
	w := newWorld(t)
	s := w.settings()
	s.BeforeJoin = "echo before >/root/before\n"
	s.AfterJoin = "#!/bin/bash\n[[ -s /root/before ]] && echo after >/root/after\n"
	w.start(w.spec("i-1", w.userData(s)))
	w.until("the script ended", func() bool { return w.ended("i-1") })
	n := w.node("i-1")
	if !ready(n) {
		t.Fatalf("node is %v, console:\n%s", n, w.host.Console("i-1"))
	}
	if n.Spec.ProviderID != region+".i-1" || n.Labels["team"] != "a" || n.Labels[core.LabelTopologyZone] != zone || n.Labels[core.LabelTopologyRegion] != region ||
		n.Labels[core.LabelInstanceTypeStable] != "ecs.g7.xlarge" || n.Labels[bootstrap.LabelPool] != "web" || n.Spec.Unschedulable {
		t.Errorf("node is %+v", n)
	}
	if len(n.Spec.Taints) != 1 || n.Spec.Taints[0].Key != "dedicated" || n.Status.Capacity.Cpu().Value() != 4 || n.Status.Allocatable.Cpu().MilliValue() != 3900 {
		t.Errorf("taints %v, capacity %v, allocatable %v", n.Spec.Taints, n.Status.Capacity, n.Status.Allocatable)
	}
	if n.Status.NodeInfo.KubeletVersion == "" || n.Status.DaemonEndpoints.KubeletEndpoint.Port != 10250 {
		t.Errorf("once Ready its status is %+v", n.Status)
	}
	r := w.report("i-1")
	var steps []bootstrap.Step
	for _, l := range r.Lines {
		steps = append(steps, l.Step)
	}
	if want := bootstrap.Steps()[1:]; !slices.Equal(steps, want) || !r.Joined || r.Failed {
		t.Errorf("console tells the steps %v, want %v", steps, want)
	}
	if got := w.exec("i-1", "cat", "/root/after"); got != "after\n" {
		t.Errorf("the script after joining wrote %q", got)
	}
	// The lines are purged, the credential is gone, and nothing tells it.
	if got, code := w.execCode("i-1", "grep", "cloud-init: poolkeeper", "/var/log/messages"); code != 1 {
		t.Errorf("grep found %q, exit %d", got, code)
	}
	if _, code := w.execCode("i-1", "cat", "/etc/poolkeeper/credential"); code == 0 {
		t.Error("the credential is still on the disk")
	}
	if bytes.Contains(w.host.Console("i-1"), []byte(joinToken)) {
		t.Error("the console tells the credential")
	}
	w.until("there is a lease", func() bool { w.api.mu.Lock(); defer w.api.mu.Unlock(); return w.api.leases["i-1"] != nil })
}

// One byte changed in user data, and the machine fails as a real one would.
func TestChangedByte(t *testing.T) {
	cases := map[string]struct {
		old, new string
		step     bootstrap.Step
		exit     int
		detail   string
	}{
		"in the script":         {"umask 077", "umask 076", bootstrap.StepScript, 1, "not as it was sent"},
		"in a comment of it":    {"# Joins this", "# joins this", bootstrap.StepScript, 1, "not as it was sent"},
		"in the user's script":  {"echo before", "echo Before", bootstrap.StepScript, 1, "not as it was sent"},
		"in its checksum":       {"  join.sh\n", "  joim.sh\n", bootstrap.StepScript, 1, "not as it was sent"},
		"in the credential":     {"c2lnbmF0dXJl", "c2lnbmF0dXJm", bootstrap.StepJoin, 22, "refuses the join credential"},
		"in the port":           {"PORT'", "1'", bootstrap.StepReach, 7, "host=127.0.0.1 port=1 "},
		"in the host":           {"https://127.0.0.1", "https://127.0.0.2", bootstrap.StepReach, 0, "host=127.0.0.2"},
		"in the CA":             {"-----BEGIN CERTIFICATE-----\n   MII", "-----BEGIN CERTIFICATE-----\n   NII", bootstrap.StepReach, 0, ""},
		"in the kubelet's JSON": {`{"apiVersion"`, `["apiVersion"`, bootstrap.StepReady, 1, "Job for kubelet.service failed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.settings()
			s.BeforeJoin = "echo before\n"
			text := string(w.userData(s))
			_, port, _ := strings.Cut(w.api.address(), ":")
			old := strings.Replace(tc.old, "PORT", port, 1)
			if !strings.Contains(text, old) {
				t.Fatalf("user data lacks %q", old)
			}
			w.start(w.spec("i-1", []byte(strings.Replace(text, old, tc.new, 1))))
			w.until("the script ended", func() bool { return w.ended("i-1") })
			r := w.report("i-1")
			if !r.Failed || r.Last.Step != tc.step || tc.exit != 0 && r.Last.Exit != tc.exit || !strings.Contains(r.Last.Detail, tc.detail) {
				t.Fatalf("last line is %+v; console:\n%s", r.Last, w.host.Console("i-1"))
			}
			if w.node("i-1") != nil {
				t.Error("there is a node")
			}
			if got := w.exec("i-1", "grep", "cloud-init: poolkeeper", "/var/log/messages"); !strings.Contains(got, "step="+string(tc.step)+" outcome=failed") {
				t.Errorf("the system log tells %q", got)
			}
		})
	}
}

// User data that is no cloud-config at all does nothing, and that is seen.
func TestBrokenUserData(t *testing.T) {
	w := newWorld(t)
	for id, data := range map[string]string{"i-yaml": "#cloud-config\nwrite_files: [\n", "i-text": "hello", "i-none": ""} {
		w.start(w.spec(id, []byte(data)))
		w.until("the boot ended", func() bool { return w.ended(id) })
		if w.node(id) != nil || w.report(id).Last.Step != "" {
			t.Errorf("%s: console:\n%s", id, w.host.Console(id))
		}
	}
	if !bytes.Contains(w.host.Console("i-yaml"), []byte("WARNING")) {
		t.Error("the console does not tell of the broken YAML")
	}
}

func TestSecurityGroupBlocks(t *testing.T) {
	w := newWorld(t)
	w.cloud.block(w.api.address(), errTimedOut)
	w.start(w.spec("i-1", w.userData(w.settings())))
	w.until("the script ended", func() bool { return w.ended("i-1") })
	host, port, _ := strings.Cut(w.api.address(), ":")
	last := w.report("i-1").Last
	if want := fmt.Sprintf("host=%s port=%s tries=3", host, port); last.Step != bootstrap.StepReach || last.Exit != 28 || !strings.Contains(last.Detail, want) ||
		!strings.Contains(last.Detail, "Connection timed out") {
		t.Fatalf("last line is %+v", last)
	}
}

func TestDenied(t *testing.T) {
	w := newWorld(t)
	w.api.deny = "joined with another key"
	s := w.settings()
	s.Waits.JoinDeadline = time.Second
	w.start(w.spec("i-1", w.userData(s)))
	w.until("the script ended", func() bool { return w.ended("i-1") })
	last := w.report("i-1").Last
	if last.Step != bootstrap.StepJoin || last.Outcome != bootstrap.OutcomeFailed || !strings.Contains(last.Detail, "joined with another key") {
		t.Fatalf("last line is %+v", last)
	}
	w.api.mu.Lock()
	defer w.api.mu.Unlock()
	if len(w.api.requests) < 2 {
		t.Errorf("filed %d times, want again and again", len(w.api.requests))
	}
	first := w.api.requests["poolkeeper-web-x0"].Spec.Request
	if second := w.api.requests["poolkeeper-web-x1"].Spec.Request; bytes.Equal(first, second) == false {
		t.Error("the second request is not that of the same key")
	}
}

// A person lets the machine in later: it is still filing.
func TestDecidedLate(t *testing.T) {
	w := newWorld(t)
	w.api.deny = "no"
	w.start(w.spec("i-1", w.userData(w.settings())))
	w.until("it was denied", func() bool { return w.report("i-1").Last.Outcome == bootstrap.OutcomeWaiting })
	w.api.mu.Lock()
	w.api.deny = ""
	w.api.mu.Unlock()
	w.until("the node is ready", func() bool { return ready(w.node("i-1")) })
}

func TestUserScriptFails(t *testing.T) {
	w := newWorld(t)
	s := w.settings()
	s.BeforeJoin = "echo PASSWORD=hunter2value\necho it broke >&2\nexit 42\n"
	w.start(w.spec("i-1", w.userData(s)))
	w.until("the script ended", func() bool { return w.ended("i-1") })
	r := w.report("i-1")
	if r.Last.Step != bootstrap.StepPreUserData || r.Last.Exit != 42 || !strings.Contains(r.Last.Detail, "it broke") {
		t.Fatalf("last line is %+v", r.Last)
	}
	if strings.Contains(r.Last.Detail, "hunter2value") || bytes.Contains(r.Excerpt, []byte("hunter2value")) {
		t.Error("the report tells the password")
	}
}

func TestFaultStopsAtStep(t *testing.T) {
	for _, step := range bootstrap.Steps()[2:] {
		if step == bootstrap.StepPreUserData || step == bootstrap.StepPostUserData {
			continue // what fails there is the user's own
		}
		t.Run(string(step), func(t *testing.T) {
			w := newWorld(t)
			w.cloud.typ = "ecs.ebmgn7.26xlarge"
			s := w.spec("i-1", w.userData(w.settings()))
			s.Faults.StopAtStep = string(step)
			w.start(s)
			w.until("the script ended", func() bool { return w.ended("i-1") })
			if r := w.report("i-1"); !r.Failed || r.Last.Step != step {
				t.Fatalf("last line is %+v; console:\n%s", r.Last, w.host.Console("i-1"))
			}
		})
	}
}

// A reset goes on when the machine no longer waits for it, and a later join
// finds it done.
func TestMIGResetGoesOnBeyondItsLimit(t *testing.T) {
	w := newWorld(t)
	w.cloud.typ = "ecs.ebmgn7.26xlarge"
	settings := w.settings()
	settings.Waits.MIGLimit = 20 * time.Second
	s := w.spec("i-1", w.userData(settings))
	s.Faults.MIGPartitions, s.Faults.MIGReset = true, 80*time.Second
	w.start(s)
	w.until("the script ended", func() bool { return w.ended("i-1") })
	if r := w.report("i-1"); !r.Failed || !r.Resetting() || r.Last.Exit != 124 {
		t.Fatalf("last line is %+v", r.Last)
	}
	command, err := bootstrap.Command(settings)
	if err != nil {
		t.Fatal(err)
	}
	w.until("it joined", func() bool {
		_, code, err := w.host.Exec(t.Context(), "i-1", []string{"sh", "-c", command})
		return err == nil && code == 0
	})
}

func TestMIGReset(t *testing.T) {
	w := newWorld(t)
	w.cloud.typ = "ecs.ebmgn7e.32xlarge"
	s := w.spec("i-1", w.userData(w.settings()))
	s.Faults.MIGPartitions, s.Faults.MIGReset = true, time.Second
	w.start(s)
	w.until("the script ended", func() bool { return w.ended("i-1") })
	r := w.report("i-1")
	i := slices.IndexFunc(r.Lines, func(l bootstrap.Line) bool {
		return l.Step == bootstrap.StepMIGReset && l.Outcome == bootstrap.OutcomeOK
	})
	if i < 0 || r.Lines[i].Detail != "partitions reset" || !r.Joined {
		t.Fatalf("lines are %+v", r.Lines)
	}
}
