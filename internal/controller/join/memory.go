package join

import (
	"sync"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/internal/join"
)

// known is what is kept of one request that is not decided: a proof is made
// once, however often the request is judged.
type known struct {
	uid    types.UID
	first  time.Time
	proven bool
	id     join.Identity
	// counted is true for a forged one that was counted, and could not be deleted
	// yet.
	counted bool
	// overtaken is how often somebody else had written meanwhile.
	overtaken int
}

// memory may be forgotten at a restart. It is as large as the requests that
// are not decided, and the instances that were denied within a minute.
type memory struct {
	mu       sync.Mutex
	requests map[string]known
	// undecided are the requests of each pool that are not decided, and pools
	// the pool of each of them.
	undecided map[string]int
	pools     map[string]string
	// waiting is the one undecided request of each instance.
	waiting map[string]*certificatesv1.CertificateSigningRequest
	// told is when a denial was last told, by instance, and swept when those
	// that are over were last dropped.
	told  map[string]time.Time
	swept time.Time
	// floods are the forged requests of each pool.
	floods map[string]*flood
}

// flood counts forged requests of a pool within a minute.
type flood struct {
	began    time.Time
	count    int
	replaced time.Time
	// due is true where the credential is to be replaced, and that failed.
	due bool
}

// tellEvery is the shortest time between two denials that are told of one
// instance, and the window in which forged requests are counted.
const tellEvery = time.Minute

// of returns what is kept of a request, or a fresh record of it.
func (m *memory) of(csr *certificatesv1.CertificateSigningRequest, now time.Time) known {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.requests[csr.Name]; ok && k.uid == csr.UID {
		return k
	}
	return known{uid: csr.UID, first: now}
}

// keep keeps the proof of a request.
func (m *memory) keep(csr *certificatesv1.CertificateSigningRequest, k known) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.requests == nil {
		m.requests = map[string]known{}
	}
	m.requests[csr.Name] = k
}

// enter notes a request that is not decided, once, and returns how many the pool
// has before it.
func (m *memory) enter(pool, name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pools == nil {
		m.pools, m.undecided = map[string]string{}, map[string]int{}
	}
	if _, known := m.pools[name]; !known {
		m.pools[name] = pool
		m.undecided[pool]++
	}
	return m.undecided[pool] - 1
}

// forget drops a request that is decided or gone.
func (m *memory) forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if pool, known := m.pools[name]; known {
		delete(m.pools, name)
		if m.undecided[pool]--; m.undecided[pool] == 0 {
			delete(m.undecided, pool)
		}
	}
	k, ok := m.requests[name]
	if !ok {
		return
	}
	delete(m.requests, name)
	if w := m.waiting[k.id.Instance]; w != nil && w.Name == name {
		delete(m.waiting, k.id.Instance)
	}
}

// wait notes the undecided request of an instance. First is true for the first
// one; older is the one of two that has to go.
func (m *memory) wait(instance string, csr *certificatesv1.CertificateSigningRequest) (first bool, older *certificatesv1.CertificateSigningRequest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting == nil {
		m.waiting = map[string]*certificatesv1.CertificateSigningRequest{}
	}
	have := m.waiting[instance]
	switch {
	case have == nil:
		m.waiting[instance] = slim(csr)
		return true, nil
	case have.Name == csr.Name:
		return false, nil
	case have.CreationTimestamp.After(csr.CreationTimestamp.Time):
		return false, slim(csr)
	}
	m.waiting[instance] = slim(csr)
	return false, have
}

// slim is the name of a request, without its bytes.
func slim(csr *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequest {
	out := &certificatesv1.CertificateSigningRequest{}
	out.Name, out.UID, out.CreationTimestamp = csr.Name, csr.UID, csr.CreationTimestamp
	return out
}

// waitingFor is the undecided request of an instance, empty for none.
func (m *memory) waitingFor(instance string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.waiting[instance]; w != nil {
		return w.Name
	}
	return ""
}

// mayTell is true at most once a minute per instance.
func (m *memory) mayTell(instance string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.told[instance]; ok && now.Sub(at) < tellEvery && !now.Before(at) {
		return false
	}
	if m.told == nil {
		m.told = map[string]time.Time{}
	}
	if since := now.Sub(m.swept); since >= tellEvery || since < 0 { // once a minute, not once per instance
		m.swept = now
		for id, at := range m.told {
			if now.Sub(at) >= tellEvery {
				delete(m.told, id)
			}
		}
	}
	m.told[instance] = now
	return true
}

// flood counts a forged request, unless it was counted before, and is true where
// they are too many: once, and again only after as long as a token that was taken
// with the old ones may take to be refused everywhere, or after notReplaced.
func (m *memory) flood(pool string, now time.Time, most int, again bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.floods == nil {
		m.floods = map[string]*flood{}
	}
	f := m.floods[pool]
	if f == nil {
		f = &flood{began: now}
		m.floods[pool] = f
	}
	if now.Sub(f.began) >= tellEvery || now.Before(f.began) {
		f.began, f.count = now, 0
	}
	if !again {
		f.count++
	}
	if !f.due && (f.count <= most || (!f.replaced.IsZero() && now.Sub(f.replaced) < 2*tellEvery)) {
		return false
	}
	f.due, f.replaced = false, now
	return true
}

// notReplaced says that the replacement failed which flood asked for: the next
// look at a forged request of the pool tries again.
func (m *memory) notReplaced(pool string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.floods[pool].due = true
}
