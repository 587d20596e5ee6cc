package region

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// The buckets that records are stored in.
const (
	bucketWorld     = "world"
	bucketInstances = "instances"
	bucketLaunches  = "launches"
	bucketUserData  = "userdata"
	bucketTokens    = "tokens"
	keyWorld        = "world"
	keySeq          = "seq"
)

// Buckets names the buckets of all records.
func Buckets() []string {
	return []string{bucketWorld, bucketInstances, bucketLaunches, bucketUserData, bucketTokens}
}

// Record is one thing to store; a nil Value deletes it.
type Record struct {
	Bucket, Key string
	Value       []byte
}

// Instance is one instance. What a launch has in common stands in its Launch.
type Instance struct {
	ID       string            `json:"id"`
	Seq      uint64            `json:"seq"`
	Launch   string            `json:"launch"`
	IP       string            `json:"ip"`
	Name     string            `json:"name,omitempty"`
	HostName string            `json:"hostName"`
	Status   string            `json:"status"`
	Charge   string            `json:"charge"`
	Created  time.Time         `json:"created"`
	Started  time.Time         `json:"started"`
	Expires  time.Time         `json:"expires"`
	Tags     map[string]string `json:"tags,omitempty"`
	Groups   []string          `json:"groups"`
	// Protected against release by a call.
	Protected bool `json:"protected,omitempty"`
	// Due is when Status changes by itself; zero for never.
	Due time.Time `json:"due"`
	// Releasing instances are gone when they have stopped; Rebooting ones start.
	Releasing bool `json:"releasing,omitempty"`
	Rebooting bool `json:"rebooting,omitempty"`
	// Terminates is when a spot instance is taken back.
	Terminates time.Time `json:"terminates"`
	// Vanishes is when a young instance is gone without a word.
	Vanishes   time.Time     `json:"vanishes"`
	NeverStart bool          `json:"neverStart,omitempty"`
	StopAtStep string        `json:"stopAtStep,omitempty"`
	MIG        bool          `json:"mig,omitempty"`
	MIGReset   time.Duration `json:"migReset,omitempty"`

	launch *Launch
}

// The states of an instance on the wire.
const (
	statusPending  = "Pending"
	statusStarting = "Starting"
	statusRunning  = "Running"
	statusStopping = "Stopping"
	statusStopped  = "Stopped"
)

// The charge types of the wire.
const (
	postPaid = "PostPaid"
	prePaid  = "PrePaid"
	noSpot   = "NoSpot"
)

// Launch is what all instances of one RunInstances have in common.
type Launch struct {
	ID            string                `json:"id"`
	VSwitch       string                `json:"vSwitch"`
	VPC           string                `json:"vpc"`
	Zone          string                `json:"zone"`
	Type          scenario.InstanceType `json:"type"`
	Image         scenario.Image        `json:"image"`
	Charge        string                `json:"charge"`
	Period        int                   `json:"period,omitempty"`
	PeriodUnit    string                `json:"periodUnit,omitempty"`
	SpotStrategy  string                `json:"spotStrategy"`
	SpotLimit     float64               `json:"spotLimit,omitempty"`
	SpotDuration  int                   `json:"spotDuration,omitempty"`
	SystemDisk    Disk                  `json:"systemDisk"`
	DataDisks     []Disk                `json:"dataDisks,omitempty"`
	Groups        []string              `json:"groups"`
	KeyPair       string                `json:"keyPair,omitempty"`
	RAMRole       string                `json:"ramRole,omitempty"`
	DeploymentSet string                `json:"deploymentSet,omitempty"`
	UserData      string                `json:"userData,omitempty"` // its hash
	HTTPEndpoint  string                `json:"httpEndpoint"`
	HTTPTokens    string                `json:"httpTokens"`
	HopLimit      int                   `json:"hopLimit"`
	Tags          map[string]string     `json:"tags,omitempty"`
	Protected     bool                  `json:"protected,omitempty"`
	Name          string                `json:"name,omitempty"`
	Description   string                `json:"description,omitempty"`
	HostName      string                `json:"hostName,omitempty"`
	UniqueSuffix  bool                  `json:"uniqueSuffix,omitempty"`

	refs int
	data []byte
}

// Disk is a disk of a launch.
type Disk struct {
	Category  string `json:"category"`
	SizeGiB   int    `json:"sizeGiB"`
	Level     string `json:"level,omitempty"`
	Encrypted bool   `json:"encrypted,omitempty"`
	Key       string `json:"key,omitempty"`
}

func (l *Launch) spot() bool { return l.SpotStrategy != noSpot }

// blob is user data that launches share.
type blob struct {
	data []byte
	refs int
}

func (r *Region) touch(bucket, key string) { r.dirty[[2]string{bucket, key}] = true }

func (r *Region) changed(i *Instance) { r.touch(bucketInstances, i.ID) }

// Take returns, and forgets, the records that changed. They belong together:
// either all are stored or none.
func (r *Region) Take() ([]Record, error) {
	if len(r.dirty) == 0 {
		return nil, nil
	}
	out := make([]Record, 0, len(r.dirty))
	for k := range r.dirty {
		v, err := r.record(k[0], k[1])
		if err != nil {
			return nil, fmt.Errorf("write record %s of %s: %w", k[1], k[0], err)
		}
		out = append(out, Record{k[0], k[1], v})
	}
	clear(r.dirty)
	slices.SortFunc(out, func(a, b Record) int {
		if a.Bucket != b.Bucket {
			return compare(a.Bucket, b.Bucket)
		}
		return compare(a.Key, b.Key)
	})
	return out, nil
}

func compare(a, b string) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

func (r *Region) record(bucket, key string) ([]byte, error) {
	switch bucket {
	case bucketWorld:
		if key == keySeq {
			return json.Marshal(r.seq)
		}
		return json.Marshal(&r.world)
	case bucketInstances:
		if i := r.instances[key]; i != nil {
			return json.Marshal(i)
		}
	case bucketLaunches:
		if l := r.launches[key]; l != nil {
			return json.Marshal(l)
		}
	case bucketUserData:
		if b := r.userData[key]; b != nil {
			return b.data, nil
		}
	case bucketTokens:
		if t := r.tokens[key]; t != nil {
			return json.Marshal(t)
		}
	}
	return nil, nil
}

func (r *Region) load(stored map[string]map[string][]byte) error {
	if b := stored[bucketWorld][keyWorld]; b != nil {
		if err := json.Unmarshal(b, &r.world); err != nil {
			return fmt.Errorf("read world of local cloud: %w", err)
		}
	}
	if b := stored[bucketWorld][keySeq]; b != nil {
		if err := json.Unmarshal(b, &r.seq); err != nil {
			return fmt.Errorf("read sequence of local cloud: %w", err)
		}
	}
	for hash, data := range stored[bucketUserData] {
		r.userData[hash] = &blob{data: data}
	}
	for id, b := range stored[bucketLaunches] {
		l := &Launch{}
		if err := json.Unmarshal(b, l); err != nil {
			return fmt.Errorf("read launch %s: %w", id, err)
		}
		r.launches[id] = l
	}
	for id, b := range stored[bucketTokens] {
		t := &token{}
		if err := json.Unmarshal(b, t); err != nil {
			return fmt.Errorf("read client token %s: %w", id, err)
		}
		r.tokens[id] = t
	}
	r.tokenAge = slices.SortedFunc(maps.Values(r.tokens), func(a, b *token) int { return a.Time.Compare(b.Time) })
	return r.loadInstances(stored[bucketInstances])
}

func (r *Region) loadInstances(stored map[string][]byte) error {
	r.openVSwitches()
	for id, b := range stored {
		i := &Instance{}
		if err := json.Unmarshal(b, i); err != nil {
			return fmt.Errorf("read instance %s: %w", id, err)
		}
		if i.launch = r.launches[i.Launch]; i.launch == nil {
			return fmt.Errorf("read instance %s: launch %s is missing", id, i.Launch)
		}
		r.instances[id] = i
		r.order = append(r.order, i)
	}
	slices.SortFunc(r.order, func(a, b *Instance) int { return int(int64(a.Seq) - int64(b.Seq)) })
	for _, i := range r.order {
		l := i.launch
		l.refs++
		if l.refs == 1 && l.UserData != "" {
			if b := r.userData[l.UserData]; b != nil {
				b.refs++
				l.data = b.data
			}
		}
		r.add(i, 1)
		r.vSwitches[l.VSwitch].take(i.IP)
	}
	return nil
}
