package apiserver

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
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
)

// Kinds are those that poolkeeper reads and writes.
func Kinds() map[schema.GroupVersionKind]Kind {
	return map[schema.GroupVersionKind]Kind{
		NodePool:        {Resource: "nodepools", Custom: true},
		ScalingGroup:    {Resource: "scalinggroups", Custom: true},
		ScalingActivity: {Resource: "scalingactivities", Custom: true, Frozen: always},
		Instance:        {Resource: "instances", Custom: true},
		ClusterTask:     {Resource: "clustertasks", Custom: true},
		Node:            {Resource: "nodes"},
		Pod:             {Resource: "pods", Namespaced: true},
		Secret:          {Resource: "secrets", Namespaced: true, Frozen: immutable},
		ConfigMap:       {Resource: "configmaps", Namespaced: true, Frozen: immutable},
		ServiceAccount:  {Resource: "serviceaccounts", Namespaced: true},
	}
}

func always(map[string]any) bool { return true }

func immutable(raw map[string]any) bool { return raw["immutable"] == true }

// Scheme knows the kinds of the model.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(api.AddToScheme(s))
	return s
}
