package v1alpha1_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/config"
	"github.com/poolkeeper/poolkeeper/config/configtest"
)

func TestMain(m *testing.M) { configtest.Main(m) }

// pool is the smallest NodePool of a name.
func pool(name string, expected int32) *v1alpha1.NodePool {
	p := &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: name}}
	p.Spec.ExpectedNodes = expected
	p.Spec.VSwitches = []string{"vsw-a"}
	p.Spec.InstanceTypes = []string{"ecs.g7.xlarge"}
	p.Spec.ImageID = "aliyun_3"
	p.Spec.SecurityGroups = []string{"sg-1"}
	return p
}

// fromYAML is an object as a person writes it.
func fromYAML(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

const written = `
apiVersion: poolkeeper.io/v1alpha1
kind: NodePool
metadata: {name: %s}
spec:
  expectedNodes: %s
  vSwitches: [vsw-a]
  instanceTypes: [ecs.g7.xlarge]
  imageID: aliyun_3
  securityGroups: [sg-1]
`

// What a person leaves out is filled in by the API server, so that kubectl
// shows what holds.
func TestDefaultsAreWrittenByTheServer(t *testing.T) {
	s := configtest.Shared(t)
	u := fromYAML(t, fmt.Sprintf(written, "defaults", "0"))
	if err := s.Client(t).Create(context.Background(), u); err != nil {
		t.Fatal(err)
	}
	got := u.Object["spec"]
	want := map[string]any{
		"expectedNodes": int64(0), "minNodes": int64(0), "maxNodes": int64(2000),
		"scalingPolicy": map[string]any{"type": "Priority"},
		"vSwitches":     []any{"vsw-a"}, "instanceTypes": []any{"ecs.g7.xlarge"},
		"imageID": "aliyun_3", "securityGroups": []any{"sg-1"},
		"billing":     map[string]any{"chargeType": "PayAsYouGo"},
		"systemDisk":  map[string]any{"category": "cloud_essd", "sizeGiB": int64(40)},
		"drain":       map[string]any{"mode": "bestEffort"},
		"healthCheck": "None", "deletionProtection": true, "keepFailed": int64(1),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

// A pool written by our own types is one that a person could have written, and
// 0 is written out.
func TestOwnTypesWriteWhatPeopleWrite(t *testing.T) {
	c := configtest.Shared(t).Client(t)
	p := pool("typed", 0)
	p.Spec.MaxNodes = 5
	if err := c.Create(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("NodePool"))
	if err := c.Get(context.Background(), client.ObjectKeyFromObject(p), u); err != nil {
		t.Fatal(err)
	}
	if n, found, _ := unstructured.NestedInt64(u.Object, "spec", "expectedNodes"); !found || n != 0 {
		t.Errorf("expectedNodes is not written out at 0: %v", u.Object["spec"])
	}
	if !*p.Spec.DeletionProtection || p.Spec.Drain.Mode != v1alpha1.DrainBestEffort {
		t.Errorf("defaults did not come back: %+v", p.Spec)
	}
}

// The number is required and has no default: an owner who takes it out of an
// apply is refused, and the pool is not emptied.
func TestApplyWithoutTheNumberIsRefused(t *testing.T) {
	c := configtest.Shared(t).Client(t)
	ctx := context.Background()
	apply := func(text string) error {
		return c.Apply(ctx, client.ApplyConfigurationFromUnstructured(fromYAML(t, text)), client.FieldOwner("owner"))
	}
	full := fmt.Sprintf(written, "owned", "7")
	if err := apply(full); err != nil {
		t.Fatal(err)
	}
	if err := apply(full); err != nil {
		t.Fatalf("apply the same again: %v", err)
	}
	err := apply(strings.Replace(full, "  expectedNodes: 7\n", "", 1))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.expectedNodes: Required value") {
		t.Errorf("apply without expectedNodes: %v, want it refused as invalid", err)
	}
	var p v1alpha1.NodePool
	if err := c.Get(ctx, types.NamespacedName{Name: "owned"}, &p); err != nil {
		t.Fatal(err)
	}
	if p.Spec.ExpectedNodes != 7 {
		t.Errorf("expectedNodes = %d, want 7 as before", p.Spec.ExpectedNodes)
	}
	// Another owner who sets the number meets a conflict that names the first.
	err = c.Apply(ctx, client.ApplyConfigurationFromUnstructured(fromYAML(t, strings.Replace(full, ": 7", ": 8", 1))), client.FieldOwner("another"))
	if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `"owner"`) {
		t.Errorf("another owner: %v, want a conflict that names the first", err)
	}
}

// The scale subresource reads and writes the expected number, under the same
// rules as the pool itself.
func TestScaleSubresource(t *testing.T) {
	c := configtest.Shared(t).Client(t)
	ctx := context.Background()
	p := pool("scaled", 0)
	p.Spec.MaxNodes = 10
	if err := c.Create(ctx, p); err != nil {
		t.Fatal(err)
	}
	p.Status = v1alpha1.NodePoolStatus{Nodes: 3, Selector: "poolkeeper.io/pool=scaled"}
	if err := c.Status().Update(ctx, p); err != nil {
		t.Fatal(err)
	}
	scale := &autoscalingv1.Scale{}
	if err := c.SubResource("scale").Get(ctx, p, scale); err != nil {
		t.Fatal(err)
	}
	if scale.Spec.Replicas != 0 || scale.Status.Replicas != 3 || scale.Status.Selector != p.Status.Selector {
		t.Errorf("scale = %+v %+v, want 0 of spec, 3 of status and the selector", scale.Spec, scale.Status)
	}
	for n, wantRefused := range map[int32]bool{5: false, 0: false, 10: false, 11: true, -1: true} {
		scale.Spec.Replicas = n
		scale.ResourceVersion = ""
		err := c.SubResource("scale").Update(ctx, p, client.WithSubResourceBody(scale))
		if (err != nil) != wantRefused {
			t.Errorf("scale to %d: %v, want refused %v", n, err, wantRefused)
		}
	}
}

// kubectl shows, scales, explains and waits.
func TestKubectl(t *testing.T) {
	s := configtest.Shared(t)
	c, ctx := s.Client(t), context.Background()
	p := pool("shown", 4)
	if err := c.Create(ctx, p); err != nil {
		t.Fatal(err)
	}
	p.Status = v1alpha1.NodePoolStatus{
		ObservedGeneration: 1, Word: "Expanding 3 of 4", Summary: "shown has 3 of 4 nodes: 1 joining.", Strength: "Strong",
		Counts: v1alpha1.PoolCounts{Instances: 4, InService: 3, Joining: 1},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionAtExpectedNumber, Status: metav1.ConditionTrue,
			ObservedGeneration: 1, Reason: v1alpha1.ReasonAsExpected, Message: "4 of 4 instances", LastTransitionTime: metav1.Now()}},
	}
	if err := c.Status().Update(ctx, p); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		want []string
	}{
		{"get nodepools shown", []string{"NAME", "STATUS", "EXPECTED", "IN SERVICE", "JOINING", "FAILED", "STRENGTH", "SUMMARY", "AGE", "Expanding 3 of 4", "1 joining."}},
		{"get pkp shown -o wide", []string{"POLICY", "Priority"}},
		{"wait --for=condition=AtExpectedNumber nodepool/shown --timeout=10s", []string{"condition met"}},
		{"scale nodepool/shown --replicas=6", []string{"scaled"}},
		{"explain nodepool.spec.expectedNodes", []string{"Required, without a default", "Unit: nodes", "0 to 10000"}},
		{"explain nodepool.spec.drain", []string{"limitSeconds", "seconds, 1 to 86400"}},
		{"explain scalingactivity.status.pieces", []string{"amount", "1 to 100"}},
		{"explain instance.spec.joinKey", []string{"SHA-256"}},
		{"explain clustertask.spec.cancel", []string{"not taken back"}},
	} {
		out, err := s.Kubectl(t, strings.Fields(tc.args)...)
		if err != nil {
			t.Errorf("kubectl %s: %v\n%s", tc.args, err, out)
		}
		for _, w := range tc.want {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), w) {
				t.Errorf("kubectl %s does not say %q:\n%s", tc.args, w, out)
			}
		}
	}
	if err := c.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil || p.Spec.ExpectedNodes != 6 || p.Generation != 2 {
		t.Errorf("after kubectl scale: expectedNodes %d generation %d (%v), want 6 and 2", p.Spec.ExpectedNodes, p.Generation, err)
	}
}

// Status and spec have their own writers: an update of one leaves the other.
func TestStatusIsASubresource(t *testing.T) {
	c, ctx := configtest.Shared(t).Client(t), context.Background()
	p := pool("apart", 1)
	if err := c.Create(ctx, p); err != nil {
		t.Fatal(err)
	}
	p.Spec.ExpectedNodes, p.Status.Word = 2, "Expanding"
	if err := c.Update(ctx, p); err != nil {
		t.Fatal(err)
	}
	if p.Status.Word != "" || p.Generation != 2 {
		t.Errorf("update of the pool: word %q generation %d, want the spec alone to change", p.Status.Word, p.Generation)
	}
	p.Spec.ExpectedNodes, p.Status.Word = 3, "Expanding 0 of 2"
	if err := c.Status().Update(ctx, p); err != nil {
		t.Fatal(err)
	}
	if p.Status.Word == "" || p.Spec.ExpectedNodes != 2 || p.Generation != 2 {
		t.Errorf("update of the status: %d %q %d, want the status alone to change", p.Spec.ExpectedNodes, p.Status.Word, p.Generation)
	}
}

// An activity at its bounds is stored: 2,000 candidates, 2,000 pieces with the
// instances they made, and its spec still never changes.
func TestTheLargestActivityIsStored(t *testing.T) {
	s := configtest.Shared(t)
	c, ctx := s.As(t, config.ControllerUser), context.Background()
	a := &v1alpha1.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: "largest-a1"}}
	a.Spec = v1alpha1.ScalingActivitySpec{Group: "largest", GroupUID: "u", Pool: "largest", Number: 1, Cause: "expected number 0 -> 2000", Wanted: 2000, Create: 2000}
	for i := range 2000 {
		a.Spec.Candidates = append(a.Spec.Candidates, v1alpha1.Candidate{
			VSwitch: fmt.Sprintf("vsw-%d", i%20), Zone: "cn-local-a", InstanceType: fmt.Sprintf("ecs.g7.%dxlarge", i), ChargeType: v1alpha1.ChargePayAsYouGo,
			PricePerHour: "1.234", Currency: "CNY", Request: fmt.Sprintf("r%d", i),
		})
	}
	if err := c.Create(ctx, a); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		p := v1alpha1.Piece{Candidate: int32(i), Amount: 100, State: v1alpha1.PieceResolved}
		for n := range 100 {
			p.Instances = append(p.Instances, fmt.Sprintf("i-bp1%017d", i*100+n))
		}
		a.Status.Pieces = append(a.Status.Pieces, p)
	}
	if err := c.Status().Update(ctx, a); err != nil {
		t.Fatal(err)
	}
	before := a.DeepCopy()
	a.Spec.Candidates[1999].Share = 1
	if err := c.Patch(ctx, a, client.MergeFrom(before)); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "cannot be changed") {
		t.Errorf("change of the decision: %v, want it refused", err)
	}
}
