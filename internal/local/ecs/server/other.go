package server

import (
	randv2 "math/rand/v2"
	"strings"
	"sync"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// other is another account in the same region: it sees nothing of the first
// one's, what it changes is forgotten with the process, and its machines are
// never powered on.
type other struct {
	mu     sync.Mutex
	region *region.Region
}

// Account is one of the two accounts that the local cloud knows.
type Account struct {
	// Name is own or other.
	Name string `json:"name"`
	ID   string `json:"id"`
	// Changes is how often a call that changes something was signed with its
	// key, since the local cloud was started.
	Changes int64 `json:"changes"`
}

func openOther(o Options, sc scenario.Scenario, key Credentials) (*other, error) {
	r, err := region.New(region.Options{Scenario: sc, Account: key.AccountID, MaxNodes: o.MaxNodes, TimeFactor: o.TimeFactor, Now: o.Now,
		Random: randv2.New(randv2.NewPCG(seed(), seed()))}, nil)
	return &other{region: r}, err
}

// call carries a call of the other account out.
func (t *other) call(c region.Call) region.Answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.region.Do(c, t.region.Meet(c))
	if a.Token != "" {
		t.region.Finish(a.Token)
	}
	if _, err := t.region.Take(); err != nil {
		return region.Answer{Err: &region.Error{Status: 500, Code: "InternalError", Message: err.Error()}}
	}
	t.region.Effects()
	return a
}

// reads says whether an action changes nothing.
func reads(action string) bool {
	for _, verb := range []string{"Describe", "Get", "List", "Query"} {
		if strings.HasPrefix(action, verb) {
			return true
		}
	}
	return false
}

func (s *Server) accounts(*region.Region) []Account {
	return []Account{
		{Name: "own", ID: s.identity.credentials.AccountID, Changes: s.changes[0].Load()},
		{Name: "other", ID: s.identity.other.AccountID, Changes: s.changes[1].Load()},
	}
}
