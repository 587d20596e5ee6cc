package apiserver

import (
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// listed is the shelf that a list is about.
func (s *Server) listed(list client.ObjectList) (*shelf, error) {
	gvk, err := apiutil.GVKForObject(list, s.Scheme)
	if err != nil {
		return nil, err
	}
	gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	return s.shelfOf(gvk)
}

// fill puts those of all objects into a list that its options ask for.
func fill(list client.ObjectList, all []client.Object, version int64, opts []client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	if o.FieldSelector != nil && !o.FieldSelector.Empty() {
		return notModelled("list by fields")
	}
	share := o.UnsafeDisableDeepCopy != nil && *o.UnsafeDisableDeepCopy
	if m, ok := list.(*metav1.PartialObjectMetadataList); ok {
		m.Items = nil
		for _, one := range all {
			if selected(one, o) {
				m.Items = append(m.Items, metav1.PartialObjectMetadata{ObjectMeta: *metadata(one)})
			}
		}
		m.ResourceVersion = strconv.FormatInt(version, 10)
		return nil
	}
	var items []runtime.Object
	for _, one := range all {
		if !selected(one, o) {
			continue
		}
		if share {
			items = append(items, one)
		} else {
			items = append(items, one.DeepCopyObject())
		}
	}
	list.SetResourceVersion(strconv.FormatInt(version, 10))
	return meta.SetList(list, items)
}

func selected(o client.Object, by *client.ListOptions) bool {
	if by.Namespace != "" && o.GetNamespace() != by.Namespace {
		return false
	}
	return by.LabelSelector == nil || by.LabelSelector.Matches(labels.Set(o.GetLabels()))
}

func secondsOf(n int64) time.Duration { return time.Duration(n) * time.Second }
