package join

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/smallstep/pkcs7"

	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
)

// The largest parts of a request that are looked at. Unit: bytes.
const (
	MaxCSR       = 4 << 10
	MaxDocument  = 4 << 10
	MaxSignature = 16 << 10
)

// Trust is what a proof is checked against.
type Trust struct {
	certificates []*x509.Certificate
}

// NewTrust returns the trust in a region's certificates, PEM. Exactly these
// very certificates are trusted: no chain, no expiry, none from a message.
func NewTrust(pemCertificates []byte) (Trust, error) {
	var t Trust
	for rest := pemCertificates; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Trust{}, fmt.Errorf("parse identity certificate of the region: %w", err)
		}
		t.certificates = append(t.certificates, c)
	}
	if len(t.certificates) == 0 {
		return Trust{}, errors.New("parse identity certificate of the region: no PEM certificate in it")
	}
	return t, nil
}

// Prove verifies a request. It is the expensive half: its result stays true,
// so the caller keeps it. An error means forged: the request proves nothing.
func Prove(r Request, trust Trust) (id Identity, err error) {
	// The parsers read what a stranger wrote: a defect of theirs costs this
	// request, not the process.
	defer func() {
		if p := recover(); p != nil {
			id, err = Identity{}, fmt.Errorf("read request: %v", p)
		}
	}()
	if err := bounded(r); err != nil {
		return Identity{}, err
	}
	csr, err := parseCSR(r.CSR)
	if err != nil {
		return Identity{}, err
	}
	sum := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	hash := hex.EncodeToString(sum[:])
	doc, err := parseDocument(r.Document)
	if err != nil {
		return Identity{}, err
	}
	if err := verify(signedText(r.Document, hash), r.Signature, trust); err != nil {
		return Identity{}, err
	}
	id = doc.identity()
	id.KeyHash, id.Pool = hash, r.Pool
	if id.Instance == "" || id.Account == "" || id.Region == "" {
		return Identity{}, errors.New("the identity document names no instance, account or region")
	}
	// Possession of the key is checked after the cheaper proof of origin.
	if err := csr.CheckSignature(); err != nil {
		return Identity{}, fmt.Errorf("verify signature of certificate request: %w", err)
	}
	id.Defect = defect(r, csr, id.Instance)
	return id, nil
}

func bounded(r Request) error {
	switch {
	case len(r.CSR) == 0 || len(r.Document) == 0 || len(r.Signature) == 0:
		return errors.New("the request carries no certificate request, identity document or signature")
	case len(r.CSR) > MaxCSR:
		return fmt.Errorf("the certificate request has %d bytes, at most %d are read", len(r.CSR), MaxCSR)
	case len(r.Document) > MaxDocument:
		return fmt.Errorf("the identity document has %d bytes, at most %d are read", len(r.Document), MaxDocument)
	case len(r.Signature) > MaxSignature:
		return fmt.Errorf("the signature has %d bytes, at most %d are read", len(r.Signature), MaxSignature)
	}
	return nil
}

func parseCSR(b []byte) (*x509.CertificateRequest, error) {
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("the certificate request is not one PEM block of that type")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse certificate request: %w", err)
	}
	if key, ok := csr.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the key of the certificate request is not an EC key on P-256")
	}
	return csr, nil
}

// signedText is what the cloud signs: the document with the audience put
// before its closing brace, otherwise byte for byte.
func signedText(document []byte, audience string) []byte {
	end := bytes.LastIndexByte(document, '}')
	if end < 0 {
		return nil
	}
	text := make([]byte, 0, len(document)+len(audience)+16)
	text = append(text, document[:end]...)
	text = append(text, `,"audience":"`...)
	text = append(text, audience...)
	text = append(text, '"')
	return append(text, document[end:]...)
}

// digests are the hash functions that a signature may use. SHA-1 is not among
// them: the audience is the machine's choice, and collisions can be chosen.
var digests = []asn1.ObjectIdentifier{pkcs7.OIDDigestAlgorithmSHA256, pkcs7.OIDDigestAlgorithmSHA384, pkcs7.OIDDigestAlgorithmSHA512}

// verify says whether one of the trusted certificates signed the text.
func verify(text, signature []byte, trust Trust) error {
	p7, err := pkcs7.Parse(der(signature))
	if err != nil {
		return fmt.Errorf("parse signature of identity document: %w", err)
	}
	if len(p7.Signers) != 1 {
		return fmt.Errorf("the signature has %d signers, not one", len(p7.Signers))
	}
	if !slices.ContainsFunc(digests, p7.Signers[0].DigestAlgorithm.Algorithm.Equal) {
		return errors.New("the signature is not made with SHA-256 or stronger")
	}
	err = errors.New("no certificate of the region is configured")
	for _, c := range trust.certificates {
		// Whatever certificates the message brings are dropped.
		p7.Certificates = []*x509.Certificate{c}
		p7.Content = text
		if err = p7.Verify(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("verify signature of identity document for this key: %w", err)
}

// der takes a signature as DER, as PEM or as bare base64 text, which is what
// the metadata service gives.
func der(b []byte) []byte {
	if block, _ := pem.Decode(b); block != nil {
		return block.Bytes
	}
	text := bytes.Join(bytes.Fields(b), nil)
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	if n, err := base64.StdEncoding.Decode(out, text); err == nil {
		return out[:n]
	}
	return b
}

// defect says why a request is not exactly what a kubelet of this instance
// asks for.
func defect(r Request, csr *x509.CertificateRequest, instance string) string {
	usages := slices.Sorted(slices.Values(r.Usages))
	wantUsages := slices.Sorted(slices.Values(bootstrap.Usages()))
	switch {
	case r.Signer != bootstrap.Signer:
		return fmt.Sprintf("instance %s asks the signer %.80q, not %s", instance, r.Signer, bootstrap.Signer)
	case !slices.Equal(usages, wantUsages):
		return fmt.Sprintf("instance %s asks for the usages %.160q, not %q", instance, r.Usages, wantUsages)
	case len(csr.DNSNames)+len(csr.IPAddresses)+len(csr.EmailAddresses)+len(csr.URIs) > 0:
		return fmt.Sprintf("instance %s asks for alternative names; a node's client certificate has none", instance)
	case len(csr.Extensions) > 0:
		return fmt.Sprintf("instance %s asks for certificate extensions; a node's client certificate has none", instance)
	case !exactSubject(csr, instance):
		return fmt.Sprintf("instance %s asks for the subject %.160q, not O=%s, CN=%s%s", instance, csr.Subject.String(),
			bootstrap.Organization, bootstrap.CommonNamePrefix, instance)
	}
	return ""
}

var (
	oidOrganization = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// exactSubject looks at every name in the subject, since fields of pkix.Name
// hide repeated and unknown ones.
func exactSubject(csr *x509.CertificateRequest, instance string) bool {
	var organization, commonName int
	for _, n := range csr.Subject.Names {
		value, _ := n.Value.(string)
		switch {
		case n.Type.Equal(oidOrganization) && value == bootstrap.Organization:
			organization++
		case n.Type.Equal(oidCommonName) && value == bootstrap.CommonNamePrefix+instance:
			commonName++
		default:
			return false
		}
	}
	return organization == 1 && commonName == 1
}
