package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/internal/cli/near"
	"github.com/poolkeeper/poolkeeper/internal/view"
)

// call is one run of a command: its client, its clock and its streams.
type call struct {
	*app
	client.WithWatch
	ctx   context.Context
	cmd   *cobra.Command
	clock view.Clock
	color bool
}

// run makes the body of a command that talks to the cluster.
func (a *app) run(body func(c *call, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.begin(cmd)
		if err != nil {
			return err
		}
		if c.WithWatch, err = a.NewClient(a.flags.kubeconfig, a.flags.context); err != nil {
			return err
		}
		if err := body(c, near.Bare(args)); err != nil {
			if cmd.Context().Err() != nil {
				return explain(cmd.Context(), err)
			}
			return a.atHome(apiError(err, "the command did not end"))
		}
		return nil
	}
}

// begin reads the global flags, with the environment behind them, and checks
// them.
func (a *app) begin(cmd *cobra.Command) (*call, error) {
	flags := cmd.Root().PersistentFlags()
	for _, name := range []string{"kubeconfig", "context", "output", "color", "time"} {
		v := a.Env("POOLKEEPER_" + strings.ToUpper(name))
		if f := flags.Lookup(name); v != "" && !f.Changed {
			_ = f.Value.Set(v)
		}
	}
	for name, allowed := range globalChoices {
		if v := flags.Lookup(name).Value.String(); !slices.Contains(allowed, v) {
			return nil, badInput(fmt.Sprintf("--%s %s is not known", name, v), "it is one of "+strings.Join(allowed, ", "), fmt.Sprintf("`%s --help`", cmd.CommandPath()))
		}
	}
	c := &call{app: a, ctx: cmd.Context(), cmd: cmd}
	if c.ctx == nil {
		c.ctx = context.Background()
	}
	c.clock = view.Clock{Now: a.Now(), Zone: time.Local, Relative: a.flags.time == "age"}
	if a.flags.time == "utc" {
		c.clock.Zone = time.UTC
	}
	c.color = a.wantColor()
	return c, nil
}

// wantColor decides about colours: the flag, then the environment, then the
// terminal.
func (a *app) wantColor() bool {
	switch {
	case a.flags.color != "auto":
		return a.flags.color == "always"
	case a.Env("CLICOLOR_FORCE") != "" && a.Env("CLICOLOR_FORCE") != "0":
		return true
	case a.Env("NO_COLOR") != "" || a.Env("TERM") == "dumb":
		return false
	}
	return a.Terminal(a.Out)
}

// at writes the present time of day, for plain lines.
func (c *call) at() string {
	clock := c.clock
	clock.Now, clock.Relative = c.Now(), false
	return strings.TrimSuffix(clock.At(clock.Now), " UTC")
}

// result is what a command has to show, in every form that may be asked for.
type result struct {
	// list is true for a list, which is written with its items under one key.
	list  bool
	views []any
	raws  []client.Object
	// names are what -o name writes where there are no objects.
	names []string
	table view.Table
	// text is shown instead of the table where it is set.
	text string
}

// emit writes a result in the form that was asked for.
func (c *call) emit(r result) error {
	if c.flags.raw {
		return c.emitRaw(r)
	}
	switch c.flags.output {
	case "json":
		return writeJSON(c.Out, one(r.list, r.views), "  ")
	case "yaml":
		return writeYAML(c.Out, one(r.list, r.views))
	case "name":
		for _, o := range r.raws {
			fmt.Fprintln(c.Out, objectName(o))
		}
		for _, n := range r.names {
			fmt.Fprintln(c.Out, n)
		}
		return nil
	}
	if r.list && r.text == "" && len(r.table.Rows) == 0 {
		return nil // a header over nothing tells nothing; the hint does
	}
	if r.text != "" {
		_, err := io.WriteString(c.Out, r.text)
		return err
	}
	return r.table.Write(c.Out, view.Style{Wide: c.flags.output == "wide", Color: c.color})
}

// emitRaw writes the objects themselves.
func (c *call) emitRaw(r result) error {
	var list []any
	for _, o := range r.raws {
		o.SetManagedFields(nil)
		if gvk, err := apiutil.GVKForObject(o, c.Scheme()); err == nil {
			o.GetObjectKind().SetGroupVersionKind(gvk)
		}
		list = append(list, o)
	}
	if c.flags.output == "json" {
		return writeJSON(c.Out, one(r.list, list), "  ")
	}
	return writeYAML(c.Out, one(r.list, list))
}

func one(list bool, items []any) any {
	if !list && len(items) == 1 {
		return items[0]
	}
	if items == nil {
		items = []any{}
	}
	return map[string]any{"items": items}
}

func writeJSON(w io.Writer, v any, indent string) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	return e.Encode(v)
}

func writeYAML(w io.Writer, v any) error {
	b, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Errorf("write yaml: %w", err)
	}
	_, err = w.Write(b)
	return err
}

// kindNames are the names that -o name writes.
var kindNames = map[string]string{
	"NodePool": "nodepool", "ScalingGroup": "scalinggroup", "ScalingActivity": "scalingactivity",
	"Instance": "instance", "ClusterTask": "clustertask",
}

// objectName is the name of an object as kubectl takes it.
func objectName(o runtime.Object) string {
	gvk, err := apiutil.GVKForObject(o, Scheme())
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s.%s/%s", kindNames[gvk.Kind], gvk.Group, o.(client.Object).GetName())
}

// hint writes one next step to the error stream, for people only.
func (c *call) hint(format string, args ...any) {
	if !c.flags.quiet && !c.machine() {
		fmt.Fprintf(c.Err, format+"\n", args...)
	}
}

// machine is true where the output is read by a program.
func (c *call) machine() bool {
	return c.flags.raw || slices.Contains([]string{"json", "yaml", "name"}, c.flags.output)
}

// say writes one line about an act to the output, unless a program reads it.
func (c *call) say(format string, args ...any) {
	if !c.machine() {
		fmt.Fprintf(c.Out, format+"\n", args...)
	}
}

// interactive is true where a person can be asked.
func (c *call) interactive() bool { return c.Terminal(c.In) && c.Terminal(c.Out) && !c.machine() }

// ask asks a question that must be answered with the wanted word.
func (c *call) ask(question, want string) error {
	fmt.Fprintf(c.Out, "%s ", question)
	line, _ := bufio.NewReader(c.In).ReadString('\n')
	answer := strings.TrimSpace(line)
	if answer == want || (want == "y" && strings.EqualFold(answer, "yes")) || (want == "y" && answer == "Y") {
		return nil
	}
	return badInput("nothing was changed", fmt.Sprintf("the answer was not %q", want), "repeat the command and answer "+want)
}
