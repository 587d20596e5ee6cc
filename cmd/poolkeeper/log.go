package main

import (
	"github.com/go-logr/logr"
	uberzap "go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// newLogger returns the log of a controller: JSON lines on stderr.
func newLogger(o ...zap.Opts) logr.Logger {
	lazily := uberzap.WrapCore(func(c zapcore.Core) zapcore.Core { return lazyCore{c} })
	return zap.New(append(o, zap.UseDevMode(false), zap.RawZapOpts(lazily))...)
}

// lazyCore puts off to encode what every line of a logger says until there is a
// line: a logger is made for each look at an object, and most say nothing.
type lazyCore struct{ zapcore.Core }

// With implements [zapcore.Core].
func (c lazyCore) With(fields []zapcore.Field) zapcore.Core {
	return lazyCore{zapcore.NewLazyWith(c.Core, fields)}
}
