package decode

import (
	"encoding/json"
	"math/rand"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

func testScheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	if err := scheme.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	if err := api.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// both are our decoders of events and objects, and the usual ones.
func both(s *runtime.Scheme) (event, object, usualEvent, usualObject runtime.Decoder) {
	c := newCodecs(s)
	usual, _ := runtime.SerializerInfoForMediaType(c.WithoutConversionCodecFactory.SupportedMediaTypes(), runtime.ContentTypeJSON)
	info := c.SupportedMediaTypes()[0]
	return info.StreamSerializer.Serializer, c.DecoderToVersion(info.Serializer, nil),
		usual.StreamSerializer.Serializer, c.DecoderToVersion(usual.Serializer, nil)
}

// TestItReadsWhatTheUsualReaderReads fills every kind at random, sends it as an
// event, and compares.
func TestItReadsWhatTheUsualReaderReads(t *testing.T) {
	s := testScheme(t)
	fill := fuzzer.FuzzerFor(metafuzzer.Funcs, rand.NewSource(1), serializer.NewCodecFactory(s))
	event, object, usualEvent, usualObject := both(s)
	for kind := range s.KnownTypes(api.GroupVersion) {
		in, err := s.New(api.GroupVersion.WithKind(kind))
		if err != nil || strings.HasSuffix(kind, "List") || strings.HasSuffix(kind, "Options") || kind == "WatchEvent" {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			for range 50 {
				in = reflect.New(reflect.TypeOf(in).Elem()).Interface().(runtime.Object)
				fill.Fill(in)
				in.GetObjectKind().SetGroupVersionKind(api.GroupVersion.WithKind(kind))
				raw := asServed(t, in)
				frame, err := json.Marshal(metav1.WatchEvent{Type: "MODIFIED", Object: runtime.RawExtension{Raw: raw}})
				if err != nil {
					t.Fatal(err)
				}
				var got, want metav1.WatchEvent
				decode(t, event, frame, &got)
				decode(t, usualEvent, frame, &want)
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("event %+v, want %+v", got, want)
				}
				if k, ok := kindOf(raw); !ok || k.Kind != kind {
					t.Fatalf("kind %v, %t of %s", k, ok, raw)
				}
				ours, theirs := decode(t, object, raw, nil), decode(t, usualObject, raw, nil)
				if !equality.Semantic.DeepEqual(ours, theirs) {
					t.Fatalf("got  %+v\nwant %+v", ours, theirs)
				}
			}
		})
	}
}

// asServed writes an object as the API server does: its members sorted.
func asServed(t testing.TB, o runtime.Object) []byte {
	t.Helper()
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func decode(t testing.TB, d runtime.Decoder, data []byte, into runtime.Object) runtime.Object {
	t.Helper()
	out, _, err := d.Decode(data, nil, into)
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return out
}

// TestTheRestIsReadAsEver holds answers and errors of everything else together.
func TestTheRestIsReadAsEver(t *testing.T) {
	event, object, usualEvent, usualObject := both(testScheme(t))
	for name, data := range map[string]string{
		"another kind":         `{"kind":"Status","apiVersion":"v1","status":"Failure","code":410,"reason":"Expired"}`,
		"kind first":           `{"kind":"Instance","apiVersion":"poolkeeper.io/v1alpha1","metadata":{"name":"i-1"}}`,
		"kind last":            `{"metadata":{"name":"i-1"},"apiVersion":"poolkeeper.io/v1alpha1","kind":"Instance"}`,
		"unknown kind":         `{"apiVersion":"poolkeeper.io/v1alpha1","kind":"Machine"}`,
		"another version":      `{"apiVersion":"poolkeeper.io/v2","kind":"Instance"}`,
		"a bookmark":           `{"apiVersion":"poolkeeper.io/v1alpha1","kind":"Instance","metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}`,
		"a member twice":       `{"apiVersion":"poolkeeper.io/v1alpha1","kind":"Instance","spec":{"pool":"a","pool":"b"}}`,
		"an unknown member":    `{"apiVersion":"poolkeeper.io/v1alpha1","kind":"Instance","spec":{"pool":"a","later":{"x":[1]}}}`,
		"another case":         `{"apiVersion":"poolkeeper.io/v1alpha1","kind":"Instance","spec":{"POOL":"a"}}`,
		"null members":         `{"apiVersion":"poolkeeper.io/v1alpha1","kind":"Instance","metadata":{"creationTimestamp":null,"labels":null},"spec":null,"status":null}`,
		"a number for a text":  `{"apiVersion":"poolkeeper.io/v1alpha1","kind":"Instance","spec":{"pool":1}}`,
		"cut off":              `{"apiVersion":"poolkeeper.io/v1alpha1","kind":"Instance","spec":{"po`,
		"cut off in its kind":  `{"apiVersion":"poolkeeper.io/v1alpha1","ki`,
		"no object":            `["apiVersion","poolkeeper.io/v1alpha1","kind","Instance"]`,
		"a kind that is a map": `{"apiVersion":"poolkeeper.io/v1alpha1","kind":{"a":"b"}}`,
		"nothing":              ``,
	} {
		t.Run(name, func(t *testing.T) {
			same(t, object, usualObject, []byte(data), func() runtime.Object { return nil })
			for _, frame := range []string{data, `{"type":"ADDED","object":` + data + `}`} {
				same(t, event, usualEvent, []byte(frame), func() runtime.Object { return &metav1.WatchEvent{} })
			}
		})
	}
}

func same(t *testing.T, ours, usual runtime.Decoder, data []byte, into func() runtime.Object) {
	t.Helper()
	got, gotKind, gotErr := ours.Decode(data, nil, into())
	want, wantKind, wantErr := usual.Decode(data, nil, into())
	if _, event := want.(*metav1.WatchEvent); event { // is of every group, and nobody reads which was found
		gotKind = wantKind
	}
	if !equality.Semantic.DeepEqual(got, want) || !sameKind(gotKind, wantKind) || (gotErr == nil) != (wantErr == nil) || gotErr != nil && gotErr.Error() != wantErr.Error() {
		t.Errorf("%s: got  %+v %v %v\nwant %+v %v %v", data, got, gotKind, gotErr, want, wantKind, wantErr)
	}
}

func sameKind(a, b *schema.GroupVersionKind) bool { return a == b || a != nil && b != nil && *a == *b }

func BenchmarkWatch(b *testing.B) {
	event, object, usualEvent, usualObject := both(testScheme(b))
	i := &api.Instance{TypeMeta: metav1.TypeMeta{APIVersion: api.GroupVersion.String(), Kind: "Instance"}}
	i.Name, i.ResourceVersion, i.UID = "i-852a977xp6eft291yxkn", "376", "92719945-702e-4460-be65-142e2947fa62"
	i.Labels = map[string]string{api.LabelActivity: "demo-a1", api.LabelGroup: "demo", api.LabelPool: "demo"}
	i.Spec = api.InstanceSpec{Pool: "demo", Group: "demo", Activity: "demo-a1", JoinKey: strings.Repeat("c", 64)}
	i.Status = api.InstanceStatus{LifecycleState: api.InstanceInService, NodeState: api.NodeReady, PrivateIP: "10.0.0.2", CloudStatus: "Running"}
	frame, err := json.Marshal(metav1.WatchEvent{Type: "MODIFIED", Object: runtime.RawExtension{Raw: asServed(b, i)}})
	if err != nil {
		b.Fatal(err)
	}
	for name, d := range map[string][2]runtime.Decoder{"ours": {event, object}, "usual": {usualEvent, usualObject}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var e metav1.WatchEvent
				decode(b, d[0], frame, &e)
				decode(b, d[1], e.Object.Raw, nil)
			}
		})
	}
}
