package machine

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	certificates "k8s.io/api/certificates/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/join"
)

const joinToken = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJqb2luIn0.c2lnbmF0dXJl"

// fakeAPI is an API server with the few endpoints that a machine needs. It
// decides about requests as our controller does.
type fakeAPI struct {
	t      testing.TB
	ca     *authority
	trust  join.Trust
	server *httptest.Server
	life   time.Duration

	mu       sync.Mutex
	changed  *sync.Cond
	version  int
	keys     map[string]string // instance -> key
	deny     string
	silent   bool
	requests map[string]*certificates.CertificateSigningRequest
	nodes    map[string]*core.Node
	leases   map[string]*coordination.Lease
	log      []string
	renewals int
}

func newFakeAPI(t testing.TB, c *fakeCloud) *fakeAPI {
	t.Helper()
	trust, err := join.NewTrust(c.certPEM())
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeAPI{t: t, ca: newAuthority(t), trust: trust, life: time.Hour, keys: map[string]string{},
		requests: map[string]*certificates.CertificateSigningRequest{}, nodes: map[string]*core.Node{}, leases: map[string]*coordination.Lease{}}
	f.changed = sync.NewCond(&f.mu)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, err := f.ca.sign(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, &key.PublicKey, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(certPEM)
	clients := x509.NewCertPool()
	clients.AddCert(f.ca.cert)
	f.server = httptest.NewUnstartedServer(f)
	f.server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}}, ClientCAs: clients, ClientAuth: tls.VerifyClientCertIfGiven}
	f.server.StartTLS()
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeAPI) address() string { return f.server.Listener.Addr().String() }

func (f *fakeAPI) refuse(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(meta.Status{TypeMeta: meta.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Message: text, Code: int32(code)})
}

// user is who asks: the join credential or a node.
func user(r *http.Request) string {
	if len(r.TLS.PeerCertificates) > 0 {
		return r.TLS.PeerCertificates[0].Subject.CommonName
	}
	if r.Header.Get("Authorization") == "Bearer "+joinToken {
		return "join"
	}
	return ""
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who := user(r)
	f.mu.Lock()
	f.log = append(f.log, who+" "+r.Method+" "+r.URL.Path)
	f.mu.Unlock()
	if r.URL.Path == "/version" {
		fmt.Fprint(w, "{}")
		return
	}
	if who == "" {
		f.refuse(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	node := strings.TrimPrefix(who, "system:node:")
	watch := r.URL.Query().Get("watch") != ""
	switch name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]; {
	case r.URL.Path == pathRequests && r.Method == http.MethodPost:
		f.file(w, r, who)
	case r.URL.Path == pathRequests && watch:
		if from := r.URL.Query().Get("resourceVersion"); who == "join" && from != "0" {
			f.t.Errorf("a watch from version %q, which a server forgets while a request waits", from)
		}
		f.watch(w, r, func(name string) any { return f.requests[name] })
	case strings.HasPrefix(r.URL.Path, pathRequests+"/"):
		f.read(w, r, name)
	case who == "join":
		f.refuse(w, http.StatusForbidden, "the join credential may only file and read requests")
	case r.URL.Path == pathNodes && watch:
		f.watch(w, r, func(name string) any { return f.nodes[name] })
	case strings.HasPrefix(r.URL.Path, pathNodes):
		f.node(w, r, node)
	case strings.HasPrefix(r.URL.Path, pathLeases):
		f.leaseOf(w, r, node)
	default:
		f.refuse(w, http.StatusNotFound, r.URL.Path)
	}
}

func (f *fakeAPI) read(w http.ResponseWriter, r *http.Request, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch csr := f.requests[name]; {
	case csr == nil:
		f.refuse(w, http.StatusNotFound, name)
	case strings.Contains(r.Header.Get("Accept"), protobuf):
		f.answer(w, "certificates.k8s.io/v1", "CertificateSigningRequest", csr)
	default:
		json.NewEncoder(w).Encode(csr)
	}
}

func (f *fakeAPI) answer(w http.ResponseWriter, gv, kind string, o message) {
	b, err := encode(gv, kind, o)
	if err != nil {
		f.t.Error(err)
	}
	w.Header().Set("Content-Type", protobuf)
	w.Write(b)
}

func (f *fakeAPI) next() string {
	f.version++
	f.changed.Broadcast()
	return fmt.Sprint(f.version)
}

// file takes a certificate request and decides about it a moment later.
func (f *fakeAPI) file(w http.ResponseWriter, r *http.Request, who string) {
	b, _ := io.ReadAll(r.Body)
	var csr certificates.CertificateSigningRequest
	proto := r.Header.Get("Content-Type") == protobuf
	if proto {
		if err := decode(b, &csr); err != nil {
			f.t.Error(err)
		}
	} else if err := json.Unmarshal(b, &csr); err != nil {
		f.refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	csr.Name = fmt.Sprintf("%sx%d", csr.GenerateName, len(f.requests))
	csr.ResourceVersion = f.next()
	csr.Spec.Username = who
	f.requests[csr.Name] = &csr
	go f.decide(csr.Name)
	if proto {
		f.answer(w, "certificates.k8s.io/v1", "CertificateSigningRequest", &csr)
		return
	}
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(&csr)
}

func (f *fakeAPI) decide(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	csr := f.requests[name].DeepCopy()
	if f.silent {
		return
	}
	condition := certificates.CertificateSigningRequestCondition{Type: certificates.CertificateApproved, Status: core.ConditionTrue}
	if csr.Spec.Username == "join" {
		if v := f.judge(csr); v.Kind != join.Approve {
			condition.Type, condition.Reason, condition.Message = certificates.CertificateDenied, v.Kind.String(), v.Reason
		}
	} else {
		f.renewals++
	}
	csr.Status.Conditions = append(csr.Status.Conditions, condition)
	csr.ResourceVersion = f.next()
	f.requests[name] = csr
	if condition.Type == certificates.CertificateDenied {
		return
	}
	block, _ := pem.Decode(csr.Spec.Request)
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		f.t.Error(err)
		return
	}
	signed := csr.DeepCopy()
	signed.Status.Certificate, err = f.ca.sign(&x509.Certificate{Subject: request.Subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, request.PublicKey, f.life)
	if err != nil {
		f.t.Error(err)
	}
	signed.ResourceVersion = f.next()
	f.requests[name] = signed
}

func (f *fakeAPI) judge(csr *certificates.CertificateSigningRequest) join.Verdict {
	if f.deny != "" {
		return join.Verdict{Kind: join.Deny, Reason: f.deny}
	}
	var usages []string
	for _, u := range csr.Spec.Usages {
		usages = append(usages, string(u))
	}
	document := unbase64(csr.Annotations[bootstrap.AnnotationDocument])
	request := join.Request{CSR: csr.Spec.Request, Signer: csr.Spec.SignerName, Usages: usages, Pool: "web",
		Document: document, Signature: unbase64(csr.Annotations[bootstrap.AnnotationSignature])}
	id, err := join.Prove(request, f.trust)
	if err != nil {
		return join.Verdict{Kind: join.Forged, Reason: err.Error()}
	}
	v := join.Judge(id, join.Facts{Account: account, Region: region, Recorded: true, Pool: "web", Waits: true, JoinKey: f.keys[id.Instance]})
	if v.Kind == join.Approve {
		f.keys[id.Instance] = v.KeyHash
	}
	return v
}

// watch streams one object as it changes.
func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request, get func(string) any) {
	name := strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	flusher := w.(http.Flusher)
	flusher.Flush()
	last := ""
	stop := false
	seconds, _ := strconv.Atoi(r.URL.Query().Get("timeoutSeconds"))
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(cmp.Or(seconds, 3600))*time.Second)
	defer cancel()
	defer contextDone(ctx, func() {
		f.mu.Lock()
		stop = true
		f.mu.Unlock()
		f.changed.Broadcast()
	})()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !stop {
		b, err := json.Marshal(get(name))
		if err != nil {
			f.t.Error(err)
		}
		if s := string(b); s != last && s != "null" {
			fmt.Fprintf(w, `{"type":"MODIFIED","object":%s}`+"\n", s)
			flusher.Flush()
			last = s
		}
		f.changed.Wait()
	}
}

func contextDone(ctx context.Context, do func()) func() bool {
	done := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
			do()
		case <-done:
		}
	}()
	return func() bool { close(done); return true }
}

func (f *fakeAPI) node(w http.ResponseWriter, r *http.Request, who string) {
	b, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	var n core.Node
	switch {
	case r.Method == http.MethodPost:
		if err := decode(b, &n); err != nil || n.Name != who {
			f.refuse(w, http.StatusForbidden, fmt.Sprintf("node %s by %s: %v", n.Name, who, err))
			return
		}
		if f.nodes[n.Name] != nil {
			f.refuse(w, http.StatusConflict, "there already")
			return
		}
		n.UID = types.UID("uid-" + n.Name + f.next())
		f.nodes[n.Name] = &n
	case f.nodes[who] == nil:
		f.refuse(w, http.StatusNotFound, "no node "+who)
		return
	case r.Method == http.MethodPatch:
		before, _ := json.Marshal(f.nodes[who])
		after, err := strategicpatch.StrategicMergePatch(before, b, core.Node{})
		if err != nil {
			f.t.Errorf("patch %s: %v", b, err)
		}
		if err := json.Unmarshal(after, &n); err != nil {
			f.t.Error(err)
		}
		n.ResourceVersion = f.next()
		f.nodes[who] = &n
	default:
		n = *f.nodes[who]
	}
	f.answer(w, "v1", "Node", &n)
}

func (f *fakeAPI) leaseOf(w http.ResponseWriter, r *http.Request, who string) {
	b, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	var l coordination.Lease
	if r.Method != http.MethodGet {
		if err := decode(b, &l); err != nil || l.Name != who {
			f.refuse(w, http.StatusForbidden, fmt.Sprint(l.Name, err))
			return
		}
	}
	have := f.leases[who]
	switch {
	case r.Method == http.MethodPost && have != nil, r.Method == http.MethodPut && have != nil && have.ResourceVersion != l.ResourceVersion:
		f.refuse(w, http.StatusConflict, "conflict")
		return
	case r.Method != http.MethodPost && have == nil:
		f.refuse(w, http.StatusNotFound, "no lease")
		return
	case r.Method == http.MethodGet:
		l = *have
	default:
		l.ResourceVersion = f.next()
		f.leases[who] = &l
	}
	f.answer(w, "coordination.k8s.io/v1", "Lease", &l)
}
