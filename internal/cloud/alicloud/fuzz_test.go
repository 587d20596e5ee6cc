package alicloud

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
)

// Whatever a refusal says, it has a code, its texts are bounded, and only an
// answer of this API proves that nothing was done.
func FuzzRefusal(f *testing.F) {
	f.Add(403, []byte(`{"Code":"OperationDenied.NoStock","Message":"sold out","RequestId":"R"}`))
	f.Add(503, []byte(`<html>busy</html>`))
	f.Add(200, []byte(`{"Code":7}`))
	f.Add(400, []byte(`{"Code":"InvalidParameter.NotMatch","Message":"\u0000 bootMode \ud800"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := refusal("Create", status, body)
		if e == nil || e.Fault == nil || e.Fault.Code == "" {
			t.Fatalf("no code: %+v", e)
		}
		if len(e.Fault.WireCode) > maxCode || len(e.Fault.Message) > maxText || len(e.Fault.RequestID) > 64 {
			t.Errorf("not bounded: %d, %d, %d bytes", len(e.Fault.WireCode), len(e.Fault.Message), len(e.Fault.RequestID))
		}
		if !utf8.ValidString(e.Fault.Message) || !utf8.ValidString(e.Fault.WireCode) {
			t.Errorf("not text: %q", e.Fault.Message)
		}
		if e.Outcome == cloud.Refused && !json.Valid(body) {
			t.Error("what is no answer of this API counts as proof that nothing was done")
		}
		if e.Outcome == cloud.Refused && status >= 500 {
			t.Error("a server that says it is broken counts as proof that nothing was done")
		}
	})
}

// Whatever a list shows, it becomes instances that later code can rely on.
func FuzzInstance(f *testing.F) {
	f.Add([]byte(`{"InstanceId":"i-1","ZoneId":"z","Status":"Running","InstanceChargeType":"PrePaid","ExpiredTime":"2026-03-01T12:00Z","CreationTime":"2026-03-01T12:00:00+08:00",
		"VpcAttributes":{"PrivateIpAddress":{"IpAddress":["10.0.0.1"]}},"Tags":{"Tag":[{"TagKey":"a","TagValue":"b"},{"Key":"c","Value":"d"}]},"OperationLocks":{"LockReason":[{"LockReason":"financial"}]}}`))
	f.Add([]byte(`{"SpotStrategy":"SpotWithPriceLimit","SpotPriceLimit":1e308}`))
	f.Add([]byte(`{"SpotStrategy":"SpotWithPriceLimit","SpotPriceLimit":"NaN","CreationTime":"0000-00-00T00:00Z"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var w wireInstance
		if json.Unmarshal(body, &w) != nil {
			return
		}
		i := w.instance()
		if i.ID != w.InstanceID || i.Tags == nil {
			t.Fatalf("%+v became %+v", w, i)
		}
		if _, empty := i.Tags[""]; empty {
			t.Error("a tag without a key")
		}
		if i.ChargeType != cloud.Subscription && !i.ExpiredTime.IsZero() {
			t.Error("only a subscription ends")
		}
		if l := i.CreationTime.Location(); l != time.UTC {
			t.Errorf("a time in %s", l)
		}
		cloud.OriginOf(i.Tags)
	})
}
