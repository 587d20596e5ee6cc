package up

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	flow "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// throttlingName is that of the flow schema and the priority level.
const throttlingName = "poolkeeper-local-throttling"

// setThrottling puts a flow schema in front of all others that gives the
// controller one seat (none counts as one), or takes it away.
func (r *region) setThrottling(ctx context.Context, on bool) error {
	a, err := newApplier(r.path("admin.kubeconfig"), r.o.Manifests)
	if err != nil {
		return err
	}
	for _, o := range throttling(r.o.Manifests) {
		if on {
			err = client.IgnoreAlreadyExists(a.client.Create(ctx, o, client.FieldOwner(fieldManager)))
		} else {
			err = client.IgnoreNotFound(a.client.Delete(ctx, o))
		}
		if err != nil {
			return fmt.Errorf("change flow control: %w", err)
		}
	}
	return nil
}

func throttling(m Manifests) []client.Object {
	name := metav1.ObjectMeta{Name: throttlingName}
	controller := flow.Subject{Kind: flow.SubjectKindServiceAccount, ServiceAccount: &flow.ServiceAccountSubject{Namespace: m.Namespace, Name: m.Account}}
	all := []string{flow.ResourceAll}
	return []client.Object{
		&flow.PriorityLevelConfiguration{ObjectMeta: name, Spec: flow.PriorityLevelConfigurationSpec{
			Type: flow.PriorityLevelEnablementLimited,
			Limited: &flow.LimitedPriorityLevelConfiguration{NominalConcurrencyShares: ptr.To(int32(0)), BorrowingLimitPercent: ptr.To(int32(0)),
				LimitResponse: flow.LimitResponse{Type: flow.LimitResponseTypeReject}},
		}},
		&flow.FlowSchema{ObjectMeta: name, Spec: flow.FlowSchemaSpec{
			PriorityLevelConfiguration: flow.PriorityLevelConfigurationReference{Name: throttlingName},
			MatchingPrecedence:         2,
			Rules: []flow.PolicyRulesWithSubjects{{
				Subjects:         []flow.Subject{controller},
				ResourceRules:    []flow.ResourcePolicyRule{{Verbs: all, APIGroups: all, Resources: all, ClusterScope: true, Namespaces: all}},
				NonResourceRules: []flow.NonResourcePolicyRule{{Verbs: all, NonResourceURLs: all}},
			}},
		}},
	}
}

// holdSeat takes the controller's one seat most of the time until the context
// ends: by requests whose body never comes, as the controller and one after the
// other.
func (r *region) holdSeat(ctx context.Context) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", r.path("admin.kubeconfig"))
	if err != nil {
		return fmt.Errorf("read admin kubeconfig: %w", err)
	}
	cfg.Impersonate.UserName = "system:serviceaccount:" + r.o.Manifests.Namespace + ":" + r.o.Manifests.Account
	cfg.Impersonate.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:" + r.o.Manifests.Namespace, "system:authenticated"}
	web, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return fmt.Errorf("connect as the controller: %w", err)
	}
	go func() {
		defer web.CloseIdleConnections()
		for ctx.Err() == nil {
			r.sit(ctx, web)
			select {
			case <-ctx.Done():
			case <-time.After(seatPause):
			}
		}
	}()
	return nil
}

// seatTime is how long the seat is taken at once, and seatPause the pause before
// the next, longer than the second after which the API server lets clients ask
// again: so most requests of the controller are refused and each comes
// through in the end.
const (
	seatTime  = 2 * time.Second
	seatPause = 1100 * time.Millisecond
)

// sit sends one request that everybody may send, without its body.
func (r *region) sit(ctx context.Context, web *http.Client) {
	ctx, cancel := context.WithTimeout(ctx, seatTime)
	defer cancel()
	body, never := io.Pipe()
	defer never.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+r.apiServer()+"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	if answer, err := web.Do(req); err == nil {
		_ = answer.Body.Close() // refused: somebody still sits there
	}
}

// publishEndpoint writes into kube-public/cluster-info where nodes find the API
// server, as the control plane does at its start, or that nobody knows.
func (r *region) publishEndpoint(ctx context.Context, known bool) error {
	a, err := newApplier(r.path("admin.kubeconfig"), r.o.Manifests)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(r.path("ca.crt"))
	if err != nil {
		return err
	}
	c := clientcmdapi.NewConfig()
	if known {
		c.Clusters[""] = &clientcmdapi.Cluster{Server: "https://" + r.apiServer(), CertificateAuthorityData: ca}
	}
	text, err := clientcmd.Write(*c)
	if err != nil {
		return err
	}
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cluster-info", Namespace: metav1.NamespacePublic}, Data: map[string]string{"kubeconfig": string(text)}}
	if err := a.client.Update(ctx, m); err != nil {
		return fmt.Errorf("write cluster-info: %w", err)
	}
	return nil
}
