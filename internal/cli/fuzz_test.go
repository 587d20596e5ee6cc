package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// said fails where a refusal does not say what is wrong, why, and what to do.
func said(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.What == "" || e.Cause == "" || len(e.Next) == 0 {
		t.Errorf("refused with %#v", err)
	}
}

// A taint is taken for what is written, or refused in three parts.
func FuzzTaint(f *testing.F) {
	for _, s := range []string{"a=b:NoSchedule", "a:NoExecute", "a=:PreferNoSchedule", ":NoSchedule", "a=b", "a=b=c:NoSchedule", "a:b:NoSchedule"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		taints, err := parseTaints([]string{s})
		if err != nil {
			said(t, err)
			return
		}
		w := taints[0]
		if with, without := fmt.Sprintf("%s=%s:%s", w.Key, w.Value, w.Effect), fmt.Sprintf("%s:%s", w.Key, w.Effect); s != with && (s != without || w.Value != "") {
			t.Errorf("%q was taken for %+v", s, w)
		}
	})
}

// The size of a disk is the number that is written.
func FuzzSystemDisk(f *testing.F) {
	for _, s := range []string{"cloud_essd:40", "cloud_essd", ":40", "cloud:-1", "cloud:99999999999", "cloud:4e1", "cloud:+40"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d v1alpha1.Disk
		if err := setDisk(&d, s); err != nil {
			said(t, err)
			if d != (v1alpha1.Disk{}) {
				t.Errorf("%q was refused and set %+v", s, d)
			}
			return
		}
		var size int32
		if _, err := fmt.Sscanf(s[len(d.Category)+1:], "%d", &size); err != nil || size != d.SizeGiB || d.Category == "" {
			t.Errorf("%q was taken for %+v", s, d)
		}
	})
}

// A file holds one node pool with its number, or is refused in three parts.
func FuzzPoolFile(f *testing.F) {
	f.Add([]byte("apiVersion: poolkeeper.io/v1alpha1\nkind: NodePool\nmetadata: {name: web}\nspec: {expectedNodes: 0}\n"))
	f.Add([]byte("kind: NodePool\nkind: NodePool\n"))
	f.Add([]byte("[]"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("{apiVersion: 7, kind: [], spec: 3}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		u, err := parsePool(text, "pool.yaml")
		if err != nil {
			said(t, err)
			return
		}
		_, has, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "expectedNodes")
		if _, err := json.Marshal(u.Object); err != nil || u.GetKind() != "NodePool" || !has {
			t.Errorf("took %v: %v", u.Object, err)
		}
	})
}
