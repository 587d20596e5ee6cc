package scalinggroup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
	"github.com/poolkeeper/poolkeeper/internal/view/snapshot"
)

// group is one look at a group: itself, its activities, its instances, and what
// was concluded. Activities and instances are shared with the cache and never
// changed.
type group struct {
	*Reconciler
	now        time.Time
	g          *api.ScalingGroup
	before     *api.ScalingGroupStatus // as it was read
	activities []api.ScalingActivity
	instances  []api.Instance
	kept       *kept
	live       bool // read from the API server: what was written before is there
	guarded    Guarded
	// freeze is why nothing is created or released; its text is empty where
	// nothing stands in the way.
	freeze freeze
	// thawed is true while a person's word lets releases go on.
	thawed bool
	s      scaling.Snapshot
}

// freeze is why a group neither creates nor releases.
type freeze struct {
	Text   string
	Reason string
	Code   fault.Code
}

// observe reads the activities first, then the group, then the instances, so
// that whatever another activity did meanwhile has taken the name that this
// plan will want (rule 2).
func (r *Reconciler) observe(ctx context.Context, from client.Reader, name string) (*group, error) {
	mine := client.MatchingLabels{api.LabelGroup: name}
	var activities api.ScalingActivityList
	if err := from.List(ctx, &activities, mine, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list activities of %s: %w", name, err)
	}
	out := &group{Reconciler: r, now: r.Now(), g: &api.ScalingGroup{}, activities: activities.Items}
	if err := from.Get(ctx, types.NamespacedName{Name: name}, out.g); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read group %s: %w", name, err)
	}
	var instances api.InstanceList
	if err := from.List(ctx, &instances, mine, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list instances of %s: %w", name, err)
	}
	out.before, out.instances = out.g.Status.DeepCopy(), instances.Items
	out.kept = r.forgettable.of(out.g, len(out.instances))
	if r.Guard != nil {
		out.guarded = r.Guard(out.g)
	}
	slices.SortFunc(out.activities, func(a, b api.ScalingActivity) int { return int(a.Spec.Number - b.Spec.Number) })
	return out, nil
}

// listIsLate says whether an activity was opened after the activities were read
// and before the group was: the number after it is free, so that its name is no
// lock. One that is gone was deleted by hand.
func (g *group) listIsLate(ctx context.Context) (bool, error) {
	last := g.before.LastActivity
	if last <= g.newest() {
		return false, nil
	}
	there := &api.ScalingActivity{}
	err := g.Live.Get(ctx, types.NamespacedName{Name: activityName(g.g.Name, last)}, there)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read activity %d of group %s: %w", last, g.g.Name, err)
	}
	return true, nil
}

// newest is the highest number of the activities that were read.
func (g *group) newest() int64 {
	var n int64
	for i := range g.activities {
		n = max(n, g.activities[i].Spec.Number)
	}
	return n
}

func activityName(group string, number int64) string { return fmt.Sprintf("%s-a%d", group, number) }

// open is the activity of this group that may still send.
func (g *group) open() *api.ScalingActivity {
	for i := range g.activities {
		if a := &g.activities[i]; !a.Status.Done && snapshot.Ours(g.g, a.Spec.GroupUID) {
			return a
		}
	}
	return nil
}

// tooEarly is true shortly after a start, while the cloud was not read yet:
// there is nothing to decide on, and nothing to tell people.
func (g *group) tooEarly() bool {
	if !g.guarded.Unread {
		g.kept.unread = time.Time{}
		return false
	}
	if g.kept.unread.IsZero() {
		g.kept.unread = g.now
	}
	return g.now.Sub(g.kept.unread) < g.Waits.SettingsRetry
}

// learn takes over what a decision depends on and the group does not know yet:
// whose account it uses, the outlook of its resource pools, what was refused.
func (g *group) learn(ctx context.Context, ask bool) {
	g.frozen(ctx)
	g.remember()
	if ask {
		g.askMarket(ctx)
	}
	g.outlook()
	if len(g.g.Status.ResourcePools) > 0 {
		e := scaling.Outlook(snapshot.Of(g.g, nil, nil, g.now, g.Waits))
		g.g.Status.Strength, g.g.Status.StrengthScore = e.Word, int32(e.Sum)
	}
}

// frozen finds what stops everything.
func (g *group) frozen(ctx context.Context) {
	if f := g.g.Spec.Frozen; f != "" {
		g.freeze = freeze{f, api.ReasonDefinitionDeleted, ""}
		return
	}
	st := &g.g.Status
	id, err := g.Account(ctx)
	switch {
	case err != nil && st.AccountID == "":
		code := fault.CodeOf(err)
		if code == "" {
			code = fault.CloudUnreachable
		}
		g.freeze = freeze{"the cloud account is not known yet: " + fault.Lookup(code).Cause, api.ReasonAccountUnknown, code}
	case err != nil:
	case st.AccountID == "":
		st.AccountID = id
	case st.AccountID != id:
		g.freeze = freeze{fmt.Sprintf("the credentials are of account %s, and this group was first used with %s", id, st.AccountID),
			api.ReasonOtherAccount, fault.AccountChanged}
		return
	}
	if f := g.guarded.Frozen; f != "" && g.freeze.Text == "" {
		g.freeze = freeze{f, api.ReasonOtherCluster, ""}
		if g.guarded.Unread {
			g.freeze.Reason, g.freeze.Code = api.ReasonCloudNotRead, fault.CloudUnreachable
		}
	}
}

// noRelease is why nothing is released. A person's word ends it for as long as
// the cause lasts; the next cause freezes anew.
func (g *group) noRelease() string {
	st, spec := &g.g.Status, &g.g.Spec
	g.thawed = reasonOf(st.Conditions, api.ConditionFrozen) == api.ReasonThawed
	if spec.ThawCount > st.ThawedCount {
		st.ThawedCount, g.thawed = spec.ThawCount, true
	}
	if g.guarded.NoRelease == "" || g.thawed {
		g.thawed = g.thawed && g.guarded.NoRelease != ""
		return ""
	}
	return g.guarded.NoRelease
}

// decide is what the group does next.
func (g *group) decide(ctx context.Context, from client.Reader) (scaling.Decision, error) {
	s := snapshot.Of(g.g, g.activities, g.instances, g.now, g.Waits)
	s.NextLook, s.Frozen, s.NoRelease = g.nextLook(), g.freeze.Text, g.noRelease()
	s.Cause, s.Lost = g.changed(), g.lost()
	d := scaling.Plan(s)
	if d.Create > 0 && g.Ceilings != nil { // at rest nobody asks what the others have
		whole, err := g.whole(ctx, from)
		if err != nil {
			return d, err
		}
		s.Ceilings = append(s.Ceilings, whole)
		d = scaling.Plan(s)
	}
	g.s = s
	if d.Create > 0 && g.live {
		if left := g.unrecorded(); len(left) > 0 {
			g.s.Instances = append(slices.Clip(s.Instances), left...)
			d = scaling.Plan(g.s)
		}
	}
	if n := len(g.kept.vanished); n > 0 && d.Create > 0 {
		d.Cause += fmt.Sprintf("; vanished before they ran: %d", n)
	}
	return g.pause(d), nil
}

// whole are the ceilings of the whole installation with what is used of them:
// all activities are read before all instances, as those of the group are.
func (g *group) whole(ctx context.Context, from client.Reader) (scaling.Ceiling, error) {
	var activities api.ScalingActivityList
	var groups api.ScalingGroupList
	var instances api.InstanceList
	for _, list := range []client.ObjectList{&activities, &groups, &instances} {
		if err := from.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return scaling.Ceiling{}, fmt.Errorf("list what the ceilings of the installation count: %w", err)
		}
	}
	return snapshot.Installation(g.Ceilings, groups.Items, activities.Items, instances.Items, g.g.Name, g.now), nil
}

// unrecorded are the instances that the cloud shows with our tags, that have no
// record, and that no activity explains which may still send or is not settled.
// They get their records as unknown ones after a grace time; until then a group
// whose records are lost must not take them for missing (rule 18).
func (g *group) unrecorded() []scaling.Instance {
	known, settling := make(map[string]bool, len(g.instances)), map[string]bool{}
	for i := range g.instances {
		known[g.instances[i].Name] = true
	}
	for i := range g.activities {
		a := &g.activities[i]
		settling[string(a.UID)] = !a.Status.Done ||
			slices.ContainsFunc(a.Status.Pieces, func(p api.Piece) bool { return p.Unsure() })
	}
	var left []scaling.Instance
	for _, t := range g.guarded.Tagged {
		if !known[t.Name] && !settling[t.ActivityUID] {
			left = append(left, scaling.Instance{Name: t.Name, Unknown: true, Lost: snapshot.Lost(g.activities, t.ActivityUID, t.Name)})
		}
	}
	return left
}

// lost says what left by nobody of ours since something was created last.
func (g *group) lost() string {
	var list []Lost
	for _, l := range g.guarded.Lost {
		if l.At.After(g.kept.replaced) {
			list = append(list, l)
		}
	}
	return lostWords(list)
}

// lostWords tells what left, those of one fate together.
func lostWords(list []Lost) string {
	const most = 3
	fates, names := []Lost{}, map[string][]string{}
	for _, l := range list {
		fate := strings.Replace(l.Text, l.Name, "", 1)
		if names[fate] == nil {
			fates = append(fates, l)
		}
		names[fate] = append(names[fate], l.Name)
	}
	var texts []string
	for _, l := range fates {
		all := names[strings.Replace(l.Text, l.Name, "", 1)]
		if len(all) == 1 {
			texts = append(texts, l.Text)
			continue
		}
		who := strings.Join(all[:min(len(all), most)], ", ")
		if n := len(all) - most; n > 0 {
			who += fmt.Sprintf(" and %d more", n)
		}
		texts = append(texts, strings.Replace(strings.Replace(l.Text, l.Name, who, 1), " was ", " were ", 1))
	}
	return strings.Join(texts, "; ")
}

// changed tells who changed the number, where no activity was opened for it
// yet; else empty.
func (g *group) changed() string {
	var from, to int32
	change := g.g.Annotations[api.AnnotationNumberChange]
	if _, err := fmt.Sscanf(change, "%d -> %d ", &from, &to); err != nil || to != g.g.Spec.DesiredCapacity {
		return ""
	}
	if n := len(g.activities); n > 0 && g.activities[n-1].Spec.Wanted == to {
		return ""
	}
	return "expected number " + change
}

func nowTime(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }
