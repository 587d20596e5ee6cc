package up

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// fieldManager owns what the manifests say.
	fieldManager = "poolkeeper-local"
	// applyTime bounds how long one object may not be accepted: a namespace or
	// a kind that the API server is still making.
	applyTime = time.Minute
	applyTick = 100 * time.Millisecond
	// stuckAfter is how long a definition may take from its names to service;
	// it takes a fraction of a second.
	stuckAfter = time.Second
	// probeName is the name that is tried and never created.
	probeName = "poolkeeper-local-probe"
)

// applier puts manifests into a cluster.
type applier struct {
	client client.Client
	m      Manifests
}

func newApplier(kubeconfig string, m Manifests) (*applier, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kubeconfig, err)
	}
	cfg.QPS = -1
	cfg.UserAgent = fieldManager
	c, err := client.New(cfg, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("connect with %s: %w", kubeconfig, err)
	}
	return &applier{client: c, m: m}, nil
}

// apply applies all folders in order and returns how many objects it applied.
// The definitions of a folder serve before the next folder begins.
func (a *applier) apply(ctx context.Context) (int, error) {
	n := 0
	for _, folder := range a.m.Folders {
		objects, err := readFolder(a.m.Files, folder)
		if err != nil {
			return n, err
		}
		for _, o := range objects {
			if err := a.applyOne(ctx, o.DeepCopy()); err != nil {
				return n, fmt.Errorf("apply %s: %w", nameOf(o), err)
			}
			n++
		}
		for _, o := range objects {
			if err := a.established(ctx, o); err != nil {
				return n, fmt.Errorf("wait for %s: %w", nameOf(o), err)
			}
		}
	}
	return n, nil
}

func (a *applier) applyOne(ctx context.Context, o *unstructured.Unstructured) error {
	return retry(ctx, func() error {
		return a.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner(fieldManager), client.ForceOwnership)
	})
}

// established waits until a definition is served; nothing to do for other
// kinds. An API server that was killed after it had accepted the names of a
// definition does not go on with it at its next start: only a change makes it
// look again.
func (a *applier) established(ctx context.Context, o *unstructured.Unstructured) error {
	if o.GetKind() != "CustomResourceDefinition" {
		return nil
	}
	stuck := time.Now().Add(stuckAfter)
	return retry(ctx, func() error {
		got := &unstructured.Unstructured{}
		got.SetGroupVersionKind(o.GroupVersionKind())
		if err := a.client.Get(ctx, client.ObjectKeyFromObject(o), got); err != nil {
			return err
		}
		switch {
		case isTrue(got, "Established"):
			return nil
		case isTrue(got, "NamesAccepted") && time.Now().After(stuck):
			stuck = time.Now().Add(stuckAfter)
			return errors.Join(errNotYet, a.nudge(ctx, o))
		}
		return errNotYet
	})
}

func isTrue(o *unstructured.Unstructured, condition string) bool {
	conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == condition {
			return err == nil && m["status"] == "True"
		}
	}
	return false
}

// nudgeAnnotation is on a definition only while it is nudged.
const nudgeAnnotation = "poolkeeper.io/nudged"

// nudge changes an object and takes the change back.
func (a *applier) nudge(ctx context.Context, o *unstructured.Unstructured) error {
	changed := o.DeepCopy()
	annotations := changed.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[nudgeAnnotation] = time.Now().UTC().Format(time.RFC3339Nano)
	changed.SetAnnotations(annotations)
	if err := a.applyOne(ctx, changed); err != nil {
		return err
	}
	return a.applyOne(ctx, o.DeepCopy())
}

// accepts waits until the cluster takes a pool: for some seconds after its
// start an API server does not know all kinds yet, and admission policies
// refuse everything. A policy that is new passes everything until it acts, and
// only then may not know a kind yet: so its stamp must be on the answer. Nothing
// is written.
func (a *applier) accepts(ctx context.Context) error {
	if a.m.Samples == "" {
		return nil
	}
	objects, err := readFolder(a.m.Files, a.m.Samples)
	if err != nil {
		return err
	}
	for _, o := range objects {
		err := retry(ctx, func() error {
			tried := o.DeepCopy()
			tried.SetName(probeName)
			if err := a.client.Create(ctx, tried, client.FieldOwner(fieldManager), client.DryRunAll); err != nil {
				return err
			}
			if _, stamped := tried.GetAnnotations()[a.m.Stamp]; !stamped && a.m.Stamp != "" {
				return errNotStamped
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("try to create %s: %w", nameOf(o), err)
		}
	}
	return nil
}

// samples creates what is missing of the samples and changes nothing.
func (a *applier) samples(ctx context.Context) error {
	if a.m.Samples == "" {
		return nil
	}
	objects, err := readFolder(a.m.Files, a.m.Samples)
	if err != nil {
		return err
	}
	for _, o := range objects {
		err := retry(ctx, func() error {
			return client.IgnoreAlreadyExists(a.client.Create(ctx, o.DeepCopy(), client.FieldOwner(fieldManager)))
		})
		if err != nil {
			return fmt.Errorf("create %s: %w", nameOf(o), err)
		}
	}
	return nil
}

var (
	errNotYet     = errors.New("it is not served yet")
	errNotStamped = fmt.Errorf("%w: no policy acts on it", errNotYet)
)

// retry repeats what a cluster that has just started may refuse for a moment.
func retry(ctx context.Context, do func() error) error {
	for end := time.Now().Add(applyTime); ; {
		err := do()
		if err == nil || !passes(err) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(applyTick):
		}
	}
}

// passes is true for errors that end by themselves while a cluster starts.
func passes(err error) bool {
	switch {
	case errors.Is(err, errNotYet), meta.IsNoMatchError(err), apierrors.IsNotFound(err), apierrors.IsConflict(err),
		apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err),
		apierrors.IsInternalError(err):
		return true
	}
	// Rights are filled in by the API server in its first second; a connection
	// may end with a plane that is started again.
	var status apierrors.APIStatus
	return apierrors.IsForbidden(err) || !errors.As(err, &status)
}

func nameOf(o *unstructured.Unstructured) string {
	return o.GetKind() + " " + o.GetName()
}

// readFolder reads all objects of the YAML files of a folder, in the order of
// their names.
func readFolder(files fs.FS, folder string) ([]*unstructured.Unstructured, error) {
	entries, err := fs.ReadDir(files, folder)
	if err != nil {
		return nil, fmt.Errorf("read manifests %s: %w", folder, err)
	}
	var objects []*unstructured.Unstructured
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read manifest %s: %w", name, err)
		}
		for d := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
			o := &unstructured.Unstructured{}
			if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("read manifest %s: %w", name, err)
			}
			if len(o.Object) > 0 {
				objects = append(objects, o)
			}
		}
	}
	return objects, nil
}
