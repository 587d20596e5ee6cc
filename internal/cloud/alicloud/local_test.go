package alicloud_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloud/alicloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/server"
	"github.com/poolkeeper/poolkeeper/internal/local/machine"
)

// bare runs no machines: what the cloud says of instances is enough here.
type bare struct{}

func (bare) Start(machine.Spec) error { return nil }
func (bare) Stop(string) error        { return nil }
func (bare) Release(string) error     { return nil }
func (bare) Console(string) []byte    { return []byte("login: ") }
func (bare) Exec(context.Context, string, []string) ([]byte, int, error) {
	return nil, 0, machine.ErrUnknown
}

// quick is a scenario without waits.
const quick = `
times: {pending: 0s, starting: 0s, boot: 0s, stop: 0s, release: 0s}
`

// local is a running local cloud.
type local struct {
	*testing.T
	url, token string
	key        server.Credentials
}

func newLocal(t *testing.T) *local {
	t.Helper()
	dir := t.TempDir()
	s, err := server.Open(server.Options{Dir: dir, Scenario: []byte(quick), MaxNodes: 3000})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l, bare{}) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	})
	<-s.Ready()
	c := &local{T: t, url: "http://" + l.Addr().String(), key: s.Credentials()}
	token, err := os.ReadFile(filepath.Join(dir, server.TokenFile))
	if err != nil {
		t.Fatal(err)
	}
	c.token = string(token)
	return c
}

// control uses one control of the cloud.
func (c *local) control(method, path, body string) []byte {
	c.Helper()
	r, err := http.NewRequestWithContext(c.Context(), method, c.url+"/_local/"+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		c.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		c.Fatalf("%s %s: %d %s %v", method, path, a.StatusCode, text, err)
	}
	return text
}

// settle waits until no instance changes any more.
func (c *local) settle() {
	c.Helper()
	again, end := time.NewTicker(2*time.Millisecond), time.After(20*time.Second)
	defer again.Stop()
	for c.moving() {
		select {
		case <-again.C:
		case <-end:
			c.Fatal("after 20 s some instances are still changing")
		}
	}
}

func (c *local) moving() bool {
	c.Helper()
	var all []region.Summary
	if err := json.Unmarshal(c.control("GET", "instances", ""), &all); err != nil {
		c.Fatal(err)
	}
	for _, i := range all {
		if i.Status != "Running" && i.Status != "Stopped" {
			return true
		}
	}
	return false
}

func (c *local) throttle(on bool) {
	c.Helper()
	if on {
		c.control("POST", "faults", `{"action":"RunInstances","code":"Throttling.User"}`)
	} else {
		c.control("DELETE", "faults/all", "")
	}
}

func (c *local) stock(zone, instanceType string, n int) {
	c.Helper()
	c.control("POST", "stock", fmt.Sprintf(`{"zone":%q,"type":%q,"count":%d}`, zone, instanceType, n))
}

// resigned is an address of the cloud at which every request is signed again,
// in the vendor's first way and by its first SDK.
func (c *local) resigned() string {
	c.Helper()
	config := sdk.NewConfig().WithScheme("HTTP").WithAutoRetry(false).WithTimeout(30 * time.Second).WithHttpTransport(&http.Transport{})
	client, err := sdk.NewClientWithOptions("cn-local", config, credentials.NewAccessKeyCredential(c.key.AccessKeyID, c.key.AccessKeySecret))
	if err != nil {
		c.Fatal(err)
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := requests.NewCommonRequest()
		q.Method, q.Scheme, q.Domain = http.MethodPost, "HTTP", strings.TrimPrefix(c.url, "http://")
		q.ApiName, q.Version = r.Header.Get("x-acs-action"), r.Header.Get("x-acs-version")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			c.Error(err)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			c.Error(err)
		}
		for _, values := range []url.Values{r.URL.Query(), form} {
			for k, v := range values {
				q.FormParams[k] = v[0]
			}
		}
		a, err := client.ProcessCommonRequest(q)
		if a == nil || a.GetHttpStatus() == 0 {
			c.Errorf("%s by the first signature: %v", q.ApiName, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.GetHttpStatus())
		_, _ = w.Write(a.GetHttpContentBytes())
	}))
	c.Cleanup(front.Close)
	return front.URL
}

// The provider over HTTP, with real signatures, against the local cloud.
func TestConformanceOverTheWire(t *testing.T) {
	for name, endpoint := range map[string]func(*local) string{
		"ACS3-HMAC-SHA256": func(c *local) string { return c.url },
		"HMAC-SHA1":        (*local).resigned,
	} {
		t.Run(name, func(t *testing.T) {
			cloudtest.Run(t, func(t *testing.T) (cloud.Cloud, cloudtest.Controls) {
				c := newLocal(t)
				return c.provider(endpoint(c))
			})
		})
	}
}

func (c *local) provider(endpoint string) (cloud.Cloud, cloudtest.Controls) {
	c.Helper()
	p, err := alicloud.New(alicloud.Options{Region: "cn-local", Endpoint: endpoint, VPCs: []string{"vpc-local"},
		AccessKeyID: c.key.AccessKeyID, AccessKeySecret: c.key.AccessKeySecret, ThrottleWindow: 60 * time.Millisecond})
	if err != nil {
		c.Fatal(err)
	}
	return p, cloudtest.Controls{
		Launch: cloud.Launch{VSwitch: "vsw-a", Zone: "cn-local-a", InstanceType: "ecs.g7.large", ChargeType: cloud.PayAsYouGo,
			ImageID: "aliyun_3_x64_20G_local.vhd", SystemDisk: cloud.Disk{Category: "cloud_essd", SizeGiB: 40}, SecurityGroups: []string{"sg-local"},
			Tags: cloud.Origin{ClusterID: "cluster", Pool: "web", GroupUID: "group"}.LaunchTags()},
		OtherVSwitch: "vsw-b", AccountID: c.key.AccountID,
		SetStock: c.stock, Settle: c.settle, Throttle: c.throttle,
		MakeProtected: func(q cloud.Request) string { return protected(c.T, p, q) },
	}
}

// protected creates an instance with one more parameter than we ever write.
func protected(t *testing.T, p *alicloud.Provider, q cloud.Request) string {
	t.Helper()
	var body struct {
		Form   int               `json:"form"`
		Params map[string]string `json:"params"`
	}
	err := json.Unmarshal(q.Body, &body)
	if err != nil {
		t.Fatal(err)
	}
	body.Params["DeletionProtection"] = "true"
	if q.Body, err = json.Marshal(body); err != nil {
		t.Fatal(err)
	}
	ids, err := p.Create(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}
