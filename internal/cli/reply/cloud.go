package reply

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/cli/near"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// CloudNext says how to reach a cloud.
var CloudNext = []string{
	"for a local region: `eval \"$(poolkeeper local env)\"`",
	"for the real cloud: set ALIBABA_CLOUD_REGION_ID and credentials (ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET)",
}

// OfCloud makes an Error of a call of the cloud, with cause and solution of
// the catalogue.
func OfCloud(err error, what string) error {
	f := fault.Of(err)
	if f == nil || errors.Is(err, context.Canceled) {
		return err
	}
	row := fault.Lookup(f.Code)
	e := &Error{Code: ExitUnreachable, What: what, Cause: row.Cause, Fault: string(f.Code), RequestID: f.RequestID, Err: err}
	if f.Message != "" {
		e.Cause += ": " + strings.TrimRight(f.Message, ".")
	}
	switch f.Code {
	case fault.ForbiddenRAM, fault.NoPermission, fault.AccessKeyNotFound, fault.SignatureDoesNotMatch, fault.AccountChanged:
		e.Code = ExitNotAllowed
	case fault.ImageNotFound, fault.VSwitchNotFound, fault.SecurityGroupNotFound, fault.KeyPairNotFound, fault.TypeValueNotSupported:
		e.Code = ExitNotFound
	}
	e.Next = append(e.Next, f.Advice())
	if f.Code == fault.CredentialsMissing || f.Code == fault.CloudUnreachable {
		e.Next = append(e.Next, CloudNext[0])
	}
	return e
}

// NotSold says that the cloud has no such image, type and so on, and which it has
// instead: one of a name alike, with the command that takes it, or how many.
func NotSold(what, name string, sold []string, command string) *Error {
	e := &Error{Code: ExitNotFound, What: fmt.Sprintf("the cloud has no %s %q", what, name), Cause: fmt.Sprintf("it has %d others", len(sold)),
		Next: []string{"`poolkeeper offer list` lists instance types, with --images images"}}
	if meant := near.To(name, sold); meant != "" {
		e.Next = []string{fmt.Sprintf("did you mean `%s %s`?", command, meant)}
	}
	return e
}
