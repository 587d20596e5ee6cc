package scenario

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// names are the short names of one transcript: i-1 for the first instance,
// t-1 for the first task that has a name of chance. They stand for the real
// ones in what is typed, and the real ones become them in what is seen.
type names struct {
	real, short map[string]string
	count       map[string]int
	uids        map[string]string // first six of a pool's UID, by pool
	plan        string
}

func newNames() *names {
	return &names{real: map[string]string{}, short: map[string]string{}, count: map[string]int{}, uids: map[string]string{}}
}

// give returns the short name of something.
func (n *names) give(prefix, name string) string {
	if s, ok := n.short[name]; ok {
		return s
	}
	n.count[prefix]++
	s := fmt.Sprintf("%s-%d", prefix, n.count[prefix])
	n.short[name], n.real[s] = s, name
	return s
}

// learn names instances that were not seen before: by pool, activity, piece,
// place and ID, so that the same story gives the same names. Those of an
// activity that still records what it made wait until all are there.
func (n *names) learn(ctx context.Context, w *world) ([]v1alpha1.Instance, error) {
	var list v1alpha1.InstanceList
	if err := w.kube.List(ctx, &list); err != nil {
		return nil, err
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.Instance) int {
		return cmp.Or(cmp.Compare(a.Spec.Pool, b.Spec.Pool), cmp.Compare(activityNumber(a), activityNumber(b)), cmp.Compare(a.Spec.Piece, b.Spec.Piece),
			cmp.Compare(a.Spec.Placement.Zone, b.Spec.Placement.Zone), cmp.Compare(a.Spec.Placement.InstanceType, b.Spec.Placement.InstanceType),
			cmp.Compare(a.Name, b.Name))
	})
	var activities v1alpha1.ScalingActivityList
	if err := w.kube.List(ctx, &activities); err != nil && !apierrors.IsNotFound(err) { // its definition may be gone
		return nil, err
	}
	records := map[string]bool{}
	for _, a := range activities.Items {
		records[a.Name] = !a.Status.Done
	}
	for _, i := range list.Items {
		if !records[i.Spec.Activity] {
			n.give("i", i.Name)
		}
	}
	var pools v1alpha1.NodePoolList
	if err := w.kube.List(ctx, &pools); err != nil {
		return nil, err
	}
	for _, p := range pools.Items {
		n.uids[p.Name] = string(p.UID)[:6]
	}
	return list.Items, nil
}

func activityNumber(i v1alpha1.Instance) int {
	_, number, _ := strings.Cut(strings.TrimPrefix(i.Spec.Activity, i.Spec.Group), "-a")
	k, _ := strconv.Atoi(number)
	return k
}

var (
	shortName  = regexp.MustCompile(`\b[it]-\d{1,3}\b`)
	scaleShort = regexp.MustCompile(`\b([a-z][a-z0-9-]*)-UID-g(\d+)\b`)
	planShort  = regexp.MustCompile(`\bPLAN\b`)
)

// typed puts the real names into what a transcript types.
func (n *names) typed(line string) (string, error) {
	var missing []string
	line = shortName.ReplaceAllStringFunc(line, func(s string) string {
		if real, ok := n.real[s]; ok {
			return real
		}
		missing = append(missing, s)
		return s
	})
	line = scaleShort.ReplaceAllStringFunc(line, func(s string) string {
		m := scaleShort.FindStringSubmatch(s)
		if uid, ok := n.uids[m[1]]; ok {
			return m[1] + "-" + uid + "-g" + m[2]
		}
		missing = append(missing, s)
		return s
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("nothing seen so far is %s", strings.Join(missing, ", "))
	}
	return planShort.ReplaceAllString(line, n.plan), nil
}

var (
	instanceID = regexp.MustCompile(`\bi-[a-z0-9]{20}\b`)
	scaleTask  = regexp.MustCompile(`\b([a-z][a-z0-9-]*)-([0-9a-f]{6})-g(\d+)\b`)
	askedTask  = regexp.MustCompile(`\b[a-z][a-z0-9-]*-(?:remove|attach|rejoin|forget|adopt|disown|resume|rebalance|thaw|convert|renew|delete)-[a-z0-9]{5}\b`)
	planHash   = regexp.MustCompile(`(\bplan )([0-9a-f]{6,})\b`)
	replaced   = []struct {
		what *regexp.Regexp
		with string
	}{
		{regexp.MustCompile(`\becho [A-Za-z0-9+/=]{400,} \|`), "echo COMMAND |"}, // what a machine joins with
		{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?`), "TIME"},
		{regexp.MustCompile(`\b20\d\d-\d\d-\d\d\b`), "DATE"},
		{regexp.MustCompile(`\b[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}\b`), "REQUEST"},
		{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "UID"},
		{regexp.MustCompile(`\bv1\.\d+\.\d+\b`), "VERSION"},
		{regexp.MustCompile(`\b\d\d:\d\d:\d\d(\.\d+)?\b`), "TIME"},
		{regexp.MustCompile(`\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d TIME\b`), "TIME"},
		{regexp.MustCompile(`\b[1-9]\d{15}\b`), "ACCOUNT"},
		{regexp.MustCompile(`\b127\.0\.0\.1:\d{5}\b`), "127.0.0.1:PORT"},
		{regexp.MustCompile(`\b(port[= ])\d{5}\b`), "${1}PORT"},
		{regexp.MustCompile(`\b10\.0\.\d+\.\d+\b([^/]|$)`), "ADDRESS$1"},
		{regexp.MustCompile(`\b(\d+(\.\d+)? ?(ms|s|m|h|d))(\d+(\.\d+)?(ms|s|m|h))*\b`), "D"},
		{regexp.MustCompile(`\bfault f\d+:`), "fault F:"},
		{regexp.MustCompile(`\bCNY \d+\.\d+ burnt\b`), "CNY N burnt"}, // it goes by how long a machine ran
		{regexp.MustCompile(`(TIME( UTC)?), in D`), "$1"},             // a time that has come has no "in"
		{regexp.MustCompile(`\bWaiting \d+:\d\d\b`), "Waiting D"},
		{regexp.MustCompile(`(\S)  +`), "$1  "},
		{regexp.MustCompile(`(?m)[ \t]+$`), ""},
	}
)

// byNumber orders the rows of instances in what kubectl lists: it goes by their
// IDs, which are of chance.
func byNumber(text string) string {
	lines := strings.SplitAfter(text, "\n")
	number := func(line string) int {
		first, is := strings.CutPrefix(strings.Fields(line + " -")[0], "i-")
		k, err := strconv.Atoi(first)
		if !is || err != nil {
			return 0
		}
		return k
	}
	for i := 0; i < len(lines); i++ {
		j := i
		for j < len(lines) && number(lines[j]) > 0 {
			j++
		}
		slices.SortFunc(lines[i:j], func(a, b string) int { return cmp.Compare(number(a), number(b)) })
		i = j
	}
	return strings.Join(lines, "")
}

// lateJoin is what a task tells of a machine that joins late.
var lateJoin = regexp.MustCompile(`(?m)^Instance  \S+ (success: joined late, after|running: joins late:).*\n`)

// seen makes what a command wrote the same in every run.
func (n *names) seen(text, dir string) string {
	text = strings.ReplaceAll(text, dir, "DIR")
	text = instanceID.ReplaceAllStringFunc(text, func(s string) string { return n.give("i", s) })
	text = scaleTask.ReplaceAllString(text, "$1-UID-g$3")
	text = askedTask.ReplaceAllStringFunc(text, func(s string) string { return n.give("t", s) })
	if m := planHash.FindStringSubmatch(text); m != nil {
		n.plan = m[2]
		text = planHash.ReplaceAllString(text, "${1}PLAN")
		text = strings.ReplaceAll(text, "--plan "+m[2], "--plan PLAN")
	}
	for _, r := range replaced {
		text = r.what.ReplaceAllString(text, r.with)
	}
	return lateJoin.ReplaceAllStringFunc(text, func(line string) string {
		if strings.Contains(line, "MIG reset") {
			return line
		}
		return "" // nothing but the load of the machine that plays this holds it up
	})
}
