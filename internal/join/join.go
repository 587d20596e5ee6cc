// Package join says whether a certificate request is that of a waiting
// instance of ours.
//
// In: what a machine filed (request, identity document, signature) and what is
// known (certificates of the region, account, the instance's record). Out: an
// Identity that is proven, and a Verdict. It reads and writes nothing: the
// caller records the key, approves, denies or deletes. Nothing in a request is
// trusted before Prove has verified it.
package join

import (
	"fmt"
)

// Request is a certificate request as a machine filed it. All of it is
// untrusted and bounded by Prove.
type Request struct {
	// CSR is spec.request: one PEM block.
	CSR []byte
	// Signer and Usages are spec.signerName and spec.usages.
	Signer string
	Usages []string
	// Document and Signature are the annotations, base64 decoded once.
	Document  []byte
	Signature []byte
	// Pool is whose join credential filed it, from the API server's own word
	// on the requester.
	Pool string
}

// Identity is what a request proves: this instance of this account made this
// key.
type Identity struct {
	Account      string
	Region       string
	Zone         string
	Instance     string
	InstanceType string
	PrivateIP    string
	// KeyHash is the lower-case hex SHA-256 of the key's SubjectPublicKeyInfo.
	KeyHash string
	// Pool is whose join credential was used.
	Pool string
	// Defect says why the request is not exactly a kubelet's of this
	// instance. Empty: it is.
	Defect string
}

// Facts are what is known about the instance of an Identity.
type Facts struct {
	// Account and Region are ours.
	Account string
	Region  string
	// Recorded says that there is an Instance of this id; the fields below
	// are of its record.
	Recorded bool
	Pool     string
	// PrivateIP is empty while the record has none.
	PrivateIP string
	// JoinKey is the hash of the key that was let in before. Empty: none.
	JoinKey string
	// Waits says that the instance waits to join.
	Waits bool
	// PastDeadline says that its join deadline has passed, or, for an
	// instance without a record, that the request has waited for as long.
	PastDeadline bool
	// Removed says that the instance is being released or was taken out.
	Removed bool
}

// Kind is the kind of a verdict.
type Kind int

// The kinds. The zero value approves nothing.
const (
	// Undecided: proven, and its Instance is not recorded yet.
	Undecided Kind = iota
	// Approve: record the key's hash, then approve.
	Approve
	// Deny: proven to come from an instance of this account and region, and
	// refused; the reason is for people.
	Deny
	// Forged: proves nothing; to be counted and deleted without another write.
	Forged
)

// String returns the kind as one word.
func (k Kind) String() string {
	switch k {
	case Approve:
		return "Approve"
	case Deny:
		return "Deny"
	case Forged:
		return "Forged"
	}
	return "Undecided"
}

// Verdict is what is to be done about a request.
type Verdict struct {
	Kind Kind
	// KeyHash is what to record before approving.
	KeyHash string
	// Reason says why, for people. At most 512 bytes, without secrets.
	Reason string
}

// Judge decides about a proven identity. It is cheap and may be asked again
// whenever the record changes.
func Judge(id Identity, f Facts) Verdict {
	deny := func(format string, a ...any) Verdict {
		return Verdict{Kind: Deny, Reason: clip(fmt.Sprintf(format, a...))}
	}
	switch {
	case f.Account == "" || f.Region == "" || id.Account != f.Account || id.Region != f.Region:
		return Verdict{Kind: Forged, Reason: clip(fmt.Sprintf("instance %s is of account %s in %s, not of ours", id.Instance, id.Account, id.Region))}
	case id.Defect != "":
		return deny("%s", id.Defect)
	case id.KeyHash == "" || id.Instance == "":
		return Verdict{Kind: Forged, Reason: "no key or no instance is proven"}
	case !f.Recorded && f.PastDeadline:
		return deny("instance %s was not known within the join deadline", id.Instance)
	case !f.Recorded:
		return Verdict{Kind: Undecided, Reason: clip(fmt.Sprintf("instance %s is not recorded yet", id.Instance))}
	case f.Removed:
		return deny("instance %s is being released or was taken out", id.Instance)
	case f.Pool != id.Pool:
		return deny("instance %s is of pool %s, the join credential of pool %s", id.Instance, f.Pool, id.Pool)
	case f.PrivateIP != "" && f.PrivateIP != id.PrivateIP:
		return deny("instance %s has the address %s, its identity says %s", id.Instance, f.PrivateIP, id.PrivateIP)
	case f.JoinKey != "" && f.JoinKey != id.KeyHash:
		return deny("instance %s joined with another key; if it was set up anew, say: poolkeeper node rejoin %s", id.Instance, id.Instance)
	case f.JoinKey == id.KeyHash:
		return Verdict{Kind: Approve, KeyHash: id.KeyHash, Reason: "the key that was let in before"}
	case f.PastDeadline:
		return deny("the join deadline of instance %s has passed", id.Instance)
	case !f.Waits:
		return deny("instance %s does not wait to join", id.Instance)
	}
	return Verdict{Kind: Approve, KeyHash: id.KeyHash, Reason: "a waiting instance proved its key"}
}

// Decide proves and judges in one go.
func Decide(r Request, trust Trust, f Facts) (Identity, Verdict) {
	id, err := Prove(r, trust)
	if err != nil {
		return Identity{}, Verdict{Kind: Forged, Reason: clip(err.Error())}
	}
	return id, Judge(id, f)
}

func clip(s string) string {
	const most = 512
	if len(s) > most {
		return s[:most]
	}
	return s
}
