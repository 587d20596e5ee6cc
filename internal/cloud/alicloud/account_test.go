package alicloud_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloud/alicloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Credentials that change between two calls are those of another account until
// the cloud has said whose they are.
func TestCredentialsAreComparedWhenTheyChange(t *testing.T) {
	var w *world
	w = newWorld(t, func(action string, _ url.Values) (int, any) {
		if action == "RunInstances" {
			return 200, created("i-1")
		}
		w.wire.mu.Lock()
		defer w.wire.mu.Unlock()
		signed := w.wire.headers[len(w.wire.headers)-1].Get("Authorization")
		if strings.Contains(signed, "Credential=theirs,") {
			return 200, map[string]any{"AccountId": "666"}
		}
		return 200, map[string]any{"AccountId": "42"}
	}, func(o *alicloud.Options) { o.AccessKeyID, o.AccessKeySecret = "", "" })
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "ours")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", secret)
	ctx := cloud.WithAccount(t.Context(), "42")
	for range 3 {
		if _, err := w.Create(ctx, request(t, w.Provider)); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.wire.calls(); n["RunInstances"] != 3 || n["GetCallerIdentity"] != 1 {
		t.Errorf("calls %v", n)
	}
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "theirs")
	_, err := w.Create(ctx, request(t, w.Provider))
	if cloud.Classify(err) != cloud.NotSent || fault.CodeOf(err) != fault.AccountChanged {
		t.Errorf("%v", err)
	}
	if err := w.Release(ctx, "i-1"); fault.CodeOf(err) != fault.AccountChanged {
		t.Errorf("%v", err)
	}
	if err := w.Allow(t.Context(), "666"); err != nil {
		t.Errorf("%v", err)
	}
	if n := w.wire.calls(); n["RunInstances"] != 3 || n["DeleteInstances"] != 0 || n["GetCallerIdentity"] != 2 {
		t.Errorf("calls %v", n)
	}
}

func TestMutationWaitsForTheAccount(t *testing.T) {
	w := newWorld(t, func(string, url.Values) (int, any) { return 500, wireError("InternalError") })
	_, err := w.Create(cloud.WithAccount(t.Context(), "42"), request(t, w.Provider))
	if cloud.Classify(err) != cloud.NotSent || w.wire.calls()["RunInstances"] != 0 {
		t.Errorf("%s, %v: %v", cloud.Classify(err), w.wire.calls(), err)
	}
}
