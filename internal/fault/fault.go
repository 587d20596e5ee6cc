// Package fault is the catalogue of everything that can go wrong: what each
// failure means, what it speaks of, what is done next and when it may be tried
// again, and what a person can do about it.
//
// In comes a code, with what is known of the case (types that fit, a zone, an
// address); out comes its entry, its advice in words, and the time of the next
// try. It never talks to a cloud or a cluster, never reads a clock, never makes
// random numbers and never searches a text for a code: codes are found at the
// edge where the wire is known, and everything behind that edge decides on the
// entry alone.
package fault

import (
	"errors"
	"strings"
)

// Code names a failure. Where two failures share one word on the wire, the
// code has a slash and a variant after it; Wire gives the shared word.
type Code string

// Wire returns the code as the wire and the public pages spell it, without the
// variant.
func (c Code) Wire() string {
	w, _, _ := strings.Cut(string(c), "/")
	return w
}

// Variant returns what stands after the slash, or nothing.
func (c Code) Variant() string {
	_, v, _ := strings.Cut(string(c), "/")
	return v
}

// Fault is one failure as it was met: its code, and what came with it. It is
// an error; find it in a chain with Of.
type Fault struct {
	// Code of the catalogue.
	Code Code
	// WireCode is the code as it was answered, empty where nothing was
	// answered. At most 128 characters.
	WireCode string
	// Message is the vendor's own text, unchanged, at most 1024 characters.
	Message string
	// RequestID of the call that failed, empty where there was no answer.
	RequestID string
	// Status of HTTP, for people only; 0 where there was no answer.
	Status int
	// ProvesNothingDone is true where this answer (or the lack of a send)
	// proves that this one send had no effect.
	ProvesNothingDone bool
	// Details fill the advice: types that fit, an address, a permission.
	Details Details
}

// Error tells code, text and request id, in one line and without secrets.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(string(f.Code))
	if f.WireCode != "" && f.WireCode != f.Code.Wire() {
		b.WriteString(" (" + f.WireCode + ")")
	}
	if f.Message != "" {
		b.WriteString(": " + f.Message)
	}
	if f.RequestID != "" {
		b.WriteString(" (request id " + f.RequestID + ")")
	}
	return b.String()
}

// Entry returns the entry of its code.
func (f *Fault) Entry() Entry { return Lookup(f.Code) }

// Advice returns what a person can do, with its details filled in.
func (f *Fault) Advice() string { return f.Entry().Advice(f.Details) }

// New returns a fault with this code and text.
func New(c Code, message string) *Fault { return &Fault{Code: c, Message: message} }

// Of returns the fault in the chain of err, or nil.
func Of(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// CodeOf returns the code of the fault in the chain of err, or nothing.
func CodeOf(err error) Code {
	if f := Of(err); f != nil {
		return f.Code
	}
	return ""
}
