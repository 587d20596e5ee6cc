package sim

import (
	"bytes"
	"crypto/ecdsa"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

// The ways to forge a request. Each is by somebody who has the join credential of
// a pool and a machine somewhere; the last of them has the victim's machine.
var forgeries = []string{"nothing to show", "another's proof", "another's name", "an altered document", "another account", "a stranger's signature",
	"another pool's credential", "a second key"}

// forge files a request that must not be approved.
func (p *people) forge() {
	if i, ok := p.one(); ok && p.joinSecret(i.Tags[cloud.TagPool]) != "" {
		p.forgeAs(forgeries[p.random.IntN(len(forgeries))], i.ID, i.Tags[cloud.TagPool])
	}
}

// forgeAs files a forged request in the name of an instance. A second key is
// forged only where another was let in before it, which is checked when a key is
// written down.
func (p *people) forgeAs(how, victim, pool string) {
	m, _ := p.region.Metadata(victim)
	region, key := authorities().region, newKey()
	f := filing{id: victim, hash: hashOf(key), pool: pool, forged: how}
	signed := func(document []byte) []byte { return region.sign(document, f.hash) }
	own := bytes.Replace(m.Document, []byte(victim), []byte("i-thief"), 1)
	var q papers
	switch how {
	case "nothing to show":
		q = papersFor(victim, key, nil, nil)
	case "another's proof":
		q = papersFor(victim, key, m.Document, p.kubelet(victim).of(p.world).signature)
	case "another's name":
		q = papersFor(victim, key, own, signed(own))
	case "an altered document":
		q = papersFor(victim, key, m.Document, signed(own))
	case "another account":
		other := bytes.Replace(m.Document, []byte(account), []byte("2000000000000002"), 1)
		q = papersFor(victim, key, other, signed(other))
	case "a stranger's signature":
		q = papersFor(victim, key, m.Document, authorities().stranger.sign(m.Document, f.hash))
	case "another pool's credential":
		key = p.kubelet(victim).key
		f.hash, f.pool = hashOf(key), "another"
		q = p.kubelet(victim).of(p.world)
	default:
		f.forged = ""
		q = papersFor(victim, key, m.Document, signed(m.Document))
	}
	p.note(true, "people: file a request in the name of %s with %s", victim, how)
	p.file(q, f)
}

// reinstall sets a machine up anew: it has another key, which needs a person's
// word.
func (p *people) reinstall() {
	if i, ok := p.one(); ok {
		p.setUpAnew(i.ID)
		p.at(p.now.Add(p.trouble.upTo(12*time.Minute)), "", func() { p.rejoin(i.ID) })
	}
}

// setUpAnew gives a machine another key, with which it tries to join.
func (p *people) setUpAnew(id string) {
	k := p.kubelet(id)
	if !k.certified {
		return
	}
	p.note(true, "people: set %s up anew", id)
	p.newDisk(k, newKey())
	p.setReady(id, false)
	life := p.power[id]
	p.at(p.now.Add(30*time.Second), "", func() { p.joinScript(id, life) })
}

func (p *people) newDisk(k *kubelet, key *ecdsa.PrivateKey) {
	k.key, k.papers, k.certified, k.request, k.until, k.typed = key, nil, false, "", time.Time{}, false
}

// rejoin says that a machine may join with its new key, and types the command on
// it, until it has joined or is on its way out.
func (p *people) rejoin(id string) {
	i := p.record(id)
	if k := p.kubelet(id); k.certified || !p.region.Has(id) || i == nil || i.Spec.CreationType == api.CreatedUnknown || i.Status.LifecycleState == api.InstanceRemoved {
		return
	}
	p.ask(i.Spec.Pool, api.ClusterTaskSpec{Type: api.TaskRejoin, Instances: []string{id}})
	p.at(p.now.Add(time.Minute), "", func() {
		p.kubelet(id).typed = true
		p.joinScript(id, p.power[id])
	})
	p.at(p.now.Add(20*time.Minute), "", func() { p.rejoin(id) })
}

// dropRequests deletes what nobody waits for an answer to.
func (p *people) dropRequests() {
	for _, o := range p.api.Objects(apiserver.SigningRequest) {
		r, _ := o.(*certificatesv1.CertificateSigningRequest)
		if p.filings[r.Name].by == nil {
			if err := p.admin.Delete(background, r.DeepCopy()); err != nil {
				p.violate("people", "%v", err)
			}
		}
	}
}
