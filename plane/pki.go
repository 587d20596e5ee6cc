package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pki is the directory of keys and certificates. What is there is kept; what is
// missing is made.
type pki struct{ dir string }

// The certificate authorities: one for the cluster, one whose clients may speak
// for other users.
const (
	clusterCA    = "ca"
	frontProxyCA = "front-proxy-ca"
)

// life is how long a certificate is valid.
const life = 10 * 365 * 24 * time.Hour

// leaf is a certificate to issue: by which authority, for whom.
type leaf struct {
	name, by string
	cert     x509.Certificate
}

var leaves = []leaf{
	{"apiserver", clusterCA, x509.Certificate{
		Subject: pkix.Name{CommonName: "kube-apiserver"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)},
	}},
	{"admin", clusterCA, client("poolkeeper-local-admin", "system:masters")},
	{"controller-manager", clusterCA, client("system:kube-controller-manager")},
	{"scheduler", clusterCA, client("system:kube-scheduler")},
	{"kubelet-client", clusterCA, client("poolkeeper-local-kubelet-client")},
	{"front-proxy", frontProxyCA, client("front-proxy-client")},
}

func client(cn string, groups ...string) x509.Certificate {
	return x509.Certificate{
		Subject:     pkix.Name{CommonName: cn, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func openPKI(dir string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make key directory: %w", err)
	}
	p := &pki{dir: dir}
	authorities := map[string]tls.Certificate{}
	for _, name := range []string{clusterCA, frontProxyCA} {
		ca := x509.Certificate{
			Subject: pkix.Name{CommonName: "poolkeeper local region " + name}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		}
		pair, err := p.keep(name, ca, nil)
		if err != nil {
			return nil, err
		}
		authorities[name] = pair
	}
	for _, l := range leaves {
		l.cert.KeyUsage = x509.KeyUsageDigitalSignature
		by := authorities[l.by]
		if _, err := p.keep(l.name, l.cert, &by); err != nil {
			return nil, err
		}
	}
	return p, p.serviceAccountKey()
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }

// keep reads a certificate and its key, or makes them where the certificate is
// missing. It is signed by itself where no authority is given.
func (p *pki) keep(name string, c x509.Certificate, by *tls.Certificate) (tls.Certificate, error) {
	if _, err := os.Stat(p.file(name + ".crt")); errors.Is(err, fs.ErrNotExist) {
		if err := p.issue(name, c, by); err != nil {
			return tls.Certificate{}, fmt.Errorf("issue certificate %s: %w", name, err)
		}
	}
	pair, err := tls.LoadX509KeyPair(p.file(name+".crt"), p.file(name+".key"))
	if err != nil {
		return pair, fmt.Errorf("read certificate %s: %w", name, err)
	}
	return pair, nil
}

// issue makes a key and a certificate, and writes the key first, so that a
// certificate never stands alone.
func (p *pki) issue(name string, c x509.Certificate, by *tls.Certificate) error {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if c.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return err
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(life)
	parent, signer := &c, crypto.PrivateKey(own)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, parent, own.Public(), signer)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return err
	}
	if err := p.write(name+".key", "PRIVATE KEY", key, 0o600); err != nil {
		return err
	}
	return p.write(name+".crt", "CERTIFICATE", der, 0o644)
}

// serviceAccountKey signs tokens of service accounts.
func (p *pki) serviceAccountKey() error {
	if _, err := os.Stat(p.file("sa.key")); err == nil {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("make key of service accounts: %w", err)
	}
	return p.write("sa.key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), 0o600)
}

// write puts a file in place whole, so that a crash leaves no half of one.
func (p *pki) write(name, kind string, der []byte, mode fs.FileMode) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return writeFile(p.file(name), text, mode)
}
