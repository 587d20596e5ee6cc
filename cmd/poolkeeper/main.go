// Command poolkeeper is the command line, the controller and the local region
// in one binary, and the kubectl plugin under the name kubectl-poolkeeper. In
// come arguments; out go texts and an exit code. It only wires packages
// together: every decision is theirs.
package main

import (
	"os"
	"runtime/debug"

	"github.com/poolkeeper/poolkeeper/internal/cli"
)

// version is set by the build.
var version = ""

func main() {
	root := cli.New(cli.Options{Version: buildVersion()})
	root.AddCommand(localCommand(), newControllerCommand(buildVersion()))
	os.Exit(cli.Execute(root))
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
