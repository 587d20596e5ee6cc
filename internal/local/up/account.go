package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// accountTime is how long a controller may take to start with another key.
const accountTime = time.Minute

// otherAccountFile is there while the controller uses the key of another account.
func otherAccountFile(dir string) string { return filepath.Join(dir, "other-account") }

func keyInUse(dir string) string {
	if _, err := os.Stat(otherAccountFile(dir)); err == nil {
		return otherKey
	}
	return ownKey
}

// UseAccount gives the controller of a running region the access key of another
// account, or its own again, as a person does who changes a Secret and starts
// the controller anew. It returns when the controller runs with it.
func UseAccount(ctx context.Context, dir string, other bool, out io.Writer) error {
	before, err := controllerOf(dir)
	if err != nil {
		return err
	}
	if other {
		err = writeFile(otherAccountFile(dir), nil, 0o600)
	} else if err = os.Remove(otherAccountFile(dir)); errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return dirError(dir, err)
	}
	key, err := readCredentials(dir, keyInUse(dir))
	if err != nil {
		return asError("the account was not changed", err)
	}
	if err := syscall.Kill(before, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return asError("the controller was not started anew", err)
	}
	done, err := seen(ctx, accountTime, func() bool {
		s, err := ReadStatus(ctx, dir)
		return err == nil && slices.ContainsFunc(s.Children, func(c ChildStatus) bool {
			return c.Name == controllerName && c.Ready && c.PID != 0 && c.PID != before
		})
	})
	if err != nil {
		return err
	}
	if done {
		fmt.Fprintf(out, "the controller was started anew, with the key of account %s\n", key.AccountID)
		return nil
	}
	return &Error{
		Code: CodeDefect, What: "the controller is not ready with that key", Cause: "it did not become ready within " + accountTime.String(),
		Next: []string{"`poolkeeper local status" + dirFlag(dir) + "`"},
	}
}

// controllerOf is the process of a running region's controller.
func controllerOf(dir string) (int, error) {
	if _, held, err := holder(dir); err != nil || !held {
		return 0, &Error{
			Code: CodeUnreachable, What: "nothing was changed", Cause: "no local region runs in " + short(dir),
			Next: []string{"`poolkeeper local up" + dirFlag(dir) + "`"},
		}
	}
	p, err := readPublished(dir)
	if err != nil {
		return 0, asError("nothing was changed", err)
	}
	for _, c := range p.Children {
		if c.Name == controllerName && c.PID != 0 {
			return c.PID, nil
		}
	}
	return 0, &Error{
		Code: CodeUnreachable, What: "nothing was changed", Cause: "the controller is just starting",
		Next: []string{"again in a moment"},
	}
}
