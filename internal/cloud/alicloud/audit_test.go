package alicloud_test

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloud/alicloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Each send that may have changed something is audited once, with its cause,
// what was asked for, what came of it, and the cloud's request ID; a read is
// not, and no secret is told.
func TestEachMutationIsAudited(t *testing.T) {
	var told []alicloud.Mutation
	var trouble atomic.Value // an action, and what its answer comes to
	trouble.Store("")
	w := newWorld(t, func(action string, _ url.Values) (int, any) {
		switch {
		case trouble.Load() == action+" refused":
			return 403, wireError("Forbidden.RAM")
		case trouble.Load() == action+" lost":
			return 0, nil
		case action == "RunInstances":
			return 200, created("i-1", "i-2")
		}
		return 200, map[string]any{"RequestId": "R-1"}
	}, func(o *alicloud.Options) { o.Audit = func(m alicloud.Mutation) { told = append(told, m) } })
	ctx := cloud.WithCause(t.Context(), "activity web-a1: expected number 1 -> 3 by ann")
	create := request(t, w.Provider)
	create.UserData = []byte("join-credential")
	calls := map[string]func(context.Context) error{
		"RunInstances":             func(ctx context.Context) error { _, err := w.Create(ctx, create); return err },
		"DeleteInstances":          func(ctx context.Context) error { return w.Release(ctx, "i-1", "i-2") },
		"TagResources":             func(ctx context.Context) error { return w.Tag(ctx, map[string]string{"k": "planted-value"}, "i-1") },
		"UntagResources":           func(ctx context.Context) error { return w.Untag(ctx, []string{"k"}, "i-1") },
		"ModifyInstanceChargeType": func(ctx context.Context) error { return w.Convert(ctx, "i-1", cloud.PayAsYouGo, cloud.Period{}) },
		"RenewInstance": func(ctx context.Context) error {
			return w.Renew(ctx, "i-1", cloud.Period{Unit: "Month", Count: 1}, "tok")
		},
	}
	for action, call := range calls {
		for _, c := range []struct {
			what   string
			result cloud.Outcome
			code   fault.Code
			id     string
		}{{"done", cloud.Done, "", "R-1"}, {"refused", cloud.Refused, fault.ForbiddenRAM, "R-1"}, {"lost", cloud.Unknown, fault.CloudNoAnswer, ""}} {
			t.Run(action+" "+c.what, func(t *testing.T) {
				told = nil
				trouble.Store(action + " " + c.what)
				if err := call(ctx); (err == nil) != (c.what == "done") {
					t.Fatal(err)
				}
				if len(told) != 1 {
					t.Fatalf("audited %d times: %+v", len(told), told)
				}
				m := told[0]
				if m.Action != action || m.Cause != cloud.CauseOf(ctx) || m.AccessKeyID != "key-id" || m.Result != c.result || m.Code != string(c.code) || m.RequestID != c.id || len(m.What) == 0 {
					t.Errorf("%+v", m)
				}
				if action == "RunInstances" && c.what == "done" && !slices.Equal(m.Created, []string{"i-1", "i-2"}) {
					t.Errorf("created: %v", m.Created)
				}
				text, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range []string{secret, "join-credential", "am9pbi1jcmVkZW50aWFs", "planted-value"} {
					if strings.Contains(string(text), s) {
						t.Errorf("%q stands in %s", s, text)
					}
				}
			})
		}
	}
	told = nil
	if _, err := w.Find(ctx, "i-1"); err != nil || len(told) > 0 {
		t.Errorf("a read: %v, %+v", err, told)
	}
}

// What is asked for is told by the parameters that say it, and by no other.
func TestTheAuditSaysWhatWasAskedFor(t *testing.T) {
	var told alicloud.Mutation
	w := newWorld(t, func(string, url.Values) (int, any) { return 200, created("i-1") }, func(o *alicloud.Options) {
		o.Audit = func(m alicloud.Mutation) { told = m }
	})
	if _, err := w.Create(t.Context(), request(t, w.Provider)); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"Amount": "7", "ClientToken": "tok-1", "VSwitchId": "vsw-1", "InstanceType": "ecs.g7.large", "InstanceChargeType": "PostPaid", "SpotStrategy": "SpotWithPriceLimit"}
	if diff := cmp.Diff(want, told.What); diff != "" {
		t.Error(diff)
	}
}
