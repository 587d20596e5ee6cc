package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/cli"
	"github.com/poolkeeper/poolkeeper/internal/local/up"
)

// longestTrouble bounds how long an API server may be in trouble.
const longestTrouble = 24 * time.Hour

// localAPIServer is the noun of the troubles of the local API server.
func localAPIServer(dir func() string) *cobra.Command {
	noun := cli.Noun("apiserver", "Make the API server of the local region go wrong for a while",
		troubleCommand(dir, up.Away, "Stop it: whoever asks gets no answer"),
		troubleCommand(dir, up.Throttling, "Let it refuse most requests of the controller (429)"),
		troubleCommand(dir, up.NoEndpoints, "Let kube-public/cluster-info name no address for nodes"),
		troubleBack(dir))
	noun.Long = "Make the API server of the local region go wrong for a while. There is one\n" +
		"trouble at a time; another takes its place. It ends by itself, with `back`, and\n" +
		"with the region. `poolkeeper local status` shows it."
	return noun
}

func troubleCommand(dir func() string, kind, short string) *cobra.Command {
	var span time.Duration
	cmd := &cobra.Command{Use: kind, Short: short, Args: cobra.NoArgs,
		Example: "  poolkeeper local apiserver " + kind + " --for 30s"}
	cmd.Flags().DurationVar(&span, "for", time.Minute, "how long, as a `time`: 1s to 24h")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if span < time.Second || span > longestTrouble {
			return &cli.Error{Code: cli.ExitInput, What: "nothing was changed", Cause: "--for " + span.String() + " is not from 1s to 24h",
				Next: []string{"`poolkeeper local apiserver " + kind + " --for 30s`"}}
		}
		until := time.Now().Add(span).UTC().Round(time.Millisecond)
		return told(up.SetTrouble(cmd.Context(), dir(), up.Trouble{Kind: kind, Until: until}, cmd.OutOrStdout()))
	}
	return cmd
}

func troubleBack(dir func() string) *cobra.Command {
	return &cobra.Command{Use: "back", Short: "End its trouble", Args: cobra.NoArgs, Example: "  poolkeeper local apiserver back",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return told(up.SetTrouble(cmd.Context(), dir(), up.Trouble{}, cmd.OutOrStdout()))
		}}
}
