package sim

import (
	"fmt"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// notYet says what is not as it was asked for; empty where everything is (I3,
// I8, I12).
func (c *checker) notYet() string {
	records := map[string][]*api.Instance{}
	all := c.records()
	for _, name := range sortedKeys(all) {
		i := all[name]
		records[i.Spec.Pool] = append(records[i.Spec.Pool], i)
	}
	there := map[string]bool{}
	for _, o := range c.api.Objects(apiserver.NodePool) {
		pool, _ := o.(*api.NodePool)
		there[pool.Name] = true
		if why := c.notAsAsked(pool, records[pool.Name]); why != "" {
			return pool.Name + ": " + why
		}
	}
	for _, name := range sortedKeys(c.people.pools) {
		if c.people.pools[name] && !there[name] {
			return name + " was asked for, and is not there yet"
		}
	}
	if why := c.somethingLeft(there); why != "" {
		return why
	}
	for _, i := range c.region.List() {
		if i.Tags[cloud.TagCluster] == clusterID && all[i.ID] == nil {
			return i.ID + " is ours and has no record"
		}
	}
	for _, o := range c.api.Objects(apiserver.ScalingActivity) {
		a, _ := o.(*api.ScalingActivity)
		if !a.Status.Done || slices.ContainsFunc(a.Status.Pieces, func(p api.Piece) bool { return p.State != api.PieceResolved }) {
			return a.Name + " has not ended"
		}
	}
	return c.openTask()
}

// notAsAsked says what is not as it was asked for in one pool.
func (c *checker) notAsAsked(pool *api.NodePool, records []*api.Instance) string {
	group := c.group(pool.Name)
	if group == nil {
		return "there is no group"
	}
	if pool.DeletionTimestamp != nil {
		return "it is being deleted"
	}
	want := int(pool.Spec.ExpectedNodes)
	counted, attached := 0, 0
	for _, i := range records {
		if i.Spec.CreationType == api.CreatedUnknown || i.Status.LifecycleState == api.InstanceRemoved {
			continue
		}
		if i.Spec.Release != nil {
			return i.Name + " is still to go"
		}
		counted++
		if i.Spec.CreationType == api.CreatedAttached {
			attached++
		}
		if why := c.unwell(i); why != "" {
			return i.Name + why
		}
	}
	if kept := counted == attached && counted > want; kept { // scaling in never picks these
		want = counted
	}
	if counted != want {
		return fmt.Sprintf("%d are counted, %d are asked for", counted, want)
	}
	if int(group.Status.Counted) != want || pool.Status.State != api.PoolActive {
		return fmt.Sprintf("the group says %d, the pool %s", group.Status.Counted, pool.Status.State)
	}
	return c.untold(group)
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
		if n := slices.IndexFunc(i.Status.Hooks, func(h api.HookStatus) bool { return h.Result == "" }); n >= 0 {
			return " is held by hook " + i.Status.Hooks[n].Name
		}
		if m, _ := c.region.Metadata(s.ID); m.Values["instance/spot/termination-time"] != "" {
			return " is being taken back by the cloud"
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

func (c *checker) group(pool string) *api.ScalingGroup {
	for _, o := range c.api.Objects(apiserver.ScalingGroup) {
		if g, ok := o.(*api.ScalingGroup); ok && g.Spec.Pool == pool {
			return g
		}
	}
	return nil
}

// somethingLeft names what is left of pools that are gone (I3). A machine to
// which somebody copied our tags keeps its record of unknown origin for as long
// as it is there, until a person says whose it is.
func (c *checker) somethingLeft(pools map[string]bool) string {
	for _, i := range c.region.List() {
		if i.Tags[cloud.TagCluster] == clusterID && !pools[i.Tags[cloud.TagPool]] && !c.copies[i.ID] && !c.world.releasing[i.ID] {
			return i.ID + " is left in the cloud"
		}
	}
	for name, i := range c.records() {
		if !pools[i.Spec.Pool] && (i.Spec.CreationType != api.CreatedUnknown || !c.copies[name] || !c.region.Has(name)) {
			return "records are left"
		}
	}
	for _, o := range c.api.Objects(apiserver.Node) {
		if id := o.GetName(); !c.region.Has(id) && c.untagged[id].IsZero() {
			return "Node " + id + " is left of a machine that is gone"
		}
	}
	for _, o := range c.api.Objects(apiserver.ScalingGroup) {
		if g, ok := o.(*api.ScalingGroup); ok && !pools[g.Spec.Pool] {
			return "group " + g.Name + " is left"
		}
	}
	for _, o := range c.api.Objects(apiserver.ScalingActivity) {
		if a, ok := o.(*api.ScalingActivity); ok && !pools[a.Spec.Pool] {
			return a.Name + " is left"
		}
	}
	for _, o := range c.api.Objects(apiserver.Secret) {
		if o.GetNamespace() != api.JoinNamespace || len(pools) == 0 {
			return "requests are left"
		}
	}
	return ""
}

func sortedKeys[K ~string, T any](m map[K]T) []K {
	out := make([]K, 0, len(m))
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
	case *certificatesv1.CertificateSigningRequest:
		return text + requestWords(o), true
	}
	return text, e.Old == nil || e.Deleted
}

func instanceWords(i *api.Instance) string {
	s := fmt.Sprintf(": %s %s", i.Status.LifecycleState, i.Status.NodeState)
	if i.Spec.JoinKey != "" {
		s += ", with a key"
	}
	if i.Spec.Release != nil {
		s += ", to go by " + i.Spec.Release.Activity
	}
	if t := i.Status.ReleaseSentTime; t != nil {
		s += ", release sent " + t.Format(time.TimeOnly)
	}
	return s
}

func requestWords(r *certificatesv1.CertificateSigningRequest) string {
	for _, c := range r.Status.Conditions {
		return fmt.Sprintf(": %s, %s", c.Type, c.Message)
	}
	return ""
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
