package up

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/process"
)

// The names of the children, as people read them.
const (
	planeName      = "control plane"
	cloudName      = "local cloud"
	controllerName = "controller"
)

// credentials is an access key that the local cloud knows.
type credentials struct {
	AccessKeyID     string `json:"accessKeyId"`
	AccessKeySecret string `json:"accessKeySecret"`
	AccountID       string `json:"accountId"`
	RegionID        string `json:"regionId"`
}

// The files of the two access keys: that of the region's own account, and that
// of another one.
const (
	ownKey   = "credentials.json"
	otherKey = "other-credentials.json"
)

func readCredentials(dir, file string) (credentials, error) {
	var c credentials
	text, err := os.ReadFile(filepath.Join(dir, "cloud", file))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("read credentials of the local cloud: %w", err)
	}
	return c, nil
}

func (r *region) planeCommand() (args, env []string) {
	beat := HeartbeatsFor(r.MostNodesEver)
	return []string{
		r.o.Plane, "--dir", r.o.Dir, "--port", strconv.Itoa(r.PortBase),
		"--node-monitor-grace-period", beat.Grace.String(),
	}, nil
}

func (r *region) cloudCommand() (args, env []string) {
	args = []string{
		r.o.Self, "local", "cloud", "--dir", filepath.Join(r.o.Dir, "cloud"), "--listen", r.cloud(), "--region", RegionID,
		"--max-nodes", strconv.Itoa(r.MaxNodes), "--api-server", r.apiServer(),
	}
	if r.Scenario != "" {
		args = append(args, "--scenario", r.Scenario)
	}
	return append(args, r.factor()...), nil
}

func (r *region) controllerCommand() (args, env []string) {
	key, err := readCredentials(r.o.Dir, keyInUse(r.o.Dir))
	if err != nil {
		r.term.say("controller: %v", err)
	}
	args = []string{
		r.o.Self, "controller", "--kubeconfig", r.path("controller", "kubeconfig"),
		"--cloud-endpoint", "http://" + r.cloud(), "--region", RegionID,
		"--identity-certificate", r.path("cloud", "identity.crt"),
		"--metrics-bind-address", r.metrics(), "--health-probe-bind-address", r.health(),
		"--node-lease-duration", HeartbeatsFor(r.MaxNodes).Lease.String(),
	}
	for _, name := range slices.Sorted(maps.Keys(r.Ceilings)) {
		args = append(args, "--"+name, r.Ceilings[name])
	}
	env = []string{"ALIBABA_CLOUD_ACCESS_KEY_ID=" + key.AccessKeyID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + key.AccessKeySecret}
	return append(args, r.factor()...), env
}

// factor passes the divisor of all waits down, where there is one.
func (r *region) factor() []string {
	if r.TimeFactor == 1 {
		return nil
	}
	return []string{"--time-factor", strconv.FormatFloat(r.TimeFactor, 'g', -1, 64)}
}

// probeTime bounds one look whether a server is ready.
const probeTime = 2 * time.Second

func probePlane(dir string, r Region) func(context.Context) error {
	return func(ctx context.Context) error {
		ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
		if err != nil {
			return err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		t := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		return process.Ask(ctx, t, "https://"+r.apiServer()+"/readyz")
	}
}

func probeHTTP(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		return process.Ask(ctx, &http.Transport{DisableKeepAlives: true}, url)
	}
}

func probeCloud(r Region) func(context.Context) error {
	return probeHTTP("http://" + r.cloud() + "/_local/healthz")
}

func probeController(r Region) func(context.Context) error {
	return probeHTTP("http://" + r.health() + "/readyz")
}
