package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answer is an API server that gives the same answer to everything.
func answer(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// kubeconfig writes one for a server, in a directory of the given name.
func kubeconfig(t *testing.T, server, dir, context string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), dir, "kubeconfig")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: %q, context: {cluster: c, user: u}}]
current-context: %q
`, server, context, context)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// real runs a command line over the network and returns its exit code and what
// it wrote to stderr, with the names of this machine taken out.
func real(t *testing.T, file string, args ...string) (int, string) {
	t.Helper()
	var out, errs bytes.Buffer
	root := New(Options{Out: &out, Err: &errs, Env: func(string) string { return "" }})
	root.SetArgs(append(args, "--kubeconfig", file))
	code := Execute(root)
	return code, strings.NewReplacer(filepath.Dir(file), "DIR", file, "FILE").Replace(errs.String())
}

// closed is the address of a server that is no longer there.
func closed(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

// What the catalogue says of a server out of reach.
const (
	away = "the API server of the cluster cannot be reached, or fails: "
	look = "check that the API server is up and can be reached from here (local region: poolkeeper local up, or poolkeeper local apiserver back)"
)

// saying is one command line, and what it must come to.
type saying struct {
	file     string
	args     []string
	wantCode int
	want     string
}

func check(t *testing.T, sayings map[string]saying) {
	t.Helper()
	for name, tc := range sayings {
		t.Run(name, func(t *testing.T) {
			code, got := real(t, tc.file, tc.args...)
			if code != tc.wantCode {
				t.Errorf("exit %d, want %d", code, tc.wantCode)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
		})
	}
}

// TestServerOutOfReach: who does not answer is named, and how to go on.
func TestServerOutOfReach(t *testing.T) {
	down := closed(t)
	host := strings.TrimPrefix(down, "http://")
	region := kubeconfig(t, down, "poolkeeper", "local")
	if err := os.WriteFile(filepath.Join(filepath.Dir(region), "region.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, map[string]saying{
		"a stopped local region says how to start it": {
			file: region, args: []string{"pool", "list"}, wantCode: ExitUnreachable,
			want: "error: cannot reach the API server at " + host + "\ncause: " + away + "connection refused; the local region in DIR is stopped, or its API server is away (ApiServer.InternalError)\nnext:  `poolkeeper local up --dir DIR`, or where it runs: `poolkeeper local apiserver back`\n",
		},
		"so does one whose kubeconfig was copied": {
			file: kubeconfig(t, down, "plain", "poolkeeper-local"), args: []string{"why", "demo"}, wantCode: ExitUnreachable,
			want: "error: cannot reach the API server at " + host + "\ncause: " + away + "connection refused; the local region is stopped, or its API server is away (ApiServer.InternalError)\nnext:  `poolkeeper local up`, with --dir where it is not kept in the usual place; where it runs: `poolkeeper local apiserver back`\n",
		},
		"another cluster is checked by kubectl": {
			file: kubeconfig(t, down, "plain", "prod"), args: []string{"pool", "scale", "demo", "--expected-nodes", "3"}, wantCode: ExitUnreachable,
			want: "error: cannot reach the API server at " + host + "\ncause: " + away + "connection refused (ApiServer.InternalError)\nnext:  " + look + "\nnext:  check --kubeconfig and --context: `kubectl cluster-info`\n",
		},
		"a server that is overloaded": {
			file:     kubeconfig(t, answer(t, 503, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"ServiceUnavailable","code":503,"message":"etcd is away"}`), "plain", "prod"),
			args:     []string{"node", "list"},
			wantCode: ExitUnreachable,
			want:     "error: the API server does not answer now\ncause: " + away + "etcd is away (ApiServer.InternalError)\nnext:  " + look + "\n",
		},
	})
}

// TestAnswersOfTheServer: what the server refuses is told in its own words,
// with the exit code of the table.
func TestAnswersOfTheServer(t *testing.T) {
	down := closed(t)
	invalid := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,"message":"NodePool.poolkeeper.io \"web\" is invalid","details":{"name":"web","kind":"NodePool","causes":[{"reason":"FieldValueInvalid","message":"Invalid value: expectedNodes is above maxNodes: ask for fewer nodes, or raise maxNodes with it","field":"spec"}]}}`
	check(t, map[string]saying{
		"a cluster without our kinds says so": {
			file: kubeconfig(t, answer(t, 404, "404 page not found"), "plain", "prod"), args: []string{"pool", "get", "demo"}, wantCode: ExitNotFound,
			want: "error: cannot read node pool demo\ncause: this cluster does not know the kinds of poolkeeper\nnext:  `poolkeeper local up` for a local region, or install the manifests of config/\nnext:  another cluster: --kubeconfig, --context\n",
		},
		"a rule of the cluster speaks for itself": {
			file: kubeconfig(t, answer(t, 422, invalid), "plain", "prod"), args: []string{"pool", "create", "web", "--expected-nodes", "3"}, wantCode: ExitInput,
			want: "error: node pool web was not created\ncause: spec: expectedNodes is above maxNodes: ask for fewer nodes, or raise maxNodes with it\nnext:  put that right and repeat the command\nnext:  what a field takes: `kubectl explain nodepool.spec`, `poolkeeper pool create --help`\n",
		},
		"a context that is not there": {
			file: kubeconfig(t, down, "plain", "prod"), args: []string{"pool", "list", "--context", "moon"}, wantCode: ExitInput,
			want: "error: no cluster to talk to\ncause: context \"moon\" does not exist\nnext:  name a kubeconfig: --kubeconfig FILE, or KUBECONFIG in the environment\nnext:  for a local region: `eval \"$(poolkeeper local env)\"`\n",
		},
		"credentials that are refused": {
			file:     kubeconfig(t, answer(t, 401, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401,"message":"Unauthorized"}`), "plain", "prod"),
			args:     []string{"task", "list"},
			wantCode: ExitNotAllowed,
			want:     "error: cannot list tasks\ncause: Unauthorized\nnext:  use credentials that the cluster accepts: --kubeconfig, --context\n",
		},
	})
}
