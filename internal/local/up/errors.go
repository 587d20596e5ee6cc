package up

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// The exit codes that a local region ends with.
const (
	// CodeDefect: a defect of ours, or a child that does not start.
	CodeDefect = 1
	// CodeInput: bad input, nothing changed.
	CodeInput = 2
	// CodeUnreachable: the local region is out of reach.
	CodeUnreachable = 8
)

// Error is what people are told: what happened, why, and what to type next.
type Error struct {
	// Code is the exit code, 1 to 9.
	Code int `json:"code"`
	// What happened.
	What string `json:"what"`
	// Cause says why.
	Cause string `json:"cause"`
	// Next is what to type next, one way per entry.
	Next []string `json:"next"`
}

// Error writes what happened and why on one line.
func (e *Error) Error() string {
	if e.Cause == "" {
		return e.What
	}
	return e.What + ": " + e.Cause
}

func badInput(what, cause string, next ...string) *Error {
	return &Error{Code: CodeInput, What: what, Cause: cause, Next: next}
}

// asError keeps an Error and makes one of anything else.
func asError(what string, err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &Error{Code: CodeDefect, What: what, Cause: err.Error(), Next: []string{"`poolkeeper local status`, and the files in logs/ of the state directory"}}
}

// dirError says what is wrong with a state directory that cannot be used.
func dirError(dir string, err error) error {
	cause := err.Error()
	next := "choose another directory: `poolkeeper local up --dir DIR`"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return badInput("the local region was not started", fmt.Sprintf("the disk of %s is full: a region needs %d MiB there to start", dir, probeSize>>20), "free some space there, or "+next)
	case errors.Is(err, syscall.EFBIG):
		return badInput("the local region was not started", fmt.Sprintf("files in %s may not grow to the %d MiB that a region needs to start (%s)", dir, probeSize>>20, root(err)), "raise the limit (`ulimit -f unlimited`), or "+next)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return badInput("the local region was not started", dir+" cannot be written ("+root(err)+")", next)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, os.ErrExist):
		return badInput("the local region was not started", dir+" is not a directory", next)
	}
	return badInput("the local region was not started", cause, next)
}

// root is the innermost text of an error, of the first where several are
// joined.
func root(err error) string {
	for {
		next := errors.Unwrap(err)
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			next = joined.Unwrap()[0]
		}
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// quote writes a value for a POSIX shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:=+,@%") == "" {
		return s
	}
	return fmt.Sprintf("'%s'", strings.ReplaceAll(s, "'", `'\''`))
}
