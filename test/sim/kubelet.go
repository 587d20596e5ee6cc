package sim

import (
	"crypto/ecdsa"
	"fmt"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// kubelet is what a machine has on its disk: its key, and once a request of it
// was approved a certificate. What signs approved requests is not modelled.
type kubelet struct {
	id string
	// pool is whose join credential it has; empty: none yet. Its token dies with
	// the join Secret of its user data, or is the newest where a person typed it.
	pool      string
	secret    types.UID
	typed     bool
	key       *ecdsa.PrivateKey
	papers    *papers
	certified bool
	// life is the one in which its join script runs, until when it tries, and
	// request what it waits for.
	life    int
	until   time.Time
	request string
	pause   time.Duration
}

// The pauses of the join script between two requests; one that waits is not filed
// again (decision 0021).
const (
	retryMin = 2 * time.Second
	retryMax = time.Minute
)

// filing is one request that somebody filed.
type filing struct {
	// by is the machine that waits for the answer; nil: nobody does.
	by *kubelet
	// id is the instance that the request proves, and hash its key.
	id, hash, pool string
	// forged says what is wrong with it; empty: nothing.
	forged string
}

func (w *world) kubelet(id string) *kubelet {
	k := w.kubelets[id]
	if k == nil {
		k = &kubelet{id: id, key: newKey()}
		w.kubelets[id] = k
	}
	return k
}

// joinScript begins the join of a machine that was switched on, or on which a
// person types the command for it: with a certificate its kubelet registers.
func (w *world) joinScript(id string, life int) {
	k := w.kubelet(id)
	if !w.lives(id, life) || k.life == life && w.now.Before(k.until) {
		return
	}
	if k.certified {
		w.register(id, life)
		return
	}
	k.life, k.until, k.pause, k.request = life, w.now.Add(w.waits.JoinDeadline), retryMin, ""
	w.fileRequest(k, life)
}

func (w *world) lives(id string, life int) bool { return w.power[id] == life && w.region.Has(id) }

// fileRequest files the request of a machine, again until it is answered or the
// script gives up. A machine that somebody made by hand has no credential before
// its record names a pool, for a person brings it.
func (w *world) fileRequest(k *kubelet, life int) {
	again := func(d time.Duration) { w.at(w.now.Add(d), "", func() { w.fileRequest(k, life) }) }
	i := w.record(k.id)
	if i != nil && i.Spec.CreationType == api.CreatedAttached {
		k.pool, k.typed = i.Spec.Pool, true
	}
	switch {
	case !w.lives(k.id, life) || k.life != life || k.certified || k.request != "":
		return
	case k.pool == "":
		k.until = w.now.Add(w.waits.JoinDeadline)
		again(10 * time.Second)
		return
	case !w.now.Before(k.until):
		w.note(true, "machine %s gives up joining", k.id)
		return
	case w.now.Before(w.trouble.outage):
		again(10 * time.Second)
		return
	case !w.lets(k):
		w.note(true, "machine %s is not let file: its credential is dead", k.id)
		again(k.pause)
		k.pause = min(2*k.pause, retryMax)
		return
	}
	name := w.file(k.of(w), filing{by: k, id: k.id, hash: hashOf(k.key), pool: k.pool})
	k.request = name
	w.at(k.until, "", func() {
		if k.request == name {
			w.note(true, "machine %s gives up joining", k.id)
			k.request = ""
		}
	})
}

// of are the papers of a machine; they are signed once for each key.
func (k *kubelet) of(w *world) papers {
	if k.papers == nil {
		m, _ := w.region.Metadata(k.id)
		p := papersFor(k.id, k.key, m.Document, authorities().region.sign(m.Document, hashOf(k.key)))
		k.papers = &p
	}
	return *k.papers
}

// file files a request and notes what it is.
func (w *world) file(p papers, f filing) string {
	name := fmt.Sprintf("poolkeeper-%s-%04d", f.pool, len(w.filings))
	w.filings[name] = f
	if f.forged == "" {
		w.proved[f.hash] = f.id
	} else {
		w.check.joins.forged[f.pool]++
	}
	if err := w.admin.Create(background, p.file(name, f.pool)); err != nil {
		w.violate("machine", "%v", err)
	}
	return name
}

// afterAnswer files the next request after one that was not approved.
func (w *world) afterAnswer(k *kubelet) {
	k.request = ""
	life, pause := k.life, k.pause
	k.pause = min(2*k.pause, retryMax)
	w.at(w.now.Add(pause), "", func() { w.fileRequest(k, life) })
}

// answered lets a machine go on whose request was decided or deleted.
func (w *world) answered(r *certificatesv1.CertificateSigningRequest, deleted bool) {
	f := w.filings[r.Name]
	k := f.by
	if k == nil || k.request != r.Name || f.hash != hashOf(k.key) {
		return
	}
	switch {
	case has(r, certificatesv1.CertificateApproved) && !w.lets(k): // it cannot read the answer
		w.afterAnswer(k)
	case has(r, certificatesv1.CertificateApproved):
		k.certified, k.request, k.until = true, "", time.Time{}
		life, after := k.life, 2*time.Second+w.trouble.lateJoin()
		w.at(w.now.Add(after), "", func() { w.register(k.id, life) })
	case has(r, certificatesv1.CertificateDenied), deleted:
		w.afterAnswer(k)
	}
}

func has(r *certificatesv1.CertificateSigningRequest, typ certificatesv1.RequestConditionType) bool {
	return slices.ContainsFunc(r.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool { return c.Type == typ })
}

// record is that of an instance as it is stored; nil: there is none.
func (w *world) record(id string) *api.Instance {
	i := &api.Instance{}
	if w.admin.Get(background, types.NamespacedName{Name: id}, i) != nil {
		return nil
	}
	return i
}
