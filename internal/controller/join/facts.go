package join

import (
	"encoding/base64"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/join"
)

// request is a certificate request as Prove takes it. What cannot be decoded
// is left out and proves nothing.
func request(csr *certificatesv1.CertificateSigningRequest, pool string) join.Request {
	q := join.Request{CSR: csr.Spec.Request, Signer: csr.Spec.SignerName, Pool: pool}
	for _, u := range csr.Spec.Usages {
		q.Usages = append(q.Usages, string(u))
	}
	q.Document = decoded(csr.Annotations[bootstrap.AnnotationDocument])
	q.Signature = decoded(csr.Annotations[bootstrap.AnnotationSignature])
	return q
}

func decoded(s string) []byte {
	if len(s) > 2*join.MaxSignature {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// facts are what is known about the instance that a request speaks of.
func (r *Reconciler) facts(account string, k known, i *api.Instance) join.Facts {
	f := join.Facts{Account: account, Region: r.Region}
	now := r.Now()
	if i == nil {
		f.PastDeadline = now.Sub(k.first) >= r.Waits.JoinDeadline
		return f
	}
	s := &i.Status
	f.Recorded, f.Pool, f.PrivateIP, f.JoinKey = true, i.Spec.Pool, s.PrivateIP, i.Spec.JoinKey
	f.Removed = i.Spec.Release != nil || s.LifecycleState == api.InstanceRemoved || s.ReleaseSentTime != nil
	f.Waits = i.Spec.CreationType != api.CreatedUnknown && (s.JoinedTime == nil || again(i, s.JoinedTime.Time))
	f.PastDeadline = s.FailedTime != nil && !again(i, s.FailedTime.Time) || r.late(i, now)
	return f
}

// again is true where a person let the instance join again after a time.
func again(i *api.Instance, after time.Time) bool {
	return i.Spec.RejoinTime != nil && !i.Spec.RejoinTime.Time.Before(after.Truncate(time.Second))
}

// late is true where an instance that waits has passed its join deadline,
// which counts from when it was first seen running, or let in again.
func (r *Reconciler) late(i *api.Instance, now time.Time) bool {
	if i.Status.RunningTime == nil {
		return false
	}
	began := i.Status.RunningTime.Time
	if again(i, began) {
		began = i.Spec.RejoinTime.Time
	}
	deadline := r.Waits.JoinDeadline
	if s := i.Spec.JoinDeadlineSeconds; s > 0 {
		deadline = time.Duration(s) * time.Second
	}
	return now.Sub(began) > deadline
}
