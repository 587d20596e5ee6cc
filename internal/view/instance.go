package view

import (
	"sort"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/instancerecord"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// Instance is an instance with its node as people and scripts see them.
type Instance struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	// Node is the name of its Node: the instance's own.
	Node         string `json:"node"`
	Pool         string `json:"pool"`
	Zone         string `json:"zone,omitempty"`
	VSwitch      string `json:"vSwitch,omitempty"`
	InstanceType string `json:"instanceType,omitempty"`
	// Instance and NodeStatus are words; LifecycleState and NodeState are what
	// machines compare.
	Instance       string `json:"instance"`
	NodeStatus     string `json:"nodeStatus"`
	LifecycleState string `json:"lifecycleState"`
	NodeState      string `json:"nodeState"`
	// SchedulingDisabled is true where the Node takes no new pods.
	SchedulingDisabled bool   `json:"schedulingDisabled,omitempty"`
	CloudStatus        string `json:"cloudStatus,omitempty"`
	Billing            string `json:"billing"`
	Price              *Price `json:"price,omitempty"`
	// Spent is what it cost since it was created.
	Spent        string     `json:"spent,omitempty"`
	Address      string     `json:"address,omitempty"`
	CreationType string     `json:"creationType"`
	Activity     string     `json:"activity,omitempty"`
	Step         string     `json:"step,omitempty"`
	Code         string     `json:"code,omitempty"`
	Note         string     `json:"note,omitempty"`
	Summary      string     `json:"summary"`
	Kept         []string   `json:"kept,omitempty"`
	CreatedTime  time.Time  `json:"createdTime"`
	JoinedTime   *time.Time `json:"joinedTime,omitempty"`
	AsOf         AsOf       `json:"asOf"`

	tone Tone
}

// NewInstance makes the view of an instance.
func NewInstance(i *v1alpha1.Instance, clock Clock) Instance {
	p := i.Spec.Placement
	v := Instance{
		APIVersion: APIVersion, Kind: "Instance", Name: i.Name, Node: i.Name, Pool: i.Spec.Pool,
		Zone: p.Zone, VSwitch: p.VSwitch, InstanceType: p.InstanceType,
		Instance: InstanceWord(i), NodeStatus: NodeWord(i),
		LifecycleState: string(i.Status.LifecycleState), NodeState: string(i.Status.NodeState), SchedulingDisabled: cordoned(i),
		CloudStatus: i.Status.CloudStatus, Billing: BillingWord(ChargeToday(i)), Address: i.Status.PrivateIP,
		CreationType: string(i.Spec.CreationType), Activity: i.Spec.Activity,
		Step: i.Status.Step, Code: i.Status.Code, Note: InstanceNote(i, clock), Summary: InstanceSentence(i, clock.Now),
		Kept: keptNotes(i), CreatedTime: i.CreationTimestamp.UTC(), AsOf: AsOf{API: clock.Now.UTC()},
		tone: instanceTone(i),
	}
	billing := BillingOf(i)
	if t := billing.Today(); t.Price != "" {
		v.Price = &Price{Currency: t.Currency, PerHour: Money(t.Price)}
	}
	if cost, ok := billing.Cost(clock.Now); ok {
		v.Spent = cost.FloatString(2)
	}
	if t := i.Status.JoinedTime; t != nil {
		u := t.UTC()
		v.JoinedTime = &u
	}
	return v
}

// ChargeToday is how an instance is billed now.
func ChargeToday(i *v1alpha1.Instance) v1alpha1.ChargeType {
	if i.Status.ChargeType != "" {
		return i.Status.ChargeType
	}
	return i.Spec.Placement.ChargeType
}

// BillingOf is how an instance was billed since it was created. One that was
// never converted was billed all along as the cloud shows it now.
func BillingOf(i *v1alpha1.Instance) lifecycle.Billing {
	b := instancerecord.Billing(i)
	if len(b.Later) == 0 {
		b.Created.ChargeType = string(ChargeToday(i))
	}
	return b
}

// Matches is true when one of the states, written as a word or as machines
// write it, in any case, is that of the instance or of its node. No states
// match everything.
func (v Instance) Matches(states []string) bool {
	if len(states) == 0 {
		return true
	}
	word, _, _ := strings.Cut(v.NodeStatus, " (")
	have := []string{v.Instance, word, v.LifecycleState, v.NodeState}
	for _, s := range states {
		for _, h := range have {
			if fold(s) == fold(h) {
				return true
			}
		}
	}
	return false
}

// fold makes "In service", "in-service" and "InService" the same.
func fold(s string) string {
	return strings.NewReplacer(" ", "", "-", "").Replace(strings.ToLower(s))
}

// troubled is true for what a person should look at first.
func (v Instance) troubled() bool { return v.tone == ToneBad || v.tone == ToneWarn }

// SortInstances puts those with a problem first, then goes by pool and name.
func SortInstances(list []Instance) {
	sort.SliceStable(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.troubled() != b.troubled() {
			return a.troubled()
		}
		if a.Pool != b.Pool {
			return a.Pool < b.Pool
		}
		return a.Name < b.Name
	})
}

// InstanceTable is a list of instances as a table.
func InstanceTable(list []Instance, clock Clock) Table {
	t := Table{Columns: []Column{
		{Name: "INSTANCE"}, {Name: "POOL"}, {Name: "ZONE"}, {Name: "TYPE"}, {Name: "INSTANCE STATE"}, {Name: "NODE"},
		{Name: "BILLING"}, {Name: "PRICE/H", Wide: true}, {Name: "ADDRESS", Wide: true}, {Name: "ACTIVITY", Wide: true},
		{Name: "AGE"}, {Name: "NOTE"},
	}}
	for _, v := range list {
		price := ""
		if v.Price != nil {
			price = v.Price.PerHour
		}
		t.Rows = append(t.Rows, []Cell{
			text(v.Name), text(v.Pool), text(v.Zone), text(v.InstanceType), text(v.Instance), {Text: v.NodeStatus, Tone: v.tone},
			text(v.Billing), text(price), text(v.Address), text(v.Activity), text(clock.Age(v.CreatedTime)), {Text: v.Note},
		})
	}
	return t
}

// NodeTable is a list of nodes, with their instances, as a table.
func NodeTable(list []Instance, clock Clock) Table {
	t := Table{Columns: []Column{
		{Name: "NODE"}, {Name: "POOL"}, {Name: "ZONE"}, {Name: "TYPE"}, {Name: "INSTANCE"}, {Name: "NODE STATE"},
		{Name: "ADDRESS", Wide: true}, {Name: "BILLING", Wide: true}, {Name: "AGE"}, {Name: "NOTE"},
	}}
	for _, v := range list {
		t.Rows = append(t.Rows, []Cell{
			text(v.Node), text(v.Pool), text(v.Zone), text(v.InstanceType), text(v.Instance), {Text: v.NodeStatus, Tone: v.tone},
			text(v.Address), text(v.Billing), text(clock.Age(v.CreatedTime)), {Text: v.Note},
		})
	}
	return t
}

// InstanceStates, TaskStates and ActivityStates are the states that lists can be
// cut down to. Those of instances are their own and those of their nodes.
var (
	InstanceStates = []string{"pending", "pending-wait", "in-service", "protected", "standby", "stopped", "removing", "removing-wait", "removed", "unknown-origin",
		"joining", "ready", "not-ready", "scheduling-disabled", "unknown", "failed", "failed-to-join"}
	TaskStates     = []string{"running", "success", "failed", "canceled"}
	ActivityStates = []string{"in-progress", "successful", "warning", "failed", "rejected"}
)

// StateIn is true when a state is one of those named, in any case and with
// or without blanks and dashes. No names match everything.
func StateIn(state string, names []string) bool {
	for _, n := range names {
		if fold(n) == fold(state) {
			return true
		}
	}
	return len(names) == 0
}
