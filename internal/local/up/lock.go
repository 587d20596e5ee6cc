package up

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Holder is the process that runs a region.
type Holder struct {
	// PID of `local up`.
	PID int `json:"pid"`
	// Since is when it took the directory.
	Since time.Time `json:"since"`
	// Version of its build.
	Version string `json:"version"`
}

// lockPatience is how long a start waits for a lock that somebody only looks at.
const lockPatience = time.Second

func lockFile(dir string) string { return filepath.Join(dir, "lock") }

// takeLock takes the directory for this process, until the file is closed or
// the process ends.
func takeLock(dir, version string) (*os.File, error) {
	f, err := os.OpenFile(lockFile(dir), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, dirError(dir, err)
	}
	for end := time.Now().Add(lockPatience); ; time.Sleep(20 * time.Millisecond) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, held(dir, version)
		}
		return nil, dirError(dir, err)
	}
	text, err := json.Marshal(Holder{PID: os.Getpid(), Since: time.Now().Truncate(time.Second), Version: version})
	if err == nil {
		err = errors.Join(f.Truncate(0), second(f.WriteAt(text, 0)))
	}
	if err != nil {
		_ = f.Close()
		return nil, dirError(dir, err)
	}
	return f, nil
}

func second(_ int, err error) error { return err }

// held says who holds the directory.
func held(dir, version string) error {
	h, _ := readHolder(dir)
	e := badInput("the local region was not started", fmt.Sprintf("%s is held by process %d since %s", dir, h.PID, h.Since.Local().Format(time.DateTime)))
	if h.Version != version {
		e.Cause += fmt.Sprintf(", another build (%s; this is %s)", h.Version, version)
		e.Next = []string{fmt.Sprintf("to let this build take over: `poolkeeper local down%s`, then `poolkeeper local up%s`", dirFlag(dir), dirFlag(dir))}
		return e
	}
	e.Next = []string{
		fmt.Sprintf("use it: `eval \"$(poolkeeper local env%s)\"`, or stop it: `poolkeeper local down%s`", dirFlag(dir), dirFlag(dir)),
		fmt.Sprintf("a second region: `poolkeeper local up --dir DIR --port-base %d`", DefaultPortBase+10),
	}
	return e
}

func readHolder(dir string) (Holder, error) {
	var h Holder
	text, err := os.ReadFile(lockFile(dir))
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal(text, &h)
}

// holder gives the process that runs the region now; false when none does.
func holder(dir string) (Holder, bool, error) {
	f, err := os.Open(lockFile(dir))
	if errors.Is(err, os.ErrNotExist) {
		return Holder{}, false, nil
	}
	if err != nil {
		return Holder{}, false, err
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		h, err := readHolder(dir)
		return h, true, err
	}
	return Holder{}, false, err
}
