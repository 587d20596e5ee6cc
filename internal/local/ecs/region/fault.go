package region

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// Fault is a misbehaviour that was asked for: of the wire (Action is set) or
// of machines to come (Machine is set).
type Fault struct {
	ID string `json:"id"`
	// Action is a wire action, or "*" for all.
	Action string `json:"action,omitempty"`
	// Code, Message and Status are the answer; no code: the real answer.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Status  int    `json:"status,omitempty"`
	// After lets the effect happen before the answer is replaced.
	After bool `json:"after,omitempty"`
	// Delay holds the call, before the effect or after it. It is not divided
	// by the time factor.
	Delay scenario.Duration `json:"delay,omitempty"`
	// Drop closes the connection without an answer.
	Drop bool `json:"drop,omitempty"`

	// Machine is vanish, never-start, stop-at-step or mig.
	Machine string `json:"machine,omitempty"`
	// Step is the step of the join at which the machine stops.
	Step string `json:"step,omitempty"`
	// MIGReset is how long resetting leftover MIG partitions takes.
	MIGReset scenario.Duration `json:"migReset,omitempty"`
	// InstanceType and Zone narrow it down to calls or machines that name them.
	InstanceType string `json:"instanceType,omitempty"`
	Zone         string `json:"zone,omitempty"`

	// Times it happens, calls or machines; 0 for always.
	Times int `json:"times,omitempty"`
	// Probability that it happens, above 0 to 1; 0 counts as 1.
	Probability float64 `json:"probability,omitempty"`
	// Happened counts.
	Happened int `json:"happened"`
}

// Met is the fault that one call meets.
type Met struct {
	// Before replaces the effect, After the answer.
	Before, After *Error
	// DelayBefore and DelayAfter hold the call.
	DelayBefore, DelayAfter time.Duration
	// DropBefore closes the connection without an effect, DropAfter with it.
	DropBefore, DropAfter bool
}

// Meet says which fault a call meets, and counts it.
func (r *Region) Meet(c Call) Met {
	r.now = r.o.Now()
	for k := range r.world.Faults {
		f := &r.world.Faults[k]
		if f.Machine != "" || (f.Action != "*" && f.Action != c.Action) || !r.concerns(f, c.Params) || !r.happens(f) {
			continue
		}
		r.dropSpent()
		return f.met()
	}
	return Met{}
}

// concerns says whether a call names the type and the zone of a fault.
func (r *Region) concerns(f *Fault, p Params) bool {
	zone := p["ZoneId"]
	if v := r.world.VSwitch(p["VSwitchId"]); v != nil {
		zone = v.Zone
	}
	return (f.InstanceType == "" || f.InstanceType == p["InstanceType"]) && (f.Zone == "" || f.Zone == zone)
}

func (f Fault) met() Met {
	var e *Error
	if f.Code != "" {
		e = &Error{Status: f.Status, Code: f.Code, Message: f.Message}
	}
	if f.After {
		return Met{After: e, DelayAfter: time.Duration(f.Delay), DropAfter: f.Drop}
	}
	return Met{Before: e, DelayBefore: time.Duration(f.Delay), DropBefore: f.Drop}
}

// happens throws the dice and counts.
func (r *Region) happens(f *Fault) bool {
	if f.Probability > 0 && f.Probability < 1 && r.o.Random.Float64() >= f.Probability {
		return false
	}
	f.Happened++
	r.touch(bucketWorld, keyWorld)
	return true
}

// dropSpent forgets faults that have happened often enough. The one that just
// happened was copied before.
func (r *Region) dropSpent() {
	r.world.Faults = slices.DeleteFunc(slices.Clone(r.world.Faults), func(f Fault) bool { return f.Times > 0 && f.Happened >= f.Times })
}

// afflict gives a new instance the misbehaviours that wait for it.
func (r *Region) afflict(i *Instance) {
	l := i.launch
	i.MIG, i.MIGReset = l.Type.MIGPartitions, time.Duration(l.Type.MIGReset)
	for k := range r.world.Faults {
		f := &r.world.Faults[k]
		if f.Machine == "" || (f.Machine == "stop-at-step" && i.StopAtStep != "") || (f.Times > 0 && f.Happened >= f.Times) ||
			(f.InstanceType != "" && f.InstanceType != l.Type.Name) || (f.Zone != "" && f.Zone != l.Zone) || !r.happens(f) {
			continue
		}
		switch f.Machine {
		case "vanish":
			i.Vanishes, i.NeverStart = r.now.Add(r.wait(r.world.Times.Vanish)), true
		case "never-start":
			i.NeverStart = true
		case "stop-at-step":
			i.StopAtStep = f.Step
		case "mig":
			i.MIG, i.MIGReset = true, time.Duration(f.MIGReset)
		}
	}
}

// Faults returns the faults that wait.
func (r *Region) Faults() []Fault { return slices.Clone(r.world.Faults) }

// AddFault adds a fault and says what it does.
func (r *Region) AddFault(f Fault) (string, error) {
	if err := f.check(); err != nil {
		return "", err
	}
	r.world.FaultSeq++
	f.ID, f.Happened = fmt.Sprintf("f%d", r.world.FaultSeq), 0
	if f.Code != "" && f.Status == 0 {
		f.Status = statusOf(f.Code)
	}
	if f.Code != "" && f.Message == "" {
		f.Message = textOf(f.Code)
	}
	r.world.Faults = append(r.world.Faults, f)
	r.touch(bucketWorld, keyWorld)
	return fmt.Sprintf("fault %s: %s", f.ID, f.Words()), nil
}

// textOf is what the vendor says with a code, as far as it is one that a
// launch can meet.
func textOf(code string) string {
	if text := texts[code]; text != "" {
		return text
	}
	return "A fault of the local cloud's controls."
}

var texts = map[string]string{
	"Zone.NotOnSale":                       "The resource in the specified zone is no longer available for sale. Please try other regions and zones.",
	"OperationDenied.NoStock":              "The requested resource is sold out in the specified zone; try other types of resources or other regions and zones.",
	"InvalidResourceType.NotSupported":     "This resource type is not supported; please try other resource types.",
	"ImageNotSupportInstanceType":          "The specified image does not support the specified instance type.",
	"InvalidImage.NotSupported":            "The specified image does not support vSGX instance.",
	"InvalidInstanceType.NotSupported":     "The specified instanceType is not supported by the image architecture.",
	"InvalidParameter.Conflict":            "The specified disk category (cloud_efficiency) is not support the specified instance type.",
	"InvalidDiskCategory.NotSupported":     "The specified disk category (cloud_efficiency) is not support the specified instance type.",
	"OperationDenied.CloudSSDNotSupported": "The specified available zone does not offer the cloud_ssd disk, please choose other available zones or disk categories.",
}

func (f Fault) check() error {
	switch {
	case (f.Action == "") == (f.Machine == ""):
		return fmt.Errorf("add fault: name either an action of the wire or what machines do")
	case f.Action != "" && f.Action != "*" && actions[f.Action].do == nil:
		return fmt.Errorf("add fault: the action %q is not answered here", f.Action)
	case f.Action != "" && f.Code == "" && f.Delay == 0 && !f.Drop:
		return fmt.Errorf("add fault: name a code, a delay or a lost connection")
	case f.Machine != "" && !slices.Contains([]string{"vanish", "never-start", "stop-at-step", "mig"}, f.Machine):
		return fmt.Errorf("add fault: machines can vanish, never-start, stop-at-step, mig, not %q", f.Machine)
	case (f.Machine == "stop-at-step") != (f.Step != ""):
		return fmt.Errorf("add fault: stop-at-step and a step go together")
	case f.Probability < 0 || f.Probability > 1 || f.Times < 0:
		return fmt.Errorf("add fault: the probability is from 0 to 1, times not negative")
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("add fault: an HTTP status is from 400 to 599")
	}
	return nil
}

// Words says what a fault does.
func (f Fault) Words() string {
	where, often := "before the effect", "always"
	if f.After {
		where = "after the effect"
	}
	if f.Times > 0 {
		often = some(f.Times, "time", "times")
	}
	if f.Probability > 0 && f.Probability < 1 {
		often += fmt.Sprintf(" with probability %g", f.Probability)
	}
	if f.Machine != "" {
		what := f.Machine
		if f.Step != "" {
			what += " " + f.Step
		}
		return fmt.Sprintf("new machines %s, %s", what, often)
	}
	s := f.Action
	if f.Code != "" {
		s += fmt.Sprintf(" answers %s (%d)", f.Code, f.Status)
	}
	if f.Delay > 0 {
		s += fmt.Sprintf(" waits %s", time.Duration(f.Delay))
	}
	if f.Drop {
		s += " loses its connection"
	}
	return s + " " + where + ", " + often
}

// RemoveFault takes a fault back; "all" takes all back.
func (r *Region) RemoveFault(id string) (string, error) {
	n := len(r.world.Faults)
	r.world.Faults = slices.DeleteFunc(slices.Clone(r.world.Faults), func(f Fault) bool { return f.ID == id || id == "all" })
	if len(r.world.Faults) == n && id != "all" {
		return "", fmt.Errorf("remove fault %s: there is none of this id", id)
	}
	r.touch(bucketWorld, keyWorld)
	return some(n-len(r.world.Faults), "fault", "faults") + " removed", nil
}
