package alicloud

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
)

// parrot answers every request alike.
type parrot struct {
	status int
	body   []byte
}

func (p parrot) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: p.status, Status: fmt.Sprint(p.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(p.body)), ContentLength: int64(len(p.body))}, nil
}

// asked are all calls that read an answer, by name.
func asked(p *Provider) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"List":          func(ctx context.Context) error { _, err := p.List(ctx); return err },
		"Find":          func(ctx context.Context) error { _, err := p.Find(ctx, "i-1"); return err },
		"BootLog":       func(ctx context.Context) error { _, err := p.BootLog(ctx, "i-1"); return err },
		"Release":       func(ctx context.Context) error { return p.Release(ctx, "i-1", "i-2") },
		"Tag":           func(ctx context.Context) error { return p.Tag(ctx, map[string]string{"k": "v"}, "i-1") },
		"Untag":         func(ctx context.Context) error { return p.Untag(ctx, []string{"k"}, "i-1", "i-2") },
		"ID":            func(ctx context.Context) error { _, err := p.ID(ctx); return err },
		"HasRole":       func(ctx context.Context) error { _, err := p.HasRole(ctx, "r"); return err },
		"VSwitches":     func(ctx context.Context) error { _, err := p.VSwitches(ctx); return err },
		"Images":        func(ctx context.Context) error { _, err := p.Images(ctx, "img"); return err },
		"Groups":        func(ctx context.Context) error { _, err := p.SecurityGroups(ctx, "sg-1"); return err },
		"InstanceTypes": func(ctx context.Context) error { _, err := p.InstanceTypes(ctx); return err },
		"KeyPairs":      func(ctx context.Context) error { _, err := p.KeyPairs(ctx); return err },
		"Fits": func(ctx context.Context) error {
			_, err := p.Fits(ctx, "img", []cloud.Disk{{Category: "cloud_essd", SizeGiB: 40}}, "ecs.g7.large")
			return err
		},
		"Sold": func(ctx context.Context) error {
			_, err := p.Sold(ctx, cloud.Spot, "cloud_essd", "z")
			return err
		},
		"ResourcePools": func(ctx context.Context) error {
			list, err := p.ResourcePools(ctx, []string{"vsw-1"}, []string{"ecs.g7.large"}, cloud.PayAsYouGo, cloud.Spot)
			for _, r := range list {
				if r.Price.Micros < 0 {
					return fmt.Errorf("a price below nothing: %+v", r)
				}
			}
			return err
		},
	}
}

// Whatever comes back, each call ends with a value or with an error that has a
// code and says what it proves; a creation never succeeds without an instance;
// half a page is no page.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"RequestId":"R","InstanceIdSets":{"InstanceIdSet":["i-1"]}}`, `{"InstanceIdSets":{"InstanceIdSet":[]}}`, `{"Code":"OperationDenied.NoStock","Message":"none"}`,
		string(page(2)), `{"ConsoleOutput":"aGk="}`, `{"AccountId":"1234567890123456"}`, `{"TotalCount":900,"PageNumber":1,"PageSize":50,"VSwitches":{"VSwitch":[{"VSwitchId":"vsw-1","ZoneId":"z","AvailableIpAddressCount":-3}]}}`,
		`{"NextToken":"x","InstanceTypes":{"InstanceType":[{"InstanceTypeId":"ecs.g7.large","CpuCoreCount":2,"MemorySize":8.5}]}}`,
		`{"AvailableZones":{"AvailableZone":[{"ZoneId":"z","Status":"Available","AvailableResources":{"AvailableResource":[{"Type":"InstanceType","SupportedResources":{"SupportedResource":[{"Value":"ecs.g7.large","StatusCategory":"WithStock"}]}}]}}]}}`,
		`{"PriceInfo":{"Price":{"Currency":"CNY","TradePrice":1e300}}}`, `{"SpotPrices":{"SpotPriceType":[{"ZoneId":"z","SpotPrice":-1,"Timestamp":"x"}]}}`, `null`, `[]`, `{"Instances":7}`,
	} {
		f.Add(200, []byte(body))
	}
	f.Add(503, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 100 || status > 999 {
			return
		}
		p, err := New(Options{Region: "cn-test", AccessKeyID: "id", AccessKeySecret: "secret", Transport: parrot{status, body}, ReadTries: 1,
			Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for name, call := range asked(p) {
			proves(t, name, call(ctx))
		}
		ids, err := p.Create(ctx, cloud.Request{Body: []byte(`{"form":1,"params":{"ImageId":"img"}}`), Amount: 1, Token: "t"})
		proves(t, "Create", err)
		if (err == nil) == (len(ids) == 0) {
			t.Errorf("Create gave %v and %v", ids, err)
		}
		var whole instancePage
		if unmarshal(body, &whole) == nil && !json.Valid(body) {
			t.Errorf("took a page that is none: %q", body)
		}
		if ctx.Err() != nil {
			t.Error("the calls do not end")
		}
	})
}

// proves fails where an error has no code, or proves too much.
func proves(t *testing.T, call string, err error) {
	t.Helper()
	var e *cloud.Error
	if err == nil {
		return
	}
	if !errors.As(err, &e) || e.Fault == nil || e.Fault.Code == "" || e.Outcome == "" {
		t.Errorf("%s: an error without a code: %v", call, err)
	}
}
