// Package bundle knows what may go into an archive that is passed on. In come
// objects and texts; out comes an archive. It reads no cluster, and takes out of
// each object what may hold a secret.
package bundle

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// Member is one file of the archive.
type Member struct {
	Name string
	Data []byte
	// Note is what people are told of it.
	Note string
}

// Write writes members as one compressed archive.
func Write(w io.Writer, members []Member, now time.Time) error {
	zipped := gzip.NewWriter(w)
	t := tar.NewWriter(zipped)
	for _, m := range members {
		h := &tar.Header{Name: "poolkeeper-support/" + m.Name, Mode: 0o600, Size: int64(len(m.Data)), ModTime: now}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(m.Data); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), zipped.Close())
}

// Latest is when something last happened to a piece of history.
func Latest(o client.Object) time.Time {
	at := o.GetCreationTimestamp().Time
	switch h := o.(type) {
	case *v1alpha1.ClusterTask:
		if h.Status.EndTime != nil {
			at = h.Status.EndTime.Time
		}
	case *v1alpha1.ScalingActivity:
		if h.Status.EndTime != nil {
			at = h.Status.EndTime.Time
		}
	case *corev1.Event:
		if h.LastTimestamp.After(at) {
			at = h.LastTimestamp.Time
		}
	}
	return at
}

// LeaveOut takes out of an object what may hold a secret. Kubectl's own copy
// of an object is another place of the same.
func LeaveOut(o client.Object) {
	annotations := o.GetAnnotations()
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	o.SetAnnotations(annotations)
	hide := func(u *v1alpha1.UserData) {
		for _, s := range []*string{&u.BeforeJoin, &u.AfterJoin} {
			if *s != "" {
				*s = fmt.Sprintf("[left out: %d bytes]", len(*s))
			}
		}
	}
	switch v := o.(type) {
	case *v1alpha1.NodePool:
		hide(&v.Spec.UserData)
	case *v1alpha1.ScalingGroup:
		hide(&v.Spec.UserData)
	case *v1alpha1.Instance:
		v.Spec.JoinKey = ""
	}
}
