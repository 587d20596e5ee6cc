package main

import (
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"golang.org/x/sys/unix"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// upstream returns the program that a name stands for, false for our own.
func upstream(name string) (run func() int, ok bool) {
	switch name {
	case "etcd":
		return func() int { etcdmain.Main(os.Args); return 0 }, true
	case "kube-apiserver":
		return func() int { return cli.Run(apiserver.NewAPIServerCommand()) }, true
	case "kubectl":
		return func() int { return cli.Run(kubectl.NewDefaultKubectlCommand()) }, true
	}
	return nil, false
}

// dieWithParent asks the kernel to end this process when its parent ends, and
// says so where that has happened meanwhile.
func dieWithParent() error {
	parent := os.Getppid()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0); err != nil {
		return fmt.Errorf("ask to end with the parent: %w", err)
	}
	if os.Getppid() != parent {
		return fmt.Errorf("the parent is gone")
	}
	return nil
}
