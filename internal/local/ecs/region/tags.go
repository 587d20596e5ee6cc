package region

import (
	"maps"
	"slices"
)

// tagged finds the instances of a tag call. Tags go to instances here; disks
// and network interfaces carry those of their instance.
func (r *Region) tagged(p *args) ([]*Instance, *Error) {
	if kind := p.need("ResourceType"); p.err == nil && kind != "instance" {
		return nil, refuse(400, "InvalidResourceType.NotSupported", "The ResourceType %s is not supported by the local cloud; use instance.", kind)
	}
	ids := p.list("ResourceId")
	if len(ids) == 0 {
		p.fail(missing("ResourceId"))
	}
	if len(ids) > 50 {
		p.fail(refuse(400, "InvalidParameter.ResourceId", "At most 50 ResourceIds can be specified."))
	}
	if p.err != nil {
		return nil, p.err
	}
	var out []*Instance
	for _, id := range ids {
		i := r.instances[id]
		if i == nil {
			return nil, refuse(404, "InvalidResourceId.NotFound", "The specified ResourceIds are not found in our records: %s.", id)
		}
		out = append(out, i)
	}
	return out, nil
}

func (r *Region) tagResources(p *args) (any, *Error) {
	all, err := r.tagged(p)
	if err != nil {
		return nil, err
	}
	tags := p.tags()
	if len(tags) == 0 {
		p.fail(missing("Tag.1.Key"))
	}
	p.fail2(checkTags(tags))
	if p.err != nil {
		return nil, p.err
	}
	for _, i := range all {
		next := map[string]string{}
		maps.Copy(next, i.Tags)
		maps.Copy(next, tags)
		if err := checkTags(next); err != nil {
			return nil, err
		}
	}
	for _, i := range all {
		next := map[string]string{}
		maps.Copy(next, i.Tags)
		maps.Copy(next, tags)
		i.Tags = next
		r.changed(i)
	}
	return &plainAnswer{p.requestID}, nil
}

func (r *Region) untagResources(p *args) (any, *Error) {
	all, err := r.tagged(p)
	if err != nil {
		return nil, err
	}
	keys, every := p.list("TagKey"), p.bool("All")
	if len(keys) == 0 && !every {
		p.fail(missing("TagKey.1"))
	}
	if p.err != nil {
		return nil, p.err
	}
	for _, i := range all {
		next := maps.Clone(i.Tags)
		maps.DeleteFunc(next, func(k, _ string) bool { return every && len(keys) == 0 || slices.Contains(keys, k) })
		i.Tags = next
		r.changed(i)
	}
	return &plainAnswer{p.requestID}, nil
}

type tagResource struct{ ResourceId, ResourceType, TagKey, TagValue string }

type tagListAnswer struct {
	RequestId    string
	NextToken    string
	TagResources struct{ TagResource []tagResource }
}

// tagsPerPage bounds a page of ListTagResources, in instances.
const tagsPerPage = 50

func (r *Region) listTagResources(p *args) (any, *Error) {
	if kind := p.need("ResourceType"); p.err == nil && kind != "instance" {
		return nil, refuse(400, "InvalidResourceType.NotSupported", "The ResourceType %s is not supported by the local cloud; use instance.", kind)
	}
	f := filter{tags: p.tags()}
	if ids := p.list("ResourceId"); len(ids) > 0 {
		f.ids = map[string]bool{}
		for _, id := range ids {
			f.ids[id] = true
		}
	}
	if len(f.tags) == 0 && f.ids == nil {
		p.fail(missing("ResourceId.1"))
	}
	after, ok := readPageToken(p.Params["NextToken"])
	if !ok {
		p.fail(refuse(400, "InvalidParameter.NextToken", "The specified NextToken is not valid."))
	}
	if p.err != nil {
		return nil, p.err
	}
	a := &tagListAnswer{RequestId: p.requestID}
	a.TagResources.TagResource = []tagResource{}
	from, _ := r.position(after + 1)
	n, last := 0, uint64(0)
	for _, i := range r.order[from:] {
		if (f.ids != nil && !f.ids[i.ID]) || !r.visible(i) || !f.matches(i) {
			continue
		}
		if n == tagsPerPage {
			a.NextToken = pageToken(last)
			break
		}
		n, last = n+1, i.Seq
		for _, k := range slices.Sorted(maps.Keys(i.Tags)) {
			a.TagResources.TagResource = append(a.TagResources.TagResource, tagResource{i.ID, "instance", k, i.Tags[k]})
		}
	}
	return a, nil
}
