package bootstrap

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"
)

// providerIDPlace is what the machine replaces by its provider ID.
const providerIDPlace = "@PROVIDER_ID@"

// selfLabels are the labels under kubernetes.io and k8s.io that the API
// server's node restriction lets a kubelet give itself one by one.
var selfLabels = map[string]bool{
	"kubernetes.io/hostname":                   true,
	"kubernetes.io/arch":                       true,
	"kubernetes.io/os":                         true,
	"beta.kubernetes.io/arch":                  true,
	"beta.kubernetes.io/os":                    true,
	"beta.kubernetes.io/instance-type":         true,
	"failure-domain.beta.kubernetes.io/region": true,
	"failure-domain.beta.kubernetes.io/zone":   true,
	"topology.kubernetes.io/region":            true,
	"topology.kubernetes.io/zone":              true,
	"node.kubernetes.io/instance-type":         true,
}

// machineLabels are set by the machine itself, from its identity.
var machineLabels = map[string]bool{
	"kubernetes.io/hostname":           true,
	"kubernetes.io/arch":               true,
	"kubernetes.io/os":                 true,
	"topology.kubernetes.io/region":    true,
	"topology.kubernetes.io/zone":      true,
	"node.kubernetes.io/instance-type": true,
	LabelPool:                          true,
}

// LabelAllowed returns why a pool may not give its Nodes this label key, or nil.
// A node registers itself, so what the API server's node restriction refuses
// would make every join fail.
func LabelAllowed(key string) error {
	domain, _, prefixed := strings.Cut(key, "/")
	switch {
	case !qualifiedName(key):
		return fmt.Errorf("label %q is not a label key", key)
	case machineLabels[key]:
		return fmt.Errorf("label %s is set by the machine itself; use a key of your own", key)
	case !prefixed:
		return nil
	case within(domain, "node-restriction.kubernetes.io"):
		return fmt.Errorf("label %s may not be set by a node itself (node-restriction.kubernetes.io); use a prefix of your own", key)
	case within(domain, "kubelet.kubernetes.io"), within(domain, "node.kubernetes.io"), selfLabels[key]:
		return nil
	case within(domain, "kubernetes.io"), within(domain, "k8s.io"):
		return fmt.Errorf("label %s may not be set by a node itself; of kubernetes.io and k8s.io only kubelet.kubernetes.io and node.kubernetes.io may; use a prefix of your own", key)
	}
	return nil
}

func within(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

// kubeletFields are the fields of the kubelet's configuration that joining
// depends on. The provider ID is put in by the machine.
func kubeletFields(s Settings) map[string]any {
	lease := s.LeaseDuration
	if lease <= 0 {
		lease = 40 * time.Second
	}
	taints := []map[string]string{}
	for _, t := range s.Taints {
		taints = append(taints, map[string]string{"key": t.Key, "value": t.Value, "effect": t.Effect})
	}
	return map[string]any{
		"apiVersion":                "kubelet.config.k8s.io/v1beta1",
		"kind":                      "KubeletConfiguration",
		"authentication":            map[string]any{"anonymous": map[string]bool{"enabled": false}, "webhook": map[string]bool{"enabled": true}, "x509": map[string]string{"clientCAFile": pathCA}},
		"authorization":             map[string]string{"mode": "Webhook"},
		"cgroupDriver":              "systemd",
		"containerRuntimeEndpoint":  "unix:///run/containerd/containerd.sock",
		"providerID":                providerIDPlace,
		"rotateCertificates":        true,
		"registerWithTaints":        taints,
		"nodeLeaseDurationSeconds":  int(lease / time.Second),
		"nodeStatusUpdateFrequency": "10s",
		"nodeStatusReportFrequency": "5m0s",
		"systemReserved":            notNil(s.SystemReserved),
		"kubeReserved":              notNil(s.KubeReserved),
	}
}

func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// kubeletConfig returns the kubelet's configuration file with a place for the
// provider ID.
func kubeletConfig(s Settings) ([]byte, error) {
	fields := kubeletFields(s)
	for k, v := range s.KubeletExtra {
		fields[k] = v
	}
	b, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode kubelet configuration of %s: %w", s.Pool, err)
	}
	return append(b, '\n'), nil
}

// nodeLabels returns the pool's own labels as the kubelet's flag takes them.
func nodeLabels(labels map[string]string) string {
	var b strings.Builder
	for _, k := range sortedKeys(labels) {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(k + "=" + labels[k])
	}
	return b.String()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// plainName says whether s is a DNS label.
func plainName(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return only(s, "abcdefghijklmnopqrstuvwxyz0123456789-")
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// labelValue says whether s may be the value of a label; the empty one may.
func labelValue(s string) bool { return s == "" || labelName(s) }

func labelName(s string) bool {
	return s != "" && len(s) <= 63 && only(s, alphanumeric+"-_.") &&
		only(s[:1], alphanumeric) && only(s[len(s)-1:], alphanumeric)
}

// qualifiedName says whether s may be the key of a label or a taint.
func qualifiedName(s string) bool {
	domain, name, prefixed := strings.Cut(s, "/")
	if !prefixed {
		return labelName(s)
	}
	if len(domain) == 0 || len(domain) > 253 {
		return false
	}
	for _, part := range strings.Split(domain, ".") {
		if !plainName(part) {
			return false
		}
	}
	return labelName(name)
}

func only(s, set string) bool { return strings.Trim(s, set) == "" }
