package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// downTime is how long a region may take to stop.
const downTime = 90 * time.Second

// Down stops the region of a directory and waits until it has; nothing to do
// where none runs.
func Down(ctx context.Context, dir string, out io.Writer) error {
	h, held, err := holder(dir)
	if err != nil {
		return asError("the local region was not stopped", err)
	}
	if !held {
		fmt.Fprintf(out, "No local region runs in %s.\n", short(dir))
		return nil
	}
	if err := syscall.Kill(h.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return asError("the local region was not stopped", fmt.Errorf("end process %d: %w", h.PID, err))
	}
	fmt.Fprintf(out, "Stopping process %d ...\n", h.PID)
	for end := time.Now().Add(downTime); ; {
		if _, held, err = holder(dir); err != nil || !held {
			break
		}
		if time.Now().After(end) {
			return &Error{
				Code: CodeDefect, What: "the local region did not stop", Cause: fmt.Sprintf("process %d still runs after %s", h.PID, downTime),
				Next: []string{fmt.Sprintf("`kill -9 %d`: its children end with it, the state is kept", h.PID)},
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err != nil {
		return asError("the local region was not stopped", err)
	}
	fmt.Fprintf(out, "Stopped; everything is kept in %s.\n", short(dir))
	return nil
}

// ours are the names that a region makes in its directory. Reset deletes these
// and nothing else, whatever directory it is pointed at.
var ours = []string{
	"region.json", "status.json", "trouble.json", "other-account", "admin.kubeconfig", "controller-manager.kubeconfig", "scheduler.kubeconfig", "scheduler.yaml",
	"ca.crt", "plane.lock", "etcd", "etcd.sock", "etcd-peer.sock", "pki", "audit", "audit-policy.yaml",
	"cloud", "controller", "logs", "lock",
}

// Reset deletes the state of a region that does not run. Ask is called before
// anything is deleted; false leaves everything as it is.
func Reset(dir, version string, out io.Writer, ask func(question string) bool) error {
	if _, err := ReadRegion(dir); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(out, "There is no local region in %s.\n", short(dir))
		return nil
	}
	if h, held, err := holder(dir); err != nil {
		return asError("nothing was deleted", err)
	} else if held {
		return badInput("nothing was deleted", fmt.Sprintf("the local region runs (process %d)", h.PID),
			"stop it first: `poolkeeper local down"+dirFlag(dir)+"`")
	}
	if !ask(fmt.Sprintf("Delete the local region in %s, its cluster and its cloud?", short(dir))) {
		fmt.Fprintln(out, "Nothing was deleted.")
		return nil
	}
	lock, err := takeLock(dir, version)
	if err != nil {
		return err
	}
	defer lock.Close()
	var errs []error
	for _, name := range ours {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	if err := errors.Join(errs...); err != nil {
		return asError("the local region was not deleted whole", err)
	}
	// Whatever else lies there is not ours and keeps the directory.
	if err := os.Remove(dir); err != nil && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EBUSY) {
		return asError("the local region was not deleted whole", err)
	}
	fmt.Fprintf(out, "Deleted the local region in %s.\n", short(dir))
	return nil
}

// Env writes what a shell needs to use a region, one export per line.
func Env(dir, self string, out io.Writer) error {
	reg, err := ReadRegion(dir)
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "admin.kubeconfig"))
	}
	var key credentials
	if err == nil {
		key, err = readCredentials(dir, ownKey)
	}
	if errors.Is(err, os.ErrNotExist) {
		return &Error{
			Code: CodeUnreachable, What: "there is no local region to use", Cause: "none was started in " + short(dir),
			Next: []string{"`poolkeeper local up" + dirFlag(dir) + "`"},
		}
	}
	if err != nil {
		return asError("the local region cannot be read", err)
	}
	for _, kv := range [][2]string{
		{"KUBECONFIG", filepath.Join(dir, "admin.kubeconfig")},
		{"ALIBABA_CLOUD_ACCESS_KEY_ID", key.AccessKeyID},
		{"ALIBABA_CLOUD_ACCESS_KEY_SECRET", key.AccessKeySecret},
		{"ALIBABA_CLOUD_REGION_ID", key.RegionID},
		{"POOLKEEPER_CLOUD_ENDPOINT", "http://" + reg.cloud()},
		{"POOLKEEPER_LOCAL_DIR", dir},
	} {
		fmt.Fprintf(out, "export %s=%s\n", kv[0], quote(kv[1]))
	}
	fmt.Fprintf(out, "export PATH=%s:\"$PATH\"\n", quote(filepath.Dir(self)))
	return nil
}
