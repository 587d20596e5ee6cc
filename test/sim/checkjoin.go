package sim

import (
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// joins checks who is let into the cluster (S1, S2).
type joins struct {
	*checker
	// left is since when an instance may not join: it is marked to go, removed,
	// given up or not recorded. words is when a person last let one join again.
	left, words map[string]time.Time
	// forged counts the forged requests that were filed, by pool, and replaced is
	// when its join Secret was deleted last.
	forged   map[string]int
	replaced map[string]time.Time
}

// asOf is when the work that makes a change now began: what has changed since it
// cannot know where it writes two objects, one after the other.
func (j joins) asOf() time.Time {
	if a := j.current; a != nil {
		return a.since
	}
	return j.now
}

// recordChanges checks what is written of a join key.
func (j joins) recordChanges(old, i *api.Instance, deleted bool) {
	was := ""
	if old != nil {
		if was = old.Spec.JoinKey; !sameTime(old.Spec.RejoinTime, i.Spec.RejoinTime) {
			j.words[i.Name] = j.now
		}
	}
	switch key := i.Spec.JoinKey; {
	case deleted || was == key:
	case key == "":
		if sameTime(old.Spec.RejoinTime, i.Spec.RejoinTime) {
			j.violate("S1", "the key of %s is taken off, and nobody said so", i.Name)
		}
	default:
		j.keyWritten(old, i)
	}
	s := &i.Status
	gone := deleted || i.Spec.Release != nil || s.ReleaseSentTime != nil || s.LifecycleState == api.InstanceRemoved || i.Spec.CreationType == api.CreatedUnknown
	if at := j.left[i.Name]; !gone {
		delete(j.left, i.Name)
	} else if at.IsZero() {
		j.left[i.Name] = j.now
	}
}

// keyWritten checks a key that is let in: that of the instance itself, the only
// one until a person lets it join again, and only where it waits.
func (j joins) keyWritten(old, i *api.Instance) {
	id, key := i.Name, i.Spec.JoinKey
	switch {
	case old == nil || old.Spec.JoinKey != "":
		j.violate("S1", "%s has another key than it was let in with", id)
	case j.proved[key] != id:
		j.violate("S1", "a key is let in for %s that is of %q", id, j.proved[key])
	case !j.left[id].IsZero():
		j.violate("S1", "a key is let in for %s, which does not belong to the pool since %s", id, j.left[id].Format(time.TimeOnly))
	case old.Status.JoinedTime != nil && j.words[id].IsZero():
		j.violate("S1", "a key is let in for %s, which has joined, and nobody let it join again", id)
	case i.Status.FailedTime != nil && (i.Spec.RejoinTime == nil || i.Spec.RejoinTime.Add(2*j.waits.ClockMargin).Before(i.Status.FailedTime.Time)):
		j.violate("S1", "a key is let in for %s, which was given up", id)
	case i.Status.RunningTime != nil:
		began := i.Status.RunningTime.Time
		if again := i.Spec.RejoinTime; again != nil && again.After(began) {
			began = again.Time
		}
		deadline := j.waits.JoinDeadline
		if s := i.Spec.JoinDeadlineSeconds; s > 0 {
			deadline = time.Duration(s) * time.Second
		}
		if late := j.asOf().Sub(began.Add(deadline)); late > 2*j.waits.ClockMargin {
			j.violate("S1", "a key is let in for %s, %s after its join deadline", id, late)
		}
	}
}

// requestChanges checks an approval: the request is no forged one, and its key is
// the one that is written down of a living instance of the credential's pool.
func (j joins) requestChanges(old, r *certificatesv1.CertificateSigningRequest) {
	if !has(r, certificatesv1.CertificateApproved) || old != nil && has(old, certificatesv1.CertificateApproved) {
		return
	}
	f, as := j.filings[r.Name], j.asOf()
	i := j.records()[f.id]
	switch {
	case f.id == "":
		j.violate("S1", "request %s is approved, which is nobody's", r.Name)
	case f.forged != "":
		j.violate("S1", "request %s is approved, in the name of %s with %s", r.Name, f.id, f.forged)
	case !j.left[f.id].IsZero() && j.left[f.id].Before(as):
		j.violate("S1", "request %s of %s is approved, which does not belong to the pool since %s", r.Name, f.id, j.left[f.id].Format(time.TimeOnly))
	case i == nil:
	case i.Spec.JoinKey != f.hash && !j.words[f.id].After(as):
		j.violate("S1", "request %s of %s is approved, and its key is not written down", r.Name, f.id)
	case i.Spec.Pool != f.pool:
		j.violate("S1", "request %s of %s is approved, which is of pool %s", r.Name, f.id, i.Spec.Pool)
	}
}

func sameTime(a, b *metav1.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(b)
}
