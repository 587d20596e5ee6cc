package clustertask

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	words "github.com/poolkeeper/poolkeeper/internal/view"
)

// honoured is the progress of a request that the group has honoured; of one to
// resume, with what is tried next.
func (w *work) honoured(ctx context.Context, g *api.ScalingGroup, done string) (string, error) {
	if w.t.Spec.Type != api.TaskResume {
		return done, nil
	}
	if c := w.t.Spec.Candidate; c != "" {
		done = c + " is no longer held"
	}
	next, err := w.triedNext(ctx, g)
	return cut(done+"; tried next: "+next, 512), err
}

// triedNext is what a group tries after a person resumed it: what the newest
// activity since then asks, or why none does. One of the same second may have
// been before.
func (w *work) triedNext(ctx context.Context, g *api.ScalingGroup) (string, error) {
	var list api.ScalingActivityList
	if err := w.Live.List(ctx, &list, client.MatchingLabels{api.LabelGroup: g.Name}); err != nil {
		return "", fmt.Errorf("list activities of %s: %w", g.Name, err)
	}
	sort.Slice(list.Items, func(a, b int) bool { return list.Items[a].Spec.Number > list.Items[b].Spec.Number })
	for i := range list.Items {
		a := &list.Items[i]
		places := placesOf(a)
		mine := a.Spec.GroupUID == string(g.UID) && !a.CreationTimestamp.Before(w.t.Status.StartTime)
		if mine && len(places) > 0 && (w.t.Spec.Candidate == "" || slices.Contains(places, w.t.Spec.Candidate)) {
			return "activity " + a.Name + " asks " + inOrder(places), nil
		}
	}
	switch why := g.Status.Why; {
	case g.Status.OpenActivity != "":
		return "what is missing when activity " + g.Status.OpenActivity + " has ended", nil
	case why == nil:
		return "nothing, as none is missing", nil
	default:
		return "nothing yet: " + words.WhyCause(why), nil
	}
}

// placesOf are the candidates of an activity as ZONE/TYPE, each once, in order.
func placesOf(a *api.ScalingActivity) []string {
	var places []string
	for _, c := range a.Spec.Candidates {
		if p := c.Zone + "/" + c.InstanceType; !slices.Contains(places, p) {
			places = append(places, p)
		}
	}
	return places
}

// inOrder names the first of some places.
func inOrder(places []string) string {
	const most = 3
	text := strings.Join(places[:min(len(places), most)], ", then ")
	if more := len(places) - most; more > 0 {
		text += fmt.Sprintf(", then %d more", more)
	}
	return text
}
