// Package decode reads the objects of ours that the API server sends on a watch
// with the coming JSON reader of the standard library. Their definitions are served
// as JSON only, which client-go reads four times over: the frame, its event, the
// kind, the object. That was a sixth of the controller's time while many nodes join
// (docs/decisions/0020-watched-objects-are-read-once.md).
package decode

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// NewCache makes a cache whose watches of our kinds are read so. Lists, and all
// other kinds, are read as ever. It is a [cache.NewCacheFunc] for a manager, which
// sets scheme, mapper and HTTP client; options that select among objects of ours are
// not for it: it watches all of a kind.
func NewCache(c *rest.Config, o cache.Options) (cache.Cache, error) {
	config := rest.CopyConfig(c)
	config.GroupVersion, config.APIPath = &api.GroupVersion, "/apis"
	config.NegotiatedSerializer = newCodecs(o.Scheme)
	ours, err := rest.RESTClientForConfigAndClient(config, o.HTTPClient)
	if err != nil {
		return nil, fmt.Errorf("set up client of watches: %w", err)
	}
	o.NewInformer = func(lw toolscache.ListerWatcher, obj runtime.Object, resync time.Duration, by toolscache.Indexers) toolscache.SharedIndexInformer {
		if resource, ok := resourceOf(o.Scheme, o.Mapper, obj); ok {
			lw = &toolscache.ListWatch{
				ListWithContextFunc: toolscache.ToListerWithContext(lw).ListWithContext,
				WatchFuncWithContext: func(ctx context.Context, w metav1.ListOptions) (watch.Interface, error) {
					w.Watch, w.AllowWatchBookmarks = true, true
					return ours.Get().Resource(resource).VersionedParams(&w, metav1.ParameterCodec).Watch(ctx)
				},
			}
		}
		return toolscache.NewSharedIndexInformer(lw, obj, resync, by)
	}
	return cache.New(c, o)
}

// resourceOf is what a kind of ours is called in the API server's paths.
func resourceOf(s *runtime.Scheme, m meta.RESTMapper, obj runtime.Object) (string, bool) {
	if _, only := obj.(*metav1.PartialObjectMetadata); only {
		return "", false
	}
	kinds, _, err := s.ObjectKinds(obj)
	if err != nil || kinds[0].GroupVersion() != api.GroupVersion {
		return "", false
	}
	mapping, err := m.RESTMapping(kinds[0].GroupKind(), kinds[0].Version)
	if err != nil {
		return "", false
	}
	return mapping.Resource.Resource, true
}

// codecs negotiates as a codec factory does, and reads our kinds faster.
type codecs struct {
	serializer.WithoutConversionCodecFactory
	scheme *runtime.Scheme
}

func newCodecs(s *runtime.Scheme) codecs {
	return codecs{serializer.WithoutConversionCodecFactory{CodecFactory: serializer.NewCodecFactory(s)}, s}
}

// SupportedMediaTypes is JSON, with our reader before the usual one.
func (c codecs) SupportedMediaTypes() []runtime.SerializerInfo {
	info, _ := runtime.SerializerInfoForMediaType(c.WithoutConversionCodecFactory.SupportedMediaTypes(), runtime.ContentTypeJSON)
	info.Serializer = reader{info.Serializer, c.scheme}
	stream := *info.StreamSerializer
	stream.Serializer = reader{stream.Serializer, c.scheme}
	info.StreamSerializer = &stream
	return []runtime.SerializerInfo{info}
}

// reader reads events of a watch, and objects of ours into new ones; anything else,
// and whatever it does not understand, it leaves to the usual serializer, whose
// errors people know.
type reader struct {
	runtime.Serializer
	scheme *runtime.Scheme
}

// Decode implements [runtime.Decoder].
func (r reader) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	switch into := into.(type) {
	case *metav1.WatchEvent:
		var frame struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := jsonv2.Unmarshal(data, &frame); err == nil && frame.Type != "" && len(frame.Object) > 0 {
			into.Type, into.Object.Raw = frame.Type, frame.Object
			return into, &schema.GroupVersionKind{Version: "v1", Kind: "WatchEvent"}, nil
		}
	case nil:
		if kind, ok := kindOf(data); ok {
			if obj, err := r.scheme.New(kind); err == nil && jsonv2.Unmarshal(data, obj) == nil {
				return obj, &kind, nil
			}
		}
	}
	return r.Serializer.Decode(data, defaults, into)
}

// kindOf reads the kind of an object of ours where it stands first, as the API
// server writes it.
func kindOf(data []byte) (schema.GroupVersionKind, bool) {
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	if d.PeekKind() != '{' {
		return schema.GroupVersionKind{}, false
	}
	var words [5]string
	for n := range words {
		token, err := d.ReadToken()
		if err != nil {
			return schema.GroupVersionKind{}, false
		}
		if n > 0 && token.Kind() != '"' {
			return schema.GroupVersionKind{}, false
		}
		words[n] = token.String()
	}
	is := words[1] == "apiVersion" && words[2] == api.GroupVersion.String() && words[3] == "kind"
	return api.GroupVersion.WithKind(words[4]), is
}
