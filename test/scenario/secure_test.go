package scenario

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/internal/local/up"
)

// call is one kind of request that the controller made, as rights name it.
type call struct{ verb, group, resource, namespace string }

// calls reads the audit log: what the controller asked for, and of it what was
// refused for want of a right.
func (w *world) calls(t *testing.T, made, refused map[call]bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "region", "audit", "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no audit log: %v", err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		for lines.Buffer(nil, 16<<20); lines.Scan(); {
			var e struct {
				Verb           string
				User           struct{ Username string }
				ObjectRef      struct{ Resource, Subresource, Namespace, APIGroup string }
				ResponseStatus struct{ Code int }
			}
			if json.Unmarshal(lines.Bytes(), &e) != nil || e.User.Username != config.ControllerUser || e.ObjectRef.Resource == "" {
				continue // the last line may be half written
			}
			c := call{e.Verb, e.ObjectRef.APIGroup, e.ObjectRef.Resource, e.ObjectRef.Namespace}
			if e.ObjectRef.Subresource != "" {
				c.resource += "/" + e.ObjectRef.Subresource
			}
			made[c] = true
			if e.ResponseStatus.Code == http.StatusForbidden {
				refused[c] = true
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
}

// unseen are the rights whose use the transcripts do not show, and why.
var unseen = map[string]string{
	"create events":   "the audit policy leaves events out",
	"patch events":    "the audit policy leaves events out",
	"approve signers": "asked for by the API server when a request is approved",

	"list nodepools":                  oldServers,
	"list scalinggroups":              oldServers,
	"list nodes":                      oldServers,
	"list certificatesigningrequests": oldServers,
	"list customresourcedefinitions":  oldServers,

	"delete clustertasks":               "tasks go after 30 days",
	"delete certificatesigningrequests": "only what proves nothing is deleted, and no machine here is a thief: controller/join TestForgeries",
}

const oldServers = "a cache begins with a watch where the API server can, and with a list where it is older"

// rights compares what the controllers may do with what they did: nothing was
// refused, and where all transcripts were told, no right was never used.
func rights(t *testing.T, worlds []*world, all bool) {
	made, refused := map[call]bool{}, map[call]bool{}
	for _, w := range worlds {
		w.calls(t, made, refused)
	}
	for c := range refused {
		t.Errorf("the controller may not %s %s of group %q in namespace %q, and tried", c.verb, c.resource, c.group, c.namespace)
	}
	if len(made) == 0 {
		t.Fatal("the audit log shows no request of the controller")
	}
	if !all {
		return
	}
	for _, r := range worlds[0].granted(t) {
		if !r.used(made) && unseen[r.verb+" "+r.resource] == "" {
			t.Errorf("the controller may %s %s of group %q in namespace %q, and never did: take the right away", r.verb, r.resource, r.group, r.namespace)
		}
	}
}

// used is true where a right was needed. One that names no namespace is a
// cluster's, and holds in each.
func (c call) used(made map[call]bool) bool {
	for m := range made {
		if m.verb == c.verb && m.group == c.group && m.resource == c.resource && (c.namespace == "" || m.namespace == c.namespace) {
			return true
		}
	}
	return false
}

// granted are the rights of the controller, one verb of one resource each.
func (w *world) granted(t *testing.T) []call {
	t.Helper()
	var out []call
	take := func(namespace string, rules []rbacv1.PolicyRule) {
		for _, r := range rules {
			for _, group := range r.APIGroups {
				for _, resource := range r.Resources {
					for _, verb := range r.Verbs {
						out = append(out, call{verb, group, resource, namespace})
					}
				}
			}
		}
	}
	const name = "poolkeeper-controller"
	var wide rbacv1.ClusterRole
	if err := w.kube.Get(t.Context(), types.NamespacedName{Name: name}, &wide); err != nil {
		t.Fatal(err)
	}
	take("", wide.Rules)
	for _, key := range []types.NamespacedName{{Namespace: config.Namespace, Name: name}, {Namespace: config.JoinNamespace, Name: name}, {Namespace: "kube-public", Name: "poolkeeper-cluster-info"}} {
		var narrow rbacv1.Role
		if err := w.kube.Get(t.Context(), key, &narrow); err != nil {
			t.Fatal(err)
		}
		take(key.Namespace, narrow.Rules)
	}
	return out
}

// planted is a script of a pool's owner that holds a secret, tells others on the
// console in the ways in which scripts do, tries to move the cursor of whoever
// looks, and fails.
const planted = `#!/bin/sh
PLACE=planted-in-user-data-7f3a
printf 'look \033[2J\033]0;planted title\007 here\n'
echo "db password=planted-password-7f3a"
echo "Authorization: Bearer planted-bearer-7f3a"
echo "url https://me:planted-url-7f3a@example.com/"
echo "--token planted-flag-7f3a"
exit 3
`

var (
	secretShapes = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.eyJ|PRIVATE KEY|planted-[a-z-]+-7f3a`)
	escapes      = regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f]`)
)

// secrets lets a machine tell secrets on its console and scans all that people
// and programs read: logs, events, every object without what its owner wrote,
// metrics, and what the CLI says.
func (w *world) secrets(t *testing.T) {
	s := &story{world: w, names: newNames(), kept: map[string]string{}, freed: map[string]bool{}}
	defer s.end(t)
	script, err := json.Marshal(planted)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"poolkeeper pool create planted --expected-nodes 0 --image aliyun_3_x64_20G_local.vhd --security-group sg-local --vswitch vsw-a --instance-type ecs.g7.xlarge",
		"kubectl patch nodepool planted --type=merge -p '{\"spec\":{\"userData\":{\"beforeJoin\":'" + quoted(string(script)) + "'}}}'",
		"poolkeeper pool scale planted --expected-nodes 1",
	} {
		if out, err := w.shell(t.Context(), line); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	w.until(t, "a machine failed at the script of the pool's owner", func() bool {
		out, err := w.shell(t.Context(), "kubectl get instances -o json")
		return err == nil && strings.Contains(out, "pre-user-data")
	})
	secrets := w.known(t)
	for where, text := range w.readable(t) {
		for what, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells %s", where, what)
			}
		}
		if at := secretShapes.FindStringIndex(text); at != nil {
			t.Errorf("%s tells a secret: …%q…", where, text[max(0, at[0]-80):min(len(text), at[1]+20)])
		}
	}
	for where, text := range w.said(t) {
		for _, want := range []string{"pre-user-data", "db password=[hidden]", "planted title"} {
			if strings.HasSuffix(where, "--cause") && !strings.Contains(text, want) {
				t.Errorf("%s does not show %q, which the machine wrote:\n%s", where, want, text)
			}
		}
		if at := escapes.FindStringIndex(text); at != nil {
			t.Errorf("%s passes on what moves a terminal: …%q…", where, text[max(0, at[0]-80):min(len(text), at[1]+20)])
		}
	}
}

// quoted is a text inside single quotes of a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// until waits for a condition.
func (w *world) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never came true: %s", what)
		}
		<-time.After(200 * time.Millisecond)
	}
}

// known are the secrets of the region's own processes.
func (w *world) known(t *testing.T) map[string]string {
	t.Helper()
	read := func(name ...string) string {
		b, err := os.ReadFile(filepath.Join(append([]string{w.dir, "region"}, name...)...))
		if err != nil || len(b) < 16 {
			t.Fatalf("%s: %v", name, err)
		}
		return strings.TrimSpace(string(b))
	}
	var key struct{ AccessKeySecret string }
	if err := json.Unmarshal([]byte(read("cloud", "credentials.json")), &key); err != nil || len(key.AccessKeySecret) < 16 {
		t.Fatalf("the access key has no secret: %v", err)
	}
	return map[string]string{
		"the secret of the access key":         key.AccessKeySecret,
		"the token of the controls":            read("cloud", "control-token"),
		"the controller's token":               read("controller", "token"),
		"a line of the administrator's config": strings.TrimSpace(regexp.MustCompile(`client-key-data: (\S+)`).FindString(read("admin.kubeconfig"))),
	}
}

// said is what the CLI writes about the machine.
func (w *world) said(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, line := range []string{"poolkeeper why planted", "poolkeeper task list --pool planted -o json", `poolkeeper task get $(poolkeeper task list --pool planted -o json | grep -o 'planted-[0-9a-f]*-g[0-9]*' | head -1) --cause`} {
		text, err := w.shell(t.Context(), line)
		if err != nil {
			t.Errorf("%s: %v\n%s", line, err, text)
		}
		out[line] = text
	}
	return out
}

// readable is all that people and programs read.
func (w *world) readable(t *testing.T) map[string]string {
	t.Helper()
	out := w.said(t)
	logs, err := filepath.Glob(filepath.Join(w.dir, "region", "logs", "*"))
	if err != nil || len(logs) < 3 {
		t.Fatalf("logs: %v, %v", logs, err)
	}
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = string(b)
	}
	r, err := up.ReadRegion(filepath.Join(w.dir, "region"))
	if err != nil {
		t.Fatal(err)
	}
	if out["metrics"], err = w.page(t.Context(), fmt.Sprintf("http://127.0.0.1:%d/metrics", r.PortBase+2)); err != nil {
		t.Fatal(err)
	}
	maps.Copy(out, w.objects(t))
	return out
}

func (w *world) page(ctx context.Context, url string) (string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	return string(b), err
}

// objects are all of our kinds, nodes, events and certificate requests, without
// the scripts that the owner of a pool wrote into its spec.
func (w *world) objects(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, k := range []schema.GroupVersionKind{
		{Group: "poolkeeper.io", Version: "v1alpha1", Kind: "NodePool"}, {Group: "poolkeeper.io", Version: "v1alpha1", Kind: "ScalingGroup"},
		{Group: "poolkeeper.io", Version: "v1alpha1", Kind: "ScalingActivity"}, {Group: "poolkeeper.io", Version: "v1alpha1", Kind: "Instance"},
		{Group: "poolkeeper.io", Version: "v1alpha1", Kind: "ClusterTask"}, {Version: "v1", Kind: "Node"}, {Version: "v1", Kind: "Event"},
		{Group: "certificates.k8s.io", Version: "v1", Kind: "CertificateSigningRequest"}, {Version: "v1", Kind: "ConfigMap"},
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(k)
		if err := w.kube.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Items {
			if slices.Contains([]string{"NodePool", "ScalingGroup"}, k.Kind) {
				unstructured.RemoveNestedField(o.Object, "spec", "userData")
				unstructured.RemoveNestedField(o.Object, "metadata", "managedFields")
			}
			b, err := json.Marshal(o.Object)
			if err != nil {
				t.Fatal(err)
			}
			out[k.Kind+" "+o.GetName()] = string(b)
		}
	}
	return out
}
