package clustertask_test

import (
	"testing"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// A leader that was overtaken holds an instance after its task has ended: it is let
// go at the next look at the task, whoever looks.
func TestAHoldThatCameAfterTheEndIsLetGo(t *testing.T) {
	b := three(t)
	b.has("i-held", func(i *api.Instance) { i.Spec.HeldBy = "another-task" })
	b.asks("rm", api.TaskRemove, func(s *api.ClusterTaskSpec) { s.Instances = []string{"i-held"} })
	b.looks("rm", 6)
	task := b.state("rm", api.TaskFailed)
	i := b.instance("i-held")
	i.Spec.HeldBy = string(task.UID)
	b.ok(b.Update(b.Context(), i))
	b.r = b.reconciler()
	b.looks("rm", 1)
	if got := b.instance("i-held").Spec.HeldBy; got != "" {
		t.Fatalf("held by %s, the task has ended", got)
	}
}
