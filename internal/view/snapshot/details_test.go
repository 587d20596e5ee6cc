package snapshot

import (
	"testing"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

func TestWhatWouldHelpElsewhere(t *testing.T) {
	fits := []v1alpha1.ZoneFits{{Zone: "a", VSwitch: "vsw-a2", InstanceTypes: []string{"t2"}}, {Zone: "b", VSwitch: "vsw-b"}, {Zone: "c", VSwitch: "vsw-c"}}
	for name, c := range map[string]struct {
		fits          []v1alpha1.ZoneFits
		zone          string
		want, inZones string
	}{
		"another zone before the same": {fits, "a", "vsw-b", "a"},
		"the first of others":          {fits, "b", "vsw-a2", "b"},
		"the same where no other has":  {fits[:1], "a", "vsw-a2", "a"},
		"for every zone":               {fits, "", "vsw-a2", "a"},
		"nothing":                      {nil, "a", "", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.ScalingGroup{Status: v1alpha1.ScalingGroupStatus{Fits: c.fits}}
			d := Details(g, fault.Place{Zone: c.zone})
			if d[fault.DetailOtherVSwitch] != c.want || d[fault.DetailZone] != c.inZones {
				t.Errorf("vSwitch %q of zones %q, want %q of %q", d[fault.DetailOtherVSwitch], d[fault.DetailZone], c.want, c.inZones)
			}
		})
	}
	g := &v1alpha1.ScalingGroup{Status: v1alpha1.ScalingGroupStatus{Misfits: []v1alpha1.Misfit{{InstanceType: "t1", OtherImage: "img-2"}}}}
	if d := Details(g, fault.Place{InstanceType: "t1"}); d[fault.DetailOtherImage] != "img-2" {
		t.Errorf("another image: %v", d)
	}
	if d := Details(g, fault.Place{InstanceType: "t2"}); d[fault.DetailOtherImage] != "" {
		t.Errorf("an image for another type: %v", d)
	}
}
