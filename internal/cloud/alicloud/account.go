package alicloud

import (
	"context"

	"github.com/aliyun/credentials-go/credentials"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// maxOwners bounds how many access keys are remembered: temporary ones change
// every hour.
const maxOwners = 16

// fixed signs with one set of credentials, so that what was compared is what
// signs.
type fixed struct{ key *credentials.CredentialModel }

var _ credentials.Credential = (*fixed)(nil)

// GetAccessKeyId is part of the SDK's interface.
func (f *fixed) GetAccessKeyId() (*string, error) { return f.key.AccessKeyId, nil }

// GetAccessKeySecret is part of the SDK's interface.
func (f *fixed) GetAccessKeySecret() (*string, error) { return f.key.AccessKeySecret, nil }

// GetSecurityToken is part of the SDK's interface.
func (f *fixed) GetSecurityToken() (*string, error) { return f.key.SecurityToken, nil }

// GetBearerToken is part of the SDK's interface.
func (f *fixed) GetBearerToken() *string { return f.key.BearerToken }

// GetType is part of the SDK's interface.
func (f *fixed) GetType() *string { return f.key.Type }

// GetCredential is part of the SDK's interface.
func (f *fixed) GetCredential() (*credentials.CredentialModel, error) { return f.key, nil }

// key returns the credentials as they are now.
func (p *Provider) key(call string) (*credentials.CredentialModel, error) {
	key, err := p.creds.GetCredential()
	if err == nil && key != nil && key.AccessKeyId != nil && *key.AccessKeyId != "" {
		return key, nil
	}
	return nil, cloud.Fail(call, cloud.NotSent, fault.New(fault.CredentialsMissing, ""), err)
}

// ID asks which account the credentials belong to.
func (p *Provider) ID(ctx context.Context) (string, error) {
	var out caller
	if err := p.read(ctx, "ID", "sts", "GetCallerIdentity", params{}, &out); err != nil {
		return "", err
	}
	if out.AccountID == "" {
		return "", broken("ID", "the answer names no account")
	}
	return out.AccountID, nil
}

// noRole is the vendor's word for a role that is not there.
const noRole fault.Code = "EntityNotExist.Role"

// HasRole asks for a role of the account by its name.
func (p *Provider) HasRole(ctx context.Context, name string) (bool, error) {
	var out struct{ Role struct{ RoleName string } }
	err := p.read(ctx, "HasRole", "ram", "GetRole", params{"RoleName": name}, &out)
	if fault.CodeOf(err) == noRole {
		return false, nil
	}
	return err == nil, err
}

type caller struct {
	AccountID string `json:"AccountId"`
}

// Allow tells whether the credentials as they are now belong to an account.
func (p *Provider) Allow(ctx context.Context, account string) error {
	key, err := p.key("Allow")
	if err != nil {
		return err
	}
	return p.allow(ctx, "Allow", key, account)
}

// allow tells whether these very credentials belong to an account.
func (p *Provider) allow(ctx context.Context, call string, key *credentials.CredentialModel, account string) error {
	if account == "" {
		return nil
	}
	owner, err := p.owner(ctx, key)
	if err != nil {
		f := fault.Of(err)
		if f == nil {
			f = fault.New(fault.CloudNotSent, "")
		}
		// Nothing of the mutation was sent, whatever became of the question.
		told := *f
		return cloud.Fail(call, cloud.NotSent, &told, err)
	}
	if owner != account {
		f := fault.New(fault.AccountChanged, "the credentials are of account "+owner+", not "+account)
		return cloud.Fail(call, cloud.NotSent, f, nil)
	}
	return nil
}

// owner returns the account of these credentials, and asks the cloud the first
// time.
func (p *Provider) owner(ctx context.Context, key *credentials.CredentialModel) (string, error) {
	p.mu.Lock()
	owner := p.owners[*key.AccessKeyId]
	p.mu.Unlock()
	if owner != "" {
		return owner, nil
	}
	var out caller
	c := sending{call: "ID", product: "sts", action: "GetCallerIdentity", limit: p.opts.ReadTimeout}
	if err := p.send(ctx, c, key, params{}, &out); err != nil {
		return "", err
	}
	if out.AccountID == "" {
		return "", broken("ID", "the answer names no account")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.owners) >= maxOwners {
		clear(p.owners)
	}
	p.owners[*key.AccessKeyId] = out.AccountID
	return out.AccountID, nil
}
