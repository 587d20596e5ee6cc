package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
)

// The exit codes, as reply says them.
const (
	ExitDone        = reply.ExitDone
	ExitDefect      = reply.ExitDefect
	ExitInput       = reply.ExitInput
	ExitNotFound    = reply.ExitNotFound
	ExitNotAllowed  = reply.ExitNotAllowed
	ExitFailed      = reply.ExitFailed
	ExitTimeout     = reply.ExitTimeout
	ExitConflict    = reply.ExitConflict
	ExitUnreachable = reply.ExitUnreachable
	ExitDoctor      = reply.ExitDoctor
	ExitInterrupted = reply.ExitInterrupted
)

// Error is what people are told when a command does not end well.
type Error = reply.Error

// silently ends a command with an exit code and nothing more to say.
func silently(code int) error { return &Error{Code: code, What: "exit", Silent: true} }

func badInput(what, cause string, next ...string) *Error { return reply.BadInput(what, cause, next...) }
func apiError(err error, what string) *Error             { return reply.OfAPI(err, what) }
func cloudError(err error, what string) error            { return reply.OfCloud(err, what) }

// explain makes an Error of whatever a command ended with.
func explain(ctx context.Context, err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return &Error{Code: ExitInterrupted, What: "interrupted", Cause: "Ctrl-C; whatever was accepted goes on", Err: err}
	case isUnknownCommand(err):
		return badInput("nothing was done", err.Error())
	}
	return apiError(err, "the command did not end")
}

// isUnknownCommand is true for cobra's own refusals of arguments, which have no
// type of their own.
func isUnknownCommand(err error) bool {
	s := err.Error()
	return strings.HasPrefix(s, "unknown command") || strings.HasPrefix(s, "accepts ") ||
		strings.HasPrefix(s, "requires at least") || strings.HasPrefix(s, "required flag") ||
		strings.HasPrefix(s, `invalid argument "`) || strings.HasPrefix(s, "if any flags in the group") ||
		strings.HasPrefix(s, "at least one of the flags")
}
