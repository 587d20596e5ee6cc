package region

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Summary is one instance as the controls list it.
type Summary struct {
	ID      string            `json:"id"`
	Status  string            `json:"status"`
	Zone    string            `json:"zone"`
	VSwitch string            `json:"vSwitch"`
	Type    string            `json:"type"`
	Charge  string            `json:"charge"`
	IP      string            `json:"ip"`
	Created time.Time         `json:"created"`
	Expires time.Time         `json:"expires,omitzero"`
	Tags    map[string]string `json:"tags,omitempty"`
	// Trouble says in words what is to go wrong with it, and what protects it.
	Trouble string `json:"trouble,omitempty"`
}

// List returns all instances, oldest first, invisible ones too.
func (r *Region) List() []Summary {
	out := make([]Summary, 0, len(r.order))
	for _, i := range r.order {
		l := i.launch
		s := Summary{ID: i.ID, Status: i.Status, Zone: l.Zone, VSwitch: l.VSwitch, Type: l.Type.Name, Charge: i.Charge, IP: i.IP,
			Created: i.Created, Expires: i.Expires, Tags: i.Tags}
		if l.spot() {
			s.Charge = "Spot"
		}
		var trouble []string
		for text, is := range map[string]bool{"vanishes": !i.Vanishes.IsZero(), "never starts": i.NeverStart && i.Vanishes.IsZero(),
			"stops at " + i.StopAtStep: i.StopAtStep != "", "MIG left over": i.MIG, "taken back soon": !i.Terminates.IsZero(), "release protection": i.Protected} {
			if is {
				trouble = append(trouble, text)
			}
		}
		slices.Sort(trouble)
		s.Trouble = strings.Join(trouble, ", ")
		out = append(out, s)
	}
	return out
}

// Make describes instances that the controls create, for others to attach.
type Make struct {
	VSwitch string            `json:"vSwitch,omitempty"`
	Type    string            `json:"type,omitempty"`
	Image   string            `json:"image,omitempty"`
	Group   string            `json:"group,omitempty"`
	Count   int               `json:"count,omitempty"`
	Months  int               `json:"months,omitempty"`
	Spot    bool              `json:"spot,omitempty"`
	Name    string            `json:"name,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
	// Protected against release by a call.
	Protected bool `json:"protected,omitempty"`
}

// MakeInstances creates instances as RunInstances would; what is not named is
// the first of the scenario.
func (r *Region) MakeInstances(m Make, requestID string) (string, error) {
	s := &r.world.Scenario
	first := func(v, otherwise string) string {
		if v != "" {
			return v
		}
		return otherwise
	}
	p := Params{"VSwitchId": first(m.VSwitch, s.VSwitches[0].ID), "InstanceType": first(m.Type, s.InstanceTypes[0].Name),
		"ImageId": first(m.Image, s.Images[0].ID), "SecurityGroupId": first(m.Group, s.SecurityGroups[0].ID), "InstanceName": m.Name,
		"Amount": strconv.Itoa(max(1, m.Count)), "DeletionProtection": strconv.FormatBool(m.Protected)}
	if m.Months > 0 {
		p["InstanceChargeType"], p["Period"], p["PeriodUnit"] = prePaid, strconv.Itoa(m.Months), "Month"
	}
	if m.Spot {
		p["SpotStrategy"] = "SpotAsPriceGo"
	}
	for k, key := range slices.Sorted(maps.Keys(m.Tags)) {
		p[fmt.Sprintf("Tag.%d.Key", k+1)], p[fmt.Sprintf("Tag.%d.Value", k+1)] = key, m.Tags[key]
	}
	r.now = r.o.Now()
	body, err := r.runInstances(&args{Params: p, requestID: requestID})
	if err != nil {
		return "", fmt.Errorf("make instance: %w", err)
	}
	a, ok := body.(*runInstancesAnswer)
	if !ok {
		return "", fmt.Errorf("make instance: no ids came back")
	}
	return "made " + strings.Join(a.InstanceIdSets.InstanceIdSet, " "), nil
}

// verbs are what the controls can do to one instance.
var verbs = map[string]func(*Region, *Instance) (string, error){
	"start":             (*Region).controlStart,
	"stop":              (*Region).controlStop,
	"reboot":            (*Region).controlReboot,
	"release":           (*Region).controlRelease,
	"take-out":          (*Region).controlTakeOut,
	"expire":            (*Region).controlExpire,
	"reclaim":           (*Region).controlReclaim,
	"never-start":       (*Region).controlNeverStart,
	"leftover-mig":      (*Region).controlMIG,
	"release-protect":   (*Region).controlProtect,
	"release-unprotect": (*Region).controlUnprotect,
}

// Verbs names what Control can do.
func Verbs() []string { return slices.Sorted(maps.Keys(verbs)) }

// Control does something to one instance, as a person in the cloud's console.
func (r *Region) Control(id, verb string) (string, error) {
	do := verbs[verb]
	if do == nil {
		return "", fmt.Errorf("%s instance: it can be %s", verb, strings.Join(Verbs(), ", "))
	}
	return r.control(id, verb, do)
}

// ExpireIn moves the end of a subscription to so long from now.
func (r *Region) ExpireIn(id string, in time.Duration) (string, error) {
	return r.control(id, "expire", func(r *Region, i *Instance) (string, error) {
		if _, err := r.controlExpire(i); err != nil {
			return "", err
		}
		i.Expires = r.now.Add(in)
		return "its subscription ends at " + second(i.Expires), nil
	})
}

func (r *Region) control(id, verb string, do func(*Region, *Instance) (string, error)) (string, error) {
	r.now = r.o.Now()
	i := r.instances[id]
	if i == nil {
		return "", fmt.Errorf("%s instance %s: there is none of this id", verb, id)
	}
	text, err := do(r, i)
	if err != nil {
		return "", fmt.Errorf("%s instance %s: %w", verb, id, err)
	}
	r.changed(i)
	r.arm(i)
	return "instance " + id + ": " + text, nil
}

func (r *Region) byWire(do func(*Region, *args) (any, *Error), i *Instance) error {
	if _, err := do(r, &args{Params: Params{"InstanceId": i.ID}}); err != nil {
		return err
	}
	return nil
}

func (r *Region) controlStart(i *Instance) (string, error) {
	return "starting", r.byWire((*Region).startInstances, i)
}

func (r *Region) controlStop(i *Instance) (string, error) {
	return "stopping", r.byWire((*Region).stopInstances, i)
}

func (r *Region) controlReboot(i *Instance) (string, error) {
	return "rebooting", r.byWire((*Region).rebootInstance, i)
}

func (r *Region) controlRelease(i *Instance) (string, error) {
	if !i.Releasing {
		r.release(i)
	}
	return "released, with its disks", nil
}

func (r *Region) controlProtect(i *Instance) (string, error) {
	return "release protection is on", r.byAttribute(i, true)
}

func (r *Region) controlUnprotect(i *Instance) (string, error) {
	return "release protection is off", r.byAttribute(i, false)
}

func (r *Region) byAttribute(i *Instance, protected bool) error {
	_, err := r.modifyAttribute(&args{Params: Params{"InstanceId": i.ID, "DeletionProtection": strconv.FormatBool(protected)}})
	if err != nil {
		return err
	}
	return nil
}

// ownerTags begin the keys of the tags by which poolkeeper knows what is its.
const ownerTags = "poolkeeper.io/"

func (r *Region) controlTakeOut(i *Instance) (string, error) {
	left := maps.Clone(i.Tags)
	maps.DeleteFunc(left, func(k, _ string) bool { return strings.HasPrefix(k, ownerTags) })
	n := len(i.Tags) - len(left)
	i.Tags = left
	return some(n, "tag", "tags") + " " + ownerTags + "* taken off", nil
}

func (r *Region) controlExpire(i *Instance) (string, error) {
	if i.Charge != prePaid {
		return "", fmt.Errorf("it is no subscription")
	}
	i.Expires = r.now
	return fmt.Sprintf("its subscription ended now; it stops, and is released %s later", r.wait(r.world.Times.ExpiredRelease)), nil
}

func (r *Region) controlReclaim(i *Instance) (string, error) {
	if !i.launch.spot() {
		return "", fmt.Errorf("it is no spot instance")
	}
	i.Terminates = r.now.Add(r.wait(r.world.Times.SpotNotice))
	return "taken back at " + second(i.Terminates), nil
}

func (r *Region) controlNeverStart(i *Instance) (string, error) {
	if i.Status != statusPending && i.Status != statusStarting {
		return "", fmt.Errorf("it has started already")
	}
	i.NeverStart = true
	return "will not start", nil
}

func (r *Region) controlMIG(i *Instance) (string, error) {
	if i.Status != statusPending && i.Status != statusStarting {
		return "", fmt.Errorf("it has started already; `poolkeeper local fault add --machine mig` is for new ones")
	}
	i.MIG = true
	return "MIG partitions are left on it", nil
}

func some(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
