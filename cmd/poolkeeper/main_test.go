package main

import (
	"crypto/x509"
	"testing"
)

// Where a system has no certificate authorities, the program brings its own:
// they can be set once only, and are set.
func TestTheProgramBringsRoots(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no authorities are linked: the vendor's API cannot be verified in an image without a system")
		}
	}()
	x509.SetFallbackRoots(x509.NewCertPool())
}
