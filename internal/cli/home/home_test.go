package home

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kept writes a kubeconfig and returns a loader of it.
func kept(t *testing.T, file, server, context string) clientcmd.ClientConfig {
	t.Helper()
	c := clientcmdapi.NewConfig()
	c.Clusters["c"] = &clientcmdapi.Cluster{Server: server}
	c.Contexts[context] = &clientcmdapi.Context{Cluster: "c"}
	c.CurrentContext = context
	if err := clientcmd.WriteToFile(*c, file); err != nil {
		t.Fatal(err)
	}
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: file}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{})
}

// Where the kubeconfig lies beside its region, the region is named and started by
// its directory; a copy elsewhere names no directory; others are no region.
func TestRegion(t *testing.T) {
	region, elsewhere := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(region, stateFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		what, file, server, context, dir string
		ok                               bool
	}{
		{"in its region", filepath.Join(region, "admin.kubeconfig"), "https://127.0.0.1:17501", "poolkeeper-local", region, true},
		{"a copy", filepath.Join(elsewhere, "config"), "https://127.0.0.1:17501", "poolkeeper-local", "", true},
		{"another cluster on loopback", filepath.Join(elsewhere, "config"), "https://localhost:6443", "kind", "", false},
		{"a cluster elsewhere", filepath.Join(elsewhere, "config"), "https://10.0.0.1:6443", "poolkeeper", "", false},
	} {
		t.Run(tc.what, func(t *testing.T) {
			dir, ok := Region(kept(t, tc.file, tc.server, tc.context), "")
			if dir != tc.dir || ok != tc.ok {
				t.Errorf("region %q, %v; want %q, %v", dir, ok, tc.dir, tc.ok)
			}
		})
	}
}

func TestSilentNamesTheRegionOrNone(t *testing.T) {
	alice := t.TempDir()
	t.Setenv("HOME", alice)
	if cause, next := Silent(filepath.Join(alice, "region")); !strings.Contains(cause, "in ~/region is stopped") || !strings.HasPrefix(next[0], "`poolkeeper local up --dir ~/region`") {
		t.Errorf("%s, %q", cause, next)
	}
	if cause, next := Silent(""); !strings.HasPrefix(cause, "the local region is stopped") || !strings.HasPrefix(next[0], "`poolkeeper local up`, with --dir") {
		t.Errorf("%s, %q", cause, next)
	}
}
