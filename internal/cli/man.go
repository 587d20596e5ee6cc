package cli

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/cli/given"
	"github.com/poolkeeper/poolkeeper/internal/cli/manual"
)

func (a *app) manCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "man [COMMAND...]", Short: "Write the manual page of a command", Args: cobra.ArbitraryArgs,
		Long:    "Write the manual page of a command to the output, as troff. With --dir one file for each\ncommand is written there.",
		Example: "  poolkeeper man pool scale | man -l -\n  poolkeeper man --dir ~/.local/share/man/man1",
		RunE: a.alone(func(c *call, args []string) error {
			if dir != "" {
				return c.manAll(dir)
			}
			target, rest, err := c.cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return given.NoSuchCommand(target, rest)
			}
			_, err = c.Out.Write(manual.Page(target))
			return err
		}),
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`directory` to write all pages to")
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}

// manAll writes the pages of all commands.
func (c *call) manAll(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return badInput("no page was written", err.Error(), "name a directory that can be written: --dir DIR")
	}
	n := 0
	var visit func(cmd *cobra.Command) error
	visit = func(cmd *cobra.Command) error {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		if err := os.WriteFile(filepath.Join(dir, name), manual.Page(cmd), 0o644); err != nil {
			return badInput("not all pages were written", err.Error(), "name a directory that can be written: --dir DIR")
		}
		n++
		for _, sub := range cmd.Commands() {
			if !sub.IsAvailableCommand() {
				continue
			}
			if err := visit(sub); err != nil {
				return err
			}
		}
		return nil
	}
	if err := visit(c.cmd.Root()); err != nil {
		return err
	}
	c.say("%s in %s.", plural(n, "page"), dir)
	return nil
}
