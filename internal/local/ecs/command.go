package ecs

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/local/machine"
)

// Credentials are what a client signs with.
type Credentials struct {
	AccessKeyID     string `json:"accessKeyId"`
	AccessKeySecret string `json:"accessKeySecret"`
	AccountID       string `json:"accountId"`
	RegionID        string `json:"regionId"`
}

type flags struct {
	dir, listen, region, apiServer, scenario string
	maxNodes                                 int
	factor                                   float64
}

// NewCommand returns the subcommand that serves a local cloud until it is told
// to end. People start it through `local up`.
func NewCommand() *cobra.Command {
	f := flags{}
	c := &cobra.Command{Use: "cloud", Hidden: true, Short: "Serve the local cloud", Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return serve(ctx, f)
		}}
	fs := c.Flags()
	fs.StringVar(&f.dir, "dir", "", "directory that holds the state")
	fs.StringVar(&f.listen, "listen", "127.0.0.1:7444", "address to serve on; loopback only")
	fs.StringVar(&f.region, "region", "cn-local", "name of the region")
	fs.StringVar(&f.apiServer, "api-server", "127.0.0.1:7443", "address of the API server that machines join")
	fs.StringVar(&f.scenario, "scenario", "", "file that says what the region sells")
	fs.IntVar(&f.maxNodes, "max-nodes", 500, "the most instances that the region holds")
	fs.Float64Var(&f.factor, "time-factor", 1, "divide every wait by this")
	return c
}

func serve(ctx context.Context, f flags) error {
	host, _, err := net.SplitHostPort(f.listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("listen on %s: the local cloud serves loopback only", f.listen)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	scenario, err := f.sold()
	if err != nil {
		return err
	}
	cred, err := openCredentials(filepath.Join(f.dir, "credentials.json"), f.region)
	if err != nil {
		return err
	}
	cert, key, err := openIdentity(f.dir)
	if err != nil {
		return err
	}
	store, err := OpenStore(filepath.Join(f.dir, "state.db"))
	if err != nil {
		return err
	}
	defer store.Close()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	region, err := NewRegion(Options{Scenario: scenario, AccountID: cred.AccountID, MaxNodes: f.maxNodes, Factor: f.factor, Now: time.Now, Store: store, Log: log})
	if err != nil {
		return err
	}
	machines := machine.NewSimulator(machine.SimulatorOptions{Cloud: NewInside(region, cert, key), Disks: store,
		Logger: logr.FromSlogHandler(log.Handler()), TimeFactor: f.factor})
	defer machines.Close()
	if err := region.PowerOn(machines); err != nil {
		log.Error("some machines did not start", "error", err)
	}
	token, err := openToken(filepath.Join(f.dir, "control-token"))
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", f.listen, err)
	}
	s := &http.Server{Handler: &Server{Region: region, KeyID: cred.AccessKeyID, KeySecret: cred.AccessKeySecret, Control: newControl(region, token)},
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute}
	go func() {
		<-ctx.Done()
		_ = s.Close()
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// sold is the scenario that the flags name, or the region's own.
func (f flags) sold() (*Scenario, error) {
	text := defaultScenario
	if f.scenario != "" {
		var err error
		if text, err = os.ReadFile(f.scenario); err != nil {
			return nil, fmt.Errorf("read scenario: %w", err)
		}
	}
	s, err := ParseScenario(text)
	if err != nil {
		return nil, err
	}
	s.Region = f.region
	return s, nil
}

func openCredentials(path, region string) (Credentials, error) {
	var c Credentials
	raw, err := os.ReadFile(path)
	if err == nil {
		return c, json.Unmarshal(raw, &c)
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1e15))
	if err != nil {
		return c, err
	}
	c = Credentials{AccessKeyID: "LTAI5t" + random(9), AccessKeySecret: random(15), AccountID: fmt.Sprintf("1%015d", n), RegionID: region}
	if raw, err = json.MarshalIndent(c, "", "  "); err != nil {
		return c, err
	}
	return c, os.WriteFile(path, raw, 0o600)
}

func openToken(path string) (string, error) {
	if raw, err := os.ReadFile(path); err == nil && len(raw) > 0 {
		return string(raw), nil
	}
	t := random(24)
	return t, os.WriteFile(path, []byte(t), 0o600)
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// openIdentity opens or makes the certificate that identity documents are
// signed with.
func openIdentity(dir string) (*x509.Certificate, *rsa.PrivateKey, error) {
	certFile, keyFile := filepath.Join(dir, "identity.crt"), filepath.Join(dir, "identity.key")
	if _, err := os.Stat(certFile); err != nil {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, nil, err
		}
		t := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "poolkeeper local region identity"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(20, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature}
		der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
		if err != nil {
			return nil, nil, err
		}
		if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600); err != nil {
			return nil, nil, err
		}
		if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
			return nil, nil, err
		}
	}
	rawCert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, nil, err
	}
	rawKey, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, nil, err
	}
	c, _ := pem.Decode(rawCert)
	k, _ := pem.Decode(rawKey)
	if c == nil || k == nil {
		return nil, nil, fmt.Errorf("read %s: no PEM", certFile)
	}
	cert, err := x509.ParseCertificate(c.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS1PrivateKey(k.Bytes)
	return cert, key, err
}
