package controller

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/bootstrap"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller/clustertask"
	"github.com/poolkeeper/poolkeeper/internal/controller/join"
	"github.com/poolkeeper/poolkeeper/internal/controller/nodepool"
	"github.com/poolkeeper/poolkeeper/internal/controller/scalinggroup"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/scaling"
)

// clusterInfo reads address and CA of kube-public/cluster-info.
func clusterInfo(text string) (string, []byte, error) {
	c, err := clientcmd.Load([]byte(text))
	if err == nil {
		for _, k := range c.Clusters {
			return k.Server, k.CertificateAuthorityData, nil
		}
	}
	return "", nil, fault.New(fault.QueryEndpoints, "kube-public/cluster-info names no API server")
}

func disk(d api.Disk) cloud.Disk {
	return cloud.Disk{Category: d.Category, SizeGiB: int(d.SizeGiB), PerformanceLevel: d.PerformanceLevel, Encrypted: d.Encrypted, KMSKeyID: d.KMSKeyID}
}

func disks(s *api.LaunchSettings) []cloud.Disk {
	out := []cloud.Disk{disk(s.SystemDisk)}
	for _, d := range s.DataDisks {
		out = append(out, disk(d))
	}
	return out
}

// encoder writes exact requests.
type encoder struct {
	*Assembly
}

// Encode mints a join credential, renders the user data and writes each
// candidate down.
func (e *encoder) Encode(ctx context.Context, g *api.ScalingGroup, candidates []scaling.Candidate) (map[string][]byte, []string, time.Time, error) {
	server, ca, err := e.nodeEndpoint(ctx)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	if err := mayReach(ctx, e.Cloud, g.Spec.SecurityGroups, server); err != nil {
		return nil, nil, time.Time{}, err
	}
	settings, _, err := e.settings(ctx, &g.Spec, server, ca)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	userData, err := bootstrap.Render(settings)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	data := map[string][]byte{"user-data": userData}
	keys, err := e.bodies(g, candidates, data)
	return data, keys, settings.ExpiryTime, err
}

// offer writes the join command of a pool down for people, under a credential
// of its own.
func (e *encoder) offer(ctx context.Context, pool, task string) error {
	g := &api.ScalingGroup{}
	if err := e.Cache.Get(ctx, types.NamespacedName{Name: pool}, g); err != nil {
		return fmt.Errorf("read group %s: %w", pool, err)
	}
	server, ca, err := e.nodeEndpoint(ctx)
	if err != nil {
		return err
	}
	settings, token, err := e.settings(ctx, &g.Spec, server, ca)
	if err != nil {
		return err
	}
	command, err := bootstrap.Command(settings)
	if err != nil {
		return err
	}
	return e.credentials.Offer(ctx, pool, task, command, token)
}

// settings are what machines of a group are told, with a fresh join credential.
func (e *encoder) settings(ctx context.Context, spec *api.ScalingGroupSpec, server string, ca []byte) (bootstrap.Settings, join.Token, error) {
	issued := e.Now()
	token, err := e.credentials.Mint(ctx, spec.Pool, e.Waits.TokenLife)
	if err != nil {
		return bootstrap.Settings{}, join.Token{}, err
	}
	settings := bootstrap.Settings{
		ClusterID: e.ClusterID, Pool: spec.Pool, Region: e.Region, APIServer: server, CA: ca, Token: token.Text, IssuedTime: issued, ExpiryTime: token.Expiry,
		Labels: spec.Nodes.Labels, Unschedulable: spec.Nodes.Unschedulable, LeaseDuration: e.NodeLease,
		BeforeJoin: spec.UserData.BeforeJoin, AfterJoin: spec.UserData.AfterJoin,
		Waits: bootstrap.Waits{JoinDeadline: scalinggroup.JoinDeadline(spec, e.Waits)},
	}
	for _, t := range spec.Nodes.Taints {
		settings.Taints = append(settings.Taints, bootstrap.Taint{Key: t.Key, Value: t.Value, Effect: string(t.Effect)})
	}
	return settings, token, nil
}

// mayReach refuses to create machines that their security groups keep from the
// API server or from the services of the cloud: they would run and never join.
func mayReach(ctx context.Context, checks cloud.Checks, ids []string, server string) error {
	f, err := cloud.NodesReach(ctx, checks, ids, server)
	if err == nil && f != nil {
		return f
	}
	return err
}

// bodies writes the request of each resource pool once, whatever share of it a
// candidate is for, and returns the key of each candidate's.
func (e *encoder) bodies(g *api.ScalingGroup, candidates []scaling.Candidate, data map[string][]byte) ([]string, error) {
	keys, written := make([]string, 0, len(candidates)), map[[3]string]string{}
	for n, c := range candidates {
		pool := [3]string{c.VSwitch, c.InstanceType, string(c.ChargeType)}
		if written[pool] == "" {
			body, err := e.Cloud.Encode(e.launch(g, c))
			if err != nil {
				return nil, err
			}
			written[pool] = "request-" + strconv.Itoa(n)
			data[written[pool]] = body
		}
		keys = append(keys, written[pool])
	}
	return keys, nil
}

// launch is one candidate with everything else of the settings.
func (e *encoder) launch(g *api.ScalingGroup, c scaling.Candidate) cloud.Launch {
	l := launchOf(&g.Spec.LaunchSettings, c)
	l.Name, l.HostName = "poolkeeper-"+g.Spec.Pool, "${instance_id}"
	for k, v := range g.Spec.Tags {
		l.Tags[k] = v
	}
	for k, v := range (cloud.Origin{ClusterID: e.ClusterID, Pool: g.Spec.Pool, GroupUID: string(g.UID)}).LaunchTags() {
		l.Tags[k] = v
	}
	return l
}

// launchOf is one candidate with all of the settings but names and tags.
func launchOf(s *api.LaunchSettings, c scaling.Candidate) cloud.Launch {
	l := cloud.Launch{
		VSwitch: c.VSwitch, Zone: c.Zone, InstanceType: c.InstanceType, ChargeType: cloud.ChargeType(c.ChargeType),
		ImageID: s.ImageID, SystemDisk: disk(s.SystemDisk), SecurityGroups: s.SecurityGroups, DeploymentSet: s.DeploymentSet, RAMRole: s.RAMRole,
		Tags: map[string]string{},
	}
	for _, d := range s.DataDisks {
		l.DataDisks = append(l.DataDisks, disk(d))
	}
	if s.Login != nil {
		l.KeyPair = s.Login.KeyPair
	}
	if p := s.Billing.Subscription; p != nil && l.ChargeType == cloud.Subscription {
		l.Period = cloud.Period{Count: int(p.Period), Unit: p.PeriodUnit, AutoRenew: p.AutoRenew}
	}
	if p := s.Billing.Spot; p != nil && l.ChargeType == cloud.Spot {
		for _, limit := range p.PriceLimits {
			if limit.InstanceType == c.InstanceType {
				l.SpotPriceLimit, _ = cloud.ParsePrice(limit.PricePerHour, "")
			}
		}
		l.SpotProtectedHours = 1
		if p.ProtectedHours != nil {
			l.SpotProtectedHours = int(*p.ProtectedHours)
		}
	}
	return l
}

// checker compares settings with what the cloud has.
type checker struct{ cloud Provider }

// Check returns each setting that the cloud has not.
func (c checker) Check(ctx context.Context, _ string, s *api.LaunchSettings) ([]nodepool.Wrong, error) {
	var out []nodepool.Wrong
	missing := func(code fault.Code, field string, want, have []string) {
		for _, w := range want {
			if !slices.Contains(have, w) {
				out = append(out, nodepool.Wrong{Code: code, Field: field, Value: w, Exists: have})
			}
		}
	}
	vs, err := c.cloud.VSwitches(ctx)
	if err != nil {
		return nil, fmt.Errorf("check vSwitches: %w", err)
	}
	missing(fault.VSwitchNotFound, "vSwitches", s.VSwitches, names(vs, func(v cloud.VSwitch) string { return v.ID }))
	types, err := c.cloud.InstanceTypes(ctx, s.InstanceTypes...)
	if err != nil {
		return nil, fmt.Errorf("check instance types: %w", err)
	}
	if have := names(types, func(t cloud.InstanceType) string { return t.Name }); len(have) < len(s.InstanceTypes) {
		all, err := c.cloud.InstanceTypes(ctx)
		if err != nil {
			return nil, fmt.Errorf("check instance types: %w", err)
		}
		missing(fault.TypeValueNotSupported, "instanceTypes", s.InstanceTypes, names(all, func(t cloud.InstanceType) string { return t.Name }))
	}
	images, err := c.cloud.Images(ctx, s.ImageID)
	if err != nil {
		return nil, fmt.Errorf("check image: %w", err)
	}
	if len(images) == 0 {
		all, err := c.cloud.Images(ctx)
		if err != nil {
			return nil, fmt.Errorf("check image: %w", err)
		}
		missing(fault.ImageNotFound, "imageID", []string{s.ImageID}, names(all, func(i cloud.Image) string { return i.ID }))
	}
	groups, err := c.cloud.SecurityGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("check security groups: %w", err)
	}
	missing(fault.SecurityGroupNotFound, "securityGroups", s.SecurityGroups, names(groups, func(g cloud.SecurityGroup) string { return g.ID }))
	if s.Login != nil && s.Login.KeyPair != "" {
		pairs, err := c.cloud.KeyPairs(ctx)
		if err != nil {
			return nil, fmt.Errorf("check key pair: %w", err)
		}
		missing(fault.KeyPairNotFound, "login.keyPair", []string{s.Login.KeyPair}, pairs)
	}
	return out, nil
}

// Drain looks for the role of the drain.
func (c checker) Drain(ctx context.Context) (*fault.Fault, error) {
	has, err := c.cloud.HasRole(ctx, fault.DrainRole)
	return fault.DrainRoleOf(has, err)
}

func names[T any](list []T, of func(T) string) []string {
	out := make([]string, 0, len(list))
	for _, v := range list {
		out = append(out, of(v))
	}
	return out
}

// looker looks at instances by their IDs.
type looker struct {
	cloud     Provider
	clusterID string
}

// Look returns what is there of the given IDs.
func (l looker) Look(ctx context.Context, ids ...string) (map[string]clustertask.Seen, error) {
	found, err := l.cloud.Find(ctx, ids...)
	if err != nil {
		return nil, err
	}
	out := map[string]clustertask.Seen{}
	for _, f := range found {
		o, _ := cloud.OriginOf(f.Tags)
		out[f.ID] = clustertask.Seen{Ours: o.ClusterID == l.clusterID, Pool: o.Pool}
	}
	return out, nil
}
