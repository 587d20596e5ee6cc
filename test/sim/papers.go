package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/smallstep/pkcs7"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/join"
)

// authority signs identity documents. Keys and signatures differ from run to run;
// nothing that happens depends on their bytes, and no history tells them.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// authorities are the region and one that nobody trusts, made once.
var authorities = sync.OnceValue(func() (out struct{ region, stranger authority }) {
	out.region, out.stranger = newAuthority(), newAuthority()
	return out
})

func newAuthority() authority {
	key := newKey()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "region"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0)}
	cert, err := x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)))
	return authority{key, must(cert, err)}
}

// trust is in the region alone.
var trust = sync.OnceValue(func() join.Trust {
	return must(join.NewTrust(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authorities().region.cert.Raw})))
})

// must ends a history as a panic does: these fail only where the harness is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// hashOf is how a key stands in a record.
func hashOf(k *ecdsa.PrivateKey) string {
	sum := sha256.Sum256(must(x509.MarshalPKIXPublicKey(k.Public())))
	return hex.EncodeToString(sum[:])
}

// sign is what the metadata service answers: the document signed for an audience,
// detached, as base64.
func (a authority) sign(document []byte, audience string) []byte {
	d := must(pkcs7.NewSignedData([]byte(strings.TrimSuffix(string(document), "}") + `,"audience":"` + audience + `"}`)))
	d.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := d.AddSigner(a.cert, a.key, pkcs7.SignerInfoConfig{}); err != nil {
		panic(err)
	}
	d.Detach()
	return []byte(base64.StdEncoding.EncodeToString(must(d.Finish())))
}

// papers are all that a machine files but its credential.
type papers struct {
	// request is the certificate request, PEM.
	request             []byte
	document, signature []byte
}

// papersFor are those of a key, in the name of an instance.
func papersFor(id string, key *ecdsa.PrivateKey, document, signature []byte) papers {
	tmpl := &x509.CertificateRequest{Subject: pkix.Name{Organization: []string{bootstrap.Organization}, CommonName: bootstrap.CommonNamePrefix + id}}
	der := must(x509.CreateCertificateRequest(rand.Reader, tmpl, key))
	return papers{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), document, signature}
}

// file is the request as it is filed with the join credential of a pool.
func (p papers) file(name, pool string) *certificatesv1.CertificateSigningRequest {
	b64 := base64.StdEncoding.EncodeToString
	r := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: certificatesv1.CertificateSigningRequestSpec{
		Request: p.request, SignerName: bootstrap.Signer, Username: "system:serviceaccount:" + api.JoinNamespace + ":" + api.JoinSecret(pool)}}
	for _, u := range bootstrap.Usages() {
		r.Spec.Usages = append(r.Spec.Usages, certificatesv1.KeyUsage(u))
	}
	if p.document != nil {
		r.Annotations = map[string]string{bootstrap.AnnotationDocument: b64(p.document), bootstrap.AnnotationSignature: b64(p.signature)}
	}
	return r
}
