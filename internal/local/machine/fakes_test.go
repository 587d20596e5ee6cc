package machine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"
)

const (
	account = "1234567890123456"
	region  = "cn-hangzhou"
	zone    = "cn-hangzhou-i"
)

// memDisks keeps disks in memory and outlives simulators.
type memDisks struct {
	mu     sync.Mutex
	of     map[string]map[string][]byte
	writes int
	broken error
}

func (d *memDisks) Read(id string) (map[string][]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.of[id]), nil
}

func (d *memDisks) Write(id string, files map[string][]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return d.broken
	}
	d.writes++
	if d.of == nil {
		d.of = map[string]map[string][]byte{}
	}
	if d.of[id] == nil {
		d.of[id] = map[string][]byte{}
	}
	for name, content := range files {
		if content == nil {
			delete(d.of[id], name)
			continue
		}
		d.of[id][name] = slices.Clone(content)
	}
	return nil
}

func (d *memDisks) Destroy(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.of, id)
	return nil
}

func (d *memDisks) file(id, name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.of[id][name])
}

// fakeCloud answers metadata in hardened mode and signs identities.
type fakeCloud struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
	typ  string

	mu      sync.Mutex
	blocked map[string]error // by address
	signed  int
}

func newFakeCloud(t testing.TB) *fakeCloud {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "region"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &fakeCloud{key: key, cert: cert, typ: "ecs.g7.xlarge", blocked: map[string]error{}}
}

func (c *fakeCloud) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})
}

func (c *fakeCloud) Reach(_, address string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocked[address]
}

func (c *fakeCloud) block(address string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocked[address] = err
}

func (c *fakeCloud) Metadata(id string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.Reach(id, metadataAddress); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		if r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" {
			fmt.Fprint(w, "token-of-"+id)
			return
		}
		if r.Header.Get("X-aliyun-ecs-metadata-token") != "token-of-"+id {
			http.Error(w, "no token", http.StatusForbidden)
			return
		}
		document := fmt.Sprintf(`{"zone-id":%q,"serial-number":"1","instance-id":%q,"region-id":%q,"private-ipv4":"10.0.0.7","owner-account-id":%q,"mac":"00:16:3e:00:00:01","image-id":"img","instance-type":%q}`,
			zone, id, region, account, c.typ)
		switch r.URL.Path {
		case "/latest/dynamic/instance-identity/document":
			fmt.Fprint(w, document)
		case "/latest/dynamic/instance-identity/pkcs7":
			signature, err := c.sign(strings.TrimSuffix(document, "}") + `,"audience":"` + r.URL.Query().Get("audience") + `"}`)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			fmt.Fprint(w, signature)
		default:
			http.NotFound(w, r)
		}
	})
}

func (c *fakeCloud) sign(text string) (string, error) {
	c.mu.Lock()
	c.signed++
	c.mu.Unlock()
	sd, err := pkcs7.NewSignedData([]byte(text))
	if err != nil {
		return "", err
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := sd.AddSigner(c.cert, c.key, pkcs7.SignerInfoConfig{}); err != nil {
		return "", err
	}
	sd.Detach()
	der, err := sd.Finish()
	return base64.StdEncoding.EncodeToString(der), err
}

// authority is the certificate authority of a fake cluster.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cluster"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, cert}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// sign issues a certificate that lives so long.
func (a *authority) sign(tmpl *x509.Certificate, key any, life time.Duration) ([]byte, error) {
	tmpl.SerialNumber = big.NewInt(time.Now().UnixNano())
	tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Second), time.Now().Add(life)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key, a.key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

var errTimedOut = errors.New("connection timed out")
