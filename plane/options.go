package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
)

// options are the flags, each with its bounds in parseOptions.
type options struct {
	dir           string
	port          int
	grace         time.Duration
	noSync        bool
	dieWithParent bool
	verbosity     int
	version       bool
}

func parseOptions(args []string) (options, error) {
	var o options
	fs := pflag.NewFlagSet("poolkeeper-plane", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.dir, "dir", "", "state directory (required); made when missing")
	fs.IntVar(&o.port, "port", 7443, "port of the API server on 127.0.0.1, 1 to 65535")
	fs.DurationVar(&o.grace, "node-monitor-grace-period", 50*time.Second, "how long a node may be silent before it counts as lost, at least 2s")
	fs.BoolVar(&o.noSync, "unsafe-no-fsync", false, "do not sync etcd to disk: for measuring only, a power failure loses the state")
	fs.BoolVar(&o.dieWithParent, "die-with-parent", false, "end when the parent process ends")
	fs.IntVar(&o.verbosity, "v", 0, "verbosity of the log on stderr, 0 to 10")
	fs.BoolVar(&o.version, "version", false, "print the Kubernetes version and end")
	err := fs.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Printf("poolkeeper-plane runs a Kubernetes control plane in one process.\n\n%s", fs.FlagUsages())
		os.Exit(0)
	}
	if err != nil || o.version {
		return o, err
	}
	if fs.NArg() > 0 {
		err = errors.Join(err, fmt.Errorf("unknown argument %q", fs.Arg(0)))
	}
	if o.dir == "" {
		err = errors.Join(err, errors.New("--dir is required"))
	}
	if o.port < 1 || o.port > 65535 {
		err = errors.Join(err, fmt.Errorf("--port %d is not between 1 and 65535", o.port))
	}
	if o.grace < 2*time.Second {
		err = errors.Join(err, fmt.Errorf("--node-monitor-grace-period %s is less than 2s", o.grace))
	}
	if err != nil {
		return o, err
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return o, fmt.Errorf("find %s: %w", o.dir, err)
	}
	return o, setVerbosity(o.verbosity)
}

// setVerbosity sets the level of the one log that all components share.
func setVerbosity(v int) error {
	fs := flag.NewFlagSet("log", flag.ContinueOnError)
	klog.InitFlags(fs)
	return fs.Set("v", fmt.Sprint(v))
}
