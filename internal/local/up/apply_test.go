package up

import (
	"context"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

var crdKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// A definition whose API server was killed between names and service is served
// after a change, as upstream does it, and keeps no trace of that.
func TestStuckDefinitionIsNudged(t *testing.T) {
	stuck := &unstructured.Unstructured{}
	stuck.SetGroupVersionKind(crdKind)
	stuck.SetName("things.poolkeeper.io")
	shown := stuck.DeepCopy()
	set(t, shown, "True", "NamesAccepted")
	var applied []map[string]string
	c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(runtime.NewScheme()).Build(), interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
			shown.DeepCopyInto(o.(*unstructured.Unstructured))
			return nil
		},
		Apply: func(_ context.Context, _ client.WithWatch, o runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
			applied = append(applied, o.(interface{ GetAnnotations() map[string]string }).GetAnnotations())
			set(t, shown, "True", "NamesAccepted", "Established")
			return nil
		},
	})
	began := time.Now()
	if err := (&applier{client: c}).established(t.Context(), stuck); err != nil {
		t.Fatal(err)
	}
	if len(applied) != 2 || applied[0][nudgeAnnotation] == "" || applied[1][nudgeAnnotation] != "" {
		t.Errorf("applied with annotations %v, want once with %s and once without", applied, nudgeAnnotation)
	}
	if time.Since(began) < stuckAfter {
		t.Error("it was nudged before it could be stuck")
	}
}

func set(t *testing.T, o *unstructured.Unstructured, status string, conditions ...string) {
	t.Helper()
	var list []any
	for _, c := range conditions {
		list = append(list, map[string]any{"type": c, "status": status})
	}
	if err := unstructured.SetNestedSlice(o.Object, list, "status", "conditions"); err != nil {
		t.Fatal(err)
	}
}

// What an API server answers for a moment after its start is waited for; a
// refusal that stays is told.
func TestAcceptsWaitsForAdmission(t *testing.T) {
	files := fstest.MapFS{"samples/pool.yaml": {Data: []byte("{apiVersion: poolkeeper.io/v1alpha1, kind: NodePool, metadata: {name: demo}}")}}
	busy := apierrors.NewServiceUnavailable("not yet ready to handle request")
	bad := apierrors.NewBadRequest("no")
	cases := map[string]struct {
		answers   []error
		stamped   int
		want      error
		wantTries int
	}{
		"at once":      {[]error{nil}, 1, nil, 1},
		"after a time": {[]error{busy, busy, nil}, 1, nil, 3},
		"refused":      {[]error{bad}, 1, bad, 1},
		"no policy":    {[]error{nil, busy, nil}, 3, nil, 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			tries, err := tryAccepts(t, files, c.answers, c.stamped)
			if (err == nil) != (c.want == nil) || tries != c.wantTries {
				t.Errorf("%d tries, %v; want %d, %v", tries, err, c.wantTries, c.want)
			}
		})
	}
}

func tryAccepts(t *testing.T, files fs.FS, answers []error, stamped int) (tries int, err error) {
	t.Helper()
	c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(runtime.NewScheme()).Build(), interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			var all client.CreateOptions
			if all.ApplyOptions(opts); len(all.DryRun) == 0 || o.GetName() != probeName {
				t.Errorf("%s is created: %+v", o.GetName(), all)
			}
			if tries++; tries >= stamped {
				o.SetAnnotations(map[string]string{"stamp": "x"})
			}
			return answers[tries-1]
		},
	})
	err = (&applier{client: c, m: Manifests{Files: files, Samples: "samples", Stamp: "stamp"}}).accepts(t.Context())
	return tries, err
}
