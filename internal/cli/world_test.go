package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	authv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// world is a cluster that keeps our objects, a clock, and a script that moves
// objects: one step after each read of a task or pool, so that whoever follows
// sees every step once, without any waiting by time.
type world struct {
	t      *testing.T
	now    time.Time
	under  client.WithWatch
	script [][]map[string]any
	// on is the kind whose reads move the script.
	on     string
	cancel context.CancelFunc
	made   int
	// deny refuses a verb on a kind: "patch NodePool".
	deny map[string]error
	// away makes the server silent.
	away bool
	// lacks is a right that the person has not: "patch nodepools".
	lacks string
	// market is the cloud, where there is one.
	market Market
	// meddle changes an object just before our patch of it arrives.
	meddle []map[string]any
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Date(2026, 11, 24, 14, 5, 18, 0, time.UTC), deny: map[string]error{}}
	w.under = fake.NewClientBuilder().WithIndex(&corev1.Pod{}, "spec.nodeName", podNode).WithScheme(Scheme()).WithRESTMapper(mapper()).Build()
	return w
}

// podNode is the node of a pod, for lists by it.
func podNode(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} }

// client is what the command line gets: the fake, behaving as an API server
// does about generations, names and rights.
func (w *world) client(string, string) (client.WithWatch, error) {
	return interceptor.NewClient(w.under, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if err := w.denied("get", o); err != nil {
				return err
			}
			err := c.Get(ctx, key, o, opts...)
			if w.away {
				err = &url.Error{Op: "Get", URL: "https://127.0.0.1:7443/apis", Err: &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}
			}
			if kindOf(o) == w.on {
				w.step()
			}
			return err
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if err := w.denied("list", l); err != nil {
				return err
			}
			return c.List(ctx, l, opts...)
		},
		Create: w.create,
		Patch:  w.patch,
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := w.denied("delete", o); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
		SubResourcePatch: w.patchScale,
	}), nil
}

// create gives names, UIDs and generations, as the server does.
func (w *world) create(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	if err := w.denied("create", o); err != nil {
		return err
	}
	if r, ok := o.(*authv1.SelfSubjectAccessReview); ok {
		a := r.Spec.ResourceAttributes
		r.Status.Allowed = w.lacks != a.Verb+" "+a.Resource
		return nil
	}
	w.made++
	if o.GetName() == "" {
		o.SetName(fmt.Sprintf("%sx%d", o.GetGenerateName(), w.made))
	}
	o.SetUID(types.UID(fmt.Sprintf("%06d-made", w.made)))
	o.SetGeneration(1)
	return c.Create(ctx, o, opts...)
}

func (w *world) denied(verb string, o any) error { return w.deny[verb+" "+kindOf(o)] }

func kindOf(o any) string { return reflect.TypeOf(o).Elem().Name() }

// patch raises the generation where the spec was changed, as the server does.
func (w *world) patch(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	if err := w.denied("patch", o); err != nil {
		return err
	}
	if m := w.meddle; m != nil {
		w.meddle = nil
		w.apply(m)
	}
	before := o.DeepCopyObject().(client.Object)
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), before); err != nil {
		return err
	}
	if err := c.Patch(ctx, o, p, opts...); err != nil {
		return err
	}
	dry := client.PatchOptions{}
	dry.ApplyOptions(opts)
	if len(dry.DryRun) > 0 || reflect.DeepEqual(specOf(before), specOf(o)) {
		return nil
	}
	o.SetGeneration(before.GetGeneration() + 1)
	return c.Update(ctx, o)
}

// specOf is the spec of an object as plain values.
func specOf(o client.Object) any {
	b, _ := json.Marshal(o)
	var m map[string]any
	_ = json.Unmarshal(b, &m)
	return m["spec"]
}

// patchScale is the scale subresource of a pool.
func (w *world) patchScale(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
	if err := w.deny["patch NodePool/"+sub]; err != nil {
		return err
	}
	data, err := p.Data(o)
	if err != nil {
		return err
	}
	var scale autoscalingv1.Scale
	if err := json.Unmarshal(data, &scale); err != nil {
		return err
	}
	pool := &v1alpha1.NodePool{}
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), pool); err != nil {
		return err
	}
	if scale.ResourceVersion != pool.ResourceVersion {
		return apierrors.NewConflict(schema.GroupResource{Group: "poolkeeper.io", Resource: "nodepools"}, pool.Name, nil)
	}
	pool.Spec.ExpectedNodes = scale.Spec.Replicas
	pool.Generation++
	return c.Update(ctx, pool)
}

// step plays the next step of the script.
func (w *world) step() {
	if len(w.script) == 0 {
		return
	}
	next := w.script[0]
	w.script = w.script[1:]
	w.now = w.now.Add(time.Second)
	w.apply(next)
}

// apply makes or changes objects: each is merged into the one of its name.
func (w *world) apply(objects []map[string]any) {
	ctx := context.Background()
	for _, m := range objects {
		if away, ok := m["away"].(bool); ok {
			w.away = away
			continue
		}
		if m["interrupt"] == true {
			w.cancel()
			continue
		}
		u := &unstructured.Unstructured{Object: m}
		if _, ok := m["apiVersion"]; !ok {
			u.SetAPIVersion(v1alpha1.GroupVersion.String())
		}
		have := &unstructured.Unstructured{}
		have.SetGroupVersionKind(u.GroupVersionKind())
		err := w.under.Get(ctx, client.ObjectKey{Name: u.GetName()}, have)
		switch {
		case m["gone"] == true:
			err = w.under.Delete(ctx, have)
		case apierrors.IsNotFound(err):
			err = w.under.Create(ctx, u)
		case err == nil:
			merge(have.Object, m)
			err = w.under.Update(ctx, have)
		}
		if err != nil {
			w.t.Fatalf("apply %s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}
}

// merge puts the values of one tree into another; null takes a value out.
func merge(into, from map[string]any) {
	for k, v := range from {
		child, ok := v.(map[string]any)
		have, both := into[k].(map[string]any)
		switch {
		case ok && both:
			merge(have, child)
		case v == nil:
			delete(into, k)
		default:
			into[k] = v
		}
	}
}

// parse reads YAML: documents are steps, each one object or a list of them.
func parse(t *testing.T, text string) [][]map[string]any {
	t.Helper()
	var steps [][]map[string]any
	for _, doc := range strings.Split("\n"+text, "\n---") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		var value any
		if err := yaml.Unmarshal([]byte(doc), &value); err != nil {
			t.Fatalf("parse %q: %v", doc, err)
		}
		var step []map[string]any
		switch v := value.(type) {
		case []any:
			for _, o := range v {
				step = append(step, whole(o.(map[string]any)))
			}
		case map[string]any:
			step = append(step, whole(v))
		}
		steps = append(steps, step)
	}
	return steps
}

// whole makes numbers whole, as unstructured objects have them.
func whole(m map[string]any) map[string]any {
	for k, v := range m {
		m[k] = wholeValue(v)
	}
	return m
}

func wholeValue(v any) any {
	switch v := v.(type) {
	case float64:
		return int64(v)
	case map[string]any:
		return whole(v)
	case []any:
		for i := range v {
			v[i] = wholeValue(v[i])
		}
	}
	return v
}

// load reads objects of a file.
func (w *world) load(name string) {
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, step := range parse(w.t, string(b)) {
		w.apply(step)
	}
}

// typing is how a command is run.
type typing struct {
	terminal bool
	stdin    string
	env      map[string]string
}

// tempFile is the file that an editor is given.
var tempFile = regexp.MustCompile(`\S*/poolkeeper-\d+\.yaml`)

// run runs one command line and returns all that it wrote.
func (w *world) run(line string, how typing) string {
	var out, errs bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.cancel = cancel
	env := map[string]string{"POOLKEEPER_TIME": "utc"}
	for k, v := range how.env {
		env[k] = v
	}
	root := New(Options{
		Version: "v0.0.0-test", In: strings.NewReader(how.stdin), Out: &out, Err: &errs,
		Now: func() time.Time { return w.now }, NewClient: w.client, LookAnyway: 5 * time.Millisecond,
		Env:      func(k string) string { return env[k] },
		Terminal: func(any) bool { return how.terminal }, Market: w.openMarket,
	})
	args := strings.Fields(line)[1:]
	for n := range args {
		args[n] = strings.TrimPrefix(args[n], `""`) // as a shell passes it on
	}
	root.SetArgs(args)
	code := execute(ctx, root)
	text := out.String()
	for _, l := range strings.SplitAfter(errs.String(), "\n") {
		if l != "" {
			text += "! " + l
		}
	}
	text = strings.ReplaceAll(text, "\x1b", "<esc>")
	text = tempFile.ReplaceAllString(text, "/tmp/poolkeeper-N.yaml")
	return fmt.Sprintf("%sexit %d\n", text, code)
}
