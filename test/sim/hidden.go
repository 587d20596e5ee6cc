package sim

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
)

// newlyMade is how long a new instance may be invisible, and so hidden again
// (decision 0024).
const newlyMade = 2 * time.Minute

// span is a stretch of time.
type span struct{ from, to time.Time }

// hideLater lets some new instances be hidden again that were shown: lists and
// looks by id are answered by a part of the cloud that does not know them yet.
func (w *world) hideLater(made []string) {
	for _, id := range made {
		if t := w.trouble; t.hits(t.rates.hidden) {
			from := t.upTo(newlyMade)
			w.hidden[id] = span{w.now.Add(from), w.now.Add(from + t.upTo(newlyMade-from))}
			w.note(true, "cloud: %s will be hidden again after %s, for %s", id, from.Round(time.Second), w.hidden[id].to.Sub(w.hidden[id].from).Round(time.Second))
		}
	}
}

// unhidden takes out of an answer what is hidden again.
func (w *world) unhidden(c region.Call, answer []byte) []byte {
	var ids []string
	for id, s := range w.hidden {
		switch {
		case !w.now.Before(s.to) || w.calm:
			delete(w.hidden, id)
		case !w.now.Before(s.from):
			ids = append(ids, id)
		}
	}
	if c.Action != "DescribeInstances" || len(ids) == 0 {
		return answer
	}
	var page map[string]any
	if json.Unmarshal(answer, &page) != nil {
		return answer
	}
	holder, is := page["Instances"].(map[string]any)
	if !is {
		return answer
	}
	list, _ := holder["Instance"].([]any)
	holder["Instance"] = slices.DeleteFunc(list, func(e any) bool {
		i, _ := e.(map[string]any)
		id, _ := i["InstanceId"].(string)
		return slices.Contains(ids, id)
	})
	return must(json.Marshal(page))
}
