package cli

import (
	"cmp"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which version this is", Args: noArgs, Example: "  poolkeeper version\n  poolkeeper version -o json",
		RunE: a.alone(func(c *call, _ []string) error {
			v := map[string]string{"version": cmp.Or(a.Version, "unknown"), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			text := fmt.Sprintf("poolkeeper %s\n", v["version"])
			return c.emit(result{views: []any{v}, text: text})
		}),
	}
}
