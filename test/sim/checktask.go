package sim

import (
	"slices"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// keptNumber says whether a task by its UID takes out without lowering the number.
func (c *checker) keptNumber(uid string) bool {
	for _, o := range c.api.Objects(apiserver.ClusterTask) {
		if t, ok := o.(*api.ClusterTask); ok && uid != "" && string(t.UID) == uid {
			return t.Spec.KeepExpected
		}
	}
	return false
}

// taskChanges checks what a task changes in a pool: entries and number in one
// update, each entry once, none for an instance that goes anyhow, and none taken
// back without its share of the number (I8).
func (c *checker) taskChanges(old, pool *api.NodePool) {
	share := 0
	for _, t := range pool.Spec.Transfers {
		if !listed(old, t) {
			share += c.entryComes(t)
		}
	}
	clipped := pool.Spec.ExpectedNodes == pool.Spec.MinNodes || pool.Spec.ExpectedNodes == pool.Spec.MaxNodes
	for _, t := range old.Spec.Transfers {
		if !listed(pool, t) {
			share -= c.entryBack(t)
		}
	}
	if got := int(pool.Spec.ExpectedNodes - old.Spec.ExpectedNodes); got != share && !clipped {
		c.violate("I8", "the number of %s changes by %d with entries that stand for %d", pool.Name, got, share)
	}
}

func listed(pool *api.NodePool, t api.Transfer) bool {
	return slices.ContainsFunc(pool.Spec.Transfers, func(o api.Transfer) bool { return o.Instance == t.Instance && o.Task == t.Task })
}

// task is the task of an entry; nil where it is gone.
func (c *checker) task(uid string) *api.ClusterTask {
	for _, o := range c.api.Objects(apiserver.ClusterTask) {
		if t, ok := o.(*api.ClusterTask); ok && string(t.UID) == uid {
			return t
		}
	}
	return nil
}

// entryComes checks a new entry, and returns what it changes the number by.
func (c *checker) entryComes(t api.Transfer) int {
	task := c.task(t.Task)
	if at := t.Task + "/" + t.Instance; c.entries[at] {
		c.violate("I8", "the entry of %s is written a second time", t.Instance)
	} else {
		c.entries[at] = true
	}
	if t.Direction == api.TransferIn {
		return 1
	}
	if i := c.records()[t.Instance]; i == nil || i.Spec.Release != nil && !i.Spec.Release.Emptying {
		c.violate("I8", "the number is changed for %s, which goes or is gone anyhow", t.Instance)
	}
	return -number(task)
}

// entryBack returns what an entry that is taken out stood for: nothing where its
// wave is done, or where somebody set the number anew since.
func (c *checker) entryBack(t api.Transfer) int {
	task := c.task(t.Task)
	if task == nil || task.Status.WaveDone || c.setSince(task) {
		return 0
	}
	if t.Direction == api.TransferIn {
		return 1
	}
	return -number(task)
}

// number is by how much one instance that a task takes out lowers the number.
func number(task *api.ClusterTask) int {
	if task != nil && task.Spec.KeepExpected {
		return 0
	}
	return 1
}

// setSince says whether somebody set the number after the wave of a task was
// written.
func (c *checker) setSince(task *api.ClusterTask) bool {
	for _, o := range c.api.Objects(apiserver.ClusterTask) {
		if t, ok := o.(*api.ClusterTask); ok && t.Spec.Type == api.TaskScale && t.Spec.PoolGeneration > task.Status.WaveGeneration &&
			(task.Spec.PoolUID == "" || t.Spec.PoolUID == task.Spec.PoolUID) {
			return true
		}
	}
	return false
}
