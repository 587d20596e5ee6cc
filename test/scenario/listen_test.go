package scenario

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// listeners looks at every port on which a process of the region listens: none
// can be reached from another machine, and each process has one.
func (w *world) listeners(t *testing.T) {
	out, err := w.shell(t.Context(), "poolkeeper local status -o json")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var status struct {
		Children []struct {
			Name string
			PID  int
		}
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil || len(status.Children) < 3 {
		t.Fatalf("%v in %s", err, out)
	}
	for _, c := range status.Children {
		at, err := listening(fmt.Sprintf("/proc/%d", c.PID))
		if err != nil || len(at) == 0 {
			t.Errorf("%s (process %d) listens on %v: %v", c.Name, c.PID, at, err)
		}
		for _, a := range at {
			if !a.Addr().Unmap().IsLoopback() {
				t.Errorf("%s listens on %s, which others can reach", c.Name, a)
			}
		}
	}
}

// listening are the addresses on which a process listens, of /proc/PID.
func listening(process string) ([]netip.AddrPort, error) {
	fds, err := os.ReadDir(filepath.Join(process, "fd"))
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, fd := range fds {
		to, err := os.Readlink(filepath.Join(process, "fd", fd.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // one that was closed meanwhile
			return nil, err
		}
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var at []netip.AddrPort
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(filepath.Join(process, "net", table))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a machine without IPv6
		} else if err != nil {
			return nil, err
		}
		some, err := listenersIn(string(text), own)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", table, err)
		}
		at = append(at, some...)
	}
	return at, nil
}

// listenersIn reads the sockets of a table of the kernel that listen and have
// one of these inodes.
func listenersIn(table string, inodes map[string]bool) ([]netip.AddrPort, error) {
	const listens = "0A"
	var at []netip.AddrPort
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != listens || !inodes[f[9]] {
			continue
		}
		host, port, _ := strings.Cut(f[1], ":")
		raw, err := hex.DecodeString(host)
		if err != nil || len(raw)%4 != 0 {
			return nil, fmt.Errorf("address %q", f[1])
		}
		for i := 0; i < len(raw); i += 4 { // each four bytes stand in the machine's order
			binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
		}
		addr, ok := netip.AddrFromSlice(raw)
		n, err := strconv.ParseUint(port, 16, 16)
		if !ok || err != nil {
			return nil, fmt.Errorf("address %q", f[1])
		}
		at = append(at, netip.AddrPortFrom(addr, uint16(n)))
	}
	return at, nil
}
