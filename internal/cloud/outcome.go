package cloud

import (
	"errors"
	"fmt"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Outcome is what the answer to one send proves about that send.
type Outcome string

// The outcomes.
const (
	// Done: it succeeded.
	Done Outcome = "Done"
	// NotSent: no byte left this process. It proves that nothing was done.
	NotSent Outcome = "NotSent"
	// Throttled: refused at the gate, nothing was done. The same token is sent
	// again later.
	Throttled Outcome = "Throttled"
	// Refused: this send did nothing, and its token is spent. It says nothing
	// about an earlier send whose answer is not known.
	Refused Outcome = "Refused"
	// Processing: the same token is still at work. It is sent again.
	Processing Outcome = "Processing"
	// Unknown: no answer, or one of a broken server. It is sent again.
	Unknown Outcome = "Unknown"
	// Mismatch: the token was used with other content. Never sent again.
	Mismatch Outcome = "Mismatch"
)

// ProvesNothingDone tells whether one send with this outcome had no effect.
func (o Outcome) ProvesNothingDone() bool {
	return o == NotSent || o == Throttled || o == Refused
}

// SendAgain tells whether the same bytes may be sent again with the same
// token.
func (o Outcome) SendAgain() bool {
	return o == NotSent || o == Throttled || o == Processing || o == Unknown
}

// Error is a call of a cloud that did not succeed.
type Error struct {
	// Call names what was called, in the words of the interface.
	Call string
	// Outcome is what the answer proves.
	Outcome Outcome
	// Fault says what it was.
	Fault *fault.Fault
	// Cause is the error underneath, nil where the cloud answered.
	Cause error
}

// Error tells the call and the fault.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Call, e.Fault, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Call, e.Fault)
}

// Unwrap returns the fault, and the error underneath where there is one.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Fault}
	}
	return []error{e.Fault, e.Cause}
}

// Fail returns the error of a call with this outcome and fault. The fault says
// from then on whether it proves that nothing was done.
func Fail(call string, o Outcome, f *fault.Fault, cause error) *Error {
	f.ProvesNothingDone = o.ProvesNothingDone()
	return &Error{Call: call, Outcome: o, Fault: f, Cause: cause}
}

// Classify tells what an error of a Cloud proves. Nil is Done; an error that
// no provider made is Unknown, since it proves nothing.
func Classify(err error) Outcome {
	if err == nil {
		return Done
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return Unknown
}

// ReleaseError is one instance that Release could not release.
type ReleaseError struct {
	// ID of the instance.
	ID string
	// Err carries the fault.
	Err error
}

// Error names the instance.
func (e *ReleaseError) Error() string { return fmt.Sprintf("release %s: %v", e.ID, e.Err) }

// Unwrap returns the error underneath.
func (e *ReleaseError) Unwrap() error { return e.Err }

// ReleaseErrors returns why each instance was not released, by ID, from the
// error of Release. Instances not named were released or are gone.
func ReleaseErrors(err error) map[string]error {
	out := map[string]error{}
	collect(err, out)
	return out
}

func collect(err error, out map[string]error) {
	switch e := err.(type) {
	case nil:
	case *ReleaseError:
		out[e.ID] = e.Err
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			collect(inner, out)
		}
	case interface{ Unwrap() error }:
		collect(e.Unwrap(), out)
	}
}
