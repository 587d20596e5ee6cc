package config_test

import (
	"context"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/config/configtest"
)

func withDefinitions(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := configtest.Scheme()
	if err := apiextensionsv1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func ptr[T any](v T) *T { return &v }

// joinRequest is what a machine of a pool files.
func joinRequest(pool string) *certificatesv1.CertificateSigningRequest {
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: config.JoinRequestPrefix + pool + "-",
			Annotations:  map[string]string{"poolkeeper.io/identity-document": "{}", "poolkeeper.io/identity-signature": strings.Repeat("A", 4000)},
		},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    certificateRequest,
			SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		},
	}
}

// A join credential files requests of its own pool under generated names,
// bounded in size, and nothing else.
func TestJoinRequests(t *testing.T) {
	s := configtest.Shared(t)
	active(t, s)
	ctx := context.Background()
	type csr = certificatesv1.CertificateSigningRequest
	longest := "a234567890123456789012345678901234567890"
	for _, tc := range []struct {
		what, pool string
		change     func(*csr)
		refuse     string
	}{
		{"a join request", "web", func(*csr) {}, ""},
		{"one of the longest pool name", longest, func(*csr) {}, ""},
		{"one with a lifetime", "web", func(r *csr) { r.Spec.ExpirationSeconds = ptr(int32(86400)) }, ""},
		{"a chosen name", "web", func(r *csr) { r.Name, r.GenerateName = "poolkeeper-web-1", "" }, "set metadata.generateName to poolkeeper-web-"},
		{"a chosen name beside the generated", "web", func(r *csr) { r.Name = "poolkeeper-web-zzzzz" }, "set metadata.generateName to poolkeeper-web-"},
		{"a chosen long name", "web", func(r *csr) { r.Name = "poolkeeper-web-1" }, "set metadata.generateName to poolkeeper-web-"},
		{"another pool's name", "web", func(r *csr) { r.GenerateName = "poolkeeper-db-" }, "set metadata.generateName to poolkeeper-web-"},
		{"a longer prefix", "web", func(r *csr) { r.GenerateName = "poolkeeper-web-x-" }, "set metadata.generateName to poolkeeper-web-"},
		{"another signer", "web", func(r *csr) { r.Spec.SignerName = certificatesv1.KubeAPIServerClientSignerName }, "asks the signer"},
		{"other usages", "web", func(r *csr) { r.Spec.Usages = append(r.Spec.Usages, certificatesv1.UsageServerAuth) }, "usages of a kubelet"},
		{"a short lifetime", "web", func(r *csr) { r.Spec.ExpirationSeconds = ptr(int32(601)) }, "expirationSeconds"},
		{"a large annotation", "web", func(r *csr) { r.Annotations["poolkeeper.io/x"] = strings.Repeat("x", 8193) }, "at most 8192"},
		{"a strange annotation", "web", func(r *csr) { r.Annotations["x"] = "" }, "all of poolkeeper.io"},
		{"many annotations", "web", func(r *csr) {
			for _, k := range []string{"a", "b", "c"} {
				r.Annotations["poolkeeper.io/"+k] = ""
			}
		}, "at most 4 annotations"},
		{"a strange label", "web", func(r *csr) { r.Labels = map[string]string{"x": ""} }, "at most 4 labels"},
		{"a finalizer", "web", func(r *csr) { r.Finalizers = []string{"example.com/stay"} }, "no finalizers"},
		{"a large request", "web", func(r *csr) { r.Spec.Request = append([]byte(strings.Repeat("x\n", 2000)), certificateRequest...) }, "larger than 4096"},
	} {
		user, groups := joiner(tc.pool)
		r := joinRequest(tc.pool)
		tc.change(r)
		err := s.As(t, user, groups...).Create(ctx, r)
		if tc.refuse == "" {
			accepted(t, tc.what, err)
			if !strings.HasPrefix(r.Name, config.JoinRequestPrefix+tc.pool+"-") {
				t.Errorf("%s got the name %q", tc.what, r.Name)
			}
		} else {
			refused(t, tc.what, err, tc.refuse)
		}
	}
	stranger := s.As(t, "system:serviceaccount:poolkeeper-join:default", "system:serviceaccounts", "system:serviceaccounts:poolkeeper-join")
	refused(t, "the default service account", stranger.Create(ctx, joinRequest("web")), "only the service account of a pool")
	// People and other controllers file what they like.
	r := joinRequest("web")
	r.Name, r.GenerateName = "by-hand", ""
	accepted(t, "a request of the administrator", s.Client(t).Create(ctx, r))
}

// A token of a pool's service account, as it stands in user data, has exactly
// the rights that the policies count on.
func TestAJoinTokenIsAJoinCredential(t *testing.T) {
	s := configtest.Shared(t)
	active(t, s)
	ctx, engine := context.Background(), s.As(t, config.ControllerUser, "system:serviceaccounts", "system:serviceaccounts:"+config.Namespace)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: config.JoinNamespace, Name: config.JoinAccountPrefix + "web"}}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: config.JoinNamespace, GenerateName: "join-web-"}}
	accepted(t, "make the account", engine.Create(ctx, account))
	accepted(t, "make the join Secret", engine.Create(ctx, secret))
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: ptr(int64(7200)),
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: secret.Name, UID: secret.UID},
	}}
	accepted(t, "mint a token", engine.SubResource("token").Create(ctx, account, request))
	cfg := rest.AnonymousClientConfig(s.Config)
	cfg.BearerToken = request.Status.Token
	machine, err := client.New(cfg, client.Options{Scheme: configtest.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	r := joinRequest("web")
	accepted(t, "file a request", machine.Create(ctx, r))
	accepted(t, "read it back", machine.Get(ctx, client.ObjectKeyFromObject(r), r))
	refused(t, "reading Secrets", machine.List(ctx, &corev1.SecretList{}), "cannot list")

	accepted(t, "replace the join Secret", engine.Delete(ctx, secret))
	configtest.Eventually(t, "the old token dies", func() error {
		if machine.Create(ctx, joinRequest("web")) == nil {
			return errorf("the old token still works")
		}
		return nil
	})
}

// Each identity may do what it needs and nothing that would widen its rights.
func TestRights(t *testing.T) {
	s := configtest.Shared(t)
	admin, ctx := s.Client(t), context.Background()
	for _, role := range []string{"viewer", "operator", "admin", "hooks"} {
		b := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "test-" + role},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "poolkeeper-" + role},
			Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: role}}}
		accepted(t, "bind "+role, admin.Create(ctx, b))
	}
	joinUser, joinGroups := joiner("web")
	who := map[string][]string{
		"controller": {config.ControllerUser, "system:serviceaccounts:" + config.Namespace}, "join": append([]string{joinUser}, joinGroups...),
		"viewer": {"viewer"}, "operator": {"operator"}, "admin": {"admin"}, "hooks": {"hooks"}, "node": {"system:node:i-1", "system:nodes"},
	}
	for _, line := range strings.Split(strings.TrimSpace(rights), "\n") {
		f := strings.Fields(line)
		wantAllowed, id, verb, resource := f[0] == "may", f[1], f[2], f[3]
		a := &authorizationv1.ResourceAttributes{Verb: verb}
		if len(f) > 4 {
			a.Namespace, a.Name, _ = strings.Cut(f[4], "/")
		}
		resource, a.Group, _ = strings.Cut(resource, ".")
		a.Resource, a.Subresource, _ = strings.Cut(resource, "/")
		r := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: who[id][0], Groups: who[id][1:], ResourceAttributes: a}}
		try := func() error {
			r.Status = authorizationv1.SubjectAccessReviewStatus{}
			if err := admin.Create(ctx, r); err != nil {
				return err
			}
			if r.Status.Allowed != wantAllowed {
				return errorf("%s: allowed is %v", line, r.Status.Allowed)
			}
			return nil
		}
		if wantAllowed {
			configtest.Eventually(t, "rights", try)
		} else if err := try(); err != nil {
			t.Error(err)
		}
	}
}

// Lines: may or maynot, who, verb, resource[/subresource][.group], and where it
// matters namespace/name.
const rights = `
maynot controller update nodepools.poolkeeper.io
may controller patch nodepools.poolkeeper.io
may controller patch clustertasks.poolkeeper.io
may controller patch instances.poolkeeper.io
may controller update nodepools/status.poolkeeper.io
maynot controller patch nodepools/status.poolkeeper.io
may controller patch instances/status.poolkeeper.io
maynot controller create nodepools.poolkeeper.io
maynot controller delete nodepools.poolkeeper.io
may controller create scalingactivities.poolkeeper.io
may controller delete instances.poolkeeper.io
may controller update clustertasks/status.poolkeeper.io
may controller patch nodes
may controller delete nodes
maynot controller create nodes
maynot controller update nodes/status
may controller list pods
maynot controller delete pods
maynot controller create pods
may controller create pods/eviction
maynot controller list poddisruptionbudgets.policy
may controller get daemonsets.apps
maynot controller update daemonsets.apps
may controller delete certificatesigningrequests.certificates.k8s.io
maynot controller create certificatesigningrequests.certificates.k8s.io
may controller update certificatesigningrequests/approval.certificates.k8s.io
may controller approve signers.certificates.k8s.io /kubernetes.io/kube-apiserver-client-kubelet
maynot controller approve signers.certificates.k8s.io /kubernetes.io/kube-apiserver-client
maynot controller sign signers.certificates.k8s.io /kubernetes.io/kube-apiserver-client-kubelet
maynot controller create certificatesigningrequests/nodeclient.certificates.k8s.io
may controller create serviceaccounts/token poolkeeper-join/pool-web
maynot controller create serviceaccounts/token kube-system/pool-web
maynot controller create serviceaccounts/token poolkeeper-system/poolkeeper-controller
may controller get secrets poolkeeper-system/x
may controller delete secrets poolkeeper-join/x
maynot controller get secrets kube-system/x
maynot controller get secrets default/x
maynot controller update secrets poolkeeper-system/x
may controller update secrets poolkeeper-join/x
may controller get configmaps kube-public/cluster-info
maynot controller get configmaps kube-public/other
may controller get namespaces /kube-system
maynot controller get namespaces /default
maynot controller create leases.coordination.k8s.io poolkeeper-system/x
maynot controller create leases.coordination.k8s.io kube-node-lease/x
may controller watch customresourcedefinitions.apiextensions.k8s.io
maynot controller update customresourcedefinitions.apiextensions.k8s.io
maynot controller create clusterrolebindings.rbac.authorization.k8s.io
maynot controller escalate clusterroles.rbac.authorization.k8s.io
maynot controller bind clusterroles.rbac.authorization.k8s.io
maynot controller impersonate users
may join create certificatesigningrequests.certificates.k8s.io
may join watch certificatesigningrequests.certificates.k8s.io
maynot join delete certificatesigningrequests.certificates.k8s.io
maynot join update certificatesigningrequests/approval.certificates.k8s.io
maynot join create certificatesigningrequests/nodeclient.certificates.k8s.io
maynot join create certificatesigningrequests/selfnodeclient.certificates.k8s.io
maynot join approve signers.certificates.k8s.io /kubernetes.io/kube-apiserver-client-kubelet
maynot join get secrets poolkeeper-join/x
maynot join create serviceaccounts/token poolkeeper-join/pool-web
maynot join create nodes
maynot join list nodes
maynot join list instances.poolkeeper.io
may node create certificatesigningrequests/selfnodeclient.certificates.k8s.io
maynot node create certificatesigningrequests/nodeclient.certificates.k8s.io
may viewer list nodepools.poolkeeper.io
may viewer get nodepools/scale.poolkeeper.io
maynot viewer patch nodepools.poolkeeper.io
maynot viewer patch nodepools/scale.poolkeeper.io
maynot viewer create clustertasks.poolkeeper.io
maynot viewer get secrets poolkeeper-system/x
may operator patch nodepools.poolkeeper.io
may operator list pods
may operator list poddisruptionbudgets.policy
maynot operator get pods
may operator patch nodepools/scale.poolkeeper.io
may operator patch instances.poolkeeper.io
may operator create clustertasks.poolkeeper.io
maynot operator create nodepools.poolkeeper.io
maynot operator delete nodepools.poolkeeper.io
maynot operator patch instances/status.poolkeeper.io
maynot operator delete nodes
may hooks patch instances.poolkeeper.io
maynot hooks update instances.poolkeeper.io
maynot hooks patch instances/status.poolkeeper.io
maynot hooks patch nodepools.poolkeeper.io
maynot hooks create clustertasks.poolkeeper.io
may admin delete nodepools.poolkeeper.io
may admin create nodepools.poolkeeper.io
may admin delete scalingactivities.poolkeeper.io
may admin delete clustertasks.poolkeeper.io
maynot admin delete instances.poolkeeper.io
maynot admin patch nodepools/status.poolkeeper.io
maynot admin get secrets poolkeeper-system/x
`
