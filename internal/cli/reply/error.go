package reply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// The exit codes.
const (
	// ExitDone: done, or nothing to do.
	ExitDone = 0
	// ExitDefect: a defect of ours.
	ExitDefect = 1
	// ExitInput: bad input, nothing changed.
	ExitInput = 2
	// ExitNotFound: no such object.
	ExitNotFound = 3
	// ExitNotAllowed: not allowed, protected, frozen.
	ExitNotAllowed = 4
	// ExitFailed: accepted, but the task failed or the pool is held.
	ExitFailed = 5
	// ExitTimeout: --timeout passed, the work goes on.
	ExitTimeout = 6
	// ExitConflict: the object changed meanwhile.
	ExitConflict = 7
	// ExitUnreachable: the API server, the cloud or the local region is out of
	// reach.
	ExitUnreachable = 8
	// ExitDoctor: doctor found something to mend.
	ExitDoctor = 9
	// ExitInterrupted: Ctrl-C, the work goes on.
	ExitInterrupted = 130
)

// Error is what people are told when a command does not end well: what
// happened, why, and what to type next.
type Error struct {
	// Code is the exit code.
	Code int
	// What happened.
	What string
	// Cause says why; Fault is its code in the failure catalogue, if it has one.
	Cause string
	Fault string
	// Next is what to type next, one way per entry.
	Next []string
	// RequestID of the call to the cloud, if there was one.
	RequestID string
	// Err is what lies under it.
	Err error

	// Silent ends the command with its exit code and nothing more to say.
	Silent bool
}

// Error writes what happened and why on one line.
func (e *Error) Error() string {
	if e.Cause == "" {
		return e.What
	}
	return e.What + ": " + e.Cause
}

// Unwrap gives what lies under the error.
func (e *Error) Unwrap() error { return e.Err }

// Write prints the three parts, as text or as one JSON object.
func (e *Error) Write(w io.Writer, asJSON, verbose bool) {
	if asJSON {
		body := struct {
			What      string   `json:"what"`
			Cause     string   `json:"cause"`
			Code      string   `json:"code"`
			Next      []string `json:"next"`
			RequestID string   `json:"requestId"`
		}{e.What, e.Cause, e.Fault, append([]string{}, e.Next...), e.RequestID}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(map[string]any{"error": body})
		return
	}
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-6s %s\n", name, view.OneLine(text))
		}
	}
	line("error:", e.What)
	cause := e.Cause
	if e.Fault != "" && !strings.Contains(cause, e.Fault) {
		cause += " (" + e.Fault + ")"
	}
	line("cause:", cause)
	for _, n := range e.Next {
		line("next:", n)
	}
	if verbose && e.Err != nil {
		line("under:", e.Err.Error())
	}
}

// BadInput is an error that the person can mend by typing something else.
func BadInput(what, cause string, next ...string) *Error {
	return &Error{Code: ExitInput, What: what, Cause: cause, Next: next}
}

// OfAPI makes an Error of an answer of the API server, or of its silence.
// What says what did not happen.
func OfAPI(err error, what string) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if u := Unreachable(err); u != nil {
		return u
	}
	e = &Error{What: what, Cause: Text(err), Err: err}
	switch {
	case apierrors.IsUnauthorized(err):
		e.Code, e.Next = ExitNotAllowed, []string{"use credentials that the cluster accepts: --kubeconfig, --context"}
	case apierrors.IsForbidden(err):
		return Forbidden(e)
	case NoSuchKind(err):
		e.Code, e.Cause = ExitNotFound, "this cluster does not know the kinds of poolkeeper"
		e.Next = []string{"`poolkeeper local up` for a local region, or install the manifests of config/", "another cluster: --kubeconfig, --context"}
	case apierrors.IsNotFound(err):
		e.Code = ExitNotFound
	case apierrors.IsAlreadyExists(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		e.Code = ExitInput
	case apierrors.IsConflict(err):
		e.Code, e.Next = ExitConflict, []string{"look again, then repeat the command"}
	case errors.Is(err, context.DeadlineExceeded):
		e.Code = ExitTimeout
	default:
		e.Code, e.Next = ExitDefect, []string{"repeat it with -v and report what it says"}
	}
	return e
}

// admission cuts the text of an admission policy out of the server's message.
var admission = regexp.MustCompile(`denied request: (.*)`)

// notAllowed cuts user, verb and resource out of a refusal by RBAC.
var notAllowed = regexp.MustCompile(`User "([^"]*)" cannot (\w+) resource "([^"]*)"`)

// Forbidden tells a refusal by a policy from one by RBAC: the one says what to
// do itself, the other needs an admin.
func Forbidden(e *Error) *Error {
	e.Code = ExitNotAllowed
	if m := admission.FindStringSubmatch(e.Cause); m != nil {
		e.Cause = m[1]
		return e
	}
	if m := notAllowed.FindStringSubmatch(e.Cause); m != nil {
		e.Cause = fmt.Sprintf("user %s lacks %s %s (RBAC)", m[1], m[2], m[3])
		e.Next = []string{fmt.Sprintf("for an admin: `kubectl create clusterrolebinding poolkeeper-operators --clusterrole=poolkeeper-operator --user=%s`", m[1])}
	}
	return e
}

// Unreachable makes an Error of a server that did not answer; nil for any other
// error.
func Unreachable(err error) *Error {
	if apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) {
		row := fault.Lookup(fault.APIServerInternalError)
		if apierrors.IsTooManyRequests(err) {
			row = fault.Lookup(fault.APIServerTooManyRequests)
		}
		return &Error{Code: ExitUnreachable, What: "the API server does not answer now", Cause: row.Cause + ": " + Text(err), Fault: string(row.Code), Next: []string{row.Advice(nil)}, Err: err}
	}
	var u *url.Error
	if !errors.As(err, &u) || errors.Is(err, context.Canceled) {
		return nil
	}
	host := "its address"
	if parsed, perr := url.Parse(u.URL); perr == nil && parsed.Host != "" {
		host = parsed.Host
	}
	row := fault.Lookup(fault.APIServerInternalError)
	e := &Error{Code: ExitUnreachable, What: "cannot reach the API server at " + host, Cause: row.Cause + ": " + RootCause(u.Err), Fault: string(row.Code), Err: err}
	e.Next = []string{row.Advice(nil), "check --kubeconfig and --context: `kubectl cluster-info`"}
	return e
}
