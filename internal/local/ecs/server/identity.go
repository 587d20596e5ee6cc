package server

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/smallstep/pkcs7"
)

// Credentials are an access key with its account: that of the local account, or
// that of another one, which has nothing in the region.
type Credentials struct {
	AccessKeyID     string `json:"accessKeyId"`
	AccessKeySecret string `json:"accessKeySecret"`
	AccountID       string `json:"accountId"`
	RegionID        string `json:"regionId"`
}

// The files in the directory of a local cloud.
const (
	credentialsFile = "credentials.json"
	otherFile       = "other-credentials.json"
	certificateFile = "identity.crt"
	keyFile         = "identity.key"

	// TokenFile holds the token of the controls under /_local/.
	TokenFile = "control-token"
	// AddressFile says where the cloud listened last, as host:port.
	AddressFile = "address"
)

// identity is who the cloud is: its accounts, its signing key, its controls.
type identity struct {
	credentials Credentials
	other       Credentials
	certificate *x509.Certificate
	key         crypto.PrivateKey
	token       string
	// metadata makes tokens of the metadata service.
	metadata []byte
}

func (i *identity) secret(accessKeyID string) (string, bool) {
	if accessKeyID == i.other.AccessKeyID {
		return i.other.AccessKeySecret, true
	}
	return i.credentials.AccessKeySecret, accessKeyID == i.credentials.AccessKeyID
}

// openCredentials reads an access key, or makes one of a new account, once.
func openCredentials(path, region string) (Credentials, error) {
	var c Credentials
	b, err := once(path, func() ([]byte, error) {
		account := new(big.Int).SetBytes(randomBytes(8))
		account.Mod(account, big.NewInt(9e15))
		return json.MarshalIndent(Credentials{AccessKeyID: "LTAI" + hex.EncodeToString(randomBytes(10)), AccessKeySecret: hex.EncodeToString(randomBytes(15)),
			AccountID: fmt.Sprint(account.Int64() + 1e15), RegionID: region}, "", "  ")
	})
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return c, nil
}

// openIdentity reads what is there and makes the rest, once.
func openIdentity(dir, region string) (*identity, error) {
	i := &identity{metadata: randomBytes(32)}
	var err error
	if i.credentials, err = openCredentials(filepath.Join(dir, credentialsFile), region); err != nil {
		return nil, err
	}
	if i.other, err = openCredentials(filepath.Join(dir, otherFile), region); err != nil {
		return nil, err
	}
	token, err := once(filepath.Join(dir, TokenFile), func() ([]byte, error) { return []byte(hex.EncodeToString(randomBytes(24))), nil })
	if err != nil {
		return nil, err
	}
	i.token = string(token)
	return i, i.openKey(dir, region)
}

func (i *identity) openKey(dir, region string) error {
	b, err := once(filepath.Join(dir, keyFile), newKey)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return fmt.Errorf("read %s: no PEM in it", keyFile)
	}
	if i.key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		return fmt.Errorf("read %s: %w", keyFile, err)
	}
	b, err = once(filepath.Join(dir, certificateFile), func() ([]byte, error) { return newCertificate(i.key, region) })
	if err != nil {
		return err
	}
	if block, _ = pem.Decode(b); block == nil {
		return fmt.Errorf("read %s: no PEM in it", certificateFile)
	}
	if i.certificate, err = x509.ParseCertificate(block.Bytes); err != nil {
		return fmt.Errorf("read %s: %w", certificateFile, err)
	}
	return nil
}

// newKey makes the key that identities are signed with. The vendor's are RSA,
// which takes 40 times as long for each machine; whoever verifies takes both.
func newKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func newCertificate(key crypto.PrivateKey, region string) ([]byte, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	from := time.Now().Add(-time.Hour).UTC()
	t := &x509.Certificate{SerialNumber: new(big.Int).SetBytes(randomBytes(12)), NotBefore: from, NotAfter: from.AddDate(30, 0, 0),
		Subject: pkix.Name{CommonName: "instance identity of " + region, Organization: []string{"poolkeeper local cloud"}}, KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, t, t, signer.Public(), key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// once returns the content of a file, which is made if it is not there. A
// file is there whole or not at all.
func once(path string, make func() ([]byte, error)) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return b, err
	}
	if b, err = make(); err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	return b, nil
}

// sign makes the detached PKCS #7 signature of a text, as base64.
func (i *identity) sign(text []byte) (string, error) {
	d, err := pkcs7.NewSignedData(text)
	if err != nil {
		return "", fmt.Errorf("sign identity document: %w", err)
	}
	d.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := d.AddSigner(i.certificate, i.key, pkcs7.SignerInfoConfig{}); err != nil {
		return "", fmt.Errorf("sign identity document: %w", err)
	}
	d.Detach()
	der, err := d.Finish()
	if err != nil {
		return "", fmt.Errorf("sign identity document: %w", err)
	}
	return base64.StdEncoding.EncodeToString(der), nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func uuid() string {
	b := randomBytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
