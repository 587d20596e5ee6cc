package machine

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// kubelet is the kubelet of one machine, from its start to its stop. What it
// does is due on the agenda; it has no goroutine of its own.
type kubelet struct {
	m       *session
	name    string
	node    nodeSettings
	to      target
	pem     string // where certificate and key are
	stopped atomic.Bool

	mu         sync.Mutex // one call at a time
	uid        string
	ready      bool
	lease      string // resource version; empty: none yet
	failures   int
	nextLease  time.Time
	nextStatus time.Time
	nextRenew  time.Time
	nextLook   time.Time // at its pods
	pods       map[types.UID]*podMemory
	busy       bool // some of them are of no DaemonSet
}

// nodeSettings is what a Node registers with.
type nodeSettings struct {
	labels        map[string]string
	unschedulable bool
	config        kubeletConfig
}

// kubeletConfig is the part of the kubelet's configuration that is simulated.
type kubeletConfig struct {
	ProviderID               string            `json:"providerID"`
	MaxPods                  int32             `json:"maxPods"`
	RotateCertificates       bool              `json:"rotateCertificates"`
	NodeLeaseDurationSeconds int32             `json:"nodeLeaseDurationSeconds"`
	RegisterWithTaints       []taint           `json:"registerWithTaints"`
	SystemReserved           map[string]string `json:"systemReserved"`
	KubeReserved             map[string]string `json:"kubeReserved"`
}

type taint struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Effect string `json:"effect"`
}

// kubeconfig is the part of a kubeconfig that is read.
type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server               string `json:"server"`
			CertificateAuthority string `json:"certificate-authority"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		User struct {
			ClientCertificate string `json:"client-certificate"`
			ClientKey         string `json:"client-key"`
		} `json:"user"`
	} `json:"users"`
}

// startKubelet starts the kubelet from what is on the disk.
func (m *session) startKubelet() error {
	if m.kubeletRuns() {
		return nil
	}
	k, err := m.readKubelet()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return errStopped
	}
	m.kubelet = k
	m.host.agenda.add(time.Now(), k.due)
	return nil
}

func (m *session) runningKubelet() *kubelet {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kubelet
}

func (m *session) kubeletRuns() bool { return m.runningKubelet() != nil }

func (m *session) stopKubelet() {
	m.mu.Lock()
	k := m.kubelet
	m.kubelet = nil
	m.mu.Unlock()
	if k != nil {
		k.stopped.Store(true)
	}
}

// readKubelet reads command line, configuration, kubeconfig and certificate.
func (m *session) readKubelet() (*kubelet, error) {
	flags, err := m.kubeletFlags()
	if err != nil {
		return nil, err
	}
	k := &kubelet{m: m, name: flags["hostname-override"]}
	if k.name == "" {
		k.name = m.spec.HostName
	}
	k.node.unschedulable = flags["register-schedulable"] == "false"
	k.node.labels = map[string]string{}
	for _, l := range strings.Split(flags["node-labels"], ",") {
		if key, v, ok := strings.Cut(l, "="); ok {
			k.node.labels[key] = v
		}
	}
	b, err := m.disk().read(flags["config"])
	if err != nil {
		return nil, fmt.Errorf("read kubelet configuration: %w", err)
	}
	if err := yaml.Unmarshal(b, &k.node.config); err != nil {
		return nil, fmt.Errorf("parse kubelet configuration: %w", err)
	}
	if k.node.config.NodeLeaseDurationSeconds <= 0 {
		k.node.config.NodeLeaseDurationSeconds = 40
	}
	return k, k.readKubeconfig(flags["kubeconfig"])
}

// kubeletFlags are those of the last ExecStart of the unit's settings.
func (m *session) kubeletFlags() (map[string]string, error) {
	d := m.disk()
	d.mu.Lock()
	names := d.under(path.Clean(pathKubeletDropIn))
	d.mu.Unlock()
	flags := map[string]string{}
	for _, n := range names {
		b, err := d.read(n)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart=")
			if !ok {
				continue
			}
			clear(flags)
			for _, f := range strings.Fields(command) {
				if k, v, ok := strings.Cut(strings.TrimPrefix(f, "--"), "="); ok {
					flags[k] = v
				}
			}
		}
	}
	if flags["config"] == "" || flags["kubeconfig"] == "" {
		return nil, errors.New("the kubelet is not configured")
	}
	return flags, nil
}

func (k *kubelet) readKubeconfig(name string) error {
	d := k.m.disk()
	b, err := d.read(name)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	var c kubeconfig
	if err := yaml.Unmarshal(b, &c); err != nil {
		return fmt.Errorf("parse kubeconfig: %w", err)
	}
	if len(c.Clusters) != 1 || len(c.Users) != 1 {
		return errors.New("the kubeconfig has not one cluster and one user")
	}
	u, err := url.Parse(c.Clusters[0].Cluster.Server)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("the kubeconfig's server %q is no https address", c.Clusters[0].Cluster.Server)
	}
	k.to = target{secure: true, address: u.Host, connect: 10 * time.Second, identity: "kubelet"}
	if u.Port() == "" {
		k.to.address = net.JoinHostPort(u.Hostname(), "443")
	}
	if k.to.authorities, err = d.read(c.Clusters[0].Cluster.CertificateAuthority); err != nil {
		return fmt.Errorf("read certificate authority: %w", err)
	}
	k.pem = c.Users[0].User.ClientCertificate
	both, err := d.read(k.pem)
	if err != nil {
		return fmt.Errorf("read client certificate: %w", err)
	}
	return k.useCertificate(both)
}

// useCertificate takes a certificate with its key for all later connections.
func (k *kubelet) useCertificate(both []byte) error {
	pair, err := tls.X509KeyPair(both, both)
	if err != nil {
		return fmt.Errorf("parse client certificate: %w", err)
	}
	leaf := pair.Leaf
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	k.nextRenew = leaf.NotBefore.Add(time.Duration(float64(life) * (0.7 + 0.2*rand.Float64())))
	pair.Leaf = nil // only its bytes are needed from now on
	k.to.certificate = &pair
	return nil
}

// due does what is due and says when it wants to be called again.
func (k *kubelet) due() time.Time {
	if k.stopped.Load() {
		return time.Time{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	ctx, cancel := context.WithTimeout(k.m.ctx, 20*time.Second)
	defer cancel()
	if err := k.step(ctx); err != nil {
		if k.stopped.Load() || k.m.ctx.Err() != nil {
			return time.Time{}
		}
		k.failures++
		k.m.host.Logger.V(1).Info("kubelet could not talk to the API server", "instance", k.name, "error", err.Error(), "failures", k.failures)
		if k.failures == 1 {
			fmt.Fprintf(k.m.log("kubelet"), "%v\n", err)
		}
		return time.Now().Add(min(7*time.Second, 200*time.Millisecond<<min(k.failures-1, 6)))
	}
	if k.failures > 0 && k.ready {
		k.failures, k.nextStatus = 0, time.Now() // the cluster may have given the node up
	}
	k.failures = 0
	return earliest(k.nextLease, k.nextStatus)
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// step registers, renews or reports, whatever is due.
func (k *kubelet) step(ctx context.Context) error {
	now := time.Now()
	if k.uid == "" {
		if err := k.register(ctx); err != nil {
			return err
		}
	}
	if !k.ready {
		if err := k.reportReady(ctx); err != nil {
			return err
		}
		k.ready, k.nextLease = true, now
		k.nextStatus = now.Add(jitter(k.m.host.StatusEvery))
		k.nextLook = k.m.host.idlePace.next(now)
		k.m.host.agenda.add(k.nextLook, k.podsDue)
	}
	if !now.Before(k.nextLease) {
		if err := k.renewLease(ctx); err != nil {
			return err
		}
		k.nextLease = now.Add(jitter(time.Duration(k.node.config.NodeLeaseDurationSeconds) * time.Second / 4))
	}
	if !now.Before(k.nextStatus) {
		if err := k.heartbeat(ctx); err != nil {
			return err
		}
		k.nextStatus = now.Add(jitter(k.m.host.StatusEvery))
	}
	if k.node.config.RotateCertificates && k.m.host.Now().After(k.nextRenew) {
		return k.renewCertificate(ctx)
	}
	return nil
}

// jitter spreads what many machines do at the same interval.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.96 + 0.08*rand.Float64()))
}

// statusError is an answer of the API server that is not a success.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the API server answered %d: %s", e.code, e.message)
}

func hasCode(err error, code int) bool {
	var s *statusError
	return errors.As(err, &s) && s.code == code
}

const protobuf = "application/vnd.kubernetes.protobuf"

// call sends one request as the node and returns the answer's bytes.
func (k *kubelet) call(ctx context.Context, method, where, contentType string, body []byte) ([]byte, error) {
	where, query, _ := strings.Cut(where, "?")
	u := &url.URL{Scheme: "https", Host: k.to.address, Path: where, RawQuery: query}
	req := &http.Request{Method: method, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {"kubelet/" + k.m.host.KubeletVersion}, "Accept": {protobuf}}}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	a, err := k.m.net.exchange(ctx, k.to, req, body)
	if err != nil {
		return nil, err
	}
	b, err := readAll(a.Body)
	a.finish(err == nil)
	switch {
	case err != nil:
		return nil, err
	case a.StatusCode >= 300:
		return nil, &statusError{a.StatusCode, statusMessage(b)}
	}
	return b, nil
}

// statusMessage is what the API server says about a refusal.
func statusMessage(b []byte) string {
	var s struct{ Message string }
	if json.Unmarshal(b, &s) == nil {
		return s.Message
	}
	if m := protoStatus(b); m != "" {
		return m
	}
	return strings.ToValidUTF8(string(b[:min(len(b), 200)]), "?")
}
