package controller

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// reviews is an API server that knows two tokens, one of which may get /metrics.
func reviews(t *testing.T) *rest.Config {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var answer any
		switch r.URL.Path {
		case "/apis/authentication.k8s.io/v1/tokenreviews":
			var q authenticationv1.TokenReview
			_ = json.NewDecoder(r.Body).Decode(&q)
			q.Status.Authenticated = q.Spec.Token == "prometheus" || q.Spec.Token == "somebody"
			q.Status.User.Username = q.Spec.Token
			answer = q
		case "/apis/authorization.k8s.io/v1/subjectaccessreviews":
			var q authorizationv1.SubjectAccessReview
			_ = json.NewDecoder(r.Body).Decode(&q)
			asked := q.Spec.NonResourceAttributes
			q.Status.Allowed = q.Spec.User == "prometheus" && asked != nil && asked.Path == "/metrics" && asked.Verb == "get"
			answer = q
		default:
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return &rest.Config{Host: s.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
}

// serve starts metrics as they are served at an address, on loopback.
func serve(t *testing.T, address string) (host string) {
	t.Helper()
	cfg := reviews(t)
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	o := metricsAt(address, t.TempDir())
	o.BindAddress = "127.0.0.1:0"
	s, err := metricsserver.NewServer(o, cfg, client)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	bound := s.(interface{ GetBindAddr() string })
	for end := time.Now().Add(time.Minute); bound.GetBindAddr() == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the metrics are not served")
		}
	}
	return bound.GetBindAddr()
}

func status(t *testing.T, url, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	a, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return 0
	}
	_ = a.Body.Close()
	return a.StatusCode
}

// Beyond loopback metrics are served over TLS, to whom the API server lets get
// them, whatever else was asked.
func TestMetricsBeyondLoopbackNeedTLSAndAToken(t *testing.T) {
	for _, address := range []string{":8443", "0.0.0.0:8443", "[::]:8443", "10.0.0.1:8443", "example.com:8443"} {
		if o := metricsAt(address, ""); !o.SecureServing || o.FilterProvider == nil {
			t.Errorf("%s is served plainly", address)
		}
	}
	host := serve(t, "0.0.0.0:8443")
	for what, c := range map[string]struct {
		url, token string
		want       int
	}{
		"plain HTTP":          {"http://" + host + "/metrics", "prometheus", http.StatusBadRequest},
		"no token":            {"https://" + host + "/metrics", "", http.StatusUnauthorized},
		"an unknown token":    {"https://" + host + "/metrics", "forged", http.StatusUnauthorized},
		"one without a right": {"https://" + host + "/metrics", "somebody", http.StatusForbidden},
		"one with the right":  {"https://" + host + "/metrics", "prometheus", http.StatusOK},
	} {
		if got := status(t, c.url, c.token); got != c.want {
			t.Errorf("%s: %d, want %d", what, got, c.want)
		}
	}
}

func TestMetricsOnLoopbackArePlain(t *testing.T) {
	for _, address := range []string{"127.0.0.1:8080", "[::1]:8080", "localhost:8080", "0"} {
		if o := metricsAt(address, ""); o.SecureServing || o.FilterProvider != nil {
			t.Errorf("%s is not served plainly", address)
		}
	}
	host := serve(t, "127.0.0.1:8080")
	if _, _, err := net.SplitHostPort(host); err != nil || status(t, "http://"+host+"/metrics", "") != http.StatusOK {
		t.Errorf("metrics at %s: %v", host, err)
	}
}
