package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/cli"
	"github.com/poolkeeper/poolkeeper/internal/local/up"
)

// localAccountUse changes the access key of the controller.
func localAccountUse(dir func() string) *cobra.Command {
	return &cobra.Command{Use: "use own|other", Short: "Start the controller anew with the access key of this account", Args: cobra.ExactArgs(1),
		ValidArgs: []string{"own", "other"}, Example: "  poolkeeper local account use other\n  poolkeeper local account use own",
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] != "own" && args[0] != "other" {
				return &cli.Error{Code: cli.ExitInput, What: "nothing was changed", Cause: fmt.Sprintf("%q is neither own nor other", args[0]),
					Next: []string{"`" + cmd.CommandPath() + " --help`"}}
			}
			return told(up.UseAccount(cmd.Context(), dir(), args[0] == "other", cmd.OutOrStdout()))
		}}
}
