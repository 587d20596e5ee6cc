package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// checker checks the promises (I1 to I16, S1) at every change of cloud and cluster.
type checker struct {
	*world
	// ceiling is the highest number that was asked for, by pool (I1).
	ceiling map[string]int
	// broughtIn is how many more people have asked to bring in, by pool.
	broughtIn map[string]int
	// made counts what each token made (I2), bodies holds what it was sent with
	// (I16).
	made   map[string]int
	bodies map[string]string
	// copies are instances that people gave our tags; untagged is when they
	// took ours off.
	copies   map[string]bool
	untagged map[string]time.Time
	// late are machines that joined, or that people protected, after they were
	// given up and replaced, or whose removal they canceled when there was another
	// in their place: they are welcome, and scaling in takes the excess (decisions
	// 0018 and 0005).
	late map[string]bool
	// entries are those that tasks wrote into the pool, by task and instance.
	entries map[string]bool
	// unhooked are pools that lost their hooks.
	unhooked map[string]bool
	// takenOut are instances that were taken out of their group.
	takenOut map[string]bool
	joins    joins
	// thawed are pools of which people said that a freeze is to end.
	thawed map[string]bool
	// newer is what the next version wrote, by kind and UID.
	newer map[string]string
	// registered are machines whose own Node was there.
	registered map[string]bool
}

func newChecker(w *world) *checker {
	c := &checker{world: w, ceiling: map[string]int{}, broughtIn: map[string]int{}, made: map[string]int{}, bodies: map[string]string{}, copies: map[string]bool{}, untagged: map[string]time.Time{}, late: map[string]bool{}, entries: map[string]bool{}, unhooked: map[string]bool{}, takenOut: map[string]bool{}, newer: map[string]string{}, thawed: map[string]bool{}, registered: map[string]bool{}}
	c.joins = joins{c, map[string]time.Time{}, map[string]time.Time{}, map[string]int{}, map[string]time.Time{}}
	return c
}

// begins notes a new pool; one of its name may have been there before.
func (c *checker) begins(pool string, n int32) { c.ceiling[pool], c.broughtIn[pool] = int(n), 0 }

// asked notes a number that somebody asked for.
func (c *checker) asked(pool string, n int32) { c.ceiling[pool] = max(c.ceiling[pool], int(n)) }

// copied notes instances of people with our tags.
func (c *checker) copied(said string) {
	for _, word := range strings.Fields(said) {
		if strings.HasPrefix(word, "i-") {
			c.copies[word] = true
		}
	}
}

// ours says whether an instance is one that we made and answer for.
func (c *checker) ours(i region.Summary) bool {
	return i.Tags[cloud.TagCluster] == clusterID && !c.copies[i.ID] && !c.releasing[i.ID]
}

// records are the Instances by their names.
func (c *checker) records() map[string]*api.Instance {
	out := map[string]*api.Instance{}
	for _, o := range c.api.Objects(apiserver.Instance) {
		if i, ok := o.(*api.Instance); ok {
			out[i.Name] = i
		}
	}
	return out
}

// everything checks what must hold at any moment: no more counted instances of a
// pool than were ever asked for (I1), those aside that joined after all.
func (c *checker) everything() {
	records, names := c.records(), map[string][]string{}
	for _, i := range c.region.List() {
		r := records[i.ID]
		if !c.ours(i) || c.late[i.ID] || (r != nil && (r.Spec.Release != nil || r.Status.LifecycleState == api.InstanceRemoved)) {
			continue
		}
		pool := i.Tags[cloud.TagPool]
		names[pool] = append(names[pool], i.ID)
	}
	for _, pool := range sortedKeys(names) {
		if n, most := len(names[pool]), c.ceiling[pool]+c.broughtIn[pool]; n > most {
			c.violate("I1", "%d counted instances of %s, at most %d were asked for: %s", n, pool, most, strings.Join(names[pool], " "))
		}
	}
}

// activity finds an activity by its UID.
func (c *checker) activity(uid string) *api.ScalingActivity {
	for _, o := range c.api.Objects(apiserver.ScalingActivity) {
		if a, ok := o.(*api.ScalingActivity); ok && string(a.UID) == uid {
			return a
		}
	}
	return nil
}

// tagsOf are the tags of a request.
func tagsOf(p region.Params) map[string]string {
	out := map[string]string{}
	for n := 1; p[fmt.Sprintf("Tag.%d.Key", n)] != ""; n++ {
		out[p[fmt.Sprintf("Tag.%d.Key", n)]] = p[fmt.Sprintf("Tag.%d.Value", n)]
	}
	return out
}

// sending checks a request to create when it is put on the wire: its piece was written
// down before (I10), it is sent with the same bytes as ever, and within its
// window (I16).
func (c *checker) sending(p *process, call region.Call) {
	o, _ := cloud.OriginOf(tagsOf(call.Params))
	token := call.Params["ClientToken"]
	body := bodyOf(call.Params)
	if was, known := c.bodies[token]; known && was != body {
		c.violate("I16", "token %.8s of %s is sent with other bytes", token, p.name)
	}
	c.bodies[token] = body
	a := c.activity(o.ActivityUID)
	if a == nil || o.Piece < 0 || o.Piece >= len(a.Status.Pieces) || a.Status.Pieces[o.Piece].FirstSendTime == nil {
		c.violate("I10", "%s sends a piece that is not written down: activity %s, piece %d", p.name, o.ActivityUID, o.Piece)
		return
	}
	piece := a.Status.Pieces[o.Piece]
	if call.Params["Amount"] != strconv.Itoa(int(piece.Amount)) {
		c.violate("I10", "%s asks for %s, and %d are written down", p.name, call.Params["Amount"], piece.Amount)
	}
	if age := c.now.Sub(piece.FirstSendTime.Time); age > c.waits.SendWindow+2*c.waits.ClockMargin {
		c.violate("I16", "piece %d of %s is sent %s after its first send", o.Piece, a.Name, age)
	}
}

// unsigned are parameters that differ from send to send.
var unsigned = []string{"Timestamp", "SignatureNonce", "Signature", "ClientToken"}

func bodyOf(p region.Params) string {
	var lines []string
	for k, v := range p {
		if !slices.Contains(unsigned, k) {
			lines = append(lines, k+"="+v)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// created checks what a request made: never more than its piece asked for, over
// all its sends (I2).
func (c *checker) created(call region.Call, ids []string) {
	o, _ := cloud.OriginOf(tagsOf(call.Params))
	piece := fmt.Sprintf("%s/%d", o.ActivityUID, o.Piece)
	c.made[piece] += len(ids)
	if amount, _ := strconv.Atoi(call.Params["Amount"]); c.made[piece] > amount {
		c.violate("I2", "piece %s asked for %d and has %d", piece, amount, c.made[piece])
	}
}

// releaseCall checks a release call: only what was written down as about to be
// released, and is ours (I4).
func (c *checker) releaseCall(call region.Call) {
	records := c.records()
	for _, id := range numbered(call.Params, "InstanceId") {
		r := records[id]
		switch {
		case c.copies[id]:
			c.violate("I4", "%s is released, which has copied tags", id)
		case !c.region.Has(id) || c.world.releasing[id]:
		case r == nil:
			c.violate("I4", "%s is released, which has no record", id)
		case r.Status.ReleaseSentTime == nil:
			c.violate("I4", "%s is released before that was written down", id)
		case r.Spec.Release == nil:
			c.violate("I4", "%s is released, and nobody decided that it goes", id)
		}
		if at, ok := c.untagged[id]; ok && c.now.Sub(at) > 20*time.Minute {
			c.violate("I4", "%s is released %s after people took our tags off", id, c.now.Sub(at))
		}
	}
}

// change checks one change in the API server.
func (c *checker) change(e apiserver.Event) {
	c.stays(e)
	c.newerStays(e)
	c.joins.costs(e)
	switch o := e.New.(type) {
	case *api.Instance:
		old, _ := e.Old.(*api.Instance)
		c.leaves(o, old == nil)
		c.joinsItself(old, o)
		c.joins.recordChanges(old, o, e.Deleted)
		if old != nil && old.Spec.Release != nil && o.Spec.Release == nil && (old.Spec.Release.NotBeforeTime != nil || o.Spec.Protected && o.Status.FailedTime != nil || c.keptNumber(old.Spec.Release.Task)) {
			c.late[o.Name] = true
		}
		if old != nil {
			c.hooksMove(old, o)
		}
		if e.Deleted {
			c.recordEnds(o)
		} else if o.Status.ReleaseSentTime != nil && (old == nil || old.Status.ReleaseSentTime == nil) {
			c.releaseBegins(o)
		}
	case *corev1.Node:
		c.nodeChanges(e, o)
	case *certificatesv1.CertificateSigningRequest:
		old, _ := e.Old.(*certificatesv1.CertificateSigningRequest)
		c.joins.requestChanges(old, o)
		c.world.answered(o, e.Deleted)
	case *api.ScalingActivity:
		old, _ := e.Old.(*api.ScalingActivity)
		if !e.Deleted {
			c.activityChanges(old, o)
		}
	case *api.NodePool:
		if old, _ := e.Old.(*api.NodePool); old != nil && !e.Deleted && c.current != nil {
			c.taskChanges(old, o)
			c.tellsWhy(o)
		}
	}
}

// leaves checks that one which was taken out of its group is never recorded
// again, unless somebody brings it in (I4).
func (c *checker) leaves(i *api.Instance, isNew bool) {
	at := i.Name + " of " + i.Spec.GroupUID
	if i.Status.LifecycleState == api.InstanceRemoved {
		c.takenOut[at] = true
	}
	if g := c.group(i.Spec.Pool); isNew && c.takenOut[at] && i.Spec.CreationType != api.CreatedAttached && g != nil && string(g.UID) == i.Spec.GroupUID {
		c.violate("I4", "%s was taken out, and is recorded again", i.Name)
	}
}

// tellsWhy checks that a pool that is not as wished says why, for all that it
// knows (I12).
func (c *checker) tellsWhy(pool *api.NodePool) {
	st := &pool.Status
	if n := pool.Spec.ExpectedNodes; st.ObservedGeneration == pool.Generation && pool.DeletionTimestamp == nil && st.Counts.Instances != n && (st.Why == nil || st.Why.Sentence == "") {
		c.violate("I12", "%s has %d of %d, and does not say why: %s", pool.Name, st.Counts.Instances, n, st.Summary)
	}
}

// releaseBegins checks what is written down as about to be released (I4, I7).
func (c *checker) releaseBegins(i *api.Instance) {
	m := i.Spec.Release
	switch {
	case m == nil:
		c.violate("I4", "%s is about to be released, and nobody decided that it goes", i.Name)
		return
	case i.Spec.Protected && !m.Emptying:
		c.violate("I4", "%s is about to be released and protected", i.Name)
	case i.Spec.CreationType == api.CreatedUnknown, !i.Spec.CreationType.Known():
		c.violate("I4", "%s is about to be released and of unknown origin", i.Name)
	case m.TakeOut:
		c.violate("I4", "%s is about to be released and was to be taken out only", i.Name)
	}
	c.letGo(i)
	c.frozen(i)
	if m.Drain == api.DrainRequired && i.Status.JoinedTime != nil && i.Status.NodeState == api.NodeReady && !m.Emptying {
		for _, o := range c.api.Objects(apiserver.Pod) {
			if pod, ok := o.(*corev1.Pod); ok && pod.Spec.NodeName == i.Name && c.nodeReady(i.Name) {
				c.violate("I7", "%s is about to be released with pod %s on it, and its drain is required", i.Name, pod.Name)
			}
		}
	}
}

func (c *checker) nodeReady(name string) bool {
	for _, o := range c.api.Objects(apiserver.Node) {
		if n, ok := o.(*corev1.Node); ok && n.Name == name {
			return slices.ContainsFunc(n.Status.Conditions, func(x corev1.NodeCondition) bool { return x.Status == corev1.ConditionTrue })
		}
	}
	return false
}

// recordEnds checks that no record goes of an instance that is there and ours
// (I5).
func (c *checker) recordEnds(i *api.Instance) {
	if i.Status.LifecycleState == api.InstanceRemoved || i.Spec.Disown {
		return
	}
	for _, s := range c.region.List() {
		switch _, untagged := c.untagged[i.Name]; {
		case s.ID != i.Name:
		case c.ours(s):
			c.violate("I5", "the record of %s goes, which is there and ours", i.Name)
		case i.Spec.CreationType == api.CreatedAttached && !untagged && !c.copies[s.ID] && !c.world.releasing[s.ID]:
			c.violate("I5", "the record of %s goes, which was brought in, and nobody took our tags off it but we", i.Name)
		}
	}
}

// activityChanges checks that one activity at most is open, and that what is
// written down of a piece never changes (I10, I16).
func (c *checker) activityChanges(old, a *api.ScalingActivity) {
	if old == nil {
		for _, o := range c.api.Objects(apiserver.ScalingActivity) {
			if other, ok := o.(*api.ScalingActivity); ok && other.Name != a.Name && other.Spec.GroupUID == a.Spec.GroupUID && !other.Status.Done {
				c.violate("I10", "%s is opened while %s is", a.Name, other.Name)
			}
		}
		return
	}
	for n, p := range old.Status.Pieces {
		if n >= len(a.Status.Pieces) || a.Status.Pieces[n].Amount != p.Amount || a.Status.Pieces[n].Candidate != p.Candidate {
			c.violate("I10", "piece %d of %s is altered", n, a.Name)
		} else if q := a.Status.Pieces[n]; p.FirstSendTime != nil && (q.FirstSendTime == nil || !q.FirstSendTime.Equal(p.FirstSendTime)) {
			c.violate("I16", "the first send of piece %d of %s is altered", n, a.Name)
		}
	}
}
