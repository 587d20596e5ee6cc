package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
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
	c.QuotaBackendBytes = 4 << 30
	client, err := s.socket("etcd")
	if err != nil {
		return nil, err
	}
	peer, err := s.socket("etcd-peer")
	if err != nil {
		return nil, err
	}
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

// longestSocket is what the kernel takes as the path of a unix socket, with
// room for what etcd adds.
const longestSocket = 100

// socket is the path of a unix socket: in the state directory, or, where that
// path is too long for a socket, in a directory of this user's named after it.
func (s *state) socket(name string) (string, error) {
	if p := s.path(name + ".sock"); len(p) <= longestSocket {
		return p, nil
	}
	sum := sha256.Sum256([]byte(s.dir))
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("poolkeeper-%d-%x", os.Getuid(), sum[:6]))
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", fmt.Errorf("make socket directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("look at socket directory: %w", err)
	}
	// etcd asks nobody who they are: whoever reaches the socket owns the state.
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Getuid() || info.Mode() != fs.ModeDir|0o700 {
		return "", fmt.Errorf("socket directory %s is open to others: remove it or use a shorter --dir", dir)
	}
	return filepath.Join(dir, name+".sock"), nil
}
