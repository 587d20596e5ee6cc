package machine

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	certificates "k8s.io/api/certificates/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/poolkeeper/poolkeeper/config/configtest"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/join"
)

// cluster is a real API server with Node authorization and NodeRestriction,
// and a loop that decides and signs as the cluster's own parts would.
type cluster struct {
	t      testing.TB
	ca     *authority
	admin  *kubernetes.Clientset
	server string
	token  string
	pid    int // of the API server
}

// newCluster starts etcd and kube-apiserver, which make test builds.
func newCluster(t testing.TB) *cluster {
	t.Helper()
	assets, err := configtest.Assets()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, ca: newAuthority(t)}
	dir := t.TempDir()
	etcd, api := freeAddress(t), freeAddress(t)
	c.server = "https://" + api
	c.write(dir, "ca.crt", c.ca.pem())
	c.identity(dir, "server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	admin, adminKey := c.identity(dir, "admin", &x509.Certificate{Subject: pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	c.run(filepath.Join(assets, "etcd"), "--data-dir="+dir+"/etcd", "--listen-client-urls=http://"+etcd, "--advertise-client-urls=http://"+etcd, "--listen-peer-urls=http://"+freeAddress(t), "--unsafe-no-fsync")
	_, port, _ := net.SplitHostPort(api)
	c.pid = c.run(filepath.Join(assets, "kube-apiserver"), "--etcd-servers=http://"+etcd, "--bind-address=127.0.0.1", "--secure-port="+port,
		"--cert-dir="+dir, "--tls-cert-file="+dir+"/server.crt", "--tls-private-key-file="+dir+"/server.key", "--client-ca-file="+dir+"/ca.crt",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--service-cluster-ip-range=10.96.0.0/24",
		"--endpoint-reconciler-type=none", "--service-account-issuer=https://cluster", "--service-account-key-file="+dir+"/server.key", "--service-account-signing-key-file="+dir+"/server.key")
	c.admin, err = kubernetes.NewForConfig(&rest.Config{Host: c.server, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.pem(), CertData: admin, KeyData: adminKey}})
	if err != nil {
		t.Fatal(err)
	}
	c.await(func() error { return c.admin.RESTClient().Get().AbsPath("/readyz").Do(t.Context()).Error() })
	c.prepare()
	return c
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (c *cluster) write(dir, name string, content []byte) {
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) identity(dir, name string, tmpl *x509.Certificate) (cert, key []byte) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	if cert, err = c.ca.sign(tmpl, &k.PublicKey, 24*time.Hour); err != nil {
		c.t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		c.t.Fatal(err)
	}
	key = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	c.write(dir, name+".crt", cert)
	c.write(dir, name+".key", key)
	return cert, key
}

// run starts a process that ends with the test.
func (c *cluster) run(name string, args ...string) (pid int) {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out := &bounded{most: 1 << 20}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if c.t.Failed() {
			c.t.Logf("%s: %.3000s", filepath.Base(name), out.bytes())
		}
	})
	return cmd.Process.Pid
}

func (c *cluster) await(do func() error) {
	c.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for err := do(); err != nil; err = do() {
		if time.Now().After(deadline) {
			c.t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// prepare makes the join credential: it may file and read requests, no more.
func (c *cluster) prepare() {
	ctx := c.t.Context()
	const ns = "poolkeeper-join"
	made := func(_ any, err error) error {
		if errors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	c.await(func() error {
		return made(c.admin.CoreV1().Namespaces().Create(ctx, &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: ns}}, meta.CreateOptions{}))
	})
	c.await(func() error {
		return made(c.admin.CoreV1().Namespaces().Create(ctx, &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: "kube-node-lease"}}, meta.CreateOptions{}))
	})
	c.await(func() error {
		return made(c.admin.CoreV1().ServiceAccounts(ns).Create(ctx, &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: "web"}}, meta.CreateOptions{}))
	})
	c.await(func() error {
		return made(c.admin.RbacV1().ClusterRoles().Create(ctx, &rbac.ClusterRole{ObjectMeta: meta.ObjectMeta{Name: "join"}, Rules: []rbac.PolicyRule{
			{APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"certificatesigningrequests"}, Verbs: []string{"create", "get", "watch"}}}}, meta.CreateOptions{}))
	})
	c.await(func() error {
		return made(c.admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbac.ClusterRoleBinding{ObjectMeta: meta.ObjectMeta{Name: "join"},
			RoleRef:  rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "join"},
			Subjects: []rbac.Subject{{Kind: "ServiceAccount", Name: "web", Namespace: ns}}}, meta.CreateOptions{}))
	})
	c.await(func() error {
		r, err := c.admin.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "web", &authentication.TokenRequest{}, meta.CreateOptions{})
		if err == nil {
			c.token = r.Status.Token
		}
		return err
	})
}

// decide approves what is proven and signs it, until the test ends.
func (c *cluster) decide(trust join.Trust) {
	ctx := c.t.Context()
	w, err := c.admin.CertificatesV1().CertificateSigningRequests().Watch(ctx, meta.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	slots := make(chan struct{}, 16)
	for e := range w.ResultChan() {
		csr, ok := e.Object.(*certificates.CertificateSigningRequest)
		if !ok || len(csr.Status.Conditions) > 0 || e.Type != "ADDED" {
			continue
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			if err := c.sign(ctx, csr, trust); err != nil && ctx.Err() == nil {
				c.t.Errorf("sign %s: %v", csr.Name, err)
			}
		}()
	}
}

func (c *cluster) sign(ctx context.Context, csr *certificates.CertificateSigningRequest, trust join.Trust) error {
	_, v := join.Decide(join.Request{CSR: csr.Spec.Request, Signer: csr.Spec.SignerName, Usages: []string{string(csr.Spec.Usages[0]), string(csr.Spec.Usages[1])}, Pool: "web",
		Document: unbase64(csr.Annotations[bootstrap.AnnotationDocument]), Signature: unbase64(csr.Annotations[bootstrap.AnnotationSignature])}, trust,
		join.Facts{Account: account, Region: region, Recorded: true, Pool: "web", Waits: true})
	if v.Kind != join.Approve {
		return fmt.Errorf("%s: %s", v.Kind, v.Reason)
	}
	csr.Status.Conditions = []certificates.CertificateSigningRequestCondition{{Type: certificates.CertificateApproved, Status: core.ConditionTrue, Reason: "Test"}}
	csr, err := c.admin.CertificatesV1().CertificateSigningRequests().UpdateApproval(ctx, csr.Name, csr, meta.UpdateOptions{})
	if err != nil {
		return err
	}
	block, _ := pem.Decode(csr.Spec.Request)
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return err
	}
	csr.Status.Certificate, err = c.ca.sign(&x509.Certificate{Subject: request.Subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, request.PublicKey, time.Hour)
	if err != nil {
		return err
	}
	_, err = c.admin.CertificatesV1().CertificateSigningRequests().UpdateStatus(ctx, csr, meta.UpdateOptions{})
	return err
}

// Machines join a real API server, with Node authorization and NodeRestriction.
func TestJoinRealAPIServer(t *testing.T) {
	c := newCluster(t)
	w := newWorld(t)
	go c.decide(w.api.trust)
	s := w.settings()
	s.APIServer, s.CA, s.Token = c.server, c.ca.pem(), c.token
	s.Unschedulable = true
	s.Waits.JoinDeadline = time.Minute
	s.Waits.RetryMax = 10 * time.Second
	s.LeaseDuration = 4 * time.Second
	data := w.userData(s)
	ids := []string{"i-1", "i-2", "i-3"}
	for _, id := range ids {
		w.start(w.spec(id, data))
	}
	for _, id := range ids {
		w.until("the script ended", func() bool { return w.ended(id) })
		n, err := c.admin.CoreV1().Nodes().Get(t.Context(), id, meta.GetOptions{})
		if err != nil || !ready(n) {
			t.Fatalf("node %s: %v; console:\n%s", id, err, w.host.Console(id))
		}
		if n.Spec.ProviderID != region+"."+id || n.Labels[bootstrap.LabelPool] != "web" || !n.Spec.Unschedulable {
			t.Errorf("node %+v", n)
		}
	}
	leases := c.admin.CoordinationV1().Leases("kube-node-lease")
	first := ""
	w.until("the lease is renewed", func() bool {
		l, err := leases.Get(t.Context(), "i-1", meta.GetOptions{})
		if err != nil {
			return false
		}
		if first == "" {
			first = l.ResourceVersion
		}
		return l.ResourceVersion != first && len(l.OwnerReferences) == 1
	})
	// A credential that is no longer one is refused, and that is what is said.
	s.Token = strings.Replace(s.Token, ".", ".A", 1)
	w.start(w.spec("i-bad", w.userData(s)))
	w.until("the script ended", func() bool { return w.ended("i-bad") })
	if last := w.report("i-bad").Last; last.Step != bootstrap.StepJoin || !strings.Contains(last.Detail, "refuses the join credential") {
		t.Errorf("last line is %+v", last)
	}
}

// BenchmarkMany is how fast machines join a real API server that a loop of the
// test decides and signs for; the rest is the machines'. One operation is one
// machine; all run at once.
func BenchmarkMany(b *testing.B) {
	c := newCluster(b)
	w := newWorld(b)
	go c.decide(w.api.trust)
	s := w.settings()
	s.APIServer, s.CA, s.Token = c.server, c.ca.pem(), c.token
	s.Waits = bootstrap.Waits{}
	s.LeaseDuration = 40 * time.Second
	data := w.userData(s)
	before, atRest := cpu(), memory()
	b.ResetTimer()
	for i := range b.N {
		w.start(w.spec(fmt.Sprintf("i-%d", i), data))
	}
	for i := range b.N {
		id := fmt.Sprintf("i-%d", i)
		<-w.host.find(id).done
		if !w.report(id).Joined {
			b.Fatalf("console:\n%s", w.host.Console(id))
		}
	}
	b.ReportMetric(float64((cpu()-before).Milliseconds())/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(memory()-atRest)/float64(b.N), "B-at-rest/op")
}

// memory is what is in use after a collection, stacks included.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
