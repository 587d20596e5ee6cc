package server

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/services/ecs"
	"github.com/anishathalye/porcupine"
)

// asked is one call: "run TOKEN", "delete ID" or "find ID".
type asked struct{ verb, what string }

// told is its answer: the IDs of a run, "ok" or the code of a refusal, "there"
// or "not there".
type told string

// clouds is what the cloud may be at one moment: which token gave which IDs, and
// what has become of each instance.
type clouds struct {
	tokens map[string]told
	fate   map[string]string // "there", "deleted" (and still shown, perhaps), "gone"
}

// oneByOne says what calls that are made one after the other may answer.
var oneByOne = porcupine.Model{
	Init:  func() any { return clouds{map[string]told{}, map[string]string{}} },
	Equal: func(a, b any) bool { return reflect.DeepEqual(a, b) },
	Step: func(state, in, out any) (bool, any) {
		was, call, answer := state.(clouds), in.(asked), out.(told)
		is := clouds{maps.Clone(was.tokens), maps.Clone(was.fate)}
		return is.step(call, answer), is
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%s: %s", in, out) },
}

// step is true where the answer is one that this cloud may give.
func (c clouds) step(call asked, answer told) bool {
	fate := c.fate[call.what]
	switch call.verb {
	case "run":
		if first, known := c.tokens[call.what]; known || answer == "IdempotentProcessing" {
			return answer == "IdempotentProcessing" || answer == first
		}
		c.tokens[call.what] = answer
		for _, id := range strings.Fields(string(answer)) {
			if c.fate[id] != "" {
				return false // the ID of another
			}
			c.fate[id] = "there"
		}
		return true
	case "delete":
		if answer == "ok" && fate == "there" {
			c.fate[call.what] = "deleted"
		}
		return answer != "ok" || fate == "there" || fate == "deleted"
	}
	if answer == "not there" && fate == "deleted" {
		c.fate[call.what] = "gone"
	}
	return (answer == "there") == (fate == "there") || fate == "deleted"
}

// watcher makes calls and writes down when each began and ended.
type watcher struct {
	*bench
	mu   sync.Mutex
	ids  []string
	seen []porcupine.Operation
	zero time.Time
}

func (w *watcher) make(client int, api *ecs.Client, call asked) {
	began := time.Since(w.zero)
	answer := w.answer(api, call)
	ended := time.Since(w.zero)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, porcupine.Operation{ClientId: client, Input: call, Call: int64(began), Output: answer, Return: int64(ended)})
	if call.verb == "run" && answer != "IdempotentProcessing" {
		w.ids = append(w.ids, strings.Fields(string(answer))...)
	}
}

// answer sends a call.
func (w *watcher) answer(api *ecs.Client, call asked) told {
	code := func(err error) told {
		if e, ok := err.(interface{ ErrorCode() string }); ok {
			return told(e.ErrorCode())
		}
		w.Errorf("%s: %v", call, err)
		return "broken"
	}
	switch call.verb {
	case "run":
		a, err := api.RunInstances(launch(2, func(r *ecs.RunInstancesRequest) { r.ClientToken = call.what }))
		if err != nil {
			return code(err)
		}
		return told(strings.Join(a.InstanceIdSets.InstanceIdSet, " "))
	case "delete":
		r := ecs.CreateDeleteInstancesRequest()
		r.InstanceId = &[]string{call.what}
		r.Force = "true"
		if _, err := api.DeleteInstances(r); err != nil {
			return code(err)
		}
		return "ok"
	}
	r := ecs.CreateDescribeInstancesRequest()
	r.InstanceIds = `["` + call.what + `"]`
	a, err := api.DescribeInstances(r)
	if err != nil {
		return code(err)
	}
	if len(a.Instances.Instance) == 0 {
		return "not there"
	}
	return "there"
}

// work makes calls of one client by seed.
func (w *watcher) work(client int, seed uint64) {
	api := w.v1(w.identity.credentials.AccessKeyID, w.identity.credentials.AccessKeySecret)
	dice := rand.New(rand.NewPCG(seed, uint64(client)))
	for range 25 {
		w.mu.Lock()
		ids := slices.Clone(w.ids)
		w.mu.Unlock()
		call := asked{"run", fmt.Sprintf("token-%d-%d", seed, dice.IntN(6))}
		if n := len(ids); n > 0 && dice.IntN(4) > 0 {
			call = asked{[]string{"delete", "find", "find"}[dice.IntN(3)], ids[dice.IntN(n)]}
		}
		w.make(client, api, call)
	}
}

// Calls of several clients at a time answer as if they had been made one after
// the other: one token gives the same instances to all, an instance is there
// from the answer that names it until it is deleted, and never comes back.
func TestCallsAtATimeAreAsCallsOneByOne(t *testing.T) {
	b := newBench(t, "instancesPerMinute: 0\n")
	for seed := range uint64(4) {
		w := &watcher{bench: b, zero: time.Now()}
		var clients sync.WaitGroup
		for client := range 4 {
			clients.Go(func() { w.work(client, seed) })
		}
		clients.Wait()
		if r := porcupine.CheckOperationsTimeout(oneByOne, w.seen, time.Minute); r != porcupine.Ok {
			t.Fatalf("seed %d: %s\n%s", seed, r, story(w.seen))
		}
		for what, spoil := range map[string]func(*porcupine.Operation) bool{
			"a token gives other instances": func(o *porcupine.Operation) bool { return o.Input.(asked).verb == "run" },
			"an instance is hidden":         func(o *porcupine.Operation) bool { return o.Output == told("there") },
		} {
			if r := porcupine.CheckOperationsTimeout(oneByOne, spoiled(w.seen, spoil), time.Minute); r != porcupine.Illegal {
				t.Errorf("seed %d, %s: %s; the check sees nothing", seed, what, r)
			}
		}
	}
}

// spoiled repeats the last call that fits, long after all others, with an answer
// that is wrong, and lets the first token or instance be there as it was.
func spoiled(seen []porcupine.Operation, fits func(*porcupine.Operation) bool) []porcupine.Operation {
	out := slices.Clone(seen)
	end := slices.MaxFunc(seen, func(a, b porcupine.Operation) int { return int(a.Return - b.Return) }).Return
	for _, o := range seen {
		if fits(&o) {
			o.ClientId, o.Call, o.Return = 99, end+1, end+2
			again := o
			again.Call, again.Return = end+3, end+4
			if o.Input.(asked).verb == "run" {
				o.Input, again.Input = asked{"run", "fresh"}, asked{"run", "fresh"}
				o.Output, again.Output = told("i-a i-b"), told("i-c i-d")
			} else {
				o.Input, o.Output = asked{"run", "fresh"}, told("i-a")
				again.Input, again.Output = asked{"find", "i-a"}, told("not there")
			}
			return append(out, o, again)
		}
	}
	return out
}

func story(seen []porcupine.Operation) string {
	slices.SortFunc(seen, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var out strings.Builder
	for _, o := range seen {
		fmt.Fprintf(&out, "%d %s to %s: %s\n", o.ClientId, time.Duration(o.Call), time.Duration(o.Return), oneByOne.DescribeOperation(o.Input, o.Output))
	}
	return out.String()
}
