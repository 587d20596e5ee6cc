package cli

import (
	"context"

	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
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

// market opens the person's own way to the cloud.
func (a *app) market() (Market, error) {
	if a.Market == nil {
		return nil, &Error{Code: ExitUnreachable, What: "the cloud was not asked", Cause: "this program was built without a way to it"}
	}
	m, err := a.Market()
	if err != nil {
		return nil, &Error{Code: ExitUnreachable, What: "the cloud was not asked", Cause: err.Error(), Next: reply.CloudNext, Err: err}
	}
	return m, nil
}
