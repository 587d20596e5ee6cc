package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Market is what the command line asks of the cloud, with the person's own
// credentials. It only reads.
type Market interface {
	cloud.Checks
	// ID is the account that the credentials belong to.
	ID(ctx context.Context) (string, error)
	// HasRole tells whether the account has a role.
	HasRole(ctx context.Context, name string) (bool, error)
	// ResourcePools tells stock, price and free addresses.
	ResourcePools(ctx context.Context, vSwitches, instanceTypes []string, charge ...cloud.ChargeType) ([]cloud.ResourcePool, error)
}

// cloudNext says how to reach a cloud.
var cloudNext = []string{
	"for a local region: `eval \"$(poolkeeper local env)\"`",
	"for the real cloud: set ALIBABA_CLOUD_REGION_ID and credentials (ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET)",
}

// market opens the person's own way to the cloud.
func (a *app) market() (Market, error) {
	if a.Market == nil {
		return nil, &Error{Code: ExitUnreachable, What: "the cloud was not asked", Cause: "this program was built without a way to it"}
	}
	m, err := a.Market()
	if err != nil {
		return nil, &Error{Code: ExitUnreachable, What: "the cloud was not asked", Cause: err.Error(), Next: cloudNext, Err: err}
	}
	return m, nil
}

// cloudError makes an Error of a call of the cloud, with cause and solution of
// the catalogue.
func cloudError(err error, what string) error {
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
		e.Next = append(e.Next, cloudNext[0])
	}
	return e
}
