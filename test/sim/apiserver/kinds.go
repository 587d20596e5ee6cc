package apiserver

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// The kinds of the model.
var (
	NodePool        = api.GroupVersion.WithKind("NodePool")
	ScalingGroup    = api.GroupVersion.WithKind("ScalingGroup")
	ScalingActivity = api.GroupVersion.WithKind("ScalingActivity")
	Instance        = api.GroupVersion.WithKind("Instance")
	ClusterTask     = api.GroupVersion.WithKind("ClusterTask")
	Node            = corev1.SchemeGroupVersion.WithKind("Node")
	Pod             = corev1.SchemeGroupVersion.WithKind("Pod")
	Secret          = corev1.SchemeGroupVersion.WithKind("Secret")
	ConfigMap       = corev1.SchemeGroupVersion.WithKind("ConfigMap")
	ServiceAccount  = corev1.SchemeGroupVersion.WithKind("ServiceAccount")
	SigningRequest  = certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest")
)

// NewerField is one that only the definitions of the next version have.
const NewerField = "ofTheNextVersion"

// Kinds are those that poolkeeper reads and writes.
func Kinds() map[schema.GroupVersionKind]Kind {
	return map[schema.GroupVersionKind]Kind{
		NodePool:        {Resource: "nodepools", Custom: true, Newer: NewerField},
		ScalingGroup:    {Resource: "scalinggroups", Custom: true, Newer: NewerField},
		ScalingActivity: {Resource: "scalingactivities", Custom: true, Frozen: always},
		Instance:        {Resource: "instances", Custom: true, Newer: NewerField, Refuse: anotherKey},
		ClusterTask:     {Resource: "clustertasks", Custom: true, Newer: NewerField},
		Node:            {Resource: "nodes"},
		Pod:             {Resource: "pods", Namespaced: true},
		Secret:          {Resource: "secrets", Namespaced: true, Frozen: immutable},
		ConfigMap:       {Resource: "configmaps", Namespaced: true, Frozen: immutable},
		ServiceAccount:  {Resource: "serviceaccounts", Namespaced: true},
		SigningRequest:  {Resource: "certificatesigningrequests", Fixed: true, Refuse: decidedAnew},
	}
}

func always(map[string]any) bool { return true }

func immutable(raw map[string]any) bool { return raw["immutable"] == true }

// anotherKey refuses a join key in the place of another, as the rule of the
// definition does.
func anotherKey(old, next map[string]any) *field.Error {
	was, is := specText(old, "joinKey"), specText(next, "joinKey")
	if was == "" || is == "" || was == is {
		return nil
	}
	return field.Invalid(field.NewPath("spec"), is, "another key for an instance needs a person's word: poolkeeper node rejoin")
}

func specText(raw map[string]any, name string) string {
	spec, _ := raw["spec"].(map[string]any)
	return text(spec, name)
}

// decidedAnew refuses to take a decision about a certificate request back, and to
// both approve and deny it.
func decidedAnew(old, next map[string]any) *field.Error {
	before, now := conditions(old), conditions(next)
	at := field.NewPath("status", "conditions")
	for _, typ := range []string{string(certificatesv1.CertificateApproved), string(certificatesv1.CertificateDenied)} {
		if before[typ] && !now[typ] {
			return field.Forbidden(at, "a condition of type "+typ+" cannot be removed")
		}
	}
	if now[string(certificatesv1.CertificateApproved)] && now[string(certificatesv1.CertificateDenied)] {
		return field.Invalid(at, "Denied", "Approved and Denied conditions are mutually exclusive")
	}
	return nil
}

// conditions are the types of those of an object.
func conditions(raw map[string]any) map[string]bool {
	status, _ := raw["status"].(map[string]any)
	list, _ := status["conditions"].([]any)
	out := map[string]bool{}
	for _, c := range list {
		if m, ok := c.(map[string]any); ok {
			out[text(m, "type")] = true
		}
	}
	return out
}

// Scheme knows the kinds of the model.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(api.AddToScheme(s))
	return s
}
