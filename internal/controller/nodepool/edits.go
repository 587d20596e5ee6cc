package nodepool

import (
	"reflect"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// mark writes the fingerprint of its spec on a group.
func mark(g *api.ScalingGroup) {
	if g.Annotations == nil {
		g.Annotations = map[string]string{}
	}
	g.Annotations[api.AnnotationPassedDown] = g.Spec.Fingerprint()
}

// editedBy names the fields of a group that somebody else has changed since
// they were passed down and that are put back, in order.
func editedBy(g *api.ScalingGroup, want *api.ScalingGroupSpec) []string {
	if !g.Edited() {
		return nil
	}
	if g.Spec.PoolUID == want.PoolUID && g.Spec.PoolGeneration != want.PoolGeneration {
		return nil // the pool changed too: which of both it was cannot be told
	}
	var fields []string
	have, put := reflect.ValueOf(g.Spec), reflect.ValueOf(*want)
	for i := range have.NumField() {
		f := have.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = "launch settings"
		}
		if !equality.Semantic.DeepEqual(have.Field(i).Interface(), put.Field(i).Interface()) {
			fields = append(fields, name)
		}
	}
	sort.Strings(fields)
	return fields
}

// putBack tells people that an edit of the group does not last.
func (r *Reconciler) putBack(p *passed, fields []string) {
	if len(fields) == 0 {
		return
	}
	r.Events.Eventf(p.group, corev1.EventTypeWarning, "PutBack",
		"%s of scaling group %s was changed by hand and is put back to what node pool %s says; nothing was created or released for it. Change the node pool instead: %s",
		strings.Join(fields, ", "), p.group.Name, p.pool.Name, instead(p.pool.Name, fields))
}

// instead is the command that changes what was meant.
func instead(pool string, fields []string) string {
	scale, edit := "poolkeeper pool scale "+pool+" --expected-nodes N", "poolkeeper pool edit "+pool
	switch number := slices.Contains(fields, "desiredCapacity"); {
	case number && len(fields) > 1:
		return scale + ", or " + edit
	case number:
		return scale
	}
	return edit
}

// warnHealthCheck tells people once what a healthCheck does that was set on
// the group directly, which is honoured.
func (r *Reconciler) warnHealthCheck(p *passed) {
	if p.group == nil {
		return
	}
	on, passed := p.group.Spec.HealthCheck, p.pool.Status.HealthCheckPassed
	var tell bool
	r.memory.of(p.pool.Name, func(k *remembered) {
		// What the pool says was not set on the group, though the pool's status
		// may not say yet that it was passed down.
		tell = on != passed && on != p.pool.Spec.HealthCheck && passed != "" && k.told != on
		k.told = on
	})
	switch {
	case !tell:
	case on == api.HealthCheckECS:
		r.Events.Eventf(p.group, corev1.EventTypeWarning, "HealthCheckOnGroup",
			"healthCheck ECS was set on scaling group %s, not on its node pool: instances that are not running are removed and replaced; to switch it off: kubectl patch scalinggroup %s --type=merge -p '{\"spec\":{\"healthCheck\":\"None\"}}'",
			p.group.Name, p.group.Name)
	default:
		r.Events.Eventf(p.group, corev1.EventTypeWarning, "HealthCheckOnGroup",
			"healthCheck was switched off on scaling group %s, not on its node pool: instances that are not running stay until it is set to %s again", p.group.Name, passed)
	}
}

// asked is how often tasks have asked for what an annotation counts.
func asked(p *api.NodePool, annotation string) int64 {
	n, _ := api.Asked(p.Annotations[annotation])
	return n
}
