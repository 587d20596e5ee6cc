package scenario

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
)

// checkLimit is how long the invariants may take to be so: two sweeps at rest
// are a second here.
const checkLimit = 10 * time.Second

// sight is everything at one time.
type sight struct {
	pools     []v1alpha1.NodePool
	instances []v1alpha1.Instance
	tasks     []v1alpha1.ClusterTask
	nodes     map[string]corev1.Node
	cloud     map[string]region.Summary
	cluster   string // our cluster ID
}

// check waits until the invariants hold; what does not is an error.
func (s *story) check(t *testing.T) {
	t.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(checkLimit); ; <-again.C {
		now, err := s.sight(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wrong := s.wrong(now)
		if len(wrong) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("invariants, %s after the last line:\n  %s", checkLimit, s.seen(strings.Join(wrong, "\n  "), s.dir))
			s.tell(t)
			return
		}
	}
}

func (s *story) sight(ctx context.Context) (sight, error) {
	var pools v1alpha1.NodePoolList
	var instances v1alpha1.InstanceList
	var tasks v1alpha1.ClusterTaskList
	var nodes corev1.NodeList
	if err := s.kube.List(ctx, &pools); err != nil {
		return sight{}, err
	}
	if err := s.kube.List(ctx, &instances); err != nil {
		return sight{}, err
	}
	if err := s.kube.List(ctx, &tasks); err != nil {
		return sight{}, err
	}
	if err := s.kube.List(ctx, &nodes); err != nil {
		return sight{}, err
	}
	cloud, err := s.world.instances(ctx)
	if err != nil {
		return sight{}, err
	}
	now := sight{pools: pools.Items, instances: instances.Items, tasks: tasks.Items, nodes: map[string]corev1.Node{}, cloud: map[string]region.Summary{}, cluster: s.cluster}
	for _, n := range nodes.Items {
		now.nodes[n.Name] = n
	}
	for _, c := range cloud {
		now.cloud[c.ID] = c
	}
	return now, nil
}

// poolTag is the tag that names the pool of an instance of ours, clusterTag the
// one that names the installation.
const (
	poolTag    = "poolkeeper.io/pool"
	clusterTag = "poolkeeper.io/cluster"
)

// wrong names what does not fit together.
func (s *story) wrong(now sight) []string {
	wrong := append(wrongTags(now), wrongNodes(now)...)
	for _, p := range now.pools {
		wrong = append(wrong, wrongPool(now, p)...)
	}
	for _, task := range now.tasks {
		if !slices.ContainsFunc(now.pools, func(p v1alpha1.NodePool) bool { return string(p.UID) == task.Spec.PoolUID }) {
			continue // of a transcript before
		}
		if task.Status.State == v1alpha1.TaskRunning && task.Status.Progress == "" {
			wrong = append(wrong, fmt.Sprintf("task %s runs and says nothing", task.Name))
		}
		if e := task.Status.Error; task.Status.State == v1alpha1.TaskFailed && (e == nil || e.Code == "") {
			wrong = append(wrong, fmt.Sprintf("task %s failed without a code", task.Name))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.kept)) {
		if _, there := now.cloud[id]; !there {
			wrong = append(wrong, fmt.Sprintf("instance %s was kept (%s) and is gone", id, s.kept[id]))
		}
	}
	return wrong
}

// wrongTags compares the records with what carries our tags.
func wrongTags(now sight) []string {
	var wrong []string
	records := map[string]v1alpha1.Instance{}
	for _, i := range now.instances {
		records[i.Name] = i
		c, there := now.cloud[i.Name]
		removed := i.Status.LifecycleState == v1alpha1.InstanceRemoved
		switch {
		case !there:
			wrong = append(wrong, fmt.Sprintf("instance %s is recorded and not in the cloud", i.Name))
		case removed && c.Tags[poolTag] != "":
			wrong = append(wrong, fmt.Sprintf("instance %s is removed and carries our tags", i.Name))
		case !removed && c.Tags[poolTag] != i.Spec.Pool:
			wrong = append(wrong, fmt.Sprintf("instance %s of %s carries the tag of %q", i.Name, i.Spec.Pool, c.Tags[poolTag]))
		}
	}
	for id, c := range now.cloud {
		if _, ok := records[id]; c.Tags[poolTag] != "" && !ok && c.Tags[clusterTag] == now.cluster {
			wrong = append(wrong, fmt.Sprintf("instance %s carries our tags and is not recorded", id))
		}
	}
	return wrong
}

// wrongNodes compares the records with the Nodes.
func wrongNodes(now sight) []string {
	var wrong []string
	known := map[string]bool{}
	for _, i := range now.instances {
		n, there := now.nodes[i.Name]
		known[i.Name] = true
		id := "cn-local." + i.Name
		switch state := i.Status.NodeState; {
		case there && n.Spec.ProviderID != id:
			wrong = append(wrong, fmt.Sprintf("node %s has the provider ID %q", i.Name, n.Spec.ProviderID))
		case there && state == v1alpha1.NodeUnknown:
			wrong = append(wrong, fmt.Sprintf("node %s is there and called unknown", i.Name))
		case !there && (state == v1alpha1.NodeReady || state == v1alpha1.NodeNotReady):
			wrong = append(wrong, fmt.Sprintf("node %s is called %s and not there", i.Name, state))
		case state == v1alpha1.NodeReady && !ready(n):
			wrong = append(wrong, fmt.Sprintf("node %s is called ready and is not", i.Name))
		}
	}
	for name := range now.nodes {
		// The Node of a machine that was taken out is its own affair.
		if c, there := now.cloud[name]; !known[name] && (!there || c.Tags[poolTag] != "") {
			wrong = append(wrong, fmt.Sprintf("node %s is there and no instance is recorded for it", name))
		}
	}
	return wrong
}

func ready(n corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// wrongPool compares a pool's number, counts, bill and reason with its
// instances.
func wrongPool(now sight, p v1alpha1.NodePool) []string {
	var wrong []string
	counted, inService, unknown := int32(0), int32(0), 0
	bill := new(big.Rat)
	for _, i := range now.instances {
		if i.Spec.Pool != p.Name {
			continue
		}
		removed := i.Status.LifecycleState == v1alpha1.InstanceRemoved
		if i.Spec.Release == nil && !removed && i.Spec.CreationType != v1alpha1.CreatedUnknown {
			counted++
		}
		if (i.Status.LifecycleState == v1alpha1.InstanceInService || i.Status.LifecycleState == v1alpha1.InstanceProtected) && i.Status.NodeState == v1alpha1.NodeReady && i.Spec.Release == nil {
			inService++
		}
		if i.Spec.CreationType == v1alpha1.CreatedUnknown {
			unknown++
		}
		unit := i.Spec.Placement.PricePerHour
		if n := len(i.Status.Terms); n > 0 {
			unit = i.Status.Terms[n-1].PricePerHour
		}
		if price, ok := new(big.Rat).SetString(unit); ok && !removed {
			bill.Add(bill, price)
		}
	}
	st := p.Status
	if st.Counts.Instances != counted {
		wrong = append(wrong, fmt.Sprintf("pool %s counts %d instances, its records say %d", p.Name, st.Counts.Instances, counted))
	}
	if st.Counts.InService != inService {
		wrong = append(wrong, fmt.Sprintf("pool %s says %d in service, its records say %d", p.Name, st.Counts.InService, inService))
	}
	at := conditionOf(p, v1alpha1.ConditionAtExpectedNumber)
	if (at == "True") != (counted == p.Spec.ExpectedNodes) {
		wrong = append(wrong, fmt.Sprintf("pool %s has %d of %d instances, and AtExpectedNumber is %s", p.Name, counted, p.Spec.ExpectedNodes, at))
	}
	if counted != p.Spec.ExpectedNodes && (st.Why == nil || st.Why.Sentence == "") {
		wrong = append(wrong, fmt.Sprintf("pool %s has %d of %d instances and names no reason", p.Name, counted, p.Spec.ExpectedNodes))
	}
	if counted == p.Spec.ExpectedNodes && inService < counted && st.Summary == "" {
		wrong = append(wrong, fmt.Sprintf("pool %s has %d of %d nodes in service and says nothing", p.Name, inService, counted))
	}
	perHour := "0"
	if st.Price != nil && st.Price.PerHour != "" {
		perHour = st.Price.PerHour
	}
	if shown, ok := new(big.Rat).SetString(perHour); !ok || shown.FloatString(3) != bill.FloatString(3) {
		wrong = append(wrong, fmt.Sprintf("pool %s costs %s an hour by its status, %s by its instances", p.Name, perHour, bill.FloatString(3)))
	}
	return wrong
}

func conditionOf(p v1alpha1.NodePool, kind string) string {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return string(c.Status)
		}
	}
	return ""
}

// look learns names and remembers what is kept now.
func (s *story) look(t *testing.T) {
	t.Helper()
	list, err := s.learn(t.Context(), s.world)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		by := ""
		switch {
		case i.Spec.Protected:
			by = "protected"
		case i.Spec.Standby:
			by = "on standby"
		case i.Status.ReleaseProtected:
			by = "release-protected"
		case i.Status.ChargeType == v1alpha1.ChargeSubscription:
			by = "a subscription"
		case i.Spec.CreationType == v1alpha1.CreatedAttached:
			by = "attached"
		}
		switch {
		case by == "":
			delete(s.kept, i.Name)
			delete(s.freed, i.Name)
		case !s.freed[i.Name]:
			s.kept[i.Name] = by
		}
	}
}

// endsKeeping is what people type to let go of what is kept.
var endsKeeping = regexp.MustCompile(`unprotect|in-service|convert|local instance (release|expire|take-out)|manage-attached|manageAttached`)

// let forgets what a line that was typed lets go of: from then on it may go at
// any moment, though it is still kept until the system has carried that out.
func (s *story) let(line string) {
	if !endsKeeping.MatchString(line) {
		return
	}
	named := shortName.FindAllString(line, -1)
	for _, short := range named {
		s.free(s.real[short])
	}
	if len(named) == 0 {
		for id := range s.kept {
			s.free(id)
		}
	}
}

func (s *story) free(id string) {
	delete(s.kept, id)
	s.freed[id] = true
}
