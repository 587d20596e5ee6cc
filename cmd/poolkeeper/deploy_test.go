package main

import (
	"os"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// The manifest gives the controller flags that it has, and serves nothing but
// its health beyond loopback.
func TestTheDeploymentGivesFlagsThatExist(t *testing.T) {
	text, err := os.ReadFile("../../config/deploy/controller.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	if err := yaml.UnmarshalStrict(text, &d); err != nil {
		t.Fatal(err)
	}
	c := newControllerCommand("v0")
	if err := c.ParseFlags(d.Spec.Template.Spec.Containers[0].Args[1:]); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"metrics-bind-address": "127.0.0.1:8080", "pprof-bind-address": "0", "health-probe-bind-address": ":8081"} {
		if got := c.Flag(flag).Value.String(); got != want {
			t.Errorf("--%s %s, want %s", flag, got, want)
		}
	}
}

// Nothing is served beyond loopback unless somebody says so.
func TestListenersAreOnLoopbackByDefault(t *testing.T) {
	c := newControllerCommand("v0")
	for _, flag := range []string{"metrics-bind-address", "health-probe-bind-address", "pprof-bind-address"} {
		if err := loopback(c.Flag(flag).DefValue); err != nil {
			t.Errorf("--%s %s: %v", flag, c.Flag(flag).DefValue, err)
		}
	}
	if err := loopback(newLocalCloudCommand().Flag("listen").DefValue); err != nil {
		t.Errorf("the local cloud: %v", err)
	}
}
