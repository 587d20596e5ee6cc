package machine

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"
)

// openssl knows ecparam, pkey and req as far as a join needs them.
func openssl(_ context.Context, p *process) int {
	if len(p.args) < 2 {
		return p.fail(1, "no command")
	}
	o, err := opensslOptions(p.args[2:])
	if err != nil {
		return p.fail(1, "%s: %s", p.args[1], err)
	}
	var out []byte
	switch p.args[1] {
	case "ecparam":
		out, err = newKeyPEM(o)
	case "pkey":
		out, err = p.publicKey(o)
	case "req":
		out, err = p.certificateRequest(o)
	default:
		err = errors.New("unknown command")
	}
	if err != nil {
		return p.fail(1, "%s: %s", p.args[1], cause(err))
	}
	if o["-out"] == "" {
		p.out.Write(out)
		return 0
	}
	p.m.disk().write(p.path(o["-out"]), out, 0o600)
	return 0
}

// opensslOptions reads options with their values; a flag has the value "yes".
func opensslOptions(args []string) (map[string]string, error) {
	o := map[string]string{}
	for ; len(args) > 0; args = args[1:] {
		switch a := args[0]; a {
		case "-genkey", "-noout", "-new", "-pubout":
			o[a] = "yes"
		case "-name", "-out", "-in", "-outform", "-key", "-subj":
			if len(args) < 2 {
				return nil, errors.New("option " + a + " needs a value")
			}
			o[a] = args[1]
			args = args[1:]
		default:
			return nil, errors.New("unknown option " + a)
		}
	}
	return o, nil
}

func newKeyPEM(o map[string]string) ([]byte, error) {
	if o["-name"] != "prime256v1" || o["-genkey"] == "" || o["-noout"] == "" {
		return nil, errors.New("only -name prime256v1 -genkey -noout is known")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func (p *process) key(name string) (*ecdsa.PrivateKey, error) {
	b, err := p.m.disk().read(p.path(name))
	if err != nil {
		return nil, err
	}
	return parseKey(b)
}

func parseKey(b []byte) (*ecdsa.PrivateKey, error) {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return nil, errors.New("could not find private key")
		}
		if block.Type == "EC PRIVATE KEY" {
			return x509.ParseECPrivateKey(block.Bytes)
		}
	}
}

func (p *process) publicKey(o map[string]string) ([]byte, error) {
	if o["-pubout"] == "" || o["-outform"] != "DER" {
		return nil, errors.New("only -pubout -outform DER is known")
	}
	key, err := p.key(o["-in"])
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKIXPublicKey(&key.PublicKey)
}

func (p *process) certificateRequest(o map[string]string) ([]byte, error) {
	key, err := p.key(o["-key"])
	if err != nil {
		return nil, err
	}
	subject, err := subjectOf(o["-subj"])
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{RawSubject: subject}, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// subjectOf reads /O=a/CN=b, each name a set of its own, in this order.
func subjectOf(text string) ([]byte, error) {
	oids := map[string]asn1.ObjectIdentifier{"O": {2, 5, 4, 10}, "CN": {2, 5, 4, 3}, "OU": {2, 5, 4, 11}}
	var names pkix.RDNSequence
	for _, part := range strings.Split(strings.TrimPrefix(text, "/"), "/") {
		k, v, ok := strings.Cut(part, "=")
		if !ok || oids[k] == nil {
			return nil, errors.New("subject name " + part + " is not known")
		}
		names = append(names, pkix.RelativeDistinguishedNameSET{{Type: oids[k], Value: v}})
	}
	return asn1.Marshal(names)
}
