package sim

import (
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// stage directs a history: what people do and what single calls meet is fixed,
// and the seed chooses only who goes on. Fields that are nil leave everything
// in order.
type stage struct {
	// length is how long the history lasts before it comes to rest.
	length time.Duration
	// visible is after how long lists show a new instance.
	visible time.Duration
	// begin creates the pool, and puts on the agenda what people do.
	begin func()
	// api is told of each call of a process to the API server before it is
	// made, and cloud says what a call to the cloud meets.
	api   func(*process, apiserver.Call)
	cloud func(*process, region.Call) cloudFault
	// decides is true where people say in the end of machines that nobody knows
	// whose they are.
	decides bool
	// still says whether nothing may be released, created or believed gone now
	// (I6).
	still func() bool
}

// stays checks, while a directed history wants it, that nothing is released,
// created or believed gone (I6).
func (c *checker) stays(e apiserver.Event) {
	if c.stage == nil || c.stage.still == nil || c.calm || !c.stage.still() {
		return
	}
	switch o := e.New.(type) {
	case *api.Instance:
		old, _ := e.Old.(*api.Instance)
		if e.Deleted {
			c.violate("I6", "the record of %s goes", o.Name)
		} else if old != nil && old.Status.ReleaseSentTime == nil && o.Status.ReleaseSentTime != nil {
			c.violate("I6", "%s is released", o.Name)
		}
	case *api.ScalingActivity:
		if e.Old == nil && o.Spec.Create > 0 {
			c.violate("I6", "%s is to create %d", o.Name, o.Spec.Create)
		}
	}
}

// lists says whether a call to the cloud is one of a sweep.
func lists(c region.Call) bool {
	return c.Action == "DescribeInstances" && c.Params["InstanceIds"] == ""
}

// apiMeets lets a directed history see a call to the API server.
func (w *world) apiMeets(p *process, c apiserver.Call) {
	if w.stage != nil && w.stage.api != nil && !w.calm {
		w.stage.api(p, c)
	}
}

// cloudMeets is what a call to the cloud meets in a directed history.
func (w *world) cloudMeets(p *process, c region.Call) cloudFault {
	if w.stage.cloud == nil || w.calm {
		return cloudFault{}
	}
	return w.stage.cloud(p, c)
}
