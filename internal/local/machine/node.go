package machine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

const (
	pathNodes  = "/api/v1/nodes"
	pathLeases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
)

// protoMagic stands before every object in protobuf.
var protoMagic = []byte("k8s\x00")

type message interface{ Marshal() ([]byte, error) }

func encode(apiVersion, kind string, o message) ([]byte, error) {
	raw, err := o.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	u := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: apiVersion, Kind: kind}, Raw: raw}
	b, err := u.Marshal()
	return append(bytes.Clone(protoMagic), b...), err
}

func decode(b []byte, o interface{ Unmarshal([]byte) error }) error {
	b, ok := bytes.CutPrefix(b, protoMagic)
	if !ok {
		return errors.New("decode answer: it is not protobuf")
	}
	var u runtime.Unknown
	if err := u.Unmarshal(b); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return o.Unmarshal(u.Raw)
}

func protoStatus(b []byte) string {
	var s meta.Status
	if decode(b, &s) != nil {
		return ""
	}
	return s.Message
}

func readAll(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, maxFile))
}

// register creates the Node. One that is there already is taken over, as a
// kubelet that starts does.
func (k *kubelet) register(ctx context.Context) error {
	body, err := encode("v1", "Node", k.newNode())
	if err != nil {
		return err
	}
	b, err := k.call(ctx, http.MethodPost, pathNodes, protobuf, body)
	if hasCode(err, http.StatusConflict) {
		b, err = k.call(ctx, http.MethodGet, pathNodes+"/"+k.name, "", nil)
	}
	if err != nil {
		return fmt.Errorf("register node %s: %w", k.name, err)
	}
	var n core.Node
	if err := decode(b, &n); err != nil {
		return fmt.Errorf("register node %s: %w", k.name, err)
	}
	k.uid = string(n.UID)
	return nil
}

func (k *kubelet) newNode() *core.Node {
	labels := map[string]string{core.LabelHostname: k.name, core.LabelOSStable: "linux", core.LabelArchStable: "amd64",
		"beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64"}
	for key, v := range k.node.labels {
		labels[key] = v
	}
	if t := labels[core.LabelInstanceTypeStable]; t != "" {
		labels[core.LabelInstanceType] = t
	}
	n := &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: k.name, Labels: labels, Annotations: map[string]string{"volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
		Spec:       core.NodeSpec{ProviderID: k.node.config.ProviderID, Unschedulable: k.node.unschedulable},
		Status:     k.status(false),
	}
	for _, t := range k.node.config.RegisterWithTaints {
		n.Spec.Taints = append(n.Spec.Taints, core.Taint{Key: t.Key, Value: t.Value, Effect: core.TaintEffect(t.Effect)})
	}
	return n
}

// status is the whole status of the Node.
func (k *kubelet) status(ready bool) core.NodeStatus {
	s := k.m.spec
	pods := k.node.config.MaxPods
	if pods == 0 {
		pods = 110
	}
	capacity := core.ResourceList{
		core.ResourceCPU:              *resource.NewQuantity(int64(s.VCPU), resource.DecimalSI),
		core.ResourceMemory:           *resource.NewQuantity(int64(s.MemoryMiB)<<20, resource.BinarySI),
		core.ResourcePods:             *resource.NewQuantity(int64(pods), resource.DecimalSI),
		core.ResourceEphemeralStorage: *resource.NewQuantity(40<<30, resource.BinarySI),
	}
	allocatable := capacity.DeepCopy()
	for _, reserved := range []map[string]string{k.node.config.SystemReserved, k.node.config.KubeReserved} {
		for name, v := range reserved {
			q, err := resource.ParseQuantity(v)
			if have, ok := allocatable[core.ResourceName(name)]; ok && err == nil {
				have.Sub(q)
				allocatable[core.ResourceName(name)] = have
			}
		}
	}
	return core.NodeStatus{
		Capacity: capacity, Allocatable: allocatable, Conditions: k.conditions(ready),
		Addresses: []core.NodeAddress{{Type: core.NodeInternalIP, Address: s.PrivateIP}, {Type: core.NodeHostName, Address: k.name}},
		NodeInfo: core.NodeSystemInfo{MachineID: s.ID, SystemUUID: s.ID, BootID: s.ID, KernelVersion: kernelVersion, OSImage: s.ImageID,
			ContainerRuntimeVersion: "containerd://2.1.4", KubeletVersion: k.m.host.KubeletVersion, OperatingSystem: "linux", Architecture: "amd64"},
		DaemonEndpoints: core.NodeDaemonEndpoints{KubeletEndpoint: core.DaemonEndpoint{Port: 10250}},
	}
}

func (k *kubelet) conditions(ready bool) []core.NodeCondition {
	now := meta.NewTime(k.m.host.Now())
	one := func(t core.NodeConditionType, s core.ConditionStatus, reason, text string) core.NodeCondition {
		return core.NodeCondition{Type: t, Status: s, Reason: reason, Message: text, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	state := one(core.NodeReady, core.ConditionFalse, "KubeletNotReady", "container runtime status check may not have completed yet")
	if ready {
		state = one(core.NodeReady, core.ConditionTrue, "KubeletReady", "kubelet is posting ready status")
	}
	return []core.NodeCondition{
		one(core.NodeMemoryPressure, core.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		one(core.NodeDiskPressure, core.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		one(core.NodePIDPressure, core.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		state,
	}
}

// reportReady says that the node is Ready.
func (k *kubelet) reportReady(ctx context.Context) error {
	return k.patchStatus(ctx, map[string]any{"conditions": k.conditions(true)[3:]})
}

// heartbeat tells the whole status again. A Node that was deleted while the
// kubelet runs is not made again, as a real kubelet does not.
func (k *kubelet) heartbeat(ctx context.Context) error {
	s := k.status(true)
	for i := range s.Conditions { // unchanged conditions keep their time
		s.Conditions[i].LastTransitionTime = meta.Time{}
	}
	err := k.patchStatus(ctx, s)
	if hasCode(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// patchStatus sends a NodeStatus, or the members of one that changed: a NodeStatus
// has members that are never left out, and would be emptied.
func (k *kubelet) patchStatus(ctx context.Context, s any) error {
	body, err := json.Marshal(map[string]any{"status": s})
	if err != nil {
		return fmt.Errorf("encode status of node %s: %w", k.name, err)
	}
	body = bytes.ReplaceAll(body, []byte(`"lastTransitionTime":null,`), nil)
	if _, err = k.call(ctx, http.MethodPatch, pathNodes+"/"+k.name+"/status", string(types.StrategicMergePatchType), body); err != nil {
		return fmt.Errorf("report status of node %s: %w", k.name, err)
	}
	return nil
}

// renewLease renews, and makes a lease where there is none.
func (k *kubelet) renewLease(ctx context.Context) error {
	method, where := http.MethodPut, pathLeases+"/"+k.name
	if k.lease == "" {
		method, where = http.MethodPost, pathLeases
	}
	err := k.writeLease(ctx, method, where)
	switch {
	case method == http.MethodPut && hasCode(err, http.StatusNotFound):
		return k.leaseAgain(ctx)
	case hasCode(err, http.StatusConflict):
		var l coordination.Lease
		b, err := k.call(ctx, http.MethodGet, pathLeases+"/"+k.name, "", nil)
		if err == nil {
			err = decode(b, &l)
		}
		if err != nil {
			return fmt.Errorf("read lease of node %s: %w", k.name, err)
		}
		k.lease = l.ResourceVersion
		return k.writeLease(ctx, http.MethodPut, pathLeases+"/"+k.name)
	}
	return err
}

// leaseAgain makes the lease anew if the Node is there. Without its owner it
// would stay for ever.
func (k *kubelet) leaseAgain(ctx context.Context) error {
	b, err := k.call(ctx, http.MethodGet, pathNodes+"/"+k.name, "", nil)
	if hasCode(err, http.StatusNotFound) {
		return nil
	}
	var n core.Node
	if err == nil {
		err = decode(b, &n)
	}
	if err != nil {
		return fmt.Errorf("read node %s: %w", k.name, err)
	}
	k.uid, k.lease = string(n.UID), ""
	return k.writeLease(ctx, http.MethodPost, pathLeases)
}

func (k *kubelet) writeLease(ctx context.Context, method, where string) error {
	now := meta.NewMicroTime(time.Now())
	seconds := k.node.config.NodeLeaseDurationSeconds
	l := &coordination.Lease{
		ObjectMeta: meta.ObjectMeta{Name: k.name, Namespace: "kube-node-lease", ResourceVersion: k.lease,
			OwnerReferences: []meta.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: k.name, UID: types.UID(k.uid)}}},
		Spec: coordination.LeaseSpec{HolderIdentity: &k.name, LeaseDurationSeconds: &seconds, RenewTime: &now},
	}
	body, err := encode("coordination.k8s.io/v1", "Lease", l)
	if err != nil {
		return err
	}
	b, err := k.call(ctx, method, where, protobuf, body)
	if err != nil {
		return fmt.Errorf("renew lease of node %s: %w", k.name, err)
	}
	var got coordination.Lease
	if err := decode(b, &got); err != nil {
		return err
	}
	k.lease = strings.Clone(got.ResourceVersion)
	return nil
}
