// Package reply says how a command did not end well: what happened, why, and
// what to type next, with its exit code. In come what an API server answered, or
// why it did not; words for people go out. It asks nothing.
package reply

import (
	"errors"
	"net"
	"os"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NoSuchKind is true when the server does not know the kind at all.
func NoSuchKind(err error) bool {
	var s apierrors.APIStatus
	if !errors.As(err, &s) || s.Status().Reason != metav1.StatusReasonNotFound {
		return false
	}
	d := s.Status().Details
	if d == nil {
		return true
	}
	for _, c := range d.Causes {
		if c.Type == metav1.CauseTypeUnexpectedServerResponse {
			return true
		}
	}
	return d.Name == ""
}

// Text is what the server said, without the name of the object before it.
func Text(err error) string {
	var s apierrors.APIStatus
	if !errors.As(err, &s) {
		return err.Error()
	}
	d := s.Status().Details
	if d == nil || len(d.Causes) == 0 || !apierrors.IsInvalid(err) {
		return s.Status().Message
	}
	var parts []string
	for _, c := range d.Causes {
		m := strings.TrimPrefix(c.Message, "Invalid value: ")
		switch c.Field {
		case "", "<nil>", "null": // speaks of the checking, not of a field
			if len(d.Causes) > 1 {
				continue
			}
		default:
			m = c.Field + ": " + m
		}
		parts = append(parts, m)
	}
	return strings.Join(parts, "; ")
}

// RootCause is the innermost text of a network error, without the addresses
// around it.
func RootCause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		var sys *os.SyscallError
		if errors.As(op.Err, &sys) {
			return sys.Err.Error()
		}
		return op.Err.Error()
	}
	return err.Error()
}
