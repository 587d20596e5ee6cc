package server

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloud/alicloud"
	"github.com/poolkeeper/poolkeeper/internal/cloudtest"
)

// Our own provider is held to its contract against this cloud.
func TestProvider(t *testing.T) {
	cloudtest.Run(t, func(t *testing.T) (cloud.Cloud, cloudtest.Controls) {
		b := newBench(t, "")
		key := b.identity.credentials
		p, err := alicloud.New(alicloud.Options{Region: "cn-local", Endpoint: b.url, VPCs: []string{"vpc-local"},
			AccessKeyID: key.AccessKeyID, AccessKeySecret: key.AccessKeySecret, ThrottleWindow: 60 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return p, cloudtest.Controls{
			Launch: cloud.Launch{VSwitch: "vsw-a", Zone: "cn-local-a", InstanceType: "ecs.g7.large", ChargeType: cloud.PayAsYouGo,
				ImageID: "aliyun_3_x64_20G_local.vhd", SystemDisk: cloud.Disk{Category: "cloud_essd", SizeGiB: 40}, SecurityGroups: []string{"sg-local"},
				Tags: cloud.Origin{ClusterID: "cluster", Pool: "web", GroupUID: "group"}.LaunchTags()},
			OtherVSwitch: "vsw-b", AccountID: key.AccountID,
			SetStock: func(zone, instanceType string, n int) {
				change, _ := json.Marshal(map[string]any{"zone": zone, "type": instanceType, "count": n})
				b.control("POST", "stock", string(change))
			},
			Settle: func() {
				b.until("all instances run or are gone", func() bool {
					still := 0
					_ = b.settle(func() {
						for _, i := range b.region.List() {
							if i.Status == "Pending" || i.Status == "Starting" || i.Status == "Stopping" {
								still++
							}
						}
					})
					return still == 0
				})
			},
			MakeProtected: func(q cloud.Request) string {
				var body struct {
					Form   int               `json:"form"`
					Params map[string]string `json:"params"`
				}
				if err := json.Unmarshal(q.Body, &body); err != nil {
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
			},
			Throttle: func(on bool) {
				if on {
					b.control("POST", "faults", `{"action":"RunInstances","code":"Throttling.User"}`)
				} else {
					b.control("DELETE", "faults/all", "")
				}
			},
		}
	})
}
