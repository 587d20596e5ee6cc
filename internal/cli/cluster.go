package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/home"
)

// Scheme knows the kinds that the command line reads and writes.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	_ = v1alpha1.AddToScheme(s)
	_ = corev1.AddToScheme(s)
	_ = autoscalingv1.AddToScheme(s)
	_ = policyv1.AddToScheme(s)
	_ = authv1.AddToScheme(s)
	return s
}

// mapper names the resources of our kinds, so that no command has to ask the
// server for all that it serves.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper([]schema.GroupVersion{v1alpha1.GroupVersion, corev1.SchemeGroupVersion, policyv1.SchemeGroupVersion, authv1.SchemeGroupVersion})
	for _, kind := range []string{"NodePool", "ScalingGroup", "ScalingActivity", "Instance", "ClusterTask"} {
		m.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	m.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	m.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	m.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	m.Add(corev1.SchemeGroupVersion.WithKind("Event"), meta.RESTScopeNamespace)
	m.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	m.Add(policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"), meta.RESTScopeNamespace)
	m.Add(authv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"), meta.RESTScopeRoot)
	return m
}

// loader reads a kubeconfig as kubectl does.
func loader(kubeconfig, context string) clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
}

// connect makes the real client.
func connect(kubeconfig, context string) (client.WithWatch, error) {
	ctrllog.SetLogger(logr.Discard())
	cfg, err := loader(kubeconfig, context).ClientConfig()
	if err != nil {
		return nil, kubeconfigError(err)
	}
	cfg.QPS, cfg.Burst = 50, 100
	cfg.UserAgent = rest.DefaultKubernetesUserAgent()
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: Scheme(), Mapper: mapper()})
	if err != nil {
		return nil, kubeconfigError(err)
	}
	return c, nil
}

// probe asks the API server for its version; the time of its answer is that of
// its clock.
func probe(ctx context.Context, kubeconfig, kubecontext string) (string, time.Time, error) {
	cfg, err := loader(kubeconfig, kubecontext).ClientConfig()
	if err != nil {
		return "", time.Time{}, err
	}
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return "", time.Time{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(cfg.Host, "/")+"/version", nil)
	if err != nil {
		return "", time.Time{}, err
	}
	answer, err := hc.Do(r)
	if err != nil {
		return "", time.Time{}, err
	}
	defer answer.Body.Close()
	var v struct{ GitVersion string }
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<16)).Decode(&v); err != nil {
		return "", time.Time{}, fmt.Errorf("read its version: %w", err)
	}
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("read its time: %w", err)
	}
	return v.GitVersion, date, nil
}

// kubeconfigError says what is wrong with a kubeconfig.
func kubeconfigError(err error) error {
	e := badInput("no cluster to talk to", err.Error(),
		"name a kubeconfig: --kubeconfig FILE, or KUBECONFIG in the environment",
		"for a local region: `eval \"$(poolkeeper local env)\"`")
	e.Err = err
	if clientcmd.IsEmptyConfig(err) {
		e.Cause = "no kubeconfig was found"
		if files := os.Getenv(clientcmd.RecommendedConfigPathEnvVar); files != "" {
			e.Cause = "KUBECONFIG names " + files + ", which holds none"
		}
	}
	return e
}

// atHome adds to an error about a silent API server what is known of a local
// region: who keeps it and how to start it.
func (a *app) atHome(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Code != ExitUnreachable {
		return err
	}
	dir, ok := home.Region(loader(a.flags.kubeconfig, a.flags.context), a.flags.context)
	if ok && strings.HasPrefix(e.What, "cannot reach") {
		cause, next := home.Silent(dir)
		e.Cause, e.Next = e.Cause+"; "+cause, next
	}
	return e
}
