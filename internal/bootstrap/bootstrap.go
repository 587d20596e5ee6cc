// Package bootstrap knows what a machine does to join its cluster.
//
// In: the settings of a pool's launch; the bytes that a serial console showed.
// Out: the user data that makes a machine join (a cloud-config with one
// readable script), and from the console the step that a machine is at or
// failed at, with a redacted excerpt. It also holds what machine and
// controller agree on about a certificate request. It never talks to anything,
// never reads a clock, and never puts a secret of one machine into user data.
package bootstrap

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// MaxUserData is the most that the cloud takes as user data, before base64.
// Unit: bytes.
const MaxUserData = 32 << 10

// Step names one step of the join, as the join log names it.
type Step string

// The steps, in order. StepScript is logged only when it fails: the bytes of a
// script part are not those that were sent.
const (
	StepScript       Step = "script"
	StepNetwork      Step = "network"
	StepReach        Step = "reach-apiserver"
	StepMIGReset     Step = "mig-reset"
	StepRuntime      Step = "runtime"
	StepKubelet      Step = "kubelet"
	StepConfig       Step = "config"
	StepPreUserData  Step = "pre-user-data"
	StepJoin         Step = "join"
	StepReady        Step = "ready"
	StepPostUserData Step = "post-user-data"
)

// Words is a step as people read it.
func (s Step) Words() string {
	if s == StepMIGReset {
		return "MIG reset"
	}
	return string(s)
}

// Steps are all steps in the order in which a machine takes them.
func Steps() []Step {
	return []Step{StepScript, StepNetwork, StepReach, StepMIGReset, StepRuntime, StepKubelet,
		StepConfig, StepPreUserData, StepJoin, StepReady, StepPostUserData}
}

// Taint is one taint that a Node registers with.
type Taint struct {
	Key    string
	Value  string
	Effect string
}

// Settings are what one launch of a pool tells its machines. Zero durations and
// counts mean the default that their comment names.
type Settings struct {
	ClusterID string
	Pool      string
	Region    string
	// APIServer is the URL of the API server as nodes reach it, https only.
	APIServer string
	// CA is the certificate authority of the API server, PEM.
	CA []byte
	// Token is the join credential. It may file and read certificate requests
	// and admits nobody.
	Token string
	// IssuedTime and ExpiryTime bound the life of the credential; a machine
	// whose clock is outside says so instead of failing at TLS.
	IssuedTime time.Time
	ExpiryTime time.Time

	Labels map[string]string
	Taints []Taint
	// Unschedulable makes the Node start cordoned.
	Unschedulable bool
	// SystemReserved and KubeReserved are resources kept from pods, such as
	// cpu: 100m.
	SystemReserved map[string]string
	KubeReserved   map[string]string
	// KubeletExtra are further fields of the KubeletConfiguration. A field
	// that joining depends on is refused.
	KubeletExtra map[string]json.RawMessage
	// KubeletURL is where a kubelet is fetched from if the image has none, and
	// KubeletSHA256 its hash. Both or none.
	KubeletURL    string
	KubeletSHA256 string
	// LeaseDuration is how long a Node's lease lasts. Whole seconds. Default 40 s.
	LeaseDuration time.Duration

	// BeforeJoin and AfterJoin are the scripts of the pool's owner.
	BeforeJoin string
	AfterJoin  string

	Waits Waits
}

// Waits are the waits of the join script. Zero means the default. All but the
// deadline may be below a second.
type Waits struct {
	// JoinDeadline ends the join, from the script's first line. Default 15 min.
	JoinDeadline time.Duration
	// ReachTries of ReachPause each are given to the API server. Default 120
	// of 2 s.
	ReachTries int
	ReachPause time.Duration
	// RetryMin and RetryMax are how far apart a request is filed again that was
	// denied, is gone, or could not be filed. Default 2 s and 1 min.
	RetryMin time.Duration
	RetryMax time.Duration
	// Watch is how long a request, or the Node, is watched before it is looked at
	// again. Default 5 min.
	Watch time.Duration
	// CredentialTries is after how many refusals of the credential in a row
	// the machine gives up. Default 5.
	CredentialTries int
	// MIGLimit bounds the reset of MIG partitions. Default 40 min, or the join
	// deadline where that is longer.
	MIGLimit time.Duration
}

func (w Waits) withDefaults() Waits {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&w.JoinDeadline, 15*time.Minute)
	def(&w.ReachPause, 2*time.Second)
	def(&w.RetryMin, 2*time.Second)
	def(&w.RetryMax, time.Minute)
	def(&w.Watch, 5*time.Minute)
	def(&w.MIGLimit, max(40*time.Minute, w.JoinDeadline))
	if w.ReachTries <= 0 {
		w.ReachTries = 120
	}
	if w.CredentialTries <= 0 {
		w.CredentialTries = 5
	}
	return w
}

// Check returns everything that is wrong with the settings, or nil.
func (s Settings) Check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if !plainName(s.Pool) || len(s.Pool) > 40 {
		bad("pool name %q is not a DNS label of at most 40 characters", s.Pool)
	}
	if !plainName(s.Region) {
		bad("region %q is not a DNS label", s.Region)
	}
	if s.ClusterID == "" || strings.ContainsAny(s.ClusterID, "\n\r\x00") {
		bad("cluster ID %q is empty or not one line", s.ClusterID)
	}
	if _, err := endpoint(s.APIServer); err != nil {
		bad("%w", err)
	}
	if !strings.Contains(string(s.CA), "-----BEGIN CERTIFICATE-----") {
		bad("CA of the API server is not a PEM certificate")
	}
	if s.Token == "" || strings.ContainsAny(s.Token, " \t\r\n\x00\"'") {
		bad("join credential is empty or not one word")
	}
	if (s.KubeletURL == "") != (s.KubeletSHA256 == "") {
		bad("kubelet URL and its SHA-256 go together")
	}
	if s.LeaseDuration%time.Second != 0 || s.LeaseDuration < 0 {
		bad("lease duration %s is not in whole seconds", s.LeaseDuration)
	}
	errs = append(errs, s.checkNode()...)
	return errors.Join(errs...)
}

// checkNode returns what is wrong with what the Node is to carry.
func (s Settings) checkNode() []error {
	var errs []error
	for _, k := range sortedKeys(s.Labels) {
		if err := LabelAllowed(k); err != nil {
			errs = append(errs, err)
		}
		if !labelValue(s.Labels[k]) {
			errs = append(errs, fmt.Errorf("value %q of label %s is not a label value", s.Labels[k], k))
		}
	}
	for _, t := range s.Taints {
		switch {
		case !qualifiedName(t.Key) || !labelValue(t.Value):
			errs = append(errs, fmt.Errorf("taint %s=%s is not well formed", t.Key, t.Value))
		case t.Effect != "NoSchedule" && t.Effect != "PreferNoSchedule" && t.Effect != "NoExecute":
			errs = append(errs, fmt.Errorf("effect %q of taint %s is not NoSchedule, PreferNoSchedule or NoExecute", t.Effect, t.Key))
		}
	}
	for _, k := range sortedKeys(s.KubeletExtra) {
		if _, ours := kubeletFields(s)[k]; ours {
			errs = append(errs, fmt.Errorf("kubelet field %s is set by joining and cannot be changed", k))
		}
		if !json.Valid(s.KubeletExtra[k]) {
			errs = append(errs, fmt.Errorf("kubelet field %s is not JSON", k))
		}
	}
	return errs
}

// endpoint returns the URL with its port, without a path's trailing slash.
func endpoint(url string) (string, error) {
	rest, ok := strings.CutPrefix(url, "https://")
	rest = strings.TrimRight(rest, "/")
	if !ok || rest == "" || strings.ContainsAny(rest, " \t\r\n'\"\\$`@?#/") {
		return "", fmt.Errorf("address %q of the API server is not https://HOST:PORT", url)
	}
	if i := strings.LastIndexByte(rest, ':'); i < 0 || strings.HasSuffix(rest, "]") {
		rest += ":443"
	}
	return "https://" + rest, nil
}
