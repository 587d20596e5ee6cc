// Command poolkeeper is the command line, the controller and the local region
// in one binary, and the kubectl plugin under the name kubectl-poolkeeper. In
// come arguments; out go texts and an exit code. It only wires packages
// together: every decision is theirs.
package main

import (
	"os"
	"runtime/debug"

	_ "golang.org/x/crypto/x509roots/fallback" // in an image without a system there are no other roots

	"github.com/poolkeeper/poolkeeper/internal/cli"
	"github.com/poolkeeper/poolkeeper/internal/cloud/alicloud"
)

// version is set by the build.
var version = ""

func main() {
	root := cli.New(cli.Options{Version: buildVersion(), Market: openMarket})
	root.AddCommand(localCommand(), newControllerCommand(buildVersion()))
	os.Exit(cli.Execute(root))
}

// openMarket is the cloud with the credentials of whoever types.
func openMarket() (cli.Market, error) {
	return alicloud.New(alicloud.Options{
		Region: env("REGION", os.Getenv("ALIBABA_CLOUD_REGION_ID")), Endpoint: env("CLOUD_ENDPOINT", ""), Version: buildVersion(),
		AccessKeyID: os.Getenv("ALIBABA_CLOUD_ACCESS_KEY_ID"), AccessKeySecret: os.Getenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
		SecurityToken: os.Getenv("ALIBABA_CLOUD_SECURITY_TOKEN"),
	})
}

// buildVersion is what the build set, else the commit that Go noted.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	rev, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			rev = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-modified"
		}
	}
	if rev == "" {
		return "unknown"
	}
	return rev + dirty
}
