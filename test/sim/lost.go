package sim

import (
	"time"

	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// loseStore loses all that the API server stored, and puts a backup in its
// place; an empty one: nothing. Every controller ends with it, and one begins
// anew a minute later, under the same cluster ID.
func (w *world) loseStore(b apiserver.Backup) {
	w.note(true, "the store is lost, and restored to version %d", b.Version())
	for _, p := range w.processes {
		p.dead = true
	}
	w.clear()
	clear(w.check.joins.left)
	clear(w.check.newer)
	for _, id := range sortedKeys(w.kubelets) {
		if k := w.kubelets[id]; k.request != "" { // it looks, and finds none
			w.afterAnswer(k)
		}
	}
	w.api.Restore(b)
	w.at(w.now.Add(time.Minute), "", func() { w.startProcess("restored", w.people.skew()) })
}
