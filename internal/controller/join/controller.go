// Package join decides about the certificate requests that machines of a pool
// file with its join credential. In come those requests and the records of
// Instances; out go the hash of a proven key in Instance.spec.joinKey and, only
// after it, the approval; denials with their reason; and the deletion of what
// proves nothing. It makes and replaces the credentials too. It never signs,
// never touches the requests of anyone else, and takes the word of no request
// but its proof.
package join

import (
	"context"
	"fmt"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/join"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Namespace holds the service account and the join Secret of each pool.
const Namespace = api.JoinNamespace

// requester is how the API server names the join credential of a pool.
const requester = "system:serviceaccount:" + Namespace + ":pool-"

// Seeker looks for one instance in the cloud at once, because a machine of
// that ID is there and no record of it is.
type Seeker interface {
	// Seek asks for a sweep that looks for an instance. It returns at once.
	Seek(id string)
}

// Replacer ends a pool's join credential where it is misused.
type Replacer interface {
	// Replace makes every token of the pool's join credential worthless.
	Replace(ctx context.Context, pool string) error
}

// Reconciler decides about join requests. All fields must be set, but Forged
// where the default is wanted.
type Reconciler struct {
	// Client reads from the cache and writes; nothing is read live, for the key
	// is written under the version that was judged.
	Client client.Client
	// Now is the clock.
	Now func() time.Time
	// Waits are the times of the specification.
	Waits wait.Settings
	// Events tells people what was denied and why.
	Events record.EventRecorder
	// Trust holds the region's certificates of instance identities.
	Trust join.Trust
	// Account and Region are ours. The account is asked for anew at each
	// request, since it may not be known at the start; empty: not known yet.
	Account func() string
	Region  string
	// Seeker looks for instances that have no record yet.
	Seeker Seeker
	// Replacer replaces a pool's join Secret.
	Replacer Replacer
	// Forged is how many forged requests of one pool within a minute are
	// borne before its join Secret is replaced. Default 60.
	Forged int

	memory memory
}

// Reconcile decides about one request.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	csr := &certificatesv1.CertificateSigningRequest{}
	if err := r.Client.Get(ctx, req.NamespacedName, csr); err != nil {
		r.memory.forget(req.Name)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	pool, ours := poolOf(csr)
	if !ours {
		return ctrl.Result{}, nil
	}
	if decided(csr) || !csr.DeletionTimestamp.IsZero() {
		r.memory.forget(req.Name)
		return ctrl.Result{}, nil
	}
	account := r.Account()
	if account == "" {
		return ctrl.Result{RequeueAfter: r.Waits.Retry}, nil
	}
	k := r.memory.of(csr, r.Now())
	if !k.proven {
		id, err := join.Prove(request(csr, pool), r.Trust)
		if err != nil {
			return r.forged(ctx, csr, pool, k)
		}
		k.id, k.proven = id, true
		r.memory.keep(csr, k)
	}
	i, err := r.instance(ctx, k.id.Instance)
	if err != nil {
		return ctrl.Result{}, err
	}
	switch v := join.Judge(k.id, r.facts(account, k, i)); v.Kind {
	case join.Approve:
		return r.approve(ctx, csr, k, i, v)
	case join.Deny:
		return r.deny(ctx, csr, k, i, v.Reason)
	case join.Undecided:
		return r.leave(ctx, csr, k)
	}
	return r.forged(ctx, csr, pool, k)
}

// poolOf is the pool whose join credential filed a request, by the API
// server's own word on the requester.
func poolOf(csr *certificatesv1.CertificateSigningRequest) (string, bool) {
	return strings.CutPrefix(csr.Spec.Username, requester)
}

// decided is true where somebody has approved or denied.
func decided(csr *certificatesv1.CertificateSigningRequest) bool {
	for _, c := range csr.Status.Conditions {
		if c.Type == certificatesv1.CertificateApproved || c.Type == certificatesv1.CertificateDenied {
			return true
		}
	}
	return len(csr.Status.Certificate) > 0
}

// instance reads the record of an instance. Nil: there is none.
func (r *Reconciler) instance(ctx context.Context, id string) (*api.Instance, error) {
	i := &api.Instance{}
	err := r.Client.Get(ctx, types.NamespacedName{Name: id}, i)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read instance of a join request: %w", err)
	}
	return i, nil
}

// approve writes the key down, under the resource version that was judged, and
// then approves. A key that stands is written again: that changes nothing, and
// is refused where the record has changed since the cache saw it. A crash in
// between is repaired by the next look.
func (r *Reconciler) approve(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, k known, i *api.Instance, v join.Verdict) (ctrl.Result, error) {
	// Of the answer nothing is needed: without spec and status it is small.
	target := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: api.GroupVersion.String(), Kind: "Instance"}}
	target.Name = i.Name
	err := r.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, KeyPatch(i.ResourceVersion, v.KeyHash)))
	if apierrors.IsConflict(err) || apierrors.IsInvalid(err) || apierrors.IsNotFound(err) {
		return r.overtaken(csr, k), nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("record join key of instance %s: %w", i.Name, err)
	}
	if res, err := r.say(ctx, csr, k, certificatesv1.CertificateApproved, "PoolkeeperProved", v.Reason); err != nil || res.RequeueAfter > 0 {
		return res, err
	}
	logf.FromContext(ctx).V(1).Info("approved a join request", "pool", i.Spec.Pool, "instance", i.Name)
	return ctrl.Result{}, nil
}

// overtaken says when a request is judged again of which somebody has written
// meanwhile: less often each time, for a cache may stand still for minutes.
func (r *Reconciler) overtaken(csr *certificatesv1.CertificateSigningRequest, k known) ctrl.Result {
	pause := min(r.Waits.Conflict<<min(k.overtaken, 20), r.Waits.RetryMost)
	k.overtaken++
	r.memory.keep(csr, k)
	return ctrl.Result{RequeueAfter: pause}
}

// KeyPatch is the merge patch that writes down the hash of a machine's key, if
// its record is still of that version. It also takes off who set which field of
// it: that is as large as all the rest, and the API server would compute it
// anew at each later write (docs/decisions/0007).
func KeyPatch(version, hash string) []byte {
	return fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q,"managedFields":[{}]},"spec":{"joinKey":%q}}`, version, hash)
}

// say writes the one condition that ends a request.
func (r *Reconciler) say(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, k known, typ certificatesv1.RequestConditionType, reason, message string) (ctrl.Result, error) {
	next := csr.DeepCopy()
	next.Status.Conditions = append(next.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: typ, Status: corev1.ConditionTrue, Reason: reason, Message: message,
	})
	err := r.Client.SubResource("approval").Update(ctx, next)
	switch {
	case apierrors.IsConflict(err):
		return r.overtaken(csr, k), nil
	case apierrors.IsNotFound(err):
		return ctrl.Result{}, nil
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("answer join request %s: %w", csr.Name, err)
	}
	return ctrl.Result{}, nil
}

// deny refuses a request that is proven to come from an instance of ours, at
// most once a minute per instance; the others are deleted.
func (r *Reconciler) deny(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, k known, i *api.Instance, reason string) (ctrl.Result, error) {
	id := k.id.Instance
	if !r.memory.mayTell(id, r.Now()) {
		return ctrl.Result{}, r.remove(ctx, csr)
	}
	if i != nil {
		r.Events.Eventf(i, corev1.EventTypeWarning, "JoinDenied", "a join request was denied: %s", reason)
	}
	logf.FromContext(ctx).Info("denied a join request", "instance", id, "reason", reason)
	return r.say(ctx, csr, k, certificatesv1.CertificateDenied, "PoolkeeperDenied", reason)
}

// leave keeps a proven request whose instance has no record yet, the newest of
// each instance, until the record appears or the join deadline has passed.
func (r *Reconciler) leave(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, k known) (ctrl.Result, error) {
	first, older := r.memory.wait(k.id.Instance, csr)
	if first {
		r.Seeker.Seek(k.id.Instance)
	}
	if older != nil {
		if err := r.remove(ctx, older); err != nil {
			return ctrl.Result{}, err
		}
		if older.Name == csr.Name {
			return ctrl.Result{}, nil
		}
	}
	// A record that came between the look and the note above woke nobody.
	if i, err := r.instance(ctx, k.id.Instance); err != nil || i != nil {
		return ctrl.Result{RequeueAfter: r.Waits.Conflict}, err
	}
	return ctrl.Result{RequeueAfter: max(k.first.Add(r.Waits.JoinDeadline).Sub(r.Now()), r.Waits.Conflict)}, nil
}

// forged counts a request that proves nothing, once, and deletes it, without
// another write. Past a rate the pool's join Secret is replaced.
func (r *Reconciler) forged(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, pool string, k known) (ctrl.Result, error) {
	again := k.counted
	if !again {
		metrics.ForgedRequests.WithLabelValues(pool).Inc()
		k.counted = true
		r.memory.keep(csr, k)
	}
	most := r.Forged
	if most <= 0 {
		most = 60
	}
	if r.memory.flood(pool, r.Now(), most, again) {
		if err := r.replace(ctx, pool); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, r.remove(ctx, csr)
}

// replace ends the credential of a pool that is flooded, and says so on it.
func (r *Reconciler) replace(ctx context.Context, pool string) error {
	if err := r.Replacer.Replace(ctx, pool); err != nil {
		r.memory.notReplaced(pool)
		return fmt.Errorf("replace join credential of %s: %w", pool, err)
	}
	logf.FromContext(ctx).Info("replaced the join credential after forged requests", "pool", pool)
	p := &api.NodePool{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: pool}, p); err != nil {
		return client.IgnoreNotFound(err)
	}
	r.Events.Eventf(p, corev1.EventTypeWarning, "JoinCredentialReplaced",
		"forged join requests came in with the join credential of %s, which somebody has taken from a machine: it was replaced, and machines that had not joined yet are replaced at their join deadline", pool)
	return nil
}

func (r *Reconciler) remove(ctx context.Context, csr *certificatesv1.CertificateSigningRequest) error {
	var opts []client.DeleteOption
	if uid := csr.UID; uid != "" {
		opts = append(opts, client.Preconditions{UID: &uid})
	}
	gone := &certificatesv1.CertificateSigningRequest{}
	gone.Name = csr.Name
	if err := r.Client.Delete(ctx, gone, opts...); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete join request %s: %w", csr.Name, err)
	}
	r.memory.forget(csr.Name)
	return nil
}
