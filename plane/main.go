// Command poolkeeper-plane is a Kubernetes control plane in one process: etcd,
// API server, controller manager and scheduler. In come flags and a state
// directory; out go an API server on 127.0.0.1, an admin kubeconfig, the
// cluster's CA and one line "ready" on stdout. It serves one local region, never
// listens on another address, never replaces a key it finds, and never decides
// anything about node pools.
//
// Under the names etcd, kube-apiserver and kubectl it is the upstream program
// of that name.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"k8s.io/component-base/version"
)

// init keeps the first goroutine on the first thread, which lives as long as
// the process: the kernel ties a parent's death to a thread.
func init() { runtime.LockOSThread() }

func main() {
	if v := version.Get().GitVersion; strings.HasPrefix(v, "v0.0.0") {
		fail(fmt.Errorf("this build has no Kubernetes version (%s): build it with `make build`", v))
	}
	if run, ok := upstream(filepath.Base(os.Args[0])); ok {
		os.Exit(run())
	}
	o, err := parseOptions(os.Args[1:])
	if err != nil {
		fail(err)
	}
	if o.version {
		fmt.Println(version.Get().GitVersion)
		return
	}
	if o.dieWithParent {
		if err := dieWithParent(); err != nil {
			fail(err)
		}
	}
	spareCollector()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, o); err != nil {
		fail(err)
	}
}

// spareCollector lets the heap grow further between two collections, up to a
// bound: much less CPU while many nodes join, where memory is there. GOGC and
// GOMEMLIMIT of the environment win.
func spareCollector() {
	const percent, limit = 200, 2 << 30
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "poolkeeper-plane:", err)
	os.Exit(1)
}
