package up

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// fullSize is the size of the full disk: room for some files, not for a region.
const fullSize = 1 << 20

// fillDisk puts a small file system at a path and ends the process where it
// cannot. Only this process sees it.
func fillDisk(path string) {
	_ = syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err := syscall.Mount("none", path, "tmpfs", 0, fmt.Sprintf("size=%d", fullSize)); err != nil {
		fmt.Fprintln(os.Stderr, "mount:", err)
		os.Exit(1)
	}
}

// listDir writes what a start has left. It is written by the process that sees the full disk.
func listDir(path string) {
	_ = filepath.WalkDir(path, func(p string, _ os.DirEntry, err error) error {
		fmt.Println("left:", p, err)
		return nil
	})
}

func TestAFullDiskIsOneErrorAndChangesNothing(t *testing.T) {
	mount := t.TempDir()
	dir := filepath.Join(mount, "made", "region")
	cmd := exec.Command(os.Args[0], dir, strconv.Itoa(freePorts(t)))
	cmd.Env = append(os.Environ(), childEnv+"=up on a full disk")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("a region was started on a full disk:\n%s", out)
	}
	want := fmt.Sprintf(`the local region was not started: the disk of %s is full: a region needs 128 MiB there to start
next: free some space there, or choose another directory: `+"`poolkeeper local up --dir DIR`"+`
left: %s <nil>
`, dir, mount)
	if got := string(out); got != want {
		t.Errorf("told (the test mounts a file system: as root, or in a user namespace):\n%s\nwant:\n%s", got, want)
	}
}

func TestALimitOfFileSizesIsNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "region")
	cmd := exec.Command("/bin/sh", "-c", `ulimit -f 2048 && exec "$0" "$@"`, os.Args[0], dir, strconv.Itoa(freePorts(t)))
	cmd.Env = append(os.Environ(), childEnv+"=up")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "files in "+dir+" may not grow to the 128 MiB that a region needs to start (file too large)\nnext: raise the limit") {
		t.Errorf("%v\n%s", err, out)
	}
	if left, err := os.ReadDir(filepath.Dir(filepath.Dir(dir))); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
