package server

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/ecs"
)

func withToken(token string) change {
	return func(r *ecs.RunInstancesRequest) { r.ClientToken = token }
}

// A code in front of the effect is an answer like any other: nothing happens,
// and the same token gets it again.
func TestFaultBefore(t *testing.T) {
	b := newBench(t, "")
	if said := b.control("POST", "faults", `{"action":"RunInstances","code":"OperationDenied.NoStock","message":"gone","times":1}`); !strings.Contains(said, "OperationDenied.NoStock (403) before the effect, 1 time") {
		t.Errorf("said %s", said)
	}
	for range 2 {
		_, err := b.client.RunInstances(launch(1, withToken("t")))
		refused(t, err, 403, "OperationDenied.NoStock", "gone")
	}
	if n := len(b.run(launch(1, withToken("u")))); n != 1 {
		t.Errorf("%d instances", n)
	}
	if left := b.control("GET", "faults", ""); left != "[]" && left != "null" {
		t.Errorf("faults left: %s", left)
	}
}

// Throttling and errors of the server are no answers to a token.
func TestFaultThatIsNoAnswer(t *testing.T) {
	b := newBench(t, "")
	for _, code := range []string{"Throttling", "ServiceUnavailable", "OperationConflict", "IdempotentProcessing"} {
		b.control("POST", "faults", `{"action":"RunInstances","code":"`+code+`","times":1}`)
		_, err := b.client.RunInstances(launch(1, withToken(code)))
		var se *sdkerrors.ServerError
		if !errors.As(err, &se) || se.ErrorCode() != code {
			t.Fatalf("%s: %v", code, err)
		}
		if n := len(b.run(launch(1, withToken(code)))); n != 1 {
			t.Errorf("%s: the same token then gets %d", code, n)
		}
	}
}

// A code or a lost connection behind the effect: it has happened, and the
// token tells of it.
func TestFaultAfter(t *testing.T) {
	b := newBench(t, "")
	b.control("POST", "faults", `{"action":"RunInstances","code":"InternalError","after":true,"times":1}`)
	_, err := b.client.RunInstances(launch(2, withToken("t")))
	refused(t, err, 500, "InternalError", "")
	if n := b.region.Len(); n != 2 {
		t.Errorf("%d instances", n)
	}
	b.control("POST", "faults", `{"action":"RunInstances","drop":true,"after":true,"times":1}`)
	var se *sdkerrors.ServerError
	if _, err = b.client.RunInstances(launch(2, withToken("u"))); err == nil || errors.As(err, &se) {
		t.Fatalf("the lost connection ends in %v", err)
	}
	b.control("POST", "faults", `{"action":"RunInstances","drop":true,"times":1}`)
	if _, err = b.client.RunInstances(launch(2, withToken("v"))); err == nil || errors.As(err, &se) {
		t.Fatalf("the lost connection ends in %v", err)
	}
	if n := len(b.control("GET", "instances", "")); n == 0 || strings.Count(b.control("GET", "instances", ""), `"id"`) != 4 {
		t.Errorf("the instances are %s", b.control("GET", "instances", ""))
	}
	if n := len(b.run(launch(2, withToken("u")))); n != 2 {
		t.Errorf("the token then gets %d", n)
	}
}

// While a call under a token is at work, the same call is told so.
func TestIdempotentProcessing(t *testing.T) {
	b := newBench(t, "")
	b.control("POST", "faults", `{"action":"RunInstances","delay":"300ms","after":true,"times":1}`)
	done := make(chan []string, 1)
	go func() {
		a, err := b.client.RunInstances(launch(1, withToken("t")))
		if err != nil {
			t.Error(err)
		}
		done <- a.InstanceIdSets.InstanceIdSet
	}()
	b.until("the effect is there", func() bool { return strings.Contains(b.control("GET", "instances", ""), `"id"`) })
	_, err := b.v1(b.identity.credentials.AccessKeyID, b.identity.credentials.AccessKeySecret).RunInstances(launch(1, withToken("t")))
	refused(t, err, 403, "IdempotentProcessing", "")
	first := <-done
	if again := b.run(launch(1, withToken("t"))); again[0] != first[0] {
		t.Errorf("first %v, then %v", first, again)
	}
}

// A delay in front of the effect holds it back.
func TestDelayBefore(t *testing.T) {
	b := newBench(t, "")
	b.control("POST", "faults", `{"action":"RunInstances","delay":"50ms","times":1}`)
	began := time.Now()
	if n := len(b.run(launch(1))); n != 1 || time.Since(began) < 50*time.Millisecond {
		t.Errorf("%d instances after %s", n, time.Since(began))
	}
}

// Some machines vanish young, some never start, some stop at a step of the
// join, each as often as asked.
func TestMachineFaults(t *testing.T) {
	b := newBench(t, "")
	b.control("POST", "faults", `{"machine":"vanish","times":1}`)
	b.control("POST", "faults", `{"machine":"stop-at-step","step":"kubelet","instanceType":"ecs.c7.large"}`)
	b.control("POST", "faults", `{"machine":"mig","migReset":"90s","zone":"cn-local-b"}`)
	ids := b.run(launch(2))
	b.until("the other runs", func() bool { return b.rack.runs(ids[1]) })
	b.until("one has vanished", func() bool { return b.show(ids[0]) == nil })
	if b.rack.started[ids[0]] != 0 {
		t.Error("it ran before it vanished")
	}
	c := b.running(1, typed("ecs.c7.large"))[0]
	g := b.running(1, func(r *ecs.RunInstancesRequest) { r.VSwitchId = "vsw-b" })[0]
	b.rack.mu.Lock()
	defer b.rack.mu.Unlock()
	if f := b.rack.on[c].Faults; f.StopAtStep != "kubelet" || f.MIGPartitions {
		t.Errorf("faults %+v", f)
	}
	if f := b.rack.on[g].Faults; f.StopAtStep != "" || !f.MIGPartitions || f.MIGReset != 90*time.Second {
		t.Errorf("faults %+v", f)
	}
	if f := b.rack.on[ids[1]].Faults; f.StopAtStep != "" {
		t.Errorf("faults %+v", f)
	}
}

// Bad changes are refused with what is wrong, and change nothing.
func TestBadControls(t *testing.T) {
	b := newBench(t, "")
	for body, want := range map[string]string{
		`faults {"action":"Nothing","code":"X"}`:                      "is not answered here",
		`faults {"machine":"explode"}`:                                "machines can vanish",
		`faults {"action":"RunInstances"}`:                            "name a code",
		`faults {"action":"RunInstances","code":"X","sometimes":1}`:   "unknown field",
		`stock {"zone":"cn-local-x","type":"ecs.g7.large","count":1}`: "cn-local-x",
		`stock {"zone":"cn-local-a","type":"ecs.none","count":1}`:     "ecs.none",
		`stock {"zone":"cn-local-a","count":1}`:                       "name either",
		`quota {"count":1}`:                                           "name one of",
		`balance {}`:                                                  "name an amount",
		`type {"name":"ecs.none"}`:                                    "ecs.none",
		`kms {"name":"key-x"}`:                                        "key-x",
		`security-group {"group":"sg-x","to":"0.0.0.0/0"}`:            "sg-x",
		`security-group {"group":"sg-local","to":"everywhere"}`:       "everywhere",
		`vswitch {"id":"vsw-a","free":5000}`:                          "from 0 to 4092",
		`instances {"type":"ecs.none"}`:                               "InvalidInstanceType.ValueNotSupported",
		`instances/i-x/stop `:                                         "none of this id",
	} {
		path, change, _ := strings.Cut(body, " ")
		if status, said := b.try("POST", path, change); status != http.StatusBadRequest || !strings.Contains(said, want) {
			t.Errorf("%s: %d %s", body, status, said)
		}
	}
	for file, want := range map[string]string{
		"times: {pendin: 1s}":                           `unknown field \"times.pendin\"`,
		"stock: [{zone: cn-local-a, typ: x, count: 1}]": `unknown field \"stock[0].typ\"`,
		"times: {boot: soon}":                           "soon",
		"region: cn-other":                              "use another --dir",
		"vSwitches: [{id: v, zone: z, vpc: vpc-local, cidr: 10.0.0.0/20}]": `vSwitches[0].zone`,
		"- a": "not an object",
	} {
		status, said := b.try("PUT", "scenario", file)
		if status != http.StatusBadRequest || !strings.Contains(said, want) {
			t.Errorf("%s: %d %s", file, status, said)
		}
	}
	r, err := http.Get(b.url + "/_local/faults")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %d", r.StatusCode)
	}
	if n := len(b.run(launch(1))); n != 1 {
		t.Errorf("%d instances", n)
	}
}

// Each control says what it changed, and the change holds after a restart.
func TestControls(t *testing.T) {
	b := newBench(t, "")
	id := b.running(1)[0]
	for _, c := range [][3]string{
		{"stock", `{"zone":"all","type":"ecs.g7.large","count":2}`, "ecs.g7.large in cn-local-c: 2 left, was plenty"},
		{"stock", `{"zone":"cn-local-a","disk":"cloud_essd","count":5,"closed":true}`, "disk category cloud_essd in cn-local-a: 5 left, not replenished, was plenty"},
		{"quota", `{"type":"ecs.g7.large","count":3}`, "quota of ecs.g7.large: 3"},
		{"quota", `{"zone":"cn-local-a","count":64}`, "quota of vCPUs in cn-local-a: 64"},
		{"quota", `{"zone":"cn-local-a","count":-1}`, "quota of vCPUs in cn-local-a: none"},
		{"balance", `{"amount":20}`, "less than the 100.00 needed"},
		{"balance", `{"arrears":true}`, "in arrears"},
		{"balance", `{"amount":5000}`, "balance: CNY 5000.00"},
		{"type", `{"name":"ecs.r8a.4xlarge","on":true}`, "ecs.r8a.4xlarge: authorized"},
		{"kms", `{"on":false}`, "KMS: not activated"},
		{"role", `{"name":"AliyunECSDiskEncryptDefaultRole","on":false}`, "revoked"},
		{"permission", `{"name":"DescribePrice","on":false}`, "permission for DescribePrice: revoked"},
		{"vswitch", `{"id":"vsw-b","free":3}`, "vSwitch vsw-b: 3 addresses free, was 4092"},
		{"instances", `{"vSwitch":"vsw-b","type":"ecs.c7.large","count":2,"tags":{"a":"b"}}`, "made i-"},
		{"instances/" + id + "/take-out", "", "0 tags poolkeeper.io/* taken off"},
		{"instances/" + id + "/release-unprotect", "", "release protection is off"},
		{"instances/" + id + "/release-protect", "", "release protection is on"},
	} {
		if said := b.control("POST", c[0], c[1]); !strings.Contains(said, c[2]) {
			t.Errorf("%s %s says %s", c[0], c[1], said)
		}
	}
	before := b.control("GET", "scenario", "")
	b.stop()
	b.start(Options{MaxNodes: 5000})
	if after := b.control("GET", "scenario", ""); after != before {
		t.Errorf("before the restart\n%s\nafter\n%s", before, after)
	}
	if said := b.control("POST", "vswitch", `{"id":"vsw-b","free":1}`); !strings.Contains(said, "was 1") {
		t.Errorf("said %s", said)
	}
	if said := b.control("POST", "instances/"+id+"/exec", `{"argv":["uname","-a"]}`); !strings.Contains(said, `"exitCode":3`) {
		t.Errorf("said %s", said)
	}
	if said := b.control("GET", "instances", ""); !strings.Contains(said, `"trouble":"release protection"`) {
		t.Errorf("the instances are %s", said)
	}
	if said := b.control("GET", "instances/"+id+"/log", ""); said != "console of "+id {
		t.Errorf("said %s", said)
	}
}

// A new instance is not shown for a while, if the scenario says so.
func TestVisibility(t *testing.T) {
	b := newBench(t, "")
	b.control("PUT", "scenario", "times: {pending: 0s, starting: 0s, visible: 150ms}")
	ids := b.run(launch(1))
	if b.show(ids[0]) != nil {
		t.Error("it is shown at once")
	}
	b.until("it is shown", func() bool { return b.show(ids[0]) != nil })
}
