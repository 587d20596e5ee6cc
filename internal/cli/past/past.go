// Package past finds what became of an instance that has no record any more. In
// come activities and a name; out go the one that tells, and how the instance
// left. It reads nothing itself.
package past

import (
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// Of is the newest activity that names an instance as one that it let go, or as
// the cause of its replacement, and how it left; nil where none does.
func Of(name string, all []v1alpha1.ScalingActivity) (*v1alpha1.ScalingActivity, string) {
	var newest *v1alpha1.ScalingActivity
	how := ""
	for i := range all {
		a := &all[i]
		if newest != nil && !newest.CreationTimestamp.Before(&a.CreationTimestamp) {
			continue
		}
		goes := func(l v1alpha1.Leaving) bool { return l.Instance == name }
		switch {
		case strings.Contains(", "+a.Spec.Cause, ", "+name+" "): // a list of what was seen
			newest, how = a, a.Spec.Cause
		case slices.ContainsFunc(a.Spec.Release, goes):
			newest, how = a, "it was released: "+a.Spec.Cause
		case slices.ContainsFunc(a.Spec.TakeOut, goes):
			newest, how = a, "it was taken out, not released: "+a.Spec.Cause
		}
	}
	return newest, how
}
