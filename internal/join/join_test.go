package join

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
)

const (
	account  = "1234567890123456"
	region   = "cn-hangzhou"
	instance = "i-bp1aaaa"
	address  = "10.0.0.7"
	docText  = `{"zone-id":"cn-hangzhou-i","serial-number":"x","instance-id":"i-bp1aaaa","region-id":"cn-hangzhou","private-ipv4":"10.0.0.7","owner-account-id":"1234567890123456","mac":"00:16:3e:00:00:01","image-id":"img","instance-type":"ecs.g7.xlarge"}`
)

// cloud is a region that signs identities.
type cloud struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

func newCloud(t testing.TB) cloud {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "region"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cloud{key, cert}
}

func (c cloud) trust(t testing.TB) Trust {
	t.Helper()
	trust, err := NewTrust(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw}))
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// sign returns what the metadata service gives: base64 text in lines.
func (c cloud) sign(t testing.TB, text string, digest asn1.ObjectIdentifier) []byte {
	t.Helper()
	sd, err := pkcs7.NewSignedData([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	sd.SetDigestAlgorithm(digest)
	if err := sd.AddSigner(c.cert, c.key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	sd.Detach()
	der, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	text64 := base64.StdEncoding.EncodeToString(der)
	return []byte(text64[:64] + "\n" + text64[64:] + "\n")
}

func withAudience(doc, audience string) string {
	return strings.TrimSuffix(doc, "}") + `,"audience":"` + audience + `"}`
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func hashOf(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func csrOf(t testing.TB, key crypto.Signer, change func(*x509.CertificateRequest)) []byte {
	t.Helper()
	tmpl := &x509.CertificateRequest{Subject: pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:" + instance}}
	if change != nil {
		change(tmpl)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, tmpl, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func good(t testing.TB, c cloud, key *ecdsa.PrivateKey) Request {
	t.Helper()
	return Request{
		CSR: csrOf(t, key, nil), Signer: bootstrap.Signer, Usages: bootstrap.Usages(), Pool: "web",
		Document:  []byte(docText),
		Signature: c.sign(t, withAudience(docText, hashOf(t, key)), pkcs7.OIDDigestAlgorithmSHA256),
	}
}

func TestProveGood(t *testing.T) {
	c, key := newCloud(t), newKey(t)
	r := good(t, c, key)
	id, err := Prove(r, c.trust(t))
	want := Identity{Account: account, Region: region, Zone: "cn-hangzhou-i", Instance: instance,
		InstanceType: "ecs.g7.xlarge", PrivateIP: address, KeyHash: hashOf(t, key), Pool: "web"}
	if err != nil || id != want {
		t.Fatalf("Prove = %+v, %v, want %+v", id, err, want)
	}
	older := strings.NewReplacer("owner-account-id", "account-id", "private-ipv4", "private-ip").Replace(docText)
	r.Document = []byte(older)
	r.Signature = c.sign(t, withAudience(older, hashOf(t, key)), pkcs7.OIDDigestAlgorithmSHA256)
	if id, err := Prove(r, c.trust(t)); err != nil || id != want {
		t.Fatalf("with the older names Prove = %+v, %v, want %+v", id, err, want)
	}
	if second := newCloud(t); true {
		trust := Trust{certificates: append(second.trust(t).certificates, c.cert)}
		if _, err := Prove(r, trust); err != nil {
			t.Fatalf("with two certificates of the region: %v", err)
		}
	}
}

func TestProveForms(t *testing.T) {
	c, key := newCloud(t), newKey(t)
	r := good(t, c, key)
	raw := der(r.Signature)
	for name, form := range map[string][]byte{
		"DER": raw,
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: raw}),
	} {
		r.Signature = form
		if _, err := Prove(r, c.trust(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every variant proves nothing.
func TestProveForged(t *testing.T) {
	c, key := newCloud(t), newKey(t)
	otherKey := newKey(t)
	hash := hashOf(t, key)
	sign := func(text string) []byte { return c.sign(t, text, pkcs7.OIDDigestAlgorithmSHA256) }
	injected := strings.TrimSuffix(docText, "}") + `,"audience":"x","instance-id":"i-victim"}`
	cases := map[string]func(*Request){
		"document of another instance":    func(r *Request) { r.Document = bytes.Replace(r.Document, []byte(instance), []byte("i-bp1bbbb"), 1) },
		"one space more in the document":  func(r *Request) { r.Document = append([]byte("{ "), r.Document[1:]...) },
		"replayed with another key":       func(r *Request) { r.CSR = csrOf(t, otherKey, nil) },
		"signed without an audience":      func(r *Request) { r.Signature = sign(docText) },
		"signed for another audience":     func(r *Request) { r.Signature = sign(withAudience(docText, hashOf(t, otherKey))) },
		"signed for the hash in capitals": func(r *Request) { r.Signature = sign(withAudience(docText, strings.ToUpper(hash))) },
		"signed by a stranger who has our names": func(r *Request) {
			r.Signature = newCloud(t).sign(t, withAudience(docText, hash), pkcs7.OIDDigestAlgorithmSHA256)
		},
		"signed with SHA-1": func(r *Request) { r.Signature = c.sign(t, withAudience(docText, hash), pkcs7.OIDDigestAlgorithmSHA1) },
		"audience smuggles a field": func(r *Request) {
			r.Document = []byte(injected)
			r.Signature = sign(withAudience(docText, `x","instance-id":"i-victim","audience":"`+hash))
		},
		"field twice": func(r *Request) {
			doc := strings.TrimSuffix(docText, "}") + `,"instance-id":"i-victim"}`
			r.Document, r.Signature = []byte(doc), sign(withAudience(doc, hash))
		},
		"two spellings that differ": func(r *Request) {
			doc := strings.TrimSuffix(docText, "}") + `,"account-id":"9"}`
			r.Document, r.Signature = []byte(doc), sign(withAudience(doc, hash))
		},
		"nested document": func(r *Request) {
			r.Document, r.Signature = []byte(`{"a":{}}`), sign(withAudience(`{"a":{}}`, hash))
		},
		"no instance in it": func(r *Request) {
			doc := `{"region-id":"cn-hangzhou","owner-account-id":"1"}`
			r.Document, r.Signature = []byte(doc), sign(withAudience(doc, hash))
		},
		"number for an id": func(r *Request) {
			doc := strings.Replace(docText, `"i-bp1aaaa"`, `7`, 1)
			r.Document, r.Signature = []byte(doc), sign(withAudience(doc, hash))
		},
		"text after the document": func(r *Request) { r.Document = append(r.Document, "x}"...) },
		"no document":             func(r *Request) { r.Document = nil },
		"no signature":            func(r *Request) { r.Signature = nil },
		"no request":              func(r *Request) { r.CSR = nil },
		"signature is garbage":    func(r *Request) { r.Signature = []byte("garbage!") },
		"signature cut":           func(r *Request) { b := der(r.Signature); r.Signature = b[:len(b)-9] },
		"signature flipped":       func(r *Request) { b := der(r.Signature); b[len(b)-3] ^= 1; r.Signature = b },
		"signature too long":      func(r *Request) { r.Signature = append(r.Signature, bytes.Repeat([]byte("\n"), MaxSignature)...) },
		"document too long":       func(r *Request) { r.Document = append(r.Document, bytes.Repeat([]byte(" "), MaxDocument)...) },
		"request too long":        func(r *Request) { r.CSR = append(r.CSR, bytes.Repeat([]byte("\n"), MaxCSR)...) },
		"two requests":            func(r *Request) { r.CSR = append(r.CSR, r.CSR...) },
		"certificate, not request": func(r *Request) {
			r.CSR = bytes.ReplaceAll(r.CSR, []byte("CERTIFICATE REQUEST"), []byte("CERTIFICATE"))
		},
		"key on another curve":      func(r *Request) { *r = withCurve(t, c, *r) },
		"request not signed by key": func(r *Request) { r.CSR = badPossession(t, key, otherKey) },
	}
	trust := c.trust(t)
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			r := good(t, c, key)
			change(&r)
			if id, err := Prove(r, trust); err == nil {
				t.Fatalf("Prove = %+v, want an error", id)
			}
			if _, v := Decide(r, trust, waiting(key, t)); v.Kind != Forged {
				t.Fatalf("Decide = %v, want Forged", v)
			}
		})
	}
	if _, err := Prove(good(t, c, key), Trust{}); err == nil {
		t.Fatal("without a certificate a request is proven")
	}
}

// The message may bring any certificate under the region's own names.
func TestProveIgnoresCertificatesOfMessage(t *testing.T) {
	c, key := newCloud(t), newKey(t)
	fake := newCloud(t) // same issuer and serial number
	r := good(t, c, key)
	r.Signature = fake.sign(t, withAudience(docText, hashOf(t, key)), pkcs7.OIDDigestAlgorithmSHA256)
	p7, err := pkcs7.Parse(der(r.Signature))
	if err != nil || len(p7.Certificates) != 1 {
		t.Fatalf("the message brings %d certificates, %v", len(p7.Certificates), err)
	}
	if _, err := Prove(r, c.trust(t)); err == nil {
		t.Fatal("proven by the message's own certificate")
	}
}

func withCurve(t *testing.T, c cloud, r Request) Request {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r.CSR = csrOf(t, key, nil)
	r.Signature = c.sign(t, withAudience(docText, hashOf(t, key)), pkcs7.OIDDigestAlgorithmSHA256)
	return r
}

// badPossession is a request for key's public half that other signed.
func badPossession(t *testing.T, key, other *ecdsa.PrivateKey) []byte {
	block, _ := pem.Decode(csrOf(t, key, nil))
	foreign, _ := pem.Decode(csrOf(t, other, nil))
	type request struct {
		Info      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	var a, b request
	if _, err := asn1.Unmarshal(block.Bytes, &a); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(foreign.Bytes, &b); err != nil {
		t.Fatal(err)
	}
	a.Signature = b.Signature
	der, err := asn1.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// Proven, but not what a kubelet asks for: denied with the reason.
func TestDefects(t *testing.T) {
	c, key := newCloud(t), newKey(t)
	csr := func(change func(*x509.CertificateRequest)) func(*Request) {
		return func(r *Request) { r.CSR = csrOf(t, key, change) }
	}
	cases := map[string]struct {
		change func(*Request)
		want   string
	}{
		"another node": {csr(func(q *x509.CertificateRequest) { q.Subject.CommonName = "system:node:i-victim" }), "subject"},
		"no node":      {csr(func(q *x509.CertificateRequest) { q.Subject.CommonName = "admin" }), "subject"},
		"group too many": {csr(func(q *x509.CertificateRequest) {
			q.Subject.Organization = []string{"system:nodes", "system:masters"}
		}), "subject"},
		"group twice": {csr(func(q *x509.CertificateRequest) { q.Subject.Organization = []string{"system:nodes", "system:nodes"} }), "subject"},
		"other group": {csr(func(q *x509.CertificateRequest) { q.Subject.Organization = []string{"system:masters"} }), "subject"},
		"no group":    {csr(func(q *x509.CertificateRequest) { q.Subject.Organization = nil }), "subject"},
		"unit too":    {csr(func(q *x509.CertificateRequest) { q.Subject.OrganizationalUnit = []string{"x"} }), "subject"},
		"DNS name":    {csr(func(q *x509.CertificateRequest) { q.DNSNames = []string{"kubernetes.default"} }), "alternative names"},
		"address":     {csr(func(q *x509.CertificateRequest) { q.IPAddresses = []net.IP{net.IPv4(1, 2, 3, 4)} }), "alternative names"},
		"mail":        {csr(func(q *x509.CertificateRequest) { q.EmailAddresses = []string{"a@b"} }), "alternative names"},
		"an extension": {csr(func(q *x509.CertificateRequest) {
			q.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: []byte{0x30, 0}}}
		}), "extensions"},
		"another signer":  {func(r *Request) { r.Signer = "kubernetes.io/kubelet-serving" }, "signer"},
		"client signer":   {func(r *Request) { r.Signer = "kubernetes.io/kube-apiserver-client" }, "signer"},
		"server usage":    {func(r *Request) { r.Usages = append(r.Usages, "server auth") }, "usages"},
		"usage twice":     {func(r *Request) { r.Usages = append(r.Usages, "client auth") }, "usages"},
		"usage missing":   {func(r *Request) { r.Usages = r.Usages[:1] }, "usages"},
		"encipherment":    {func(r *Request) { r.Usages = append(r.Usages, "key encipherment") }, "usages"},
		"usages too long": {func(r *Request) { r.Usages = []string{strings.Repeat("x", 4096)} }, "usages"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := good(t, c, key)
			tc.change(&r)
			_, v := Decide(r, c.trust(t), waiting(key, t))
			if v.Kind != Deny || !strings.Contains(v.Reason, tc.want) || len(v.Reason) > 512 {
				t.Fatalf("Decide = %+v, want Deny for its %s", v, tc.want)
			}
		})
	}
}

func waiting(*ecdsa.PrivateKey, testing.TB) Facts {
	return Facts{Account: account, Region: region, Recorded: true, Pool: "web", PrivateIP: address, Waits: true}
}

func TestJudge(t *testing.T) {
	id := Identity{Account: account, Region: region, Instance: instance, PrivateIP: address, KeyHash: "aa", Pool: "web"}
	cases := map[string]struct {
		change func(*Identity, *Facts)
		want   Kind
	}{
		"a waiting instance is let in":                       {func(*Identity, *Facts) {}, Approve},
		"its record has no address yet":                      {func(_ *Identity, f *Facts) { f.PrivateIP = "" }, Approve},
		"the same key again":                                 {func(_ *Identity, f *Facts) { f.JoinKey, f.Waits = "aa", false }, Approve},
		"the same key, late":                                 {func(_ *Identity, f *Facts) { f.JoinKey, f.PastDeadline = "aa", true }, Approve},
		"another key":                                        {func(_ *Identity, f *Facts) { f.JoinKey = "bb" }, Deny},
		"the same key of a removed instance":                 {func(_ *Identity, f *Facts) { f.JoinKey, f.Removed = "aa", true }, Deny},
		"past the deadline":                                  {func(_ *Identity, f *Facts) { f.PastDeadline = true }, Deny},
		"does not wait":                                      {func(_ *Identity, f *Facts) { f.Waits = false }, Deny},
		"another address than recorded":                      {func(_ *Identity, f *Facts) { f.PrivateIP = "10.0.0.8" }, Deny},
		"credential of another pool":                         {func(i *Identity, _ *Facts) { i.Pool = "gpu" }, Deny},
		"not recorded yet":                                   {func(_ *Identity, f *Facts) { *f = Facts{Account: account, Region: region} }, Undecided},
		"never recorded":                                     {func(_ *Identity, f *Facts) { *f = Facts{Account: account, Region: region, PastDeadline: true} }, Deny},
		"another account":                                    {func(i *Identity, _ *Facts) { i.Account = "9" }, Forged},
		"another region":                                     {func(i *Identity, _ *Facts) { i.Region = "cn-beijing" }, Forged},
		"we do not know our account":                         {func(i *Identity, f *Facts) { i.Account, f.Account = "", "" }, Forged},
		"no key":                                             {func(i *Identity, f *Facts) { i.KeyHash = "" }, Forged},
		"defect, even before it is recorded":                 {func(i *Identity, f *Facts) { i.Defect = "x"; f.Recorded = false }, Deny},
		"another key of an instance that waits after rejoin": {func(_ *Identity, f *Facts) { f.JoinKey = "" }, Approve},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			i, f := id, waiting(nil, t)
			tc.change(&i, &f)
			v := Judge(i, f)
			if v.Kind != tc.want || (v.Kind == Approve) != (v.KeyHash == "aa") || v.Reason == "" {
				t.Fatalf("Judge = %+v, want %v", v, tc.want)
			}
		})
	}
}

func FuzzProve(f *testing.F) {
	c, key := newCloud(f), newKey(f)
	r := good(f, c, key)
	f.Add(r.CSR, r.Document, r.Signature)
	f.Add(r.CSR, r.Document, der(r.Signature))
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----"), []byte("{}"), []byte{0x30, 0x80, 0, 0})
	trust := c.trust(f)
	f.Fuzz(func(t *testing.T, csr, document, signature []byte) {
		q := Request{CSR: csr, Document: document, Signature: signature, Signer: bootstrap.Signer, Usages: bootstrap.Usages()}
		id, err := Prove(q, trust)
		if err == nil && (!bytes.Equal(document, r.Document) || id.Instance != instance || id.KeyHash != hashOf(t, key)) {
			t.Fatalf("proven without the cloud's word: %+v", id)
		}
	})
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(docText))
	f.Add([]byte(`{"a":"b","a":"c"}`))
	f.Add([]byte(`{"a":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if doc, err := parseDocument(b); err == nil {
			if _, found := doc["audience"]; found || !bytes.ContainsRune(b, '}') {
				t.Fatalf("accepted %q", b)
			}
		}
	})
}

func BenchmarkProve(b *testing.B) {
	c, key := newCloud(b), newKey(b)
	r, trust := good(b, c, key), c.trust(b)
	for b.Loop() {
		if _, err := Prove(r, trust); err != nil {
			b.Fatal(err)
		}
	}
}
