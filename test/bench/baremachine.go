package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"

	certificates "k8s.io/api/certificates/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
)

const (
	pathRequests = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	pathNodes    = "/api/v1/nodes"
	pathLeases   = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
)

// bareMachine makes the calls of a machine that joins, and no others.
type bareMachine struct {
	*joining
	name string
}

// joining is what all bare machines of one round have in common.
type joining struct {
	address, pool, token string
	authorities          *x509.CertPool
	// document and signature stand for the identity: as long as real ones,
	// and proven by nobody.
	document, signature string
}

// join goes from nothing to Ready: GET /version; file a certificate request
// and watch it on the same connection; register, report ready and make the
// lease as the node, on a second one; see that it is Ready, on a third.
func (m *bareMachine) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, machineTime)
	defer cancel()
	pair, err := m.admitted(ctx)
	if err != nil {
		return fmt.Errorf("machine %s: %w", m.name, err)
	}
	if err := m.register(ctx, pair); err != nil {
		return fmt.Errorf("machine %s: %w", m.name, err)
	}
	return nil
}

func (m *bareMachine) tls(pair *tls.Certificate) *tls.Config {
	c := &tls.Config{RootCAs: m.authorities, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if pair != nil {
		c.Certificates = []tls.Certificate{*pair}
	}
	return c
}

// admitted gets a certificate with the join credential.
func (m *bareMachine) admitted(ctx context.Context) (*tls.Certificate, error) {
	c, err := dial(ctx, m.address, m.tls(nil), m.token)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.call(http.MethodGet, "/version", "", nil); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	body, err := m.request(key)
	if err != nil {
		return nil, err
	}
	answer, err := c.call(http.MethodPost, pathRequests, asJSON, body)
	if err != nil {
		return nil, err
	}
	var filed certificates.CertificateSigningRequest
	if err := json.Unmarshal(answer, &filed); err != nil {
		return nil, fmt.Errorf("read filed request: %w", err)
	}
	var signed []byte
	where := fmt.Sprintf("%s?watch=1&fieldSelector=metadata.name%%3D%s&resourceVersion=%s&timeoutSeconds=300", pathRequests, filed.Name, filed.ResourceVersion)
	err = c.watch(where, func(b json.RawMessage) (bool, error) {
		var csr struct{ Status struct{ Certificate []byte } }
		err := json.Unmarshal(b, &csr)
		signed = csr.Status.Certificate
		return len(signed) > 0, err
	})
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(signed, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	return &pair, err
}

// request is the certificate request of the join script.
func (m *bareMachine) request(key *ecdsa.PrivateKey) ([]byte, error) {
	subject := pkix.Name{Organization: []string{bootstrap.Organization}, CommonName: bootstrap.CommonNamePrefix + m.name}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
		"metadata": map[string]any{"generateName": bootstrap.RequestPrefix(m.pool), "annotations": map[string]string{
			bootstrap.AnnotationDocument: m.document, bootstrap.AnnotationSignature: m.signature}},
		"spec": map[string]any{"request": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			"signerName": bootstrap.Signer, "usages": bootstrap.Usages()},
	})
}

// identityOf gives text of the length of base64 of so many bytes.
func identityOf(bytes int) string { return base64.StdEncoding.EncodeToString(make([]byte, bytes)) }

// register makes the Node and its lease, says that it is ready, and waits until
// the API server shows it.
func (m *bareMachine) register(ctx context.Context, pair *tls.Certificate) error {
	c, err := dial(ctx, m.address, m.tls(pair), "")
	if err != nil {
		return err
	}
	defer c.Close()
	body, err := encode("v1", "Node", m.node())
	if err != nil {
		return err
	}
	answer, err := c.call(http.MethodPost, pathNodes, asProtobuf, body)
	if err != nil {
		return err
	}
	var n core.Node
	if err := decode(answer, &n); err != nil {
		return err
	}
	now := meta.Now()
	ready, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []core.NodeCondition{
		{Type: core.NodeReady, Status: core.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status", LastHeartbeatTime: now, LastTransitionTime: now}}}})
	if err != nil {
		return err
	}
	if _, err := c.call(http.MethodPatch, pathNodes+"/"+m.name+"/status", asMerge, ready); err != nil {
		return err
	}
	if body, err = encode("coordination.k8s.io/v1", "Lease", m.lease(&n)); err != nil {
		return err
	}
	if _, err := c.call(http.MethodPost, pathLeases, asProtobuf, body); err != nil {
		return err
	}
	return m.seen(ctx, pair)
}

// seen watches the Node, as the script does, until it is Ready.
func (m *bareMachine) seen(ctx context.Context, pair *tls.Certificate) error {
	c, err := dial(ctx, m.address, m.tls(pair), "")
	if err != nil {
		return err
	}
	defer c.Close()
	return c.watch(pathNodes+"?watch=1&fieldSelector=metadata.name%3D"+m.name+"&timeoutSeconds=300", func(b json.RawMessage) (bool, error) {
		return strings.Contains(string(b), `"type":"Ready","status":"True"`), nil
	})
}

func (m *bareMachine) node() *core.Node {
	now := meta.Now()
	condition := func(t core.NodeConditionType, reason string) core.NodeCondition {
		return core.NodeCondition{Type: t, Status: core.ConditionFalse, Reason: reason, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	capacity := core.ResourceList{
		core.ResourceCPU: resource.MustParse("4"), core.ResourceMemory: resource.MustParse("16Gi"),
		core.ResourcePods: resource.MustParse("110"), core.ResourceEphemeralStorage: resource.MustParse("40Gi"),
	}
	return &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: m.name, Labels: map[string]string{
			core.LabelHostname: m.name, core.LabelOSStable: "linux", core.LabelArchStable: "amd64",
			core.LabelTopologyRegion: "cn-local", core.LabelTopologyZone: "cn-local-a", core.LabelInstanceTypeStable: "ecs.g7.xlarge",
			v1alpha1.LabelPool: m.pool}},
		Spec: core.NodeSpec{ProviderID: "cn-local." + m.name},
		Status: core.NodeStatus{Capacity: capacity, Allocatable: capacity,
			Conditions: []core.NodeCondition{condition(core.NodeMemoryPressure, "KubeletHasSufficientMemory"), condition(core.NodeDiskPressure, "KubeletHasNoDiskPressure"),
				condition(core.NodePIDPressure, "KubeletHasSufficientPID"), condition(core.NodeReady, "KubeletNotReady")},
			Addresses: []core.NodeAddress{{Type: core.NodeInternalIP, Address: "10.0.0.7"}, {Type: core.NodeHostName, Address: m.name}},
			NodeInfo: core.NodeSystemInfo{MachineID: m.name, SystemUUID: m.name, BootID: m.name, KernelVersion: "5.10", OSImage: "bare",
				ContainerRuntimeVersion: "containerd://2.1.4", KubeletVersion: "v1.37.2", OperatingSystem: "linux", Architecture: "amd64"}},
	}
}

func (m *bareMachine) lease(n *core.Node) *coordination.Lease {
	now, seconds := meta.NowMicro(), int32(40)
	return &coordination.Lease{
		ObjectMeta: meta.ObjectMeta{Name: m.name, Namespace: "kube-node-lease",
			OwnerReferences: []meta.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID}}},
		Spec: coordination.LeaseSpec{HolderIdentity: &m.name, LeaseDurationSeconds: &seconds, RenewTime: &now},
	}
}
