package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/services/ecs"

	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/join"
)

// meta asks the metadata service of a machine.
func (b *bench) meta(id, method, path string, headers ...string) (int, string) {
	b.Helper()
	r := httptest.NewRequestWithContext(b.Context(), method, "http://100.100.100.200/latest/"+path, nil)
	for k := 0; k < len(headers); k += 2 {
		r.Header.Set(headers[k], headers[k+1])
	}
	w := httptest.NewRecorder()
	b.Metadata(id).ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func hardened(r *ecs.RunInstancesRequest) { r.HttpTokens, r.HttpPutResponseHopLimit = "required", "1" }

// The metadata service answers only with a token of the same machine.
func TestMetadata(t *testing.T) {
	b := newBench(t, "")
	ids := b.running(2, hardened)
	if code, _ := b.meta(ids[0], "GET", "meta-data/instance-id"); code != http.StatusForbidden {
		t.Errorf("without a token: %d", code)
	}
	for ttl, want := range map[string]int{"": 400, "0": 400, "21601": 400, "x": 400, "60": 200} {
		if code, _ := b.meta(ids[0], "PUT", "api/token", ttlHeader, ttl); code != want {
			t.Errorf("ttl %q: %d", ttl, code)
		}
	}
	_, token := b.meta(ids[0], "PUT", "api/token", ttlHeader, "60")
	if code, _ := b.meta(ids[1], "GET", "meta-data/instance-id", tokenHeader, token); code != http.StatusForbidden {
		t.Errorf("with the token of another: %d", code)
	}
	i := b.show(ids[0])
	for path, want := range map[string]string{"meta-data/instance-id": ids[0], "meta-data/region-id": "cn-local", "meta-data/zone-id": "cn-local-a",
		"meta-data/private-ipv4": i.VpcAttributes.PrivateIpAddress.IpAddress[0], "meta-data/hostname": i.HostName,
		"meta-data/instance/instance-type": "ecs.g7.large", "user-data": "#!/bin/sh\n"} {
		if code, got := b.meta(ids[0], "GET", path, tokenHeader, token); code != 200 || got != want {
			t.Errorf("%s: %d %q, want %q", path, code, got, want)
		}
	}
	if code, _ := b.meta(ids[0], "GET", "meta-data/instance/spot/termination-time", tokenHeader, token); code != 404 {
		t.Errorf("termination time: %d", code)
	}
	spot := b.running(1, func(r *ecs.RunInstancesRequest) { r.SpotStrategy = "SpotAsPriceGo" })[0]
	b.control("POST", "instances/"+spot+"/reclaim", "")
	if code, at := b.meta(spot, "GET", "meta-data/instance/spot/termination-time"); code != 200 || !strings.HasSuffix(at, "Z") {
		t.Errorf("termination time: %d %q", code, at)
	}
	if l := b.show(spot).OperationLocks.LockReason; len(l) != 1 || l[0].LockReason != "Recycling" {
		t.Errorf("locks %+v", l)
	}
	if code, _ := b.meta("i-none", "GET", "meta-data/instance-id"); code != 404 {
		t.Errorf("no instance: %d", code)
	}
}

// What the cloud signs proves where a certificate request comes from, and
// nothing else does.
func TestIdentityDocument(t *testing.T) {
	b := newBench(t, "")
	id := b.running(1, hardened)[0]
	_, token := b.meta(id, "PUT", "api/token", ttlHeader, "60")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{Organization: []string{bootstrap.Organization}, CommonName: bootstrap.CommonNamePrefix + id}}, key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(public)
	get := func(path string) []byte {
		code, body := b.meta(id, "GET", path, tokenHeader, token)
		if code != 200 {
			t.Fatalf("%s: %d %s", path, code, body)
		}
		return []byte(body)
	}
	certificate, err := os.ReadFile(filepath.Join(b.dir, certificateFile))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := join.NewTrust(certificate)
	if err != nil {
		t.Fatal(err)
	}
	r := join.Request{CSR: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), Signer: bootstrap.Signer, Usages: bootstrap.Usages(),
		Document: get("dynamic/instance-identity/document"), Signature: get("dynamic/instance-identity/pkcs7?audience=" + url.QueryEscape(hex.EncodeToString(sum[:])))}
	proven, err := join.Prove(r, trust)
	if err != nil {
		t.Fatal(err)
	}
	if proven.Instance != id || proven.Account != b.identity.credentials.AccountID || proven.Region != "cn-local" || proven.Defect != "" || proven.PrivateIP == "" {
		t.Errorf("proven %+v", proven)
	}
	r.Signature = get("dynamic/instance-identity/pkcs7?audience=another")
	if _, err := join.Prove(r, trust); err == nil {
		t.Error("a signature for another key proves this one")
	}
}

// Machines obey the security groups, rules are changed while they run.
func TestReach(t *testing.T) {
	b := newBench(t, "")
	id := b.running(1)[0]
	check := func(address, want string) {
		t.Helper()
		got := ""
		if err := b.Reach(id, address); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	check("127.0.0.1:6443", "")
	b.control("POST", "security-group", `{"group":"sg-local","to":"127.0.0.1","port":6443}`)
	check("127.0.0.1:6443", "connection timed out")
	check("localhost:6443", "connection timed out")
	check("127.0.0.1:6444", "")
	check("100.100.100.200:80", "")
	b.control("POST", "security-group", `{"group":"sg-local","allow":true,"to":"127.0.0.1","port":6443}`)
	check("127.0.0.1:6443", "")
	b.control("POST", "security-group", `{"group":"sg-local","to":"0.0.0.0/0"}`)
	check("10.1.2.3:443", "connection timed out")
	check("100.100.100.200:80", "")
	b.apply("securityGroups: [{id: sg-local, vpc: vpc-local, enterprise: true, egress: [{policy: Accept, priority: 1, protocol: TCP, ports: 443/443, cidr: 10.0.0.0/8}]}]")
	check("10.1.2.3:443", "")
	check("10.1.2.3:444", "connection timed out")
}
