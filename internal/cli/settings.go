package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// settings are the flags that `pool create` and `pool edit` share: each, where
// it is given, sets one thing of a pool.
type settings struct {
	min, max, creations          int32
	spend                        string
	policy, billing, image       string
	systemDisk                   string
	securityGroups               []string
	keyPair, drain, healthCheck  string
	joinDeadline, keepFailed     int32
	labels, tags                 map[string]string
	taints                       []string
	manageAttached, unscheduling bool
}

func (s *settings) add(f *pflag.FlagSet) {
	f.Int32Var(&s.min, "min-nodes", 0, "least that the expected number may be")
	f.Int32Var(&s.max, "max-nodes", 2000, "most that the expected number may be")
	f.Int32Var(&s.creations, "max-creations-per-hour", 0, "most `instances` that it begins to create within any hour; 0: no ceiling")
	f.StringVar(&s.spend, "max-spend-per-hour", "", "most that its instances may cost together per hour for one more to be created, a `price` such as 60.00; empty: no ceiling")
	f.StringVar(&s.policy, "policy", "Priority", "`policy`: Priority, DistributionBalancing or CostOptimization")
	f.StringVar(&s.billing, "billing", "PayAsYouGo", "how new instances are billed: PayAsYouGo or Spot (Subscription: in a file)")
	f.StringVar(&s.image, "image", "", "`image` that machines start from")
	f.StringVar(&s.systemDisk, "system-disk", "", "system disk as `CATEGORY:GIB`, such as cloud_essd:40")
	f.StringSliceVar(&s.securityGroups, "security-group", nil, "security `groups` of the machines")
	f.StringVar(&s.keyPair, "key-pair", "", "key pair for signing in to the machines")
	f.StringVar(&s.drain, "drain", "bestEffort", "before a release: off, bestEffort or required")
	f.StringVar(&s.healthCheck, "health-check", "None", "None, or ECS to replace instances that do not run")
	f.Int32Var(&s.joinDeadline, "join-deadline", 900, "`seconds` that a machine may take to join")
	f.Int32Var(&s.keepFailed, "keep-failed", 1, "how many machines that failed to join are kept to look at")
	f.StringToStringVar(&s.labels, "node-label", nil, "`key=value` labels of new nodes, in place of those there are")
	f.StringSliceVar(&s.taints, "node-taint", nil, "`key=value:Effect` taints of new nodes, in place of those there are")
	f.StringToStringVar(&s.tags, "tag", nil, "`key=value` tags of new instances, in place of those there are")
	f.BoolVar(&s.manageAttached, "manage-attached", false, "let scaling in pick instances brought in by hand")
	f.BoolVar(&s.unscheduling, "unschedulable", false, "new nodes start cordoned")
}

// apply sets what was given on the command line; it says whether anything was.
func (s *settings) apply(cmd *cobra.Command, spec *v1alpha1.NodePoolSpec) (bool, error) {
	var problem error
	set := map[string]func(){
		"min-nodes":              func() { spec.MinNodes = s.min },
		"max-nodes":              func() { spec.MaxNodes = s.max },
		"max-creations-per-hour": func() { spec.MaxCreationsPerHour = s.creations },
		"max-spend-per-hour":     func() { spec.MaxSpendPerHour = s.spend },
		"policy":                 func() { spec.ScalingPolicy.Type = v1alpha1.ScalingPolicyType(s.policy) },
		"billing":                func() { spec.Billing.Turn(v1alpha1.ChargeType(s.billing)) },
		"image":                  func() { spec.ImageID = s.image },
		"security-group":         func() { spec.SecurityGroups = s.securityGroups },
		"key-pair":               func() { spec.Login = &v1alpha1.Login{KeyPair: s.keyPair} },
		"drain":                  func() { spec.Drain.Mode = v1alpha1.DrainMode(s.drain) },
		"health-check":           func() { spec.HealthCheck = v1alpha1.HealthCheck(s.healthCheck) },
		"join-deadline":          func() { spec.JoinDeadlineSeconds = &s.joinDeadline },
		"keep-failed":            func() { spec.KeepFailed = &s.keepFailed },
		"node-label":             func() { spec.Nodes.Labels = s.labels },
		"tag":                    func() { spec.Tags = s.tags },
		"manage-attached":        func() { spec.ManageAttached = s.manageAttached },
		"unschedulable":          func() { spec.Nodes.Unschedulable = s.unscheduling },
		"system-disk":            func() { problem = setDisk(&spec.SystemDisk, s.systemDisk) },
		"node-taint":             func() { spec.Nodes.Taints, problem = parseTaints(s.taints) },
	}
	any := false
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if do, ok := set[f.Name]; ok && problem == nil {
			any = true
			do()
		}
	})
	return any, problem
}

func setDisk(d *v1alpha1.Disk, given string) error {
	category, size, ok := strings.Cut(given, ":")
	n, err := strconv.ParseInt(size, 10, 32)
	if !ok || err != nil || category == "" {
		return badInput(fmt.Sprintf("--system-disk %s is not understood", given), "it is a category and a size in GiB", "such as --system-disk cloud_essd:40")
	}
	d.Category, d.SizeGiB = category, int32(n)
	return nil
}

// parseTaints reads taints as kubectl writes them.
func parseTaints(list []string) ([]corev1.Taint, error) {
	taints := []corev1.Taint{}
	effects := []string{string(corev1.TaintEffectNoSchedule), string(corev1.TaintEffectPreferNoSchedule), string(corev1.TaintEffectNoExecute)}
	for _, s := range list {
		i := strings.LastIndex(s, ":")
		if i <= 0 || !slices.Contains(effects, s[i+1:]) {
			return nil, badInput(fmt.Sprintf("--node-taint %s is not understood", s), "it is key=value:Effect, with one of the effects "+strings.Join(effects, ", "), "such as --node-taint team=web:NoSchedule")
		}
		key, value, _ := strings.Cut(s[:i], "=")
		taints = append(taints, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(s[i+1:])})
	}
	return taints, nil
}
