package main

import "testing"

// Profiles are served to this machine only.
func TestProfilesOnLoopbackOnly(t *testing.T) {
	for address, want := range map[string]bool{"": true, "0": true, "127.0.0.1:6060": true, "[::1]:6060": true,
		":6060": false, "0.0.0.0:6060": false, "10.0.0.7:6060": false, "localhost": false, "127.0.0.1": false} {
		if err := loopback(address); (err == nil) != want {
			t.Errorf("%q: %v", address, err)
		}
	}
}
