package kill

import (
	"bytes"
	"fmt"
	"strings"
)

// way is what the pool does while a step is hit.
type way int

const (
	either way = iota
	out        // it scales out
	in         // it scales in
)

// victim is the process that a step kills.
type victim int

const (
	theController victim = iota
	theCloud
	thePlane
)

func (v victim) String() string { return []string{"controller", "local cloud", "control plane"}[v] }

// sides of a call at which a process is killed.
type sides int

const (
	before sides = 1 << iota
	after
	both = before | after
)

// step is one call of the protocol at which processes are killed, one after the
// other, before the call has passed and after it has.
type step struct {
	// rule is the rule of the protocol of an activity that the call carries
	// out; empty for what stands beside the protocol.
	rule string
	// name says what the call does.
	name  string
	way   way
	match func(*call) bool
	// nth call that matches, from 1. 0: the first.
	nth int
	// controller, cloud and plane are where these are killed. Without any of
	// them the controller is killed on both sides.
	controller, cloud, plane sides
	// setup prepares the region; may be nil.
	setup func(*region) error
}

// steps are all of them. What may leave a Secret that no activity names stands
// first, so that it is collected while the others run.
var steps = []step{
	{rule: "2", name: "Secret with the requests is created", way: out, match: create("secrets"), controller: both, plane: after},
	{rule: "2", name: "activity is created, to create", way: out, match: create("scalingactivities"), controller: both, plane: before},
	{name: "task of a changed number is created", way: out, match: create("clustertasks")},
	{rule: "2", name: "group takes the number over", way: out, match: write("scalinggroups", "")},
	{rule: "2", name: "join credential is minted", way: out, match: create("serviceaccounts"), controller: after},
	{rule: "5", name: "piece is announced", way: out, match: announce, controller: both, plane: after},
	{rule: "4", name: "RunInstances", way: out, match: action("RunInstances"), controller: both, cloud: both},
	{rule: "4", name: "RunInstances of the second piece", way: out, match: action("RunInstances"), nth: 2, controller: after, cloud: after},
	{rule: "4", name: "RunInstances of the last piece", way: out, match: action("RunInstances"), nth: 3, controller: after},
	{rule: "6", name: "first of 6 Instances is created", way: out, match: create("instances")},
	{rule: "6", name: "third of 6 Instances is created", way: out, match: create("instances"), nth: 3, controller: after, cloud: before, plane: after},
	{rule: "6", name: "last of 6 Instances is created", way: out, match: create("instances"), nth: 6, controller: after},
	{rule: "6", name: "piece is resolved", way: out, match: resolve},
	{rule: "9", name: "activity that created is done", way: out, match: done},
	{rule: "9", name: "Secret with the requests is deleted", way: out, match: remove("secrets")},
	{rule: "9", name: "deleted Secret is noted", way: out, match: noteSecret, controller: before},
	{rule: "3", name: "new instances are looked at by their ids", way: out, match: byID, controller: before, cloud: before},
	{rule: "3", name: "instance has been seen and runs", way: out, match: running},
	{name: "joinKey is written", way: out, match: joinKey},
	{name: "join request is approved", way: out, match: approve, controller: both, cloud: after, plane: after},
	{name: "instance is in service", way: out, match: inService, nth: 2, controller: after},

	{rule: "2", name: "activity is created, to release", way: in, match: create("scalingactivities")},
	{rule: "10", name: "first instance is marked", way: in, match: mark, controller: both, plane: before},
	{rule: "10", name: "last of 6 instances is marked", way: in, match: mark, nth: 6, controller: after},
	{rule: "9", name: "marks are noted", way: in, match: marked},
	{rule: "9", name: "activity that released is done", way: in, match: done},
	{rule: "11", name: "node is cordoned", way: in, match: cordon},
	{rule: "11", name: "pods of the node are listed", way: in, match: pods},
	{rule: "11", name: "pod is evicted", way: in, match: evict, setup: (*region).runPods},
	{rule: "11", name: "instances to release are looked at by their ids", way: in, match: byID, controller: both, cloud: before},
	{rule: "11", name: "first releaseSentTime is written", way: in, match: releaseSent, controller: both, plane: after},
	{rule: "11", name: "last of 6 releaseSentTimes is written", way: in, match: releaseSent, nth: 6, controller: after},
	{rule: "12", name: "DeleteInstances", way: in, match: action("DeleteInstances"), controller: both, cloud: both},
	{rule: "12", name: "Node is deleted", way: in, match: remove("nodes"), controller: both, plane: before},
	{rule: "12", name: "Instance is deleted", way: in, match: remove("instances"), controller: both, plane: after},
	{rule: "12", name: "finalizer of an Instance is removed", way: in, match: finalizer},
	{rule: "12", name: "finalizer of the last of 6 Instances is removed", way: in, match: finalizer, nth: 6, controller: before},

	{rule: "3", name: "status of the group is written", way: either, match: write("scalinggroups", "status"), controller: after},
	{name: "status of the pool is written", way: either, match: write("nodepools", "status"), controller: after},
	{name: "task ends", way: either, match: taskEnds},
	{rule: "15", name: "sweep", way: either, match: sweep(false), controller: both, cloud: before},
	{rule: "15", name: "second page of a sweep", way: either, match: sweep(true), controller: both, cloud: after, setup: (*region).fillVPC},
}

func create(kind string) func(*call) bool {
	return func(c *call) bool { return c.verb == "POST" && c.kind == kind && (c.sub == "" || c.sub == "token") }
}

func remove(kind string) func(*call) bool {
	return func(c *call) bool { return c.verb == "DELETE" && c.kind == kind && c.name != "" }
}

// write is an update or a patch of an object or of a subresource of it.
func write(kind, sub string) func(*call) bool {
	return func(c *call) bool { return (c.verb == "PUT" || c.verb == "PATCH") && c.kind == kind && c.sub == sub }
}

func action(name string) func(*call) bool {
	return func(c *call) bool { return c.action == name && c.form.Get("DryRun") != "true" }
}

var (
	writeActivity       = write("scalingactivities", "")
	writeActivityStatus = write("scalingactivities", "status")
	writeInstance       = write("instances", "")
	writeInstanceStatus = write("instances", "status")
)

func announce(c *call) bool { return writeActivityStatus(c) && c.holds("Announced") }
func resolve(c *call) bool  { return writeActivityStatus(c) && c.holds("Resolved") }
func done(c *call) bool {
	return writeActivityStatus(c) && bytes.Contains(c.body, []byte(`"done":true`))
}
func marked(c *call) bool { return writeActivityStatus(c) && c.sets("marked") }
func noteSecret(c *call) bool {
	return writeActivity(c) && bytes.Contains(c.body, []byte("requests-deleted"))
}
func running(c *call) bool   { return writeInstanceStatus(c) && c.sets("runningTime") }
func inService(c *call) bool { return writeInstanceStatus(c) && c.sets("joinedTime") }
func joinKey(c *call) bool   { return writeInstance(c) && c.sets("joinKey") }
func mark(c *call) bool      { return writeInstance(c) && c.sets("release") }
func releaseSent(c *call) bool {
	return writeInstanceStatus(c) && c.sets("releaseSentTime")
}
func finalizer(c *call) bool {
	return writeInstance(c) && !c.sets("release") && bytes.Contains(c.body, []byte("finalizers"))
}
func approve(c *call) bool {
	return write("certificatesigningrequests", "approval")(c)
}
func cordon(c *call) bool {
	return write("nodes", "")(c) && bytes.Contains(c.body, []byte(`"unschedulable":true`))
}
func pods(c *call) bool {
	return c.verb == "GET" && c.kind == "pods" && strings.Contains(c.query.Get("fieldSelector"), "spec.nodeName")
}
func evict(c *call) bool { return c.verb == "POST" && c.kind == "pods" && c.sub == "eviction" }
func taskEnds(c *call) bool {
	return write("clustertasks", "status")(c) && c.holds("success")
}
func byID(c *call) bool { return c.action == "DescribeInstances" && c.form.Get("InstanceIds") != "" }

// sweep is one page of a complete list, the first or a later one.
func sweep(later bool) func(*call) bool {
	return func(c *call) bool {
		return c.action == "DescribeInstances" && c.form.Get("InstanceIds") == "" && (c.form.Get("NextToken") != "") == later
	}
}

// holds is true where a state stands in the body.
func (c *call) holds(state string) bool { return bytes.Contains(c.body, []byte(`"state":"`+state+`"`)) }

// shot is one kill: a step, a victim, before or after.
type shot struct {
	step
	victim victim
	after  bool
}

func (s shot) String() string {
	side := "before"
	if s.after {
		side = "after"
	}
	rule := ""
	if s.rule != "" {
		rule = " (rule " + s.rule + ")"
	}
	return fmt.Sprintf("%s%s: %s killed %s it", s.name, rule, s.victim, side)
}

// shots are all kills of the table, in an order in which the pool scales out
// and in by turns as far as the table allows.
func shots() []shot {
	queues := map[way][]shot{}
	for _, s := range steps {
		if s.controller|s.cloud|s.plane == 0 {
			s.controller = both
		}
		// A controller that loses the API server often waits longer each time
		// until it asks again; its own death begins anew. So they take turns.
		for _, side := range []sides{before, after} {
			for v, at := range []sides{theController: s.controller, thePlane: s.plane, theCloud: s.cloud} {
				if at&side != 0 {
					queues[s.way] = append(queues[s.way], shot{s, victim(v), side == after})
				}
			}
		}
	}
	var list []shot
	for turn := out; len(queues[out])+len(queues[in])+len(queues[either]) > 0; turn = out + in - turn {
		from := turn
		if len(queues[from]) == 0 {
			from = either
		}
		if len(queues[from]) == 0 {
			continue // the pool scales back without a kill
		}
		next := queues[from][0]
		queues[from] = queues[from][1:]
		next.way = turn
		list = append(list, next)
	}
	return list
}
