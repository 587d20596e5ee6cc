package join

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// Credentials makes the join credential of a pool: a token of a service
// account of its own, bound to the pool's join Secret, so that deleting the
// Secret ends every token at once. A token can file certificate requests and
// read them back; it admits nobody.
type Credentials struct {
	// Client writes, and asks for tokens.
	Client client.Client
	// Live reads service accounts and Secrets, which no cache holds.
	Live client.Reader
	// Now is the clock.
	Now func() time.Time
}

var _ Replacer = Credentials{}

// shortest is the shortest life of a token that the API server gives.
const shortest = 10 * time.Minute

// accountName is the name of a pool's service account and of its join Secret.
func accountName(pool string) string { return api.JoinSecret(pool) }

// Token is a join credential as a machine gets it.
type Token struct {
	Text string
	// Expiry is when it dies by our own clock.
	Expiry time.Time
	// Secret is the join Secret that it dies with.
	Secret types.UID
}

// Mint returns a fresh token of the pool's join credential that lives as long
// as asked for, at least 10 minutes.
func (c Credentials) Mint(ctx context.Context, pool string, life time.Duration) (Token, error) {
	sa := &corev1.ServiceAccount{ObjectMeta: c.meta(pool)}
	no := false
	sa.AutomountServiceAccountToken = &no
	if err := c.ensure(ctx, sa); err != nil {
		return Token{}, err
	}
	secret := &corev1.Secret{ObjectMeta: c.meta(pool), Type: corev1.SecretTypeOpaque}
	if err := c.ensure(ctx, secret); err != nil {
		return Token{}, err
	}
	seconds := int64(max(life, shortest).Seconds())
	asked := c.Now()
	t := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: secret.Name, UID: secret.UID},
	}}
	if err := c.Client.SubResource("token").Create(ctx, sa, t); err != nil {
		return Token{}, fmt.Errorf("mint join credential of %s: %w", pool, err)
	}
	if given := t.Spec.ExpirationSeconds; given != nil {
		seconds = min(seconds, *given)
	}
	return Token{Text: t.Status.Token, Expiry: asked.Add(time.Duration(seconds) * time.Second), Secret: secret.UID}, nil
}

// Offer writes the command with which machines that run already join into the
// pool's join Secret, where people read it. It dies with the Secret, as the token
// in it does: where that was replaced meanwhile nothing is written. It says until
// when it is of use and which task it was made for.
func (c Credentials) Offer(ctx context.Context, pool, task, command string, with Token) error {
	s := &corev1.Secret{}
	if err := c.Live.Get(ctx, types.NamespacedName{Namespace: Namespace, Name: accountName(pool)}, s); err != nil {
		return wrap("read", &corev1.Secret{ObjectMeta: c.meta(pool)}, err)
	}
	if s.UID != with.Secret {
		return fmt.Errorf("join credential of %s was replaced while the command for %s was made", pool, task)
	}
	metav1.SetMetaDataAnnotation(&s.ObjectMeta, api.AnnotationJoinTask, task)
	metav1.SetMetaDataAnnotation(&s.ObjectMeta, api.AnnotationJoinUntil, with.Expiry.UTC().Format(time.RFC3339))
	s.Data = map[string][]byte{api.JoinCommandKey: []byte(command)}
	return wrap("update", s, c.Client.Update(ctx, s))
}

func (c Credentials) meta(pool string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: Namespace, Name: accountName(pool), Labels: map[string]string{api.LabelPool: pool}}
}

// ensure makes an object that is not there yet; it is read back either way.
func (c Credentials) ensure(ctx context.Context, o client.Object) error {
	key := client.ObjectKeyFromObject(o)
	err := c.Live.Get(ctx, key, o)
	if !apierrors.IsNotFound(err) {
		return wrap("read", o, err)
	}
	if err := c.Client.Create(ctx, o); err == nil || !apierrors.IsAlreadyExists(err) {
		return wrap("create", o, err)
	}
	return wrap("read", o, c.Live.Get(ctx, key, o))
}

func wrap(verb string, o client.Object, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s join credential %s: %w", verb, o.GetName(), err)
}

// Replace deletes the pool's join Secret, and with it ends every token that
// was minted; the next Mint makes another.
func (c Credentials) Replace(ctx context.Context, pool string) error {
	s := &corev1.Secret{}
	err := c.Live.Get(ctx, types.NamespacedName{Namespace: Namespace, Name: accountName(pool)}, s)
	if err != nil {
		return wrap("read", &corev1.Secret{ObjectMeta: c.meta(pool)}, client.IgnoreNotFound(err))
	}
	uid := s.UID
	err = c.Client.Delete(ctx, s, client.Preconditions{UID: &uid})
	if apierrors.IsConflict(err) {
		return nil // somebody has replaced it already
	}
	return wrap("delete", s, client.IgnoreNotFound(err))
}

// Remove deletes all that admits requests of a pool's machines.
func (c Credentials) Remove(ctx context.Context, pool string) error {
	for _, o := range []client.Object{&corev1.Secret{ObjectMeta: c.meta(pool)}, &corev1.ServiceAccount{ObjectMeta: c.meta(pool)}} {
		if err := client.IgnoreNotFound(c.Client.Delete(ctx, o)); err != nil {
			return wrap("delete", o, err)
		}
	}
	return nil
}
