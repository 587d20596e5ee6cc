package machine

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"time"

	certificates "k8s.io/api/certificates/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const pathRequests = "/apis/certificates.k8s.io/v1/certificatesigningrequests"

// renewCertificate asks for a new certificate, as the node and with a new key,
// and keeps both on the disk. It is rare, so it simply looks until it is there.
func (k *kubelet) renewCertificate(ctx context.Context) error {
	keyPEM, err := newKeyPEM(map[string]string{"-name": "prime256v1", "-genkey": "yes", "-noout": "yes"})
	if err != nil {
		return fmt.Errorf("make key of node %s: %w", k.name, err)
	}
	request, err := k.fileRequest(ctx, keyPEM)
	if err != nil {
		return fmt.Errorf("file certificate request of node %s: %w", k.name, err)
	}
	for len(request.Status.Certificate) == 0 {
		for _, c := range request.Status.Conditions {
			if c.Type != certificates.CertificateApproved {
				k.nextRenew = k.m.host.Now().Add(time.Minute)
				return fmt.Errorf("certificate request of node %s: %s %s", k.name, c.Type, c.Message)
			}
		}
		if !k.m.pause(ctx, 500*time.Millisecond) {
			return fmt.Errorf("certificate request of node %s: not decided yet", k.name)
		}
		b, err := k.call(ctx, http.MethodGet, pathRequests+"/"+request.Name, "", nil)
		if err == nil {
			err = decode(b, request)
		}
		if err != nil {
			return fmt.Errorf("read certificate request of node %s: %w", k.name, err)
		}
	}
	both := append(bytes.Clone(request.Status.Certificate), keyPEM...)
	if err := k.useCertificate(both); err != nil {
		return err
	}
	defer k.m.use()()
	k.m.disk().write(k.pem, both, 0o600)
	k.m.net.closeAllIdle()
	return nil
}

func (k *kubelet) fileRequest(ctx context.Context, keyPEM []byte) (*certificates.CertificateSigningRequest, error) {
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	subject, err := subjectOf("/O=system:nodes/CN=system:node:" + k.name)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{RawSubject: subject}, key)
	if err != nil {
		return nil, err
	}
	csr := &certificates.CertificateSigningRequest{
		ObjectMeta: meta.ObjectMeta{GenerateName: "csr-"},
		Spec: certificates.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificates.KubeAPIServerClientKubeletSignerName,
			Usages:     []certificates.KeyUsage{certificates.UsageDigitalSignature, certificates.UsageClientAuth},
		},
	}
	body, err := encode("certificates.k8s.io/v1", "CertificateSigningRequest", csr)
	if err != nil {
		return nil, err
	}
	b, err := k.call(ctx, http.MethodPost, pathRequests, protobuf, body)
	if err != nil {
		return nil, err
	}
	return csr, decode(b, csr)
}
