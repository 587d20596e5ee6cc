package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// notYet says what is not as it was asked for; empty where everything is (I3,
// I8, I12).
func (c *checker) notYet() string {
	pool, group := c.pool(), c.group()
	if pool == nil {
		return c.somethingLeft()
	}
	if group == nil {
		return "there is no group"
	}
	if pool.DeletionTimestamp != nil {
		return "the pool is being deleted"
	}
	want := int(pool.Spec.ExpectedNodes)
	counted, attached := 0, 0
	records := c.records()
	for _, name := range sortedKeys(records) {
		i := records[name]
		if i.Spec.CreationType == api.CreatedUnknown || i.Status.LifecycleState == api.InstanceRemoved {
			continue
		}
		if i.Spec.Release != nil {
			return name + " is still to go"
		}
		counted++
		if i.Spec.CreationType == api.CreatedAttached {
			attached++
		}
		if why := c.unwell(i); why != "" {
			return name + why
		}
	}
	if kept := counted == attached && counted > want; kept { // scaling in never picks these
		want = counted
	}
	if counted != want {
		return fmt.Sprintf("%d are counted, %d are asked for", counted, want)
	}
	for _, i := range c.region.List() {
		if i.Tags[cloud.TagCluster] == clusterID && records[i.ID] == nil {
			return i.ID + " is ours and has no record"
		}
	}
	for _, o := range c.api.Objects(apiserver.ScalingActivity) {
		a, _ := o.(*api.ScalingActivity)
		if !a.Status.Done || slices.ContainsFunc(a.Status.Pieces, func(p api.Piece) bool { return p.State != api.PieceResolved }) {
			return a.Name + " has not ended"
		}
	}
	if int(group.Status.Counted) != want || pool.Status.State != api.PoolActive {
		return fmt.Sprintf("the group says %d, the pool %s", group.Status.Counted, pool.Status.State)
	}
	if why := c.untold(group); why != "" {
		return why
	}
	return c.openTask()
}

// ownRecords is how many Instances there are but for those of copies.
func (c *checker) ownRecords() int {
	n := 0
	for name, i := range c.records() {
		if i.Spec.CreationType != api.CreatedUnknown || !c.copies[name] || !c.region.Has(name) {
			n++
		}
	}
	return n
}

// unwell says what is wrong with a counted instance. A machine that a person
// brought in and that never joined waits for that person: the engine neither
// starts nor replaces it.
func (c *checker) unwell(i *api.Instance) string {
	if i.Spec.CreationType == api.CreatedAttached && i.Status.JoinedTime == nil {
		return ""
	}
	for _, s := range c.region.List() {
		if s.ID != i.Name {
			continue
		}
		if s.Status != "Running" {
			return " is " + s.Status
		}
		if !c.nodeReady(i.Name) && !slices.Contains([]api.NodeState{api.NodeUnknown}, i.Status.NodeState) {
			return " has not joined"
		}
		if i.Status.SeenTime == nil {
			return " was not shown by a list yet, which is written down when it is"
		}
		return ""
	}
	return " is recorded and not there"
}

func (c *checker) openTask() string {
	for _, o := range c.api.Objects(apiserver.ClusterTask) {
		if t, _ := o.(*api.ClusterTask); t.Status.EndTime == nil {
			return "task " + t.Name + " runs"
		}
	}
	return ""
}

func (c *checker) pool() *api.NodePool {
	for _, o := range c.api.Objects(apiserver.NodePool) {
		pool, _ := o.(*api.NodePool)
		return pool
	}
	return nil
}

func (c *checker) group() *api.ScalingGroup {
	for _, o := range c.api.Objects(apiserver.ScalingGroup) {
		g, _ := o.(*api.ScalingGroup)
		return g
	}
	return nil
}

// somethingLeft names what is left of a pool that is gone (I3). A machine to
// which somebody copied our tags keeps its record of unknown origin for as long
// as it is there, until a person says whose it is.
func (c *checker) somethingLeft() string {
	for _, i := range c.region.List() {
		if i.Tags[cloud.TagCluster] == clusterID && !c.copies[i.ID] && !c.world.releasing[i.ID] {
			return i.ID + " is left in the cloud"
		}
	}
	kinds := map[string][]string{}
	for what, list := range map[string]int{"instances": c.ownRecords(), "activities": len(c.api.Objects(apiserver.ScalingActivity)),
		"groups": len(c.api.Objects(apiserver.ScalingGroup)), "requests": len(c.api.Objects(apiserver.Secret))} {
		if list > 0 {
			kinds[what] = append(kinds[what], fmt.Sprint(list))
		}
	}
	if len(kinds) > 0 {
		return "left are " + strings.Join(sortedKeys(kinds), " and ")
	}
	return c.openTask()
}

func sortedKeys[T any](m map[string]T) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// inWords is one change in the API server in words, and whether the story
// needs it.
func inWords(e apiserver.Event) (string, bool) {
	verb := "writes"
	switch {
	case e.Deleted:
		verb = "ends"
	case e.Old == nil:
		verb = "creates"
	case e.New.GetDeletionTimestamp() != nil && e.Old.GetDeletionTimestamp() == nil:
		verb = "deletes"
	}
	text := fmt.Sprintf("%s %s %s", verb, e.Kind.Kind, e.New.GetName())
	switch o := e.New.(type) {
	case *api.Instance:
		return text + instanceWords(o), true
	case *api.ScalingActivity:
		return text + activityWords(o), true
	case *api.NodePool:
		return fmt.Sprintf("%s: expects %d", text, o.Spec.ExpectedNodes), e.Old == nil || e.Deleted || e.Old.GetGeneration() != o.Generation
	case *api.ScalingGroup:
		return fmt.Sprintf("%s: desired %d, counted %d, %s", text, o.Spec.DesiredCapacity, o.Status.Counted, o.Status.Summary), true
	case *corev1.Node:
		return text, true
	}
	return text, e.Old == nil || e.Deleted
}

func instanceWords(i *api.Instance) string {
	s := fmt.Sprintf(": %s %s", i.Status.LifecycleState, i.Status.NodeState)
	if i.Spec.Release != nil {
		s += ", to go by " + i.Spec.Release.Activity
	}
	if t := i.Status.ReleaseSentTime; t != nil {
		s += ", release sent " + t.Format(time.TimeOnly)
	}
	return s
}

func activityWords(a *api.ScalingActivity) string {
	s := fmt.Sprintf(": create %d, release %d, take out %d, bring in %d", a.Spec.Create, len(a.Spec.Release), len(a.Spec.TakeOut), len(a.Spec.BringIn))
	for n, p := range a.Status.Pieces {
		s += fmt.Sprintf("; piece %d of %d %s, %d sends, has %d", n, p.Amount, p.State, p.Sends, len(p.Instances))
	}
	if a.Status.Done {
		s += "; over"
	}
	return s
}
