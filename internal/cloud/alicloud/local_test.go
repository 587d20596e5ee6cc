package alicloud_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloud/alicloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs"
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

// region is a local cloud with a front that can throttle.
type region struct {
	*ecs.Region
	server    *ecs.Server
	offset    atomic.Int64
	throttled atomic.Bool
}

func (r *region) now() time.Time { return time.Now().Add(time.Duration(r.offset.Load())) }

func (r *region) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if r.throttled.Load() && q.Header.Get("X-Acs-Action") == "RunInstances" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(wireError("Throttling.User"))
		return
	}
	r.server.ServeHTTP(w, q)
}

const scenario = `
region: cn-local
currency: CNY
bootSeconds: 1
zones: [cn-local-a, cn-local-b]
vpcs: [{id: vpc-local, cidr: 10.0.0.0/8}]
vSwitches:
- {id: vsw-a, zone: cn-local-a, vpc: vpc-local, cidr: 10.0.0.0/20}
- {id: vsw-b, zone: cn-local-b, vpc: vpc-local, cidr: 10.0.16.0/20}
securityGroups: [{id: sg-local, vpc: vpc-local}]
keyPairs: [local-key]
images: [{id: img-local, name: Linux, os: Linux 64 bit, arch: x86_64, bootMode: UEFI-Preferred}]
diskCategories: [cloud_essd]
instanceTypes: [{id: ecs.g7.large, vCPU: 2, memoryGiB: 8, price: 0.60}]
stock: {cn-local-a/ecs.g7.large: 2000}
`

func newRegion(t *testing.T) *region {
	t.Helper()
	s, err := ecs.ParseScenario([]byte(scenario))
	if err != nil {
		t.Fatal(err)
	}
	store, err := ecs.OpenStore(filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &region{}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	r.Region, err = ecs.NewRegion(ecs.Options{Scenario: s, AccountID: "1234567890123456", MaxNodes: 3000, Factor: 1, Now: r.now, Store: store, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.PowerOn(bare{}); err != nil {
		t.Fatal(err)
	}
	r.server = &ecs.Server{Region: r.Region, KeyID: "key-id", KeySecret: secret}
	return r
}

// The provider over HTTP, with real signatures, against the local cloud.
func TestConformanceOverTheWire(t *testing.T) {
	cloudtest.Run(t, func(t *testing.T) (cloud.Cloud, cloudtest.Controls) {
		r := newRegion(t)
		srv := httptest.NewServer(r)
		t.Cleanup(srv.Close)
		p, err := alicloud.New(alicloud.Options{
			Region: "cn-local", Endpoint: srv.URL, VPCs: []string{"vpc-local"}, AccessKeyID: "key-id", AccessKeySecret: secret,
			ThrottleWindow: 60 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		var stock sync.Mutex
		return p, cloudtest.Controls{
			Launch: cloud.Launch{
				VSwitch: "vsw-a", Zone: "cn-local-a", InstanceType: "ecs.g7.large", ChargeType: cloud.PayAsYouGo, ImageID: "img-local",
				SystemDisk: cloud.Disk{Category: "cloud_essd", SizeGiB: 40}, SecurityGroups: []string{"sg-local"},
				Tags: cloud.Origin{ClusterID: "cluster", Pool: "web", GroupUID: "group"}.LaunchTags(),
			},
			OtherVSwitch: "vsw-b", AccountID: "1234567890123456",
			SetStock: func(zone, instanceType string, n int) {
				stock.Lock()
				defer stock.Unlock()
				r.Scenario.Stock[zone+"/"+instanceType] = n
			},
			Settle:        func() { r.offset.Add(int64(2 * time.Second)) },
			MakeProtected: func(q cloud.Request) string { return protected(t, p, q) },
			Throttle:      r.throttled.Store,
		}
	})
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
