package join

import (
	"context"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool/apitest"
)

func TestCredentialIsATokenBoundToTheJoinSecret(t *testing.T) {
	inner := apitest.New(t, nil)
	clock := apitest.NewClock()
	var asked authenticationv1.TokenRequestSpec
	given := int64(0) // 0: as asked
	c := interceptor.NewClient(inner, interceptor.Funcs{
		SubResourceCreate: func(_ context.Context, _ client.Client, sub string, o, body client.Object, _ ...client.SubResourceCreateOption) error {
			q := body.(*authenticationv1.TokenRequest)
			asked = *q.Spec.DeepCopy()
			if given > 0 {
				q.Spec.ExpirationSeconds = &given
			}
			q.Status.Token = sub + " of " + o.GetNamespace() + "/" + o.GetName()
			return nil
		},
	})
	creds := Credentials{Client: c, Live: c, Now: clock.Now}
	secret := func() *corev1.Secret {
		s := &corev1.Secret{}
		if err := c.Get(t.Context(), types.NamespacedName{Namespace: "poolkeeper-join", Name: "pool-web"}, s); err != nil {
			return nil
		}
		return s
	}
	token, err := creds.Mint(t.Context(), "web", 2*time.Hour)
	first := secret()
	if first == nil {
		t.Fatalf("there is no join Secret: %v", err)
	}
	if want := (Token{"token of poolkeeper-join/pool-web", clock.T.Add(2 * time.Hour), first.UID}); err != nil || token != want {
		t.Fatalf("got %+v, %v, want %+v", token, err, want)
	}
	if ref := asked.BoundObjectRef; ref.Kind != "Secret" || ref.UID != first.UID || len(asked.Audiences) != 0 {
		t.Fatalf("asked for %+v", asked)
	}
	if again, err := creds.Mint(t.Context(), "web", 2*time.Hour); err != nil || again.Secret != first.UID {
		t.Fatalf("minting again: %v", err)
	}
	if short, _ := creds.Mint(t.Context(), "web", time.Second); !short.Expiry.Equal(clock.T.Add(10 * time.Minute)) {
		t.Fatalf("a short life: %v", short.Expiry)
	}
	given = 1200
	if less, _ := creds.Mint(t.Context(), "web", 2*time.Hour); !less.Expiry.Equal(clock.T.Add(20 * time.Minute)) {
		t.Fatalf("the API server gave less: %v", less.Expiry)
	}
	if err := creds.Replace(t.Context(), "web"); err != nil || secret() != nil {
		t.Fatalf("the join Secret stays: %v", err)
	}
	if err := creds.Replace(t.Context(), "web"); err != nil {
		t.Fatalf("replacing again: %v", err)
	}
	next, err := creds.Mint(t.Context(), "web", 2*time.Hour)
	if err != nil || next.Secret == first.UID {
		t.Fatalf("after replacing: %v", err)
	}
	if err := creds.Offer(t.Context(), "web", "task", "with a dead token", token); err == nil || len(secret().Data) > 0 {
		t.Fatalf("a command whose token is dead is offered: %v", err)
	}
	if err := creds.Offer(t.Context(), "web", "task", "command", next); err != nil || string(secret().Data[api.JoinCommandKey]) != "command" {
		t.Fatalf("offer a command: %v, %v", err, secret().Data)
	}
	for range 2 {
		if err := creds.Remove(t.Context(), "web"); err != nil {
			t.Fatal(err)
		}
	}
	if secret() != nil {
		t.Fatal("the join Secret stays")
	}
	sa := &corev1.ServiceAccount{}
	if err := c.Get(t.Context(), types.NamespacedName{Namespace: "poolkeeper-join", Name: "pool-web"}, sa); err == nil {
		t.Fatal("the service account stays")
	}
}
