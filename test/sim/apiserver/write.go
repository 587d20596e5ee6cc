package apiserver

import (
	"fmt"
	"net/http"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The parts of an object that a write is about.
const (
	wholeObject = ""
	statusOnly  = "status"
	// approvalOnly is the conditions of a certificate request.
	approvalOnly = "approval"
)

// create stores a new object.
func (s *Server) create(sh *shelf, raw map[string]any) (*stored, error) {
	raw = cloneMap(raw)
	meta := metaOf(raw)
	if text(meta, "resourceVersion") != "" {
		return nil, &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError,
			Message: "resourceVersion should not be set on objects to be created"}}
	}
	if text(meta, "name") == "" {
		if text(meta, "generateName") == "" {
			return nil, sh.invalid("", field.Required(field.NewPath("metadata", "name"), "name or generateName is required"))
		}
		meta["name"] = text(meta, "generateName") + s.suffix()
	}
	name := text(meta, "name")
	if sh.Namespaced && text(meta, "namespace") == "" {
		return nil, apierrors.NewBadRequest("an empty namespace may not be set during creation")
	}
	if sh.objects[sh.key(text(meta, "namespace"), name)] != nil {
		return nil, apierrors.NewAlreadyExists(sh.resource(), name)
	}
	for _, f := range []string{"deletionTimestamp", "deletionGracePeriodSeconds", "generation"} {
		delete(meta, f)
	}
	meta["uid"], meta["creationTimestamp"] = s.uid(), s.Now().UTC().Truncate(time.Second).Format(time.RFC3339)
	if sh.Custom {
		meta["generation"] = 1
		delete(raw, "status")
	}
	o, err := s.decode(sh.gvk, raw)
	if err != nil {
		return nil, err
	}
	return s.put(sh, o), nil
}

// kept are the fields of the metadata that no writer changes.
var kept = []string{"uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "generateName"}

// update stores what a writer made of an object, of that part of it alone.
func (s *Server) update(sh *shelf, raw map[string]any, part string) (*stored, error) {
	raw = cloneMap(raw)
	meta := metaOf(raw)
	name, version := text(meta, "name"), text(meta, "resourceVersion")
	old, err := sh.find(text(meta, "namespace"), name)
	if err != nil {
		return nil, err
	}
	if version == "" && sh.Custom {
		return nil, sh.invalid(name, field.Invalid(field.NewPath("metadata", "resourceVersion"), 0, "must be specified for an update"))
	}
	before := metaOf(old.raw)
	if version != "" && version != text(before, "resourceVersion") {
		return nil, sh.conflict(name, "the object has been modified; please apply your changes to the latest version and try again")
	}
	if uid := text(meta, "uid"); uid != "" && uid != text(before, "uid") {
		return nil, sh.conflict(name, fmt.Sprintf("Precondition failed: UID in precondition: %s, UID in object meta: %s", uid, text(before, "uid")))
	}
	return s.store(sh, old, raw, part)
}

// store merges what was written with what stays, and stores it where it
// differs. An object without finalizers that is being deleted goes.
func (s *Server) store(sh *shelf, old *stored, raw map[string]any, part string) (*stored, error) {
	meta, before := metaOf(raw), metaOf(old.raw)
	for _, f := range kept {
		if v, ok := before[f]; ok {
			meta[f] = v
		} else {
			delete(meta, f)
		}
	}
	delete(meta, "managedFields") // not modelled
	raw = sh.merged(old, raw, part)
	typed, err := s.decode(sh.gvk, raw)
	if err != nil {
		return nil, err
	}
	raw = typed.raw
	meta = metaOf(raw)
	if reflect.DeepEqual(raw, old.raw) {
		return old, nil
	}
	name := text(meta, "name")
	if sh.Refuse != nil {
		if why := sh.Refuse(old.raw, raw); why != nil {
			return nil, sh.invalid(name, why)
		}
	}
	if changed := !sameButMeta(raw, old.raw); changed && part == wholeObject {
		if sh.Frozen != nil && sh.Frozen(old.raw) {
			return nil, sh.invalid(name, field.Forbidden(field.NewPath("spec"), "it cannot be changed"))
		}
		if sh.Custom {
			generation := old.object.GetGeneration() + 1
			meta["generation"] = generation
			typed.object.SetGeneration(generation)
		}
	}
	if text(before, "deletionTimestamp") == "" {
		return s.put(sh, typed), nil
	}
	if more := added(finalizers(old.raw), finalizers(raw)); len(more) > 0 {
		return nil, sh.invalid(name, field.Forbidden(field.NewPath("metadata", "finalizers"),
			fmt.Sprintf("no new finalizers can be added if the object is being deleted, found new finalizers %v", more)))
	}
	if len(finalizers(raw)) == 0 {
		if err := s.drop(sh, old, raw); err != nil {
			return nil, err
		}
		return typed, nil
	}
	return s.put(sh, typed), nil
}

// merged is what a write of one part makes of an object.
func (sh *shelf) merged(old *stored, raw map[string]any, part string) map[string]any {
	if part == wholeObject {
		if raw["status"] = clone(old.raw["status"]); raw["status"] == nil {
			delete(raw, "status")
		}
		if sh.Fixed {
			raw["spec"] = clone(old.raw["spec"])
		}
		return raw
	}
	next, said := cloneMap(old.raw), raw["status"]
	if part == approvalOnly {
		status, _ := next["status"].(map[string]any)
		if status == nil {
			status = map[string]any{}
		}
		written, _ := said.(map[string]any)
		status["conditions"] = written["conditions"]
		said, next["metadata"] = status, raw["metadata"] // the real one takes labels along
	}
	if next["status"] = said; said == nil {
		delete(next, "status")
	}
	return next
}

// sameButMeta compares all but metadata and status.
func sameButMeta(a, b map[string]any) bool {
	for _, pair := range [][2]map[string]any{{a, b}, {b, a}} {
		for k, v := range pair[0] {
			if k != "metadata" && k != "status" && !reflect.DeepEqual(v, pair[1][k]) {
				return false
			}
		}
	}
	return true
}

func finalizers(raw map[string]any) []string {
	list, _ := metaOf(raw)["finalizers"].([]any)
	out := make([]string, 0, len(list))
	for _, f := range list {
		if name, ok := f.(string); ok {
			out = append(out, name)
		}
	}
	return out
}

func added(old, now []string) []string {
	there := map[string]bool{}
	for _, f := range old {
		there[f] = true
	}
	var out []string
	for _, f := range now {
		if !there[f] {
			out = append(out, f)
		}
	}
	return out
}

// remove deletes an object, or marks it as going while it has finalizers.
func (s *Server) remove(sh *shelf, namespace, name string, p *metav1.Preconditions) error {
	old, err := sh.find(namespace, name)
	if err != nil {
		return err
	}
	before := metaOf(old.raw)
	if p != nil && p.UID != nil && string(*p.UID) != text(before, "uid") {
		return sh.conflict(name, fmt.Sprintf("Precondition failed: UID in precondition: %s, UID in object meta: %s", *p.UID, text(before, "uid")))
	}
	if p != nil && p.ResourceVersion != nil && *p.ResourceVersion != text(before, "resourceVersion") {
		return sh.conflict(name, "Precondition failed: ResourceVersion in precondition: "+*p.ResourceVersion)
	}
	raw := cloneMap(old.raw)
	if len(finalizers(raw)) == 0 {
		return s.drop(sh, old, raw)
	}
	if text(before, "deletionTimestamp") != "" {
		return nil
	}
	meta := metaOf(raw)
	meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"] = s.Now().UTC().Truncate(time.Second).Format(time.RFC3339), 0
	if generation, ok := before["generation"].(int64); ok {
		meta["generation"] = generation + 1
	}
	o, err := s.decode(sh.gvk, raw)
	if err != nil {
		return err
	}
	s.put(sh, o)
	return nil
}

func (sh *shelf) invalid(name string, why *field.Error) error {
	return apierrors.NewInvalid(sh.gvk.GroupKind(), name, field.ErrorList{why})
}
