package up

import (
	"context"
	"fmt"
	"os"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
)

// The controller's token lives for tokenLife and is renewed every tokenRenew,
// so that a renewal may fail for a while.
const (
	tokenLife  = 12 * time.Hour
	tokenRenew = time.Hour
	tokenRetry = 10 * time.Second
)

// mint asks for a token of the controller's service account and writes it
// where the controller's kubeconfig finds it.
func (r *region) mint(ctx context.Context) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", r.path("admin.kubeconfig"))
	if err != nil {
		return fmt.Errorf("read admin kubeconfig: %w", err)
	}
	k, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	m := r.o.Manifests
	var token string
	err = retry(ctx, func() error {
		asked := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(tokenLife / time.Second))}}
		t, err := k.CoreV1().ServiceAccounts(m.Namespace).CreateToken(ctx, m.Account, asked, metav1.CreateOptions{})
		if err == nil {
			token = t.Status.Token
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("mint token of %s: %w", m.Account, err)
	}
	if err := writeFile(r.path("controller", "token"), []byte(token), 0o600); err != nil {
		return dirError(r.o.Dir, err)
	}
	return r.controllerKubeconfig()
}

// controllerKubeconfig points the controller at its token, which client-go
// reads again from time to time.
func (r *region) controllerKubeconfig() error {
	ca, err := os.ReadFile(r.path("ca.crt"))
	if err != nil {
		return err
	}
	c := clientcmdapi.NewConfig()
	c.Clusters["poolkeeper-local"] = &clientcmdapi.Cluster{Server: "https://" + r.apiServer(), CertificateAuthorityData: ca}
	c.AuthInfos["controller"] = &clientcmdapi.AuthInfo{TokenFile: r.path("controller", "token")}
	c.Contexts["poolkeeper-local"] = &clientcmdapi.Context{Cluster: "poolkeeper-local", AuthInfo: "controller", Namespace: r.o.Manifests.Namespace}
	c.CurrentContext = "poolkeeper-local"
	text, err := clientcmd.Write(*c)
	if err != nil {
		return fmt.Errorf("write the controller's kubeconfig: %w", err)
	}
	return dirErrorOf(r.o.Dir, writeFile(r.path("controller", "kubeconfig"), text, 0o600))
}
