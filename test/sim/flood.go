package sim

import (
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// A flood is one forged request after another, until their credential is dead or
// the one who files them has had enough.
const (
	floodPace  = 250 * time.Millisecond
	floodLeast = 30
	floodMost  = 200
)

// forgedBorne is how many forged requests of a pool are borne within a minute.
const forgedBorne = 60

// joinSecret is the UID of a pool's join Secret, with which each of its tokens
// dies; empty: there is none.
func (w *world) joinSecret(pool string) types.UID {
	s := &corev1.Secret{}
	if w.admin.Get(background, types.NamespacedName{Namespace: api.JoinNamespace, Name: api.JoinSecret(pool)}, s) != nil {
		return ""
	}
	return s.UID
}

var tokenSecret = regexp.MustCompile(`token-of-pool-\S+-with-(\S+)-until-`)

// userDataSecret is the join Secret with which the token in a machine's user data
// dies.
func (w *world) userDataSecret(id string) types.UID {
	m, _ := w.region.Metadata(id)
	if found := tokenSecret.FindSubmatch(m.UserData); found != nil {
		return types.UID(found[1])
	}
	return ""
}

// lets says whether a machine may file and read requests: its token lives. A
// person types the newest.
func (w *world) lets(k *kubelet) bool {
	there := w.joinSecret(k.pool)
	return there != "" && (k.typed || k.secret == there)
}

// flood files forged requests with the join credential of a pool.
func (p *people) flood() {
	pool, most := p.anyPool(), floodLeast+p.random.IntN(floodMost-floodLeast)
	if stolen := p.joinSecret(pool); stolen != "" {
		p.note(true, "people: file up to %d forged requests with the join credential of %s", most, pool)
		p.floodOn(pool, stolen, papersFor("i-thief", newKey(), nil, nil), most)
	}
}

func (p *people) floodOn(pool string, stolen types.UID, q papers, left int) {
	switch {
	case p.calm || left == 0:
		return
	case p.now.Before(p.trouble.outage): // nobody hears
	case p.joinSecret(pool) != stolen:
		p.note(true, "people: the stolen credential of %s is dead", pool)
		return
	default:
		p.file(q, filing{pool: pool, forged: forgeries[0]})
	}
	p.at(p.now.Add(floodPace), "", func() { p.floodOn(pool, stolen, q, left-1) })
}

// costs checks what a forged request makes a process write: its own deletion and,
// past the rate, that of its pool's join Secret; no join Secret goes for anything
// else that is judged (S3).
func (j joins) costs(e apiserver.Event) {
	if e.Deleted && e.Kind == apiserver.Secret {
		for _, pool := range poolNames {
			if e.New.GetName() == api.JoinSecret(pool) && e.New.GetNamespace() == api.JoinNamespace {
				j.replaced[pool] = j.now
			}
		}
	}
	if j.current == nil {
		return
	}
	_, name, judging := strings.Cut(j.current.name, "/join ")
	f := j.filings[name]
	switch forged := f.forged == forgeries[0]; {
	case !judging:
	case e.Kind == apiserver.Secret && (f.forged == "" || j.forged[f.pool] <= forgedBorne || e.New.GetName() != api.JoinSecret(f.pool)):
		j.violate("S3", "join Secret %s goes for request %s, and %d forged ones were filed with that of %s", e.New.GetName(), name, j.forged[f.pool], f.pool)
	case e.Deleted && e.New.GetName() == name && f.forged != "":
		j.floodEnds(j.current.proc, f.pool)
	case forged && e.Kind != apiserver.Secret:
		j.violate("S3", "forged request %s costs a write of %s %s", name, e.Kind.Kind, e.New.GetName())
	}
}

// floodEnds checks that a credential dies that is misused: of more than twice as
// many as are borne within a minute, one minute of the product's count had more.
func (j joins) floodEnds(p *process, pool string) {
	all := append(p.judged[pool], j.now)
	all = slices.DeleteFunc(all, func(at time.Time) bool { return j.now.Sub(at) >= time.Minute })
	p.judged[pool] = all
	s := &corev1.Secret{}
	if len(all) <= 2*forgedBorne+1 || j.admin.Get(background, types.NamespacedName{Namespace: api.JoinNamespace, Name: api.JoinSecret(pool)}, s) != nil {
		return
	}
	if s.CreationTimestamp.Time.Before(all[0]) && j.now.Sub(j.replaced[pool]) > 3*time.Minute {
		j.violate("S3", "%d forged requests of %s were deleted within a minute, and their credential lives", len(all), pool)
	}
}
