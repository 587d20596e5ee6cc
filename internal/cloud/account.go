package cloud

import "context"

type accountKey struct{}

// WithAccount returns a context whose mutations are signed with credentials of
// this account or not sent at all: a provider compares the very credentials
// that it signs with. Without it, or with an empty account, any will do.
func WithAccount(ctx context.Context, account string) context.Context {
	return context.WithValue(ctx, accountKey{}, account)
}

// AccountOf returns the account that mutations of this context belong to, or
// nothing.
func AccountOf(ctx context.Context) string {
	account, _ := ctx.Value(accountKey{}).(string)
	return account
}
