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
	out.kept = r.forgettable.of(out.g)
	if r.Guard != nil {
		out.guarded = r.Guard(out.g)
	}
	slices.SortFunc(out.activities, func(a, b api.ScalingActivity) int { return int(a.Spec.Number - b.Spec.Number) })
	return out, nil
}

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
	if ask {
		g.askMarket(ctx)
	}
	g.outlook()
	g.remember()
	if len(g.g.Status.ResourcePools) > 0 {
		g.g.Status.Strength = scaling.Strength(snapshot.Of(g.g, nil, nil, g.now, g.Waits))
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
func (g *group) decide() scaling.Decision {
	s := snapshot.Of(g.g, g.activities, g.instances, g.now, g.Waits)
	s.NextLook, s.Frozen, s.NoRelease = g.nextLook(), g.freeze.Text, g.noRelease()
	s.Lost = g.lost()
	g.s = s
	return g.pause(scaling.Plan(s))
}

// lost says what left by nobody of ours since something was created last.
func (g *group) lost() string {
	var texts []string
	for _, l := range g.guarded.Lost {
		if l.At.After(g.kept.replaced) {
			texts = append(texts, l.Text)
		}
	}
	const most = 5
	if n := len(texts) - most; n > 0 {
		texts = append(texts[:most], fmt.Sprintf("%d more", n))
	}
	return strings.Join(texts, "; ")
}

// pause puts off what was just tried in vain: the requests could not be written
// down, or an activity ended before it asked for anything.
func (g *group) pause(d scaling.Decision) scaling.Decision {
	why, until := g.kept.stuckNow(g), time.Time{}
	switch {
	case d.Empty():
		return d
	case why != nil && (why.all || d.Create > 0):
		until = why.until
	case d.Create > 0:
		if until = g.endedUnsent(); until.IsZero() {
			return d
		}
		why = &stuck{reason: scaling.Reason{Text: "the last activity ended before it asked for anything"}}
	default:
		return d
	}
	reason := why.reason
	reason.Until = until
	return scaling.Decision{Blocked: append([]scaling.Reason{reason}, d.Blocked...), Wake: until,
		Counted: d.Counted, Missing: d.Missing, Imbalance: d.Imbalance}
}

// endedUnsent is until when creation waits because the newest activity, just
// ended, was to create and never asked; zero where that is not so.
func (g *group) endedUnsent() time.Time {
	if len(g.activities) == 0 {
		return time.Time{}
	}
	a := &g.activities[len(g.activities)-1]
	if a.Spec.Create == 0 || !a.Status.Done || len(a.Status.Pieces) > 0 || a.Status.EndTime == nil {
		return time.Time{}
	}
	if until := a.Status.EndTime.Add(g.Waits.Retry); until.After(g.now) {
		return until
	}
	return time.Time{}
}

func nowTime(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }
