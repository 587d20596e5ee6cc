// Package home knows whether a kubeconfig belongs to a local region, and where
// that region is kept. In comes a kubeconfig, out come answers and what to type;
// it asks nobody.
package home

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
)

// stateFile is what the directory of a local region holds beside its kubeconfig.
const stateFile = "region.json"

// Region says whether the kubeconfig in use belongs to a local region: its server
// listens on loopback, and its file or the context in use carries our name. The
// directory is that of the region; empty where the kubeconfig is a copy.
func Region(l clientcmd.ClientConfig, context string) (dir string, ok bool) {
	cfg, err := l.ClientConfig()
	if err != nil || !loopback(cfg.Host) {
		return "", false
	}
	raw, err := l.RawConfig()
	if err != nil {
		return "", false
	}
	if context == "" {
		context = raw.CurrentContext
	}
	file := l.ConfigAccess().GetDefaultFilename()
	if !strings.Contains(context, "poolkeeper") && !strings.Contains(file, "poolkeeper") {
		return "", false
	}
	dir = filepath.Dir(file)
	if _, err := os.Stat(filepath.Join(dir, stateFile)); err != nil {
		return "", true
	}
	return dir, true
}

// Silent says what is known of a region that does not answer, and what to type.
func Silent(dir string) (cause string, next []string) {
	back := "where it runs: `poolkeeper local apiserver back`"
	if dir == "" {
		return "the local region is stopped, or its API server is away",
			[]string{"`poolkeeper local up`, with --dir where it is not kept in the usual place; " + back}
	}
	if home, err := os.UserHomeDir(); err == nil && strings.HasPrefix(dir, home+string(filepath.Separator)) {
		dir = "~" + strings.TrimPrefix(dir, home)
	}
	return fmt.Sprintf("the local region in %s is stopped, or its API server is away", dir),
		[]string{fmt.Sprintf("`poolkeeper local up --dir %s`, or %s", dir, back)}
}

func loopback(host string) bool {
	u, err := url.Parse(host)
	if err != nil {
		return false
	}
	h := u.Hostname()
	return h == "localhost" || h == "::1" || strings.HasPrefix(h, "127.")
}
