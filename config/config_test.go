package config_test

import (
	"context"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/config/configtest"
)

func TestMain(m *testing.M) { configtest.Main(m) }

// joiner is the user name of a pool's join credential, with its groups.
func joiner(pool string) (string, []string) {
	return "system:serviceaccount:poolkeeper-join:pool-" + pool, []string{"system:serviceaccounts", "system:serviceaccounts:poolkeeper-join"}
}

// Every file that is embedded lies in a folder that is applied, and the names
// that code uses are those of the manifests.
func TestFolders(t *testing.T) {
	got := map[string]bool{}
	err := fs.WalkDir(config.FS, ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got[path.Dir(p)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{config.Samples: true}
	for _, f := range config.Folders {
		want[f] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("folders (-want +got):\n%s", diff)
	}
	names := map[string]bool{}
	for _, f := range config.Folders {
		objects, err := configtest.Objects(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			key := o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
			if names[key] {
				t.Errorf("%s is there twice", key)
			}
			names[key] = true
		}
	}
	for _, want := range []string{"Namespace /" + config.Namespace, "Namespace /" + config.JoinNamespace, "ServiceAccount " + config.Namespace + "/" + config.ControllerAccount} {
		if !names[want] {
			t.Errorf("no %s among the manifests", want)
		}
	}
}

// A second start of the local region applies everything again, changing
// nothing.
func TestApplyingAgainChangesNothing(t *testing.T) {
	s := configtest.Shared(t)
	versions := func() map[string]string {
		out := map[string]string{}
		for _, f := range config.Folders {
			objects, err := configtest.Objects(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objects {
				if err := s.Client(t).Get(context.Background(), client.ObjectKeyFromObject(o), o); err != nil {
					t.Fatalf("get %s %s: %v", o.GetKind(), o.GetName(), err)
				}
				out[o.GetKind()+" "+o.GetName()+" "+string(o.GetUID())] = o.GetResourceVersion()
			}
		}
		return out
	}
	before := versions()
	if err := s.Apply(context.Background()); err != nil {
		t.Fatal(err)
	}
	for name, v := range versions() {
		if strings.HasPrefix(name, "CustomResourceDefinition ") || strings.HasPrefix(name, "PriorityLevelConfiguration ") || strings.HasPrefix(name, "FlowSchema ") {
			continue // the API server writes their status by itself
		}
		if before[name] != v {
			t.Errorf("%s was written again", name)
		}
	}
}

// The sample is accepted as it is.
func TestSampleIsAccepted(t *testing.T) {
	s := configtest.Shared(t)
	objects, err := configtest.Objects(config.Samples)
	if err != nil || len(objects) != 1 {
		t.Fatalf("samples: %d objects, %v", len(objects), err)
	}
	if err := s.Client(t).Create(context.Background(), objects[0]); err != nil {
		t.Fatal(err)
	}
	var p v1alpha1.NodePool
	if err := s.Client(t).Get(context.Background(), client.ObjectKey{Name: "demo"}, &p); err != nil {
		t.Fatal(err)
	}
	if p.Spec.ExpectedNodes != 0 || p.Spec.MaxNodes != 2000 || *p.Spec.DeletionProtection {
		t.Errorf("demo = %+v", p.Spec)
	}
}

// Join credentials wait in queues of their own, each pool by itself; the
// controller has a level that they cannot fill.
func TestFlows(t *testing.T) {
	s := configtest.Shared(t)
	user, groups := joiner("web")
	for _, tc := range []struct {
		schema, path, user string
		groups             []string
	}{
		{"poolkeeper-join", "/api", user, groups},
		{"poolkeeper-join-read", "/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=1", user, groups},
		{"poolkeeper-controller", "/api", config.ControllerUser, []string{"system:serviceaccounts", "system:serviceaccounts:" + config.Namespace}},
	} {
		var f flowcontrolv1.FlowSchema
		if err := s.Client(t).Get(context.Background(), client.ObjectKey{Name: tc.schema}, &f); err != nil {
			t.Fatal(err)
		}
		if f.Spec.DistinguisherMethod == nil || f.Spec.DistinguisherMethod.Type != flowcontrolv1.FlowDistinguisherMethodByUserType {
			t.Errorf("%s does not tell users apart", tc.schema)
		}
		httpClient, err := rest.HTTPClientFor(s.ConfigAs(tc.user, tc.groups...))
		if err != nil {
			t.Fatal(err)
		}
		configtest.Eventually(t, "request as "+tc.user+" for "+tc.path, func() error {
			resp, err := httpClient.Get(strings.TrimSuffix(s.Config.Host, "/") + tc.path)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if got := resp.Header.Get(flowcontrolv1.ResponseHeaderMatchedFlowSchemaUID); got != string(f.UID) {
				return errorf("matched flow schema %s, want that of %s", got, tc.schema)
			}
			if resp.StatusCode != http.StatusOK {
				body, _ := io.ReadAll(resp.Body)
				return errorf("status %s: %s", resp.Status, body)
			}
			return nil
		})
	}
}
