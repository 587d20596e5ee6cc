package sim

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
)

// A new instance that was shown, and ran, is hidden again from lists and looks by
// id, for as long as a new one may be invisible.
func hiddenAgain(w *world) *stage {
	return &stage{
		length: 10 * time.Minute,
		begin:  func() { w.people.create(newPool(1)) },
		cloud: func(_ *process, c region.Call) cloudFault {
			if t := w.now.Sub(w.began); c.Action != "DescribeInstances" || t < 45*time.Second || t > newlyMade {
				return cloudFault{}
			}
			return cloudFault{kind: badList, spoil: func(good []byte) []byte { return pick(good, func(int) int { return 0 }) }}
		},
	}
}

// seenLongAgo moves the time at which an instance was shown first.
func seenLongAgo(list client.ObjectList) {
	if instances, ok := list.(*api.InstanceList); ok {
		for n := range instances.Items {
			if st := &instances.Items[n].Status; st.SeenTime != nil {
				at := metav1.NewMicroTime(st.SeenTime.Add(-time.Hour))
				st.SeenTime = &at
			}
		}
	}
}
