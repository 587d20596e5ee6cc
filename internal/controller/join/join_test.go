package join

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool/apitest"
	"github.com/poolkeeper/poolkeeper/internal/join"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

const (
	account = "1234567890123456"
	region  = "cn-local"
)

// identities is a region that signs identity documents.
type identities struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newIdentities(t testing.TB) identities {
	key := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "region"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key))
	return identities{key, must[*x509.Certificate](t)(x509.ParseCertificate(der))}
}

func (c identities) trust(t testing.TB) join.Trust {
	return must[join.Trust](t)(join.NewTrust(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})))
}

// machine is an instance with a key of its own.
type machine struct {
	id, address string
	key         *ecdsa.PrivateKey
}

func aMachine(t testing.TB, id string) machine {
	return machine{id, "10.0.0.7", must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
}

func (m machine) hash(t testing.TB) string {
	der := must[[]byte](t)(x509.MarshalPKIXPublicKey(m.key.Public()))
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// files is the request that a machine files with the credential of a pool.
func (m machine) files(t testing.TB, c identities, pool, name string) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	tmpl := &x509.CertificateRequest{Subject: pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:" + m.id}}
	der := must[[]byte](t)(x509.CreateCertificateRequest(rand.Reader, tmpl, m.key))
	doc := fmt.Sprintf(`{"zone-id":"cn-local-a","instance-id":%q,"region-id":%q,"private-ipv4":%q,"owner-account-id":%q,"instance-type":"ecs.g7.large"}`, m.id, region, m.address, account)
	sd := must[*pkcs7.SignedData](t)(pkcs7.NewSignedData([]byte(strings.TrimSuffix(doc, "}") + `,"audience":"` + m.hash(t) + `"}`)))
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := sd.AddSigner(c.cert, c.key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	sd.Detach()
	sig := must[[]byte](t)(sd.Finish())
	b64 := base64.StdEncoding.EncodeToString
	csr := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Annotations: map[string]string{
		bootstrap.AnnotationDocument: b64([]byte(doc)), bootstrap.AnnotationSignature: b64([]byte(b64(sig))),
	}}}
	csr.Spec = certificatesv1.CertificateSigningRequestSpec{
		Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		SignerName: bootstrap.Signer, Username: requester + pool,
	}
	for _, u := range bootstrap.Usages() {
		csr.Spec.Usages = append(csr.Spec.Usages, certificatesv1.KeyUsage(u))
	}
	return csr
}

type seeker struct{ sought []string }

func (s *seeker) Seek(id string) { s.sought = append(s.sought, id) }

type replacer struct{ pools []string }

func (r *replacer) Replace(_ context.Context, pool string) error {
	r.pools = append(r.pools, pool)
	return nil
}

type bench struct {
	*testing.T
	client.WithWatch
	r        *Reconciler
	clock    *apitest.Clock
	region   identities
	seeker   *seeker
	replacer *replacer
	events   *record.FakeRecorder
	writes   []string
	last     ctrl.Result
}

func newBench(t *testing.T, objs ...client.Object) *bench {
	b := &bench{T: t, clock: apitest.NewClock(), region: newIdentities(t), seeker: &seeker{}, replacer: &replacer{}, events: record.NewFakeRecorder(100)}
	inner := apitest.New(t, func(verb string, o client.Object) error {
		b.writes = append(b.writes, verb+" "+o.GetName())
		return nil
	}, objs...)
	// The fake API server has no approval subresource: it is the status of a request.
	b.WithWatch = interceptor.NewClient(inner, interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			b.writes = append(b.writes, sub+" "+o.GetName())
			csr, ok := o.(*certificatesv1.CertificateSigningRequest)
			if !ok || sub != "approval" {
				return c.SubResource(sub).Update(ctx, o, opts...)
			}
			conditions := csr.Status.Conditions
			live := &certificatesv1.CertificateSigningRequest{}
			if err := c.Get(ctx, client.ObjectKeyFromObject(csr), live); err != nil {
				return err
			}
			live.Status.Conditions = conditions
			return c.Status().Update(ctx, live)
		},
	})
	b.r = &Reconciler{Client: b.WithWatch, Now: b.clock.Now, Waits: wait.Defaults(), Events: b.events, Trust: b.region.trust(t),
		Account: func() string { return account }, Region: region, Seeker: b.seeker, Replacer: b.replacer, Forged: 3}
	return b
}

func (b *bench) look(name string) {
	b.Helper()
	res, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: name}})
	if err != nil {
		b.Fatal(err)
	}
	b.last = res
}

func (b *bench) file(csr *certificatesv1.CertificateSigningRequest) {
	b.Helper()
	if csr.CreationTimestamp.IsZero() {
		csr.CreationTimestamp = metav1.NewTime(b.clock.T)
	}
	if err := b.Create(b.Context(), csr); err != nil {
		b.Fatal(err)
	}
	b.writes = nil
	b.look(csr.Name)
}

// answer is the condition of a request: Approved, Denied, empty, or "gone".
func (b *bench) answer(name string) string {
	b.Helper()
	csr := &certificatesv1.CertificateSigningRequest{}
	if err := b.Get(b.Context(), types.NamespacedName{Name: name}, csr); err != nil {
		return "gone"
	}
	if len(csr.Status.Conditions) == 0 {
		return ""
	}
	return string(csr.Status.Conditions[0].Type)
}

func (b *bench) record(id string, change func(*api.Instance)) {
	b.Helper()
	i := &api.Instance{ObjectMeta: metav1.ObjectMeta{Name: id}}
	i.Spec.Pool, i.Spec.CreationType = "web", api.CreatedByUs
	if change != nil {
		change(i)
	}
	st := i.Status
	if err := b.Create(b.Context(), i); err != nil {
		b.Fatal(err)
	}
	i.Status = st
	if err := b.Status().Update(b.Context(), i); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) instance(id string) *api.Instance {
	b.Helper()
	i := &api.Instance{}
	if err := b.Get(b.Context(), types.NamespacedName{Name: id}, i); err != nil {
		b.Fatal(err)
	}
	return i
}

func (b *bench) event() string {
	select {
	case e := <-b.events.Events:
		return e
	default:
		return ""
	}
}

func TestWaitingInstanceIsApprovedWithTwoWrites(t *testing.T) {
	b := newBench(t)
	m := aMachine(t, "i-1")
	b.record("i-1", func(i *api.Instance) { i.Status.PrivateIP = m.address })
	b.file(m.files(t, b.region, "web", "r1"))
	if got := b.answer("r1"); got != "Approved" {
		t.Fatalf("answer: %q", got)
	}
	if b.instance("i-1").Spec.JoinKey != m.hash(t) {
		t.Fatal("the key is not recorded")
	}
	if got := strings.Join(b.writes[:2], ", "); got != "patch i-1, approval r1" || len(b.writes) != 3 { // the third is the fake's own
		t.Fatalf("writes: %v", b.writes)
	}
	if e := b.event(); e != "" {
		t.Fatalf("an event for a node: %s", e)
	}
	b.file(m.files(t, b.region, "web", "r2"))
	if got := b.answer("r2"); got != "Approved" || b.instance("i-1").Spec.JoinKey != m.hash(t) {
		t.Fatalf("the same key again: %q", got)
	}
}

func TestKeyIsWrittenBeforeTheApproval(t *testing.T) {
	b := newBench(t)
	m := aMachine(t, "i-1")
	b.record("i-1", nil)
	stale := b.instance("i-1")
	stale.Spec.Protected = true
	csr := m.files(t, b.region, "web", "r1")
	b.r.Client = interceptor.NewClient(b.WithWatch, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := c.Update(ctx, stale.DeepCopy()); err != nil { // somebody writes in between
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
	})
	b.file(csr)
	if got := b.answer("r1"); got != "" || b.last.RequeueAfter <= 0 {
		t.Fatalf("answered on a record that had changed: %q", got)
	}
	b.r.Client = b.WithWatch
	b.look("r1")
	if got := b.answer("r1"); got != "Approved" || !b.instance("i-1").Spec.Protected {
		t.Fatalf("answer: %q", got)
	}
}

func TestWhatIsDeniedAndWhy(t *testing.T) {
	past := metav1.NewTime(apitest.NewClock().T.Add(-time.Hour))
	cases := map[string]struct {
		record func(*api.Instance)
		change func(*certificatesv1.CertificateSigningRequest)
		want   string
	}{
		"another key was let in":       {record: func(i *api.Instance) { i.Spec.JoinKey = strings.Repeat("a", 64) }, want: "node rejoin i-1"},
		"it is being released":         {record: func(i *api.Instance) { i.Spec.Release = &api.ReleaseMark{Activity: "a"} }, want: "being released"},
		"it was taken out":             {record: func(i *api.Instance) { i.Status.LifecycleState = api.InstanceRemoved }, want: "taken out"},
		"the join deadline has passed": {record: func(i *api.Instance) { i.Status.RunningTime = &past }, want: "deadline"},
		"it was given up":              {record: func(i *api.Instance) { i.Status.FailedTime = &past }, want: "deadline"},
		"it joined long ago":           {record: func(i *api.Instance) { i.Status.JoinedTime = &past }, want: "does not wait"},
		"nobody knows whose it is":     {record: func(i *api.Instance) { i.Spec.CreationType = api.CreatedUnknown }, want: "does not wait"},
		"another address":              {record: func(i *api.Instance) { i.Status.PrivateIP = "10.9.9.9" }, want: "address"},
		"the credential of another":    {record: func(i *api.Instance) { i.Spec.Pool = "db" }, want: "pool db"},
		"not the usages of a kubelet":  {change: func(c *certificatesv1.CertificateSigningRequest) { c.Spec.Usages = c.Spec.Usages[:1] }, want: "usages"},
		"not the signer of a kubelet": {change: func(c *certificatesv1.CertificateSigningRequest) {
			c.Spec.SignerName = "kubernetes.io/kube-apiserver-client"
		}, want: "signer"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.record("i-1", c.record)
			key := b.instance("i-1").Spec.JoinKey
			csr := aMachine(t, "i-1").files(t, b.region, "web", "r1")
			if c.change != nil {
				c.change(csr)
			}
			b.file(csr)
			if got := b.answer("r1"); got != "Denied" {
				t.Fatalf("answer: %q", got)
			}
			if e := b.event(); !strings.Contains(e, "JoinDenied") || !strings.Contains(e, c.want) {
				t.Fatalf("event: %s", e)
			}
			if b.instance("i-1").Spec.JoinKey != key {
				t.Fatal("a key was recorded")
			}
		})
	}
}

func TestDenialsAreToldOncePerMinuteAndTheRestDeleted(t *testing.T) {
	b := newBench(t)
	b.record("i-1", func(i *api.Instance) { i.Spec.JoinKey = strings.Repeat("a", 64) })
	m := aMachine(t, "i-1")
	want := []string{"Denied", "gone", "gone"}
	for n, w := range want {
		name := fmt.Sprintf("r%d", n)
		b.file(m.files(t, b.region, "web", name))
		if got := b.answer(name); got != w {
			t.Fatalf("%s: %q", name, got)
		}
		b.clock.Pass(10 * time.Second)
	}
	b.clock.Pass(time.Minute)
	b.file(m.files(t, b.region, "web", "later"))
	if got := b.answer("later"); got != "Denied" || len(b.events.Events) != 2 {
		t.Fatalf("a minute later: %q, %d events", got, len(b.events.Events))
	}
}

func TestUnrecordedInstanceIsSoughtAndTheNewestRequestKept(t *testing.T) {
	b := newBench(t)
	m := aMachine(t, "i-new")
	b.file(m.files(t, b.region, "web", "r1"))
	if got := b.answer("r1"); got != "" || len(b.seeker.sought) != 1 || b.seeker.sought[0] != "i-new" {
		t.Fatalf("answer %q, sought %v", got, b.seeker.sought)
	}
	b.clock.Pass(4 * time.Second)
	b.file(m.files(t, b.region, "web", "r2"))
	if one, two := b.answer("r1"), b.answer("r2"); one != "gone" || two != "" || len(b.seeker.sought) != 1 {
		t.Fatalf("r1 %q, r2 %q, sought %v", one, two, b.seeker.sought)
	}
	old := m.files(t, b.region, "web", "r0")
	old.CreationTimestamp = metav1.NewTime(b.clock.T.Add(-time.Hour))
	b.file(old)
	if got := b.answer("r0"); got != "gone" || b.answer("r2") != "" {
		t.Fatalf("an older request took the place of a newer: %q", got)
	}
	b.record("i-new", nil)
	again := b.r.waitsFor(t.Context(), b.instance("i-new"))
	if len(again) != 1 || again[0].Name != "r2" {
		t.Fatalf("judged again: %v", again)
	}
	b.look("r2")
	if got := b.answer("r2"); got != "Approved" {
		t.Fatalf("answer: %q", got)
	}
	b.look("r2")
	if got := b.r.waitsFor(t.Context(), b.instance("i-new")); got != nil || len(b.r.memory.requests) != 0 {
		t.Fatal("a decided request is still remembered")
	}
}

func TestUnrecordedInstanceIsDeniedAtTheJoinDeadline(t *testing.T) {
	b := newBench(t)
	b.file(aMachine(t, "i-new").files(t, b.region, "web", "r1"))
	if want := b.r.Waits.JoinDeadline; b.last.RequeueAfter != want {
		t.Fatalf("looked at again after %v", b.last.RequeueAfter)
	}
	b.clock.Pass(b.last.RequeueAfter)
	b.look("r1")
	if got := b.answer("r1"); got != "Denied" || b.event() != "" {
		t.Fatalf("answer: %q", got)
	}
}

func TestForgedRequestsCostOneDeletionAndThenTheCredential(t *testing.T) {
	b := newBench(t, &api.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "web"}})
	b.record("i-1", nil)
	stranger := newIdentities(t)
	for n := range 5 {
		name := fmt.Sprintf("f%d", n)
		b.file(aMachine(t, "i-1").files(t, stranger, "web", name))
		if got := b.answer(name); got != "gone" {
			t.Fatalf("%s: %q", name, got)
		}
		if got := strings.Join(b.writes, ", "); got != "delete "+name {
			t.Fatalf("writes for a forged request: %s", got)
		}
	}
	if got := strings.Join(b.replacer.pools, " "); got != "web" {
		t.Fatalf("replaced: %q", got)
	}
	if e := b.event(); !strings.Contains(e, "JoinCredentialReplaced") {
		t.Fatalf("the pool does not say so: %q", e)
	}
	b.file(aMachine(t, "i-1").files(t, stranger, "db", "other"))
	if len(b.replacer.pools) != 1 {
		t.Fatal("a flood of one pool ended the credential of another")
	}
}

func TestForgeries(t *testing.T) {
	b := newBench(t)
	b.record("i-1", nil)
	b.r.Forged = 1000
	thief, victim := aMachine(t, "i-1"), aMachine(t, "i-1")
	replay := thief.files(t, b.region, "web", "replay")
	replay.Annotations = victim.files(t, b.region, "web", "x").Annotations
	bare := thief.files(t, b.region, "web", "bare")
	bare.Annotations = nil
	junk := thief.files(t, b.region, "web", "junk")
	junk.Annotations[bootstrap.AnnotationSignature] = "%%%"
	for _, csr := range []*certificatesv1.CertificateSigningRequest{replay, bare, junk} {
		b.file(csr)
		if got := b.answer(csr.Name); got != "gone" || b.instance("i-1").Spec.JoinKey != "" {
			t.Fatalf("%s: %q", csr.Name, got)
		}
	}
}

func TestRequestsOfAnyoneElseAreNotTouched(t *testing.T) {
	b := newBench(t)
	b.record("i-1", nil)
	for n, user := range []string{"system:node:i-1", "system:bootstrap:abc", "alice", "system:serviceaccount:kube-system:pool-web", "system:serviceaccount:poolkeeper-join:other"} {
		csr := aMachine(t, "i-1").files(t, b.region, "web", fmt.Sprintf("o%d", n))
		csr.Spec.Username = user
		b.file(csr)
		if got := b.answer(csr.Name); got != "" || len(b.writes) != 0 {
			t.Fatalf("%s: %q, %v", user, got, b.writes)
		}
	}
}

func TestRejoinLetsAnotherKeyIn(t *testing.T) {
	b := newBench(t)
	past := metav1.NewTime(b.clock.T.Add(-time.Hour))
	now := metav1.NewTime(b.clock.T)
	b.record("i-1", func(i *api.Instance) {
		i.Spec.RejoinTime = &now
		i.Status.JoinedTime, i.Status.RunningTime = &past, &past
	})
	b.file(aMachine(t, "i-1").files(t, b.region, "web", "r1"))
	if got := b.answer("r1"); got != "Approved" {
		t.Fatalf("answer: %q", got)
	}
}

func TestNothingIsDecidedUntilTheAccountIsKnown(t *testing.T) {
	b := newBench(t)
	b.record("i-1", nil)
	b.r.Account = func() string { return "" }
	b.file(aMachine(t, "i-1").files(t, b.region, "web", "r1"))
	if got := b.answer("r1"); got != "" || b.last.RequeueAfter <= 0 {
		t.Fatalf("answer: %q", got)
	}
}

func TestTrimKeepsWhatIsUndecided(t *testing.T) {
	region := newIdentities(t)
	csr := aMachine(t, "i-1").files(t, region, "web", "r1")
	out := must[any](t)(Trim(csr.DeepCopy())).(*certificatesv1.CertificateSigningRequest)
	if len(out.Spec.Request) == 0 || len(out.Annotations) != 2 {
		t.Fatal("an undecided request lost its proof")
	}
	csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved}}
	out = must[any](t)(Trim(csr.DeepCopy())).(*certificatesv1.CertificateSigningRequest)
	if len(out.Spec.Request) != 0 || len(out.Annotations) != 0 || !decided(out) || out.Spec.Username != csr.Spec.Username {
		t.Fatalf("trimmed: %+v", out)
	}
}

func BenchmarkDecide(b *testing.B) {
	region := newIdentities(b)
	q := request(aMachine(b, "i-1").files(b, region, "web", "r1"), "web")
	trust := region.trust(b)
	for b.Loop() {
		if _, err := join.Prove(q, trust); err != nil {
			b.Fatal(err)
		}
	}
}
