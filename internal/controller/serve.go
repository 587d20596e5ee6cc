package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// metricsAt says how metrics are served at an address: plainly on loopback;
// anywhere else over TLS, and only to whom the API server knows and lets get
// /metrics. That cannot be turned off. Without a certificate in certDir the
// server makes one that nobody else vouches for.
func metricsAt(address, certDir string) metricsserver.Options {
	o := metricsserver.Options{BindAddress: address, CertDir: certDir}
	if address != "0" && !onLoopback(address) {
		o.SecureServing, o.FilterProvider = true, reviewed
	}
	return o
}

// onLoopback is true where only this machine reaches an address.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// reviewed lets through whom the API server knows by a bearer token and lets get
// the path. controller-runtime has a filter for that, which links a whole API
// server into the program. At most five requests a second are asked about.
func reviewed(c *rest.Config, h *http.Client) (metricsserver.Filter, error) {
	few := rest.CopyConfig(c)
	few.QPS, few.Burst = 10, 10 // two questions for each request
	kube, err := kubernetes.NewForConfigAndClient(few, h)
	if err != nil {
		return nil, fmt.Errorf("set up the review of who reads metrics: %w", err)
	}
	return func(log logr.Logger, next http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch err := mayRead(r.Context(), kube, r); {
			case err == nil:
				next.ServeHTTP(w, r)
			case errors.Is(err, errUnknown):
				http.Error(w, "send a bearer token that the API server knows", http.StatusUnauthorized)
			case errors.Is(err, errForbidden):
				http.Error(w, "the token is known, and has no right to get "+r.URL.Path, http.StatusForbidden)
			default:
				log.Error(err, "review who reads metrics")
				http.Error(w, "the API server did not say who asks", http.StatusInternalServerError)
			}
		}), nil
	}, nil
}

// Why somebody may not read.
var (
	errUnknown   = errors.New("nobody that the API server knows")
	errForbidden = errors.New("not allowed")
)

// mayRead asks the API server whose the token of a request is, and whether that
// one may make it.
func mayRead(ctx context.Context, kube kubernetes.Interface, r *http.Request) error {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return errUnknown
	}
	who, err := kube.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("review a token: %w", err)
	}
	if !who.Status.Authenticated {
		return errUnknown
	}
	u := who.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(u.Extra))
	for k, v := range u.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	may, err := kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: u.Username, UID: u.UID, Groups: u.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: r.URL.Path, Verb: strings.ToLower(r.Method)},
	}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("review a right: %w", err)
	}
	if !may.Status.Allowed {
		return errForbidden
	}
	return nil
}
