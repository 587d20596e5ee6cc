package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
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
type pki struct {
	dir   string
	ca    *x509.Certificate
	caKey crypto.Signer
}

const life = 10 * 365 * 24 * time.Hour

func openPKI(dir string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make key directory: %w", err)
	}
	p := &pki{dir: dir}
	if err := p.openCA(); err != nil {
		return nil, err
	}
	leaves := []x509.Certificate{
		{Subject: pkix.Name{CommonName: "kube-apiserver"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}},
		client("admin", "poolkeeper-local-admin", "system:masters"),
		client("controller-manager", "system:kube-controller-manager", ""),
		client("scheduler", "system:kube-scheduler", ""),
		client("kubelet-client", "poolkeeper-local-kubelet-client", ""),
		client("front-proxy", "front-proxy-client", ""),
	}
	names := []string{"apiserver", "admin", "controller-manager", "scheduler", "kubelet-client", "front-proxy"}
	for i := range leaves {
		if err := p.issue(names[i], &leaves[i]); err != nil {
			return nil, err
		}
	}
	return p, p.serviceAccountKey()
}

func client(_, cn, org string) x509.Certificate {
	c := x509.Certificate{Subject: pkix.Name{CommonName: cn}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if org != "" {
		c.Subject.Organization = []string{org}
	}
	return c
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }

func (p *pki) openCA() error {
	if _, err := os.Stat(p.file("ca.crt")); errors.Is(err, fs.ErrNotExist) {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: "poolkeeper local region"}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
		if err := p.write("ca", c, c, nil); err != nil {
			return err
		}
	}
	pair, err := readPair(p.file("ca.crt"), p.file("ca.key"))
	if err != nil {
		return err
	}
	p.ca, p.caKey = pair.cert, pair.key
	return nil
}

// issue makes a certificate of the CA unless one is there.
func (p *pki) issue(name string, c *x509.Certificate) error {
	if _, err := os.Stat(p.file(name + ".crt")); err == nil {
		return nil
	}
	c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	return p.write(name, c, p.ca, p.caKey)
}

// write makes a key, signs the certificate (by itself where there is no key of
// a CA) and writes the key first, so that a certificate never stands alone.
func (p *pki) write(name string, c, by *x509.Certificate, key crypto.Signer) error {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if key == nil {
		key = own
	}
	if c.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return err
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(life)
	der, err := x509.CreateCertificate(rand.Reader, c, by, own.Public(), key)
	if err != nil {
		return fmt.Errorf("sign certificate %s: %w", name, err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(p.file(name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// serviceAccountKey signs tokens of service accounts.
func (p *pki) serviceAccountKey() error {
	if _, err := os.Stat(p.file("sa.key")); err == nil {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return os.WriteFile(p.file("sa.key"), pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600)
}

type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func readPair(certFile, keyFile string) (pair, error) {
	var out pair
	for _, f := range []string{certFile, keyFile} {
		raw, err := os.ReadFile(f)
		if err != nil {
			return out, err
		}
		block, _ := pem.Decode(raw)
		if block == nil {
			return out, fmt.Errorf("%s holds no PEM block", f)
		}
		if f == certFile {
			out.cert, err = x509.ParseCertificate(block.Bytes)
		} else {
			var k any
			if k, err = x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
				out.key = k.(crypto.Signer)
			}
		}
		if err != nil {
			return out, fmt.Errorf("read %s: %w", f, err)
		}
	}
	return out, nil
}
