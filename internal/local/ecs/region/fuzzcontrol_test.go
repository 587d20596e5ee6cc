package region

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// given makes a control take its change as JSON.
func given[T any](do func(*Region, T) (string, error)) func(*Region, []byte) (string, error) {
	return func(r *Region, body []byte) (string, error) {
		var change T
		if err := json.Unmarshal(body, &change); err != nil {
			return "", err
		}
		return do(r, change)
	}
}

// controls are all changes that a person may make, as the wire of the controls
// gives them.
var controls = []func(*Region, []byte) (string, error){
	given((*Region).SetStock), given((*Region).SetQuota), given((*Region).SetBalance), given((*Region).SetAuthorized), given((*Region).SetKMS),
	given((*Region).SetRole), given((*Region).SetDenied), given((*Region).SetRule), given((*Region).SetFree), given((*Region).AddFault),
	given(func(r *Region, m Make) (string, error) { return r.MakeInstances(m, "R") }),
	given(func(r *Region, c struct{ ID, Verb string }) (string, error) { return r.Control(c.ID, c.Verb) }),
}

// Whatever a control is given, it is carried out or refused with a reason; what
// is stored is what is known, and the region goes on answering.
func FuzzControl(f *testing.F) {
	for n, body := range []string{
		`{"zone":"cn-local-a","type":"ecs.g7.xlarge","count":0}`, `{"family":"ecs.g7","vcpus":4}`, `{"balance":-1}`, `{"name":"ecs.g7.large","on":false}`,
		`{"id":"key-1"}`, `{"name":"role"}`, `{"name":"RunInstances"}`, `{"group":"sg-local","port":6443}`, `{"vSwitch":"vsw-a","free":0}`,
		`{"code":"Throttling","action":"RunInstances","times":2,"when":"after"}`, `{"count":3,"vSwitch":"vsw-a","instanceType":"ecs.g7.large"}`, `{"ID":"i-1","Verb":"stop"}`,
	} {
		f.Add(uint8(n), []byte(body))
		f.Add(uint8(n), []byte(`{}`))
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		b := newBench(t, func(s *scenario.Scenario) { s.InstancesPerMinute = 0 })
		b.o.MaxNodes = 20
		ids(t, b.call(t, "RunInstances", goodLaunch(2)))
		said, err := controls[int(which)%len(controls)](b.Region, body)
		if (err == nil) == (said == "") {
			t.Fatalf("it says %q and %v", said, err)
		}
		b.settle(t)
		known, faults := b.Len(), fmt.Sprintf("%+v", b.Faults())
		b.open(t)
		if b.Len() != known || fmt.Sprintf("%+v", b.Faults()) != faults {
			t.Fatalf("%d instances and faults %s are known; stored are %d and %+v", known, faults, b.Len(), b.Faults())
		}
		if a := b.call(t, "DescribeInstances", Params{"RegionId": "cn-local"}); a.Err == nil && a.Body == nil {
			t.Fatal("the region answers no more")
		}
	})
}
