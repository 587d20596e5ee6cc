package kill

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// books are what the test itself saw pass to and from the cloud, and what the
// cloud showed it: the only memory of instances that came and went.
type books struct {
	mu       sync.Mutex
	tokens   map[string]*asked
	created  map[string]bool // every instance of ours that was ever shown or answered
	released map[string]bool // every instance that a release call named
	mixed    []string
}

// asked is one token: how many instances it asked for, and which it ever gave.
type asked struct {
	amount int
	ids    map[string]bool
}

func newBooks() *books {
	return &books{tokens: map[string]*asked{}, created: map[string]bool{}, released: map[string]bool{}}
}

// answer notes one answer of the cloud, whether or not it reaches the
// controller.
func (b *books) answer(c *call, status int, body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.action == "RunInstances" && status == http.StatusOK && c.form.Get("DryRun") != "true" {
		b.gave(c, body)
	}
}

// asked notes what a call is about to ask for, whether or not it arrives.
func (b *books) asked(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.action != "DeleteInstances" {
		return
	}
	for key := range c.form {
		if strings.HasPrefix(key, "InstanceId.") {
			b.released[c.form.Get(key)] = true
		}
	}
}

// gave notes what one RunInstances call gave for its token.
func (b *books) gave(c *call, body []byte) {
	var got struct {
		InstanceIdSets struct{ InstanceIdSet []string }
	}
	if err := json.Unmarshal(body, &got); err != nil {
		b.mixed = append(b.mixed, fmt.Sprintf("an answer of RunInstances is not JSON: %v", err))
		return
	}
	token := c.form.Get("ClientToken")
	amount, _ := strconv.Atoi(c.form.Get("Amount"))
	a := b.tokens[token]
	if a == nil {
		a = &asked{amount: amount, ids: map[string]bool{}}
		b.tokens[token] = a
	}
	if a.amount != amount || token == "" {
		b.mixed = append(b.mixed, fmt.Sprintf("token %q was sent with amount %d and with %d", token, a.amount, amount))
	}
	for _, id := range got.InstanceIdSets.InstanceIdSet {
		a.ids[id], b.created[id] = true, true
	}
}

// show notes instances of ours that the cloud showed.
func (b *books) show(ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		b.created[id] = true
	}
}

// count is how many instances were ever created, and how many were ever named
// in a release call.
func (b *books) count() (created, released int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.created), len(b.released)
}

// problems are tokens that gave more than they asked for.
func (b *books) problems() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Clone(b.mixed)
	for _, token := range slices.Sorted(maps.Keys(b.tokens)) {
		if a := b.tokens[token]; len(a.ids) > a.amount {
			out = append(out, fmt.Sprintf("token %s asked for %d and gave %d: %v", token, a.amount, len(a.ids), slices.Sorted(maps.Keys(a.ids))))
		}
	}
	return out
}

func (b *books) wasReleased(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.released[id]
}
