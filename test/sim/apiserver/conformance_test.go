package apiserver_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/config/configtest"
	"github.com/poolkeeper/poolkeeper/test/sim/apiserver"
)

var rewrite = flag.Bool("rewrite", false, "write down what the real server says")

func TestMain(m *testing.M) { configtest.Main(m) }

// One script of calls has the same outcome against the model and against the
// real API server, and that outcome is what the script says.
func TestTheModelIsAsStrictAsTheRealServer(t *testing.T) {
	controller := "system:serviceaccount:poolkeeper-system:poolkeeper-controller" // whom the policies let write records
	config := configtest.Shared(t).ConfigAs(controller, "system:masters")
	real, err := client.NewWithWatch(config, client.Options{Scheme: apiserver.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	server, err := real.Watch(t.Context(), &api.InstanceList{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	model := apiserver.New(apiserver.Options{Scheme: apiserver.Scheme(), Kinds: apiserver.Kinds(), Now: time.Now, Random: rand.New(rand.NewPCG(1, 1))})
	want, err := os.ReadFile("testdata/script.txt")
	if err != nil {
		t.Fatal(err)
	}
	plain := &apiserver.Client{Server: model, Wire: apiserver.Direct}
	for _, side := range []struct {
		name    string
		c       client.Client
		changes func() string
	}{{"real", real, func() string { return changed(<-server.ResultChan()) }}, {"model", plain, changesOf(apiserver.NewCache(plain, apiserver.Instance))}} {
		t.Run(side.name, func(t *testing.T) {
			p := &play{Client: side.c, ctx: t.Context()}
			for _, part := range script {
				part(p)
			}
			p.tell("what a watch of instances shows", nil)
			for said := ""; !strings.HasSuffix(said, lastChange); p.said.WriteString(said + "\n") {
				said = side.changes()
			}
			if got := p.said.String(); got != string(want) {
				if *rewrite && side.name == "real" {
					if err := os.WriteFile("testdata/script.txt", []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
					return
				}
				t.Errorf("another outcome than testdata/script.txt says:\n%s", difference(string(want), got))
			}
		})
	}
}

// lastChange is what the script does last to an Instance.
const lastChange = "ADDED i-list-c generation 1"

// changed is one event of a watch in words.
func changed(e watch.Event) string {
	i, ok := e.Object.(*api.Instance)
	if !ok {
		return fmt.Sprintf("%s %T", e.Type, e.Object)
	}
	going := ""
	if i.DeletionTimestamp != nil {
		going = ", going"
	}
	return fmt.Sprintf("  %s %s generation %d%s", e.Type, i.Name, i.Generation, going)
}

// changesOf tells what a cache takes in, as a watch does.
func changesOf(c *apiserver.Cache) func() string {
	return func() string {
		if c.Behind(apiserver.Instance) == 0 {
			return "nothing more; " + lastChange
		}
		e, err := c.Step(apiserver.Instance)
		if err != nil {
			return err.Error() + "; " + lastChange
		}
		kind := watch.Modified
		if e.Deleted {
			kind = watch.Deleted
		} else if e.Old == nil {
			kind = watch.Added
		}
		return changed(watch.Event{Type: kind, Object: e.New})
	}
}

// difference shows the lines that differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out []string
	for n := range max(len(w), len(g)) {
		var a, b string
		if n < len(w) {
			a = w[n]
		}
		if n < len(g) {
			b = g[n]
		}
		if a != b {
			out = append(out, fmt.Sprintf("%d: want %s\n   got  %s", n+1, a, b))
		}
	}
	return strings.Join(out, "\n")
}

// play is one run of the script; what it says is compared.
type play struct {
	client.Client
	ctx  context.Context
	said strings.Builder
}

// tell notes what one call came to: the reason of its error, else facts.
func (p *play) tell(what string, err error, facts ...any) {
	outcome := "ok"
	if err != nil {
		outcome = string(apierrors.ReasonForError(err))
	}
	fmt.Fprintf(&p.said, "%s: %s", what, outcome)
	if err == nil {
		for _, f := range facts {
			fmt.Fprintf(&p.said, " %v", f)
		}
	}
	p.said.WriteString("\n")
}

// script is what is played, part by part; each part begins with objects of its
// own.
var script = []func(*play){(*play).names, (*play).versions, (*play).status, (*play).patches, (*play).deletion, (*play).frozen, (*play).lists, (*play).core, (*play).keys, (*play).requests, (*play).tokens}

func newInstance(name string) *api.Instance {
	return &api.Instance{
		ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{api.Finalizer}, Labels: map[string]string{api.LabelPool: "p", api.LabelGroup: "p"}},
		Spec: api.InstanceSpec{Pool: "p", Group: "p", GroupUID: "g", CreationType: api.CreatedUnknown,
			Placement: api.Placement{VSwitch: "vsw-a", Zone: "cn-local-a", InstanceType: "ecs.g7.large", ChargeType: api.ChargePayAsYouGo}},
	}
}

func (p *play) get(name string) *api.Instance {
	i := &api.Instance{}
	if err := p.Get(p.ctx, types.NamespacedName{Name: name}, i); err != nil {
		p.tell("get "+name, err)
	}
	return i
}

// names: a name is taken once; a generated one begins as was asked for.
func (p *play) names() {
	i := newInstance("i-names")
	p.tell("create", p.Create(p.ctx, i), i.Generation, i.UID != "", i.ResourceVersion != "", !i.CreationTimestamp.IsZero())
	p.tell("create again", p.Create(p.ctx, newInstance("i-names")))
	p.tell("create what has a version", p.Create(p.ctx, i.DeepCopy()))
	nameless := newInstance("")
	p.tell("create without a name", p.Create(p.ctx, nameless))
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "web-a1-"}}
	err := p.Create(p.ctx, s)
	p.tell("create with a generated name", err, strings.HasPrefix(s.Name, "web-a1-"), len(s.Name))
	p.tell("get what is not there", p.Get(p.ctx, types.NamespacedName{Name: "i-none"}, &api.Instance{}))
	p.tell("update what is not there", p.Update(p.ctx, func() *api.Instance {
		i := newInstance("i-none")
		i.ResourceVersion = "1"
		return i
	}()))
}

// versions: an update under an older version is a conflict; one that changes
// nothing makes no version.
func (p *play) versions() {
	i := newInstance("i-versions")
	p.tell("create", p.Create(p.ctx, i))
	old := i.DeepCopy()
	i.Spec.Protected = true
	p.tell("update", p.Update(p.ctx, i), i.Generation, i.ResourceVersion != old.ResourceVersion)
	version := i.ResourceVersion
	p.tell("update with nothing new", p.Update(p.ctx, i), i.Generation, i.ResourceVersion == version)
	old.Spec.Standby = true
	p.tell("update under an older version", p.Update(p.ctx, old))
	i.Labels["more"] = "yes"
	p.tell("update of the metadata", p.Update(p.ctx, i), i.Generation)
	bare := newInstance("i-versions")
	p.tell("update without a version", p.Update(p.ctx, bare))
	other := i.DeepCopy()
	other.UID = "another"
	p.tell("update of another one of this name", p.Update(p.ctx, other))
}

// status: neither part writes the other's.
func (p *play) status() {
	i := newInstance("i-status")
	i.Status.Message = "dropped at creation"
	p.tell("create with a status", p.Create(p.ctx, i), i.Status.Message == "")
	i.Status.Message, i.Spec.Protected = "hello", true
	i.Labels["also"] = "dropped"
	err := p.Status().Update(p.ctx, i)
	p.tell("update the status", err, i.Status.Message, i.Spec.Protected, i.Labels["also"] == "", i.Generation)
	i.Status.Message, i.Spec.Standby = "dropped", true
	p.tell("update the rest", p.Update(p.ctx, i), i.Status.Message, i.Spec.Standby, i.Generation)
	now := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 600_700_800, time.UTC))
	sent := metav1.NewMicroTime(now.Time)
	i.Status.RunningTime, i.Status.ReleaseSentTime = &now, &sent
	p.tell("write times", p.Status().Update(p.ctx, i), i.Status.RunningTime.Nanosecond(), i.Status.ReleaseSentTime.Nanosecond())
	old := i.DeepCopy()
	i.Status.Message = "newer"
	p.tell("write", p.Status().Update(p.ctx, i))
	p.tell("write the status under an older version", p.Status().Update(p.ctx, old))
}

// patches: a merge patch meets a conflict only where it names a version; a JSON
// patch whose test fails changes nothing.
func (p *play) patches() {
	i := newInstance("i-patches")
	p.tell("create", p.Create(p.ctx, i))
	before := i.DeepCopy()
	after := i.DeepCopy()
	after.Spec.Protected = true
	answer := after.DeepCopy()
	p.tell("merge patch", p.Patch(p.ctx, answer, client.MergeFrom(before)), answer.Spec.Protected, answer.Generation)
	again := before.DeepCopy()
	again.Spec.Standby = true
	p.tell("merge patch of an older version", p.Patch(p.ctx, again, client.MergeFrom(before)), again.Spec.Protected, again.Spec.Standby)
	locked := before.DeepCopy()
	locked.Spec.Standby = false
	locked.Spec.ReleaseFirst = true
	p.tell("merge patch that names an older version", p.Patch(p.ctx, locked, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})))
	said := p.get("i-patches")
	base := said.DeepCopy()
	said.Status.Message = "by patch"
	p.tell("merge patch of the status", p.Status().Patch(p.ctx, said, client.MergeFrom(base)), said.Status.Message)
	partial := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: api.GroupVersion.String(), Kind: "Instance"}, ObjectMeta: metav1.ObjectMeta{Name: "i-patches"}}
	p.tell("answer without the rest", p.Status().Patch(p.ctx, partial, client.RawPatch(types.MergePatchType, []byte(`{"status":{"message":null}}`))), partial.UID == i.UID, partial.ResourceVersion != "")
	p.tell("it is gone", nil, p.get("i-patches").Status.Message == "")
	wrong := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"test","path":"/metadata/uid","value":"another"},{"op":"remove","path":"/metadata/finalizers/0"}]`))
	p.tell("JSON patch whose test fails", p.Patch(p.ctx, p.get("i-patches"), wrong))
	right := client.RawPatch(types.JSONPatchType, []byte(fmt.Sprintf(`[{"op":"test","path":"/metadata/uid","value":%q},{"op":"remove","path":"/metadata/finalizers/0"}]`, i.UID)))
	p.tell("JSON patch", p.Patch(p.ctx, p.get("i-patches"), right), len(p.get("i-patches").Finalizers))
	p.tell("JSON patch of what is not there", p.Patch(p.ctx, p.get("i-patches"), client.RawPatch(types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/finalizers/0"}]`))))
	gone := newInstance("i-none")
	p.tell("patch an object that is not there", p.Patch(p.ctx, gone, client.RawPatch(types.MergePatchType, []byte(`{}`))))
}

// deletion: with a finalizer an object stays, takes no more finalizers, can be
// written, and goes with the last of them.
func (p *play) deletion() {
	i := newInstance("i-deletion")
	p.tell("create", p.Create(p.ctx, i))
	other := types.UID("another")
	p.tell("delete another one of this name", p.Delete(p.ctx, i, client.Preconditions{UID: &other}))
	p.tell("delete", p.Delete(p.ctx, i, client.Preconditions{UID: &i.UID}))
	going := p.get("i-deletion")
	p.tell("it is going", nil, going.DeletionTimestamp != nil, going.Generation)
	p.tell("delete again", p.Delete(p.ctx, i), p.get("i-deletion").Generation)
	p.tell("create one of its name", p.Create(p.ctx, newInstance("i-deletion")))
	more := going.DeepCopy()
	more.Finalizers = append(more.Finalizers, "poolkeeper.io/another")
	p.tell("add a finalizer", p.Update(p.ctx, more))
	going.Status.Message = "still written"
	p.tell("write its status", p.Status().Update(p.ctx, going), going.Status.Message)
	going.Finalizers = nil
	p.tell("take the last finalizer off", p.Update(p.ctx, going))
	p.tell("get", p.Get(p.ctx, types.NamespacedName{Name: "i-deletion"}, &api.Instance{}))
	p.tell("delete what is gone", p.Delete(p.ctx, i))
	next := newInstance("i-deletion")
	p.tell("create the next", p.Create(p.ctx, next), next.UID != i.UID, next.Generation)
	next.Finalizers = nil
	p.tell("let it go", p.Update(p.ctx, next))
	p.tell("delete without a finalizer", p.Delete(p.ctx, next))
	p.tell("get", p.Get(p.ctx, types.NamespacedName{Name: "i-deletion"}, &api.Instance{}))
}

// frozen: an activity's spec and an immutable Secret never change; their
// metadata does.
func (p *play) frozen() {
	a := &api.ScalingActivity{ObjectMeta: metav1.ObjectMeta{Name: "p-a1"}, Spec: api.ScalingActivitySpec{Group: "p", GroupUID: "g", Pool: "p", Number: 1,
		Cause: "by hand", Policy: api.PolicyPriority, Release: []api.Leaving{{Instance: "i-frozen", Reason: "x", Drain: api.DrainBestEffort}}}}
	p.tell("create an activity", p.Create(p.ctx, a))
	a.Spec.Cause = "another"
	p.tell("change it", p.Update(p.ctx, a.DeepCopy()))
	a.Spec.Cause = "by hand"
	a.Labels = map[string]string{"x": "y"}
	p.tell("label it", p.Update(p.ctx, a), a.Generation)
	a.Status.Summary = "written"
	p.tell("write its status", p.Status().Update(p.ctx, a), a.Status.Summary)
	yes := true
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "frozen"}, Immutable: &yes, Data: map[string][]byte{"a": []byte("1")}}
	p.tell("create an immutable Secret", p.Create(p.ctx, s))
	changed := s.DeepCopy()
	changed.Data["a"] = []byte("2")
	p.tell("change it", p.Update(p.ctx, changed))
	s.Labels = map[string]string{"x": "y"}
	p.tell("label it", p.Update(p.ctx, s))
}

// lists: by labels and namespace, in the order of names, metadata alone.
func (p *play) lists() {
	for _, name := range []string{"i-list-b", "i-list-a", "i-list-c"} {
		i := newInstance(name)
		i.Labels[api.LabelGroup] = "lists"
		if name == "i-list-c" {
			i.Labels[api.LabelGroup] = "other"
		}
		p.tell("create "+name, p.Create(p.ctx, i))
	}
	var list api.InstanceList
	err := p.List(p.ctx, &list, client.MatchingLabels{api.LabelGroup: "lists"})
	var names []string
	for n := range list.Items {
		names = append(names, list.Items[n].Name)
	}
	p.tell("list by label", err, names, list.ResourceVersion != "")
	var meta metav1.PartialObjectMetadataList
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "listed", Labels: map[string]string{api.LabelActivity: "p-a1"}}}
	p.tell("create a Secret", p.Create(p.ctx, s))
	err = p.List(p.ctx, &meta, client.InNamespace("default"), client.HasLabels{api.LabelActivity})
	p.tell("list metadata", err, len(meta.Items), meta.Items[0].Name)
}

// core: a Node counts no generations and is updated without a version too.
func (p *play) core() {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "i-node"}, Spec: corev1.NodeSpec{ProviderID: "cn-local.i-node"}}
	p.tell("create a node", p.Create(p.ctx, n), n.Spec.ProviderID, n.Generation)
	p.tell("cordon", p.Patch(p.ctx, n, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"poolkeeper.io/cordoned":"true"}},"spec":{"unschedulable":true}}`))),
		n.Spec.Unschedulable, n.Annotations["poolkeeper.io/cordoned"])
	p.tell("uncordon", p.Patch(p.ctx, n, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"poolkeeper.io/cordoned":null}},"spec":{"unschedulable":null}}`))),
		n.Spec.Unschedulable, len(n.Annotations))
	p.tell("delete another of its name", p.Delete(p.ctx, n, client.Preconditions{UID: new(types.UID)}))
	p.tell("delete", p.Delete(p.ctx, n, client.Preconditions{UID: &n.UID}))
	p.tell("get", p.Get(p.ctx, types.NamespacedName{Name: "i-node"}, &corev1.Node{}))
}

// keys: a join key is written once; writing it again changes nothing, and is
// refused under an older version; another one needs that it is taken off first.
func (p *play) keys() {
	i := newInstance("i-keys")
	p.tell("create", p.Create(p.ctx, i))
	write := func(version, key string) (*metav1.PartialObjectMetadata, error) {
		o := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: api.GroupVersion.String(), Kind: "Instance"}, ObjectMeta: metav1.ObjectMeta{Name: "i-keys"}}
		return o, p.Patch(p.ctx, o, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q,"managedFields":[{}]},"spec":{"joinKey":%q}}`, version, key)))
	}
	one, other := strings.Repeat("a", 64), strings.Repeat("b", 64)
	first, err := write(i.ResourceVersion, one)
	p.tell("write a key", err, first.Generation, p.get("i-keys").Spec.JoinKey == one, len(p.get("i-keys").ManagedFields))
	again, err := write(first.ResourceVersion, one)
	p.tell("write it again", err, again.Generation, again.ResourceVersion == first.ResourceVersion)
	_, err = write(i.ResourceVersion, one)
	p.tell("write it again under an older version", err)
	_, err = write(first.ResourceVersion, other)
	p.tell("write another", err)
	bare := p.get("i-keys")
	bare.Spec.JoinKey = ""
	p.tell("take it off", p.Update(p.ctx, bare))
	_, err = write(bare.ResourceVersion, other)
	p.tell("write another", err, p.get("i-keys").Spec.JoinKey == other)
}

// requests: what was decided about a certificate request stays, and nothing else
// of it is written with that.
func (p *play) requests() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		p.tell("make a key", err)
		return
	}
	der, err := x509.CreateCertificateRequest(crand.Reader, &x509.CertificateRequest{}, key)
	r := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{GenerateName: "poolkeeper-p-"}, Spec: certificatesv1.CertificateSigningRequestSpec{
		Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), SignerName: "example.com/nobody", Usages: []certificatesv1.KeyUsage{"client auth"}}}
	p.tell("make a request", err)
	p.tell("file it", p.Create(p.ctx, r), r.Generation, len(r.Status.Conditions))
	old := r.DeepCopy()
	r.Labels = map[string]string{"x": "y"}
	r.Spec.SignerName = "example.com/another"
	p.tell("label it and change it", p.Update(p.ctx, r), r.Labels["x"], r.Spec.SignerName)
	say := func(o *certificatesv1.CertificateSigningRequest, types ...certificatesv1.RequestConditionType) error {
		o.Status.Conditions = nil
		for _, typ := range types {
			o.Status.Conditions = append(o.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: typ, Status: corev1.ConditionTrue, Reason: "Said"})
		}
		return p.SubResource("approval").Update(p.ctx, o)
	}
	p.tell("approve it under an older version", say(old, certificatesv1.CertificateApproved))
	p.tell("approve and deny it", say(r.DeepCopy(), certificatesv1.CertificateApproved, certificatesv1.CertificateDenied))
	r.Labels["x"] = "z"
	p.tell("approve it", say(r, certificatesv1.CertificateApproved), r.Labels["x"], len(r.Status.Conditions))
	p.tell("take that back", say(r.DeepCopy()))
	p.tell("deny it instead", say(r.DeepCopy(), certificatesv1.CertificateDenied))
	p.tell("delete it", p.Delete(p.ctx, r, client.Preconditions{UID: &r.UID}))
}

// tokens: one is bound to a Secret that is there under the UID that is named.
func (p *play) tokens() {
	meta := metav1.ObjectMeta{Namespace: "default", Name: "pool-tokens"}
	account, secret := &corev1.ServiceAccount{ObjectMeta: meta}, &corev1.Secret{ObjectMeta: meta}
	p.tell("make an account", p.Create(p.ctx, account))
	p.tell("make a secret", p.Create(p.ctx, secret))
	mint := func(uid types.UID) error {
		return p.SubResource("token").Create(p.ctx, account, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: secret.Name, UID: uid}}})
	}
	first := secret.UID
	p.tell("mint a token that dies with it", mint(first))
	p.tell("delete the secret", p.Delete(p.ctx, secret))
	p.tell("mint another", mint(first))
	secret = &corev1.Secret{ObjectMeta: meta}
	p.tell("make it anew", p.Create(p.ctx, secret))
	p.tell("mint one under its former UID", mint(first))
	p.tell("mint one under its UID", mint(secret.UID))
}
