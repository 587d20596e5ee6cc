package ecs

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/smallstep/pkcs7"
)

// Inside is the region as a machine sees it from inside: the metadata service
// and what the security groups let out.
type Inside struct {
	Region *Region
	Cert   *x509.Certificate
	Key    crypto.PrivateKey
	// secret makes metadata tokens that need no memory.
	token string
}

// NewInside returns the inside of a region with its identity certificate.
func NewInside(r *Region, cert *x509.Certificate, key crypto.PrivateKey) *Inside {
	b := make([]byte, 24)
	_, _ = rand.Read(b)
	return &Inside{Region: r, Cert: cert, Key: key, token: hex.EncodeToString(b)}
}

// Metadata answers one machine's requests to http://100.100.100.200, hardened:
// a token by PUT first.
func (n *Inside) Metadata(id string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := n.token + "-" + id
		if r.URL.Path == "/latest/api/token" {
			ttl, err := strconv.Atoi(r.Header.Get("X-aliyun-ecs-metadata-token-ttl-seconds"))
			if r.Method != http.MethodPut || err != nil || ttl < 1 || ttl > 21600 {
				http.Error(w, "a token is asked for by PUT, with a time to live of 1 to 21600 seconds", http.StatusBadRequest)
				return
			}
			fmt.Fprint(w, token)
			return
		}
		if r.Header.Get("X-aliyun-ecs-metadata-token") != token {
			http.Error(w, "a metadata token is required", http.StatusForbidden)
			return
		}
		n.answer(w, r, id)
	})
}

func (n *Inside) answer(w http.ResponseWriter, r *http.Request, id string) {
	n.Region.mu.Lock()
	i := n.Region.instances[id]
	n.Region.mu.Unlock()
	if i == nil {
		http.NotFound(w, r)
		return
	}
	switch r.URL.Path {
	case "/latest/dynamic/instance-identity/document":
		_, _ = w.Write(n.document(i))
		return
	case "/latest/dynamic/instance-identity/pkcs7":
		signed, err := n.sign(n.document(i), r.URL.Query().Get("audience"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, base64.StdEncoding.EncodeToString(signed))
		return
	case "/latest/user-data":
		_, _ = w.Write(n.Region.Store.userData(i.UserData))
		return
	}
	values := map[string]string{
		"instance-id": i.ID, "region-id": n.Region.Scenario.Region, "zone-id": i.Zone, "private-ipv4": i.IP, "hostname": i.HostName,
		"image-id": i.Image, "instance/instance-type": i.Type, "vpc-id": i.VPC, "vswitch-id": i.VSwitch, "owner-account-id": n.Region.AccountID,
		"serial-number": i.ID, "mac": "00:16:3e:00:00:01", "instance/instance-name": i.Name,
	}
	v, ok := values[strings.TrimPrefix(r.URL.Path, "/latest/meta-data/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, v)
}

// document is the instance's identity, without a time, as the vendor writes it.
func (n *Inside) document(i *Instance) []byte {
	raw, err := json.Marshal(struct {
		Account string `json:"owner-account-id"`
		ID      string `json:"instance-id"`
		MAC     string `json:"mac"`
		Region  string `json:"region-id"`
		Serial  string `json:"serial-number"`
		Zone    string `json:"zone-id"`
		Type    string `json:"instance-type"`
		Image   string `json:"image-id"`
		IP      string `json:"private-ipv4"`
	}{n.Region.AccountID, i.ID, "00:16:3e:00:00:01", n.Region.Scenario.Region, i.ID, i.Zone, i.Type, i.Image, i.IP})
	if err != nil {
		panic(err) // strings only: it cannot fail
	}
	return raw
}

// sign returns the detached PKCS #7 of a document with an audience put before
// its closing brace.
func (n *Inside) sign(document []byte, audience string) ([]byte, error) {
	text := document
	if audience != "" {
		quoted, err := json.Marshal(audience)
		if err != nil {
			return nil, err
		}
		text = append(append([]byte{}, document[:len(document)-1]...), `,"audience":`...)
		text = append(append(text, quoted...), '}')
	}
	s, err := pkcs7.NewSignedData(text)
	if err != nil {
		return nil, fmt.Errorf("sign identity: %w", err)
	}
	s.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := s.AddSigner(n.Cert, n.Key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, fmt.Errorf("sign identity: %w", err)
	}
	s.Detach()
	return s.Finish()
}

var errTimedOut = errors.New("connection timed out")

// Reach says whether the security groups let a machine open a connection.
func (n *Inside) Reach(id, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("no such host: %s", host)
	}
	to, _ := strconv.Atoi(port)
	n.Region.mu.Lock()
	defer n.Region.mu.Unlock()
	i := n.Region.instances[id]
	if i == nil {
		return errTimedOut
	}
	for _, name := range i.Groups {
		g := n.Region.Scenario.securityGroup(name)
		if g == nil {
			continue
		}
		for _, e := range g.Egress {
			if e.covers(ip, to) {
				if e.Policy == "drop" {
					return errTimedOut
				}
				return nil
			}
		}
	}
	return nil
}

func (e EgressRule) covers(ip netip.Addr, port int) bool {
	p, err := netip.ParsePrefix(e.CIDR)
	if err != nil || !p.Contains(ip) {
		return false
	}
	low, high, _ := strings.Cut(e.Ports, "/")
	l, _ := strconv.Atoi(low)
	h, _ := strconv.Atoi(high)
	return l < 0 || (port >= l && port <= h)
}
