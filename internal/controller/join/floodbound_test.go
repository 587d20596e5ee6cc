package join

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/config/configtest"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// joinBound is how long the join of a machine may take, from filing its request
// to its approval, while others flood with the credential of another pool:
// docs/security.md states it.
const joinBound = 10 * time.Second

// flooders are those who file forged requests as fast as they are let: many times
// as many as the API server has seats for all join credentials.
const flooders = 60

// floodBefore is how long the flood has lasted when the first machine joins: what
// falls behind under it has then fallen behind far.
const floodBefore = 15 * time.Second

// With a stolen credential somebody files forged requests as fast as a real API
// server takes them, before and while machines of another pool join: each join
// is approved within the bound. The credential is not replaced, so that the flood
// goes on.
func TestAFloodHoldsUpNoOtherJoinPastTheBound(t *testing.T) {
	c := newCluster(t)
	calm := c.slowest(10)
	end := c.floods(newIdentities(t))
	c.r.memory.mu.Lock()
	stood := c.r.memory.undecided["flooded"]
	c.r.memory.mu.Unlock()
	flooded := c.slowest(10)
	filed := end()
	t.Logf("slowest of 10 joins: %s without a flood, %s with %d forged requests, %d of which stood undecided at first",
		calm.Round(time.Millisecond), flooded.Round(time.Millisecond), filed, stood)
}

// cluster is an API server with our queues and policies, and the controller that
// decides about join requests, with its own rights.
type cluster struct {
	*testing.T
	*configtest.Server
	r      *Reconciler
	region identities
	joined int
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{T: t, Server: configtest.Own(t), region: newIdentities(t)}
	mgr, err := ctrl.NewManager(c.engine(), ctrl.Options{
		Scheme: configtest.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"},
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{&certificatesv1.CertificateSigningRequest{}: {Transform: Trim}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.r = &Reconciler{Client: mgr.GetClient(), Now: time.Now, Waits: wait.Defaults(), Events: record.NewFakeRecorder(100), Trust: c.region.trust(t),
		Account: func() string { return account }, Region: region, Seeker: &seeker{}, Replacer: &replacer{}, Forged: 1 << 30}
	if err := c.r.SetupWithManager(mgr); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := mgr.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return c
}

// files is a request as a machine of a pool files it.
func (c *cluster) files(m machine, by identities, pool string) *certificatesv1.CertificateSigningRequest {
	csr := m.files(c.T, by, pool, "")
	csr.UID, csr.GenerateName, csr.Spec.Username = "", config.JoinRequestPrefix+pool+"-", ""
	return csr
}

// engine is the controller's configuration.
func (c *cluster) engine() *rest.Config {
	return c.ConfigAs(config.ControllerUser, "system:serviceaccounts", "system:serviceaccounts:"+config.Namespace)
}

// as is a configuration with the join credential of a pool.
func (c *cluster) as(pool string) *rest.Config {
	return c.ConfigAs(requester+pool, "system:serviceaccounts", "system:serviceaccounts:"+config.JoinNamespace)
}

// of is a client with that configuration.
func (c *cluster) of(by *rest.Config) client.Client {
	return must[client.Client](c.T)(client.New(by, client.Options{Scheme: configtest.Scheme()}))
}

// slowest lets machines of one pool join, one after the other, each within the
// bound, and returns how long the slowest took from filing its request to the
// approval.
func (c *cluster) slowest(joins int) time.Duration {
	c.Helper()
	web, engine := c.of(c.as("web")), c.of(c.engine())
	var slowest time.Duration
	for range joins {
		c.joined++
		i := &api.Instance{}
		i.Name = fmt.Sprintf("i-%d", c.joined)
		i.Spec = api.InstanceSpec{Pool: "web", Group: "web", GroupUID: "u", CreationType: api.CreatedByUs, Placement: api.Placement{Zone: "cn-local-a"}}
		if err := engine.Create(c.Context(), i); err != nil {
			c.Fatal(err)
		}
		csr := c.files(aMachine(c.T, i.Name), c.region, "web")
		began := time.Now()
		if err := web.Create(c.Context(), csr); err != nil {
			c.Fatal(err)
		}
		for !decided(csr) {
			if time.Since(began) > joinBound {
				c.Fatalf("%s has not joined after %s", i.Name, joinBound)
			}
			<-time.After(20 * time.Millisecond)
			if err := web.Get(c.Context(), client.ObjectKeyFromObject(csr), csr); err != nil {
				c.Fatal(err)
			}
		}
		slowest = max(slowest, time.Since(began))
		if got := csr.Status.Conditions[0].Type; got != certificatesv1.CertificateApproved {
			c.Fatalf("%s: %s", i.Name, got)
		}
	}
	return slowest
}

// floods begins a flood of another pool, and returns when it has lasted a while and
// many were filed. The function ends the flood and returns how many were.
func (c *cluster) floods(stranger identities) (end func() int64) {
	c.Helper()
	ctx, stop := context.WithCancel(c.Context())
	var filed atomic.Int64
	var wg sync.WaitGroup
	csr := c.files(aMachine(c.T, "i-9"), stranger, "flooded")
	csr.APIVersion, csr.Kind = certificatesv1.SchemeGroupVersion.String(), "CertificateSigningRequest"
	forged := must[[]byte](c.T)(json.Marshal(csr))
	thief := must[*http.Client](c.T)(rest.HTTPClientFor(c.as("flooded")))
	for range flooders {
		wg.Go(func() {
			for ctx.Err() == nil {
				answer, err := thief.Post(strings.TrimSuffix(c.Config.Host, "/")+"/apis/certificates.k8s.io/v1/certificatesigningrequests", "application/json", bytes.NewReader(forged))
				if err != nil {
					continue
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
				if answer.StatusCode == http.StatusCreated {
					filed.Add(1)
				}
			}
		})
	}
	<-time.After(floodBefore)
	configtest.Eventually(c.T, "the flood", func() error {
		if n := filed.Load(); n < 10*flooders {
			return fmt.Errorf("%d forged requests were filed", n)
		}
		return nil
	})
	return func() int64 {
		stop()
		wg.Wait()
		thief.CloseIdleConnections()
		return filed.Load()
	}
}
