package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	auditpolicy "k8s.io/apiserver/pkg/audit/policy"
)

func TestKeysAreMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	p, err := openPKI(dir)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(p.file("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	for _, l := range leaves {
		pair, err := tls.LoadX509KeyPair(p.file(l.name+".crt"), p.file(l.name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: l.cert.ExtKeyUsage})
		if signed := err == nil; signed != (l.by == clusterCA) {
			t.Errorf("%s: signed by the cluster's CA %v, %v", l.name, signed, err)
		}
		if info, err := os.Stat(p.file(l.name + ".key")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("key of %s: %v, %v", l.name, info.Mode(), err)
		}
	}
	serving, _ := tls.LoadX509KeyPair(p.file("apiserver.crt"), p.file("apiserver.key"))
	if err := serving.Leaf.VerifyHostname(net.IPv4(127, 0, 0, 1).String()); err != nil {
		t.Error(err)
	}
	// A crash between key and certificate leaves a key alone; both are made anew.
	if err := os.Remove(p.file("admin.crt")); err != nil {
		t.Fatal(err)
	}
	if _, err := openPKI(dir); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(p.file("ca.crt")); err != nil || !bytes.Equal(ca, again) {
		t.Errorf("the CA was not kept: %v", err)
	}
}

func TestOptionsSayWhatIsWrong(t *testing.T) {
	cases := map[string]struct {
		args string
		want string
	}{
		"no directory":     {"", "--dir is required"},
		"port 0":           {"--dir x --port 0", "--port 0 is not between"},
		"a short grace":    {"--dir x --node-monitor-grace-period 1s", "is less than 2s"},
		"an argument":      {"--dir x y", `unknown argument "y"`},
		"an unknown flag":  {"--dir x --nothing", "unknown flag"},
		"several problems": {"--port 99999", "--port 99999 is not"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := parseOptions(strings.Fields(c.args)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	o, err := parseOptions([]string{"--dir", "x"})
	if err != nil || !filepath.IsAbs(o.dir) || o.noSync || o.grace != 50*time.Second {
		t.Errorf("options %+v, %v", o, err)
	}
}

func TestDirectoryIsHeldByOne(t *testing.T) {
	dir := t.TempDir()
	s, err := openState(options{dir: dir, port: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openState(options{dir: dir, port: 1}); err == nil || !strings.Contains(err.Error(), "is held by process") {
		t.Errorf("second: %v", err)
	}
	s.close()
	if s, err = openState(options{dir: dir, port: 1}); err != nil {
		t.Fatal(err)
	}
	s.close()
	if info, err := os.Stat(s.path("admin.kubeconfig")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v, %v", info, err)
	}
}

func TestLongPathsGetASocketThatIsOurs(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := &state{dir: "/" + strings.Repeat("x", 200)}
	p, err := s.socket("etcd")
	if err != nil || len(p) > longestSocket+8 {
		t.Fatalf("socket %q, %v", p, err)
	}
	if err := os.Chmod(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.socket("etcd"); err == nil || !strings.Contains(err.Error(), "open to others") {
		t.Errorf("a directory open to others: %v", err)
	}
}

func TestAuditPolicyIsValid(t *testing.T) {
	if _, err := auditpolicy.LoadPolicyFromBytes([]byte(auditPolicy)); err != nil {
		t.Error(err)
	}
}
