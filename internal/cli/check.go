package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/near"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// checkTime bounds what a command waits for the cloud where it can go on
// without it: the controller checks again after the write.
const checkTime = 10 * time.Second

// namedSetting is a setting that names something of the cloud.
type namedSetting struct {
	field string
	code  fault.Code
	want  []string
	have  func(ctx context.Context, m Market) ([]string, error)
}

// namedSettings are the settings that only the cloud can judge.
func namedSettings(s *v1alpha1.LaunchSettings) []namedSetting {
	list := []namedSetting{
		{"vSwitches", fault.VSwitchNotFound, s.VSwitches, func(ctx context.Context, m Market) ([]string, error) {
			all, err := m.VSwitches(ctx)
			return namesOf(all, func(v cloud.VSwitch) string { return v.ID }), err
		}},
		{"instanceTypes", fault.TypeValueNotSupported, s.InstanceTypes, func(ctx context.Context, m Market) ([]string, error) {
			all, err := m.InstanceTypes(ctx)
			return namesOf(all, func(v cloud.InstanceType) string { return v.Name }), err
		}},
		{"securityGroups", fault.SecurityGroupNotFound, s.SecurityGroups, func(ctx context.Context, m Market) ([]string, error) {
			all, err := m.SecurityGroups(ctx)
			return namesOf(all, func(v cloud.SecurityGroup) string { return v.ID }), err
		}},
	}
	if s.ImageID != "" {
		list = append(list, namedSetting{"imageID", fault.ImageNotFound, []string{s.ImageID}, func(ctx context.Context, m Market) ([]string, error) {
			found, err := m.Images(ctx, s.ImageID)
			if err != nil || len(found) > 0 {
				return []string{s.ImageID}, err
			}
			all, err := m.Images(ctx)
			return namesOf(all, func(v cloud.Image) string { return v.ID }), err
		}})
	}
	if s.Login != nil && s.Login.KeyPair != "" {
		list = append(list, namedSetting{"login.keyPair", fault.KeyPairNotFound, []string{s.Login.KeyPair}, func(ctx context.Context, m Market) ([]string, error) {
			return m.KeyPairs(ctx)
		}})
	}
	return list
}

func namesOf[T any](list []T, name func(T) string) []string {
	var out []string
	for _, v := range list {
		out = append(out, name(v))
	}
	slices.Sort(out)
	return out
}

// checkSettings refuses settings that name what the cloud has not, before they
// are written. Of a changed pool only what is new is looked at. Without a way to
// the cloud it is left to the controller, which looks after every write.
func (c *call) checkSettings(what string, s, before *v1alpha1.LaunchSettings) error {
	if c.Market == nil {
		return nil
	}
	m, err := c.Market()
	if err != nil {
		c.hint("Not checked against the cloud: no credentials here. The controller checks it.")
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, checkTime)
	defer cancel()
	old := map[string][]string{}
	if before != nil {
		for _, n := range namedSettings(before) {
			old[n.field] = n.want
		}
	}
	e := badInput(what, "")
	for _, n := range namedSettings(s) {
		fresh := slices.DeleteFunc(slices.Clone(n.want), func(w string) bool { return slices.Contains(old[n.field], w) })
		if len(fresh) == 0 {
			continue
		}
		have, err := n.have(ctx, m)
		if err != nil {
			c.hint("Not checked against the cloud: %s. The controller checks it.", explain(c.ctx, cloudError(err, "the cloud does not answer")).Cause)
			return nil
		}
		addMissing(e, n, fresh, have)
	}
	if e.Cause == "" {
		return nil
	}
	if len(e.Next) == 0 {
		e.Next = []string{"name one that is there", "what the cloud sells: `poolkeeper offer list`, images: `poolkeeper offer list --images`"}
	}
	return e
}

// addMissing adds what the cloud has not to an error.
func addMissing(e *Error, n namedSetting, want, have []string) {
	for _, w := range want {
		if slices.Contains(have, w) {
			continue
		}
		const most = 8
		shown := strings.Join(have[:min(len(have), most)], ", ")
		if len(have) > most {
			shown += fmt.Sprintf(" and %d more", len(have)-most)
		}
		if e.Cause != "" {
			e.Cause += "; "
		}
		e.Cause += fmt.Sprintf("spec.%s: the cloud has no %q (%s); it has %s", n.field, w, n.code, cmp.Or(shown, "none"))
		e.Fault = cmp.Or(e.Fault, string(n.code))
		if meant := near.To(w, have); meant != "" {
			e.Next = append(e.Next, fmt.Sprintf("did you mean %s?", meant))
		}
	}
}

// image tells what is known of a pool's image, with the person's own
// credentials; only its id where the cloud does not say in time.
func (c *call) image(p *v1alpha1.NodePool) *view.Image {
	v := &view.Image{ID: p.Spec.ImageID}
	if c.Market == nil {
		return v
	}
	m, err := c.Market()
	if err != nil {
		return v
	}
	ctx, cancel := context.WithTimeout(c.ctx, checkTime/5)
	defer cancel()
	if found, err := m.Images(ctx, p.Spec.ImageID); err == nil && len(found) == 1 {
		i := found[0]
		*v = view.Image{ID: i.ID, Name: i.Name, OS: i.OS, Architecture: i.Architecture, BootMode: i.BootMode, Trusted: i.Trusted}
	}
	return v
}
