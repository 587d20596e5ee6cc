package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// waitLimit is how long a wait goes on where it says nothing else. It is
// generous: whoever waits for long failed anyway.
const waitLimit = 45 * time.Second

// kinds are what a wait may look at.
var kinds = map[string]schema.GroupVersionKind{
	"pool":     {Group: "poolkeeper.io", Version: "v1alpha1", Kind: "NodePool"},
	"group":    {Group: "poolkeeper.io", Version: "v1alpha1", Kind: "ScalingGroup"},
	"activity": {Group: "poolkeeper.io", Version: "v1alpha1", Kind: "ScalingActivity"},
	"instance": {Group: "poolkeeper.io", Version: "v1alpha1", Kind: "Instance"},
	"task":     {Group: "poolkeeper.io", Version: "v1alpha1", Kind: "ClusterTask"},
	"node":     {Version: "v1", Kind: "Node"},
	"event":    {Version: "v1", Kind: "Event"},
}

// condition is one line of a wait:
//
//	pool web status.word is Activated
//	pool web status.conditions[Held].status is True
//	task web-UID-g2 status.error.code has PartialSuccess
//	instance i-1 gone
//	count instance spec.pool=web status.nodeState=Failed is 1
type condition struct {
	kind, name, path, op, want string
	where                      map[string]string
}

func parseCondition(line string) (condition, error) {
	f := strings.Fields(line)
	bad := fmt.Errorf("read %q: write KIND NAME PATH is|has|lacks VALUE, KIND NAME gone|exists, or count KIND [PATH=VALUE...] is|least N", line)
	if len(f) < 3 {
		return condition{}, bad
	}
	c := condition{kind: f[0], name: f[1]}
	switch {
	case f[0] == "count":
		c.kind, c.name, c.op, c.want, c.where = f[1], "", f[len(f)-2], f[len(f)-1], map[string]string{}
		for _, pair := range f[2 : len(f)-2] {
			k, v, _ := strings.Cut(pair, "=")
			c.where[k] = v
		}
	case len(f) == 3:
		c.op = f[2]
	case len(f) == 4 && f[3] == "none":
		c.path, c.op = f[2], "none"
	case len(f) > 4:
		c.path, c.op = f[2], f[3]
		c.want = strings.TrimSpace(strings.SplitN(line, " "+f[3]+" ", 2)[1])
	default:
		return condition{}, bad
	}
	if _, ok := kinds[c.kind]; !ok || !strings.Contains(" is has lacks least gone exists none ", " "+c.op+" ") {
		return condition{}, bad
	}
	return c, nil
}

// holds says whether the condition is so now, and what was seen.
func (c condition) holds(ctx context.Context, k client.Client) (bool, string, error) {
	if c.where != nil {
		return c.counts(ctx, k)
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kinds[c.kind])
	err := k.Get(ctx, client.ObjectKey{Name: c.name}, u)
	gone := apierrors.IsNotFound(err)
	if err != nil && !gone {
		return false, "", err
	}
	switch c.op {
	case "gone":
		return gone, "it is there", nil
	case "exists":
		return !gone, "it is not there", nil
	}
	if gone {
		return false, "there is no such " + c.kind, nil
	}
	seen := at(u.Object, c.path)
	switch c.op {
	case "none":
		return seen == "", seen, nil
	case "has":
		return strings.Contains(seen, c.want), seen, nil
	case "lacks":
		return !strings.Contains(seen, c.want), seen, nil
	}
	return seen == c.want, seen, nil
}

func (c condition) counts(ctx context.Context, k client.Client) (bool, string, error) {
	list := &unstructured.UnstructuredList{}
	gvk := kinds[c.kind]
	gvk.Kind += "List"
	list.SetGroupVersionKind(gvk)
	if err := k.List(ctx, list); err != nil {
		return false, "", err
	}
	n := 0
	for _, u := range list.Items {
		is := true
		for path, want := range c.where {
			is = is && at(u.Object, path) == want
		}
		if is {
			n++
		}
	}
	want, err := strconv.Atoi(c.want)
	return (c.op == "is" && n == want) || (c.op == "least" && n >= want), fmt.Sprint(n), err
}

// at is the value at a path of an object, as text: a.b, a[0], and a[X] for the
// element of a list whose type or name is X.
func at(value any, path string) string {
	for _, step := range strings.Split(path, ".") {
		key, index, list := strings.Cut(step, "[")
		m, _ := value.(map[string]any)
		if value = m[key]; list {
			value = element(value, strings.TrimSuffix(index, "]"))
		}
	}
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	b, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func element(value any, index string) any {
	list, _ := value.([]any)
	k, err := strconv.Atoi(index)
	for i, e := range list {
		m, _ := e.(map[string]any)
		if (err == nil && i == k) || (err != nil && (m["type"] == index || m["name"] == index)) {
			return e
		}
	}
	return nil
}

// learnEvery is how often a wait looks for what has no name yet. A look reads
// three lists, a condition mostly one object.
const learnEvery = 200 * time.Millisecond

// await waits until all lines hold at once; the error says what was seen last.
func (s *story) await(ctx context.Context, lines []string, limit time.Duration) error {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	again := time.NewTicker(40 * time.Millisecond)
	defer again.Stop()
	var learned time.Time
	for last := ""; ; {
		missing := ""
		if now := time.Now(); now.Sub(learned) >= learnEvery {
			if _, err := s.learn(ctx, s.world); err != nil {
				missing = err.Error()
			}
			learned = now
		}
		if missing == "" {
			missing = s.missing(ctx, lines)
		}
		if missing == "" {
			return nil
		}
		if ctx.Err() == nil {
			last = missing
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %s", limit, last)
		case <-again.C:
		}
	}
}

// missing says which of the lines does not hold now; empty when all do.
func (s *story) missing(ctx context.Context, lines []string) string {
	for _, line := range lines {
		real, err := s.typed(strings.TrimSpace(line))
		if err != nil {
			return err.Error()
		}
		c, err := parseCondition(real)
		if err != nil {
			return err.Error()
		}
		if is, seen, err := c.holds(ctx, s.kube); err != nil {
			return err.Error()
		} else if !is {
			return fmt.Sprintf("%s: seen %q", real, seen)
		}
	}
	return ""
}
