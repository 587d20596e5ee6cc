package main

import (
	"bytes"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// counted counts how often it was encoded.
type counted struct{ times *int }

func (v counted) MarshalLogObject(e zapcore.ObjectEncoder) error {
	*v.times++
	e.AddString("pool", "web")
	return nil
}

func TestALineSaysAllThatItsLoggerIsToSay(t *testing.T) {
	var out bytes.Buffer
	times := 0
	log := newLogger(zap.WriteTo(&out)).WithName("join").WithValues("who", counted{&times}).WithValues("instance", "i-1")
	log.V(1).Info("not to be told")
	if times != 0 || out.Len() != 0 {
		t.Fatalf("encoded %d times without a line: %s", times, out.String())
	}
	log.Info("approved", "key", "k")
	log.WithValues("second", 2).Info("again")
	for _, want := range []string{`"logger":"join"`, `"msg":"approved"`, `"who":{"pool":"web"}`, `"instance":"i-1"`, `"key":"k"`, `"second":2`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
}
