package up

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Bounds and defaults of what a person chooses.
const (
	// DefaultPortBase is the first of the four ports of a region.
	DefaultPortBase = 7443
	// DefaultMaxNodes and MostNodes bound how many nodes a region may have.
	DefaultMaxNodes = 500
	MostNodes       = 10_000
	// Ports is how many ports a region takes, from its base on.
	Ports = 4
	// RegionID is the region that the local cloud says it is.
	RegionID = "cn-local"
)

// Options is what a region is started with.
type Options struct {
	// Dir is the state directory.
	Dir string
	// PortBase is the API server's port; the local cloud, the controller's
	// metrics and its health have the three after it. 0: what the region had
	// before, else DefaultPortBase. 1024 to 65532.
	PortBase int
	// MaxNodes is how many nodes the region is made for. 0: what the region had
	// before, else DefaultMaxNodes. 1 to MostNodes.
	MaxNodes int
	// Scenario is a file of the local cloud's settings; empty for its own.
	Scenario string
	// Ceilings are flags of the controller with their values: what all pools
	// together may have. What stands there not is as before.
	Ceilings map[string]string
	// TimeFactor divides every wait of the engine. 0: as before, else 1.
	// 1 to 10,000.
	TimeFactor float64
	// Plane is the program of the control plane, Self the one that has the
	// commands `local cloud` and `controller`.
	Plane, Self string
	// Version of this build.
	Version string
	// Manifests are applied at every start.
	Manifests Manifests
	// Out takes progress, in lines.
	Out io.Writer
	// Ready is called once when the region is ready; may be nil.
	Ready func()

	// programs replaces the three children, prepare what is done between the
	// control plane and the controller; for tests.
	programs map[string]func() ([]string, []string)
	prepare  func(*region) error
}

// Manifests are the files that a cluster needs, and who the controller is.
type Manifests struct {
	// Files holds the folders.
	Files fs.FS
	// Folders are applied in order; Samples is created once, at the first start.
	Folders []string
	Samples string
	// Stamp is an annotation that the policies put on each sample; empty: none.
	Stamp string
	// Namespace and Account are the controller's service account.
	Namespace, Account string
}

// DefaultDir is the state directory where none is given: that of the shell's
// region, else one in the user's data home.
func DefaultDir() string {
	if d := os.Getenv("POOLKEEPER_LOCAL_DIR"); d != "" {
		return d
	}
	home := os.Getenv("XDG_DATA_HOME")
	if home == "" || !filepath.IsAbs(home) {
		user, err := os.UserHomeDir()
		if err != nil {
			user = "."
		}
		home = filepath.Join(user, ".local", "share")
	}
	return filepath.Join(home, "poolkeeper", "local")
}

// check names everything that is wrong with the options at once.
func (o *Options) check() error {
	var errs []error
	if o.PortBase != 0 && (o.PortBase < 1024 || o.PortBase > 65536-Ports) {
		errs = append(errs, fmt.Errorf("--port-base %d is not between 1024 and %d", o.PortBase, 65536-Ports))
	}
	if o.MaxNodes < 0 || o.MaxNodes > MostNodes {
		errs = append(errs, fmt.Errorf("--max-nodes %d is not between 1 and %d", o.MaxNodes, MostNodes))
	}
	if f := o.TimeFactor; f != 0 && !(f >= 1 && f <= 10_000) {
		errs = append(errs, fmt.Errorf("--time-factor %g is not between 1 and 10000", f))
	}
	if o.Scenario != "" {
		if info, err := os.Stat(o.Scenario); err != nil {
			errs = append(errs, fmt.Errorf("--scenario %s: %s", o.Scenario, root(err)))
		} else if info.IsDir() {
			errs = append(errs, fmt.Errorf("--scenario %s is a directory", o.Scenario))
		}
	}
	if len(errs) > 0 {
		return badInput("the local region was not started", join(errs), "`poolkeeper local up --help`")
	}
	if _, err := os.Stat(o.Plane); o.programs == nil && err != nil {
		return &Error{
			Code: CodeInput, What: "the local region was not started",
			Cause: fmt.Sprintf("the control plane's program %s is missing", o.Plane),
			Next:  []string{"`make build` in the source tree (the first time it takes minutes)"},
		}
	}
	return nil
}

func join(errs []error) string {
	text := ""
	for i, err := range errs {
		if i > 0 {
			text += "; "
		}
		text += err.Error()
	}
	return text
}

// prepareDir makes the state directory and finds out whether it can be written.
// Where it cannot, nothing that was made is left.
func prepareDir(dir string) error {
	missing := missingDirs(dir)
	var err error
	for _, d := range []string{dir, filepath.Join(dir, "logs"), filepath.Join(dir, "controller"), filepath.Join(dir, "cloud")} {
		if err == nil {
			err = os.MkdirAll(d, 0o700)
		}
	}
	if err == nil {
		err = probeDisk(dir)
	}
	if err == nil {
		return nil
	}
	for _, d := range missing {
		_ = os.Remove(d) // fails where somebody has put something there
	}
	return dirError(dir, err)
}

// missingDirs are the directories that prepareDir will make, innermost first.
func missingDirs(dir string) []string {
	var out []string
	for _, d := range []string{filepath.Join(dir, "cloud"), filepath.Join(dir, "controller"), filepath.Join(dir, "logs"), dir} {
		if _, err := os.Lstat(d); errors.Is(err, os.ErrNotExist) {
			out = append(out, d)
		}
	}
	for d := filepath.Dir(dir); d != filepath.Dir(d); d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, os.ErrNotExist) {
			break
		}
		out = append(out, d)
	}
	return out
}

// probeSize is what has to fit on the disk before a region is started: the
// first log of etcd, which it takes at once, and some room for the rest.
const probeSize = 128 << 20

func probeDisk(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	err = reserve(f, probeSize)
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// Heartbeats are the times that keep all heartbeats of a region under a fifth
// of a core: at most 30 renewals a second.
type Heartbeats struct {
	// Renew is how often a node renews its lease, Lease how long a renewal
	// counts, Grace how long a node may be silent before it is lost.
	Renew, Lease, Grace time.Duration
}

// HeartbeatsFor gives the times for a number of nodes, in whole seconds.
func HeartbeatsFor(maxNodes int) Heartbeats {
	const perSecond = 30
	renew := max(10, (maxNodes+perSecond-1)/perSecond)
	second := time.Duration(renew) * time.Second
	return Heartbeats{Renew: second, Lease: 4 * second, Grace: 5 * second}
}
