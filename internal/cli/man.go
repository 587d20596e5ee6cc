package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
				return noSuchCommand(target, rest)
			}
			_, err = c.Out.Write(manPage(target))
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
		if err := os.WriteFile(filepath.Join(dir, name), manPage(cmd), 0o644); err != nil {
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

// manPage is the page of one command, as troff.
func manPage(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %q \"1\" \"\" \"poolkeeper\" \"poolkeeper\"\n", strings.ToUpper(name))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", troff(name), troff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", troff(cmd.UseLine()))
	literal(&b, "DESCRIPTION", orElse(cmd.Long, cmd.Short+"."))
	manFlags(&b, "OPTIONS", cmd.NonInheritedFlags())
	manFlags(&b, "OPTIONS OF ALL COMMANDS", cmd.InheritedFlags())
	if cmd.Example != "" {
		literal(&b, "EXAMPLES", cmd.Example)
	}
	var also []string
	if cmd.HasParent() {
		also = append(also, cmd.Parent().CommandPath())
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			also = append(also, sub.CommandPath())
		}
	}
	for i := range also {
		also[i] = troff(strings.ReplaceAll(also[i], " ", "-") + "(1)")
	}
	if len(also) > 0 {
		fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", strings.Join(also, ", "))
	}
	return b.Bytes()
}

// literal writes a section whose lines stay as they are.
func literal(b *bytes.Buffer, title, text string) {
	fmt.Fprintf(b, ".SH %s\n.nf\n", title)
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintln(b, troff(line))
	}
	b.WriteString(".fi\n")
}

func manFlags(b *bytes.Buffer, title string, flags *pflag.FlagSet) {
	first := true
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if first {
			fmt.Fprintf(b, ".SH %s\n", title)
			first = false
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if value != "" {
			name += " " + value
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", troff(name), troff(usage))
	})
}

// troff makes a line safe for troff: no escape, no request at its beginning.
func troff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
