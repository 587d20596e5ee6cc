package cloud

import "context"

type causeKey struct{}

// WithCause returns a context whose mutations are audited with this cause: the
// object that asks for them, and who asked for that where it is known.
func WithCause(ctx context.Context, cause string) context.Context {
	return context.WithValue(ctx, causeKey{}, cause)
}

// CauseOf returns what mutations of this context are for, or nothing.
func CauseOf(ctx context.Context) string {
	cause, _ := ctx.Value(causeKey{}).(string)
	return cause
}
