package main

import (
	"fmt"
	"net/url"
	"os"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// startEtcd starts etcd on two unix sockets in the state directory. Sockets
// that a killed process left are removed first, or the bind fails.
func startEtcd(s *state, noSync bool) (*embed.Etcd, error) {
	c := embed.NewConfig()
	c.Dir = s.path("etcd")
	c.UnsafeNoFsync = noSync
	c.LogLevel = "error"
	c.LogOutputs = []string{"stderr"}
	c.AutoCompactionMode, c.AutoCompactionRetention = "periodic", "10m"
	c.QuotaBackendBytes = 4 << 30
	c.SnapshotCount = 50_000
	client, peer := s.socket("etcd"), s.socket("etcd-peer")
	for _, f := range []string{client, peer} {
		if err := os.Remove(f); err != nil && !os.IsNotExist(err) {
			return nil, fmt.Errorf("remove old socket: %w", err)
		}
	}
	cu, pu := url.URL{Scheme: "unix", Path: client}, url.URL{Scheme: "unix", Path: peer}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{cu}, []url.URL{cu}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{pu}, []url.URL{pu}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	e, err := embed.StartEtcd(c)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-e.Server.ReadyNotify():
		return e, nil
	case <-time.After(time.Minute):
		e.Close()
		return nil, fmt.Errorf("etcd did not start within a minute")
	}
}

// socket is the path of a unix socket: in the state directory, or, where that
// path is too long for a socket, in a directory of this user's named after it.
func (s *state) socket(name string) string {
	p := s.path(name + ".sock")
	if len(p) <= 100 {
		return p
	}
	dir := fmt.Sprintf("%s/poolkeeper-plane-%d-%d", os.TempDir(), os.Getuid(), s.port)
	_ = os.MkdirAll(dir, 0o700)
	return dir + "/" + name + ".sock"
}
