package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

const editHelp = `Change the settings of a pool, by flags or in an editor.

With flags, exactly what they name is changed. Without any, $VISUAL or $EDITOR
opens the pool. Settings of machines take effect for those created from now on.
A bound that would leave the expected number outside is refused: change both in
the editor, or the number first.`

// listFlags add to the lists of a pool and take out of them.
type listFlags struct{ addVSwitch, removeVSwitch, addType, removeType []string }

func (a *app) poolEdit() *cobra.Command {
	var s settings
	var l listFlags
	var dryRun bool
	cmd := &cobra.Command{
		Use: "edit POOL", Short: "Change the settings of a pool", Long: editHelp, Args: oneArg("pool"), ValidArgsFunction: a.complete(pools, 1),
		Example: "  poolkeeper pool edit web --add-vswitch vsw-c --dry-run\n  poolkeeper pool edit web --max-nodes 80\n  EDITOR=vi poolkeeper pool edit web",
		RunE: a.run(func(c *call, args []string) error {
			p, err := c.getPool(args[0])
			if err != nil {
				return err
			}
			next := p.DeepCopy()
			some, err := s.apply(c.cmd, &next.Spec)
			if err != nil {
				return err
			}
			lists, err := l.apply(&next.Spec)
			if err != nil {
				return err
			}
			if !some && !lists {
				return c.editByHand(p, dryRun)
			}
			return c.writeSpec(p, func(p *v1alpha1.NodePool) { p.Spec = *next.Spec.DeepCopy() }, dryRun)
		}),
	}
	f := cmd.Flags()
	f.StringSliceVar(&l.addVSwitch, "add-vswitch", nil, "`vSwitches` to add, after those there are")
	f.StringSliceVar(&l.removeVSwitch, "remove-vswitch", nil, "`vSwitches` to take out")
	f.StringSliceVar(&l.addType, "add-type", nil, "instance `types` to add, after those there are")
	f.StringSliceVar(&l.removeType, "remove-type", nil, "instance `types` to take out")
	f.BoolVar(&dryRun, "dry-run", false, "let the cluster check it, change nothing")
	s.add(f)
	return cmd
}

func (l *listFlags) apply(spec *v1alpha1.NodePoolSpec) (bool, error) {
	var err error
	change := func(what string, list *[]string, add, remove []string) {
		for _, x := range add {
			if slices.Contains(*list, x) {
				err = badInput("the pool was not changed", fmt.Sprintf("it has the %s %s already", what, x))
				return
			}
			*list = append(*list, x)
		}
		for _, x := range remove {
			i := slices.Index(*list, x)
			if i < 0 {
				err = badInput("the pool was not changed", fmt.Sprintf("it has no %s %s; it has %s", what, x, strings.Join(*list, ", ")))
				return
			}
			*list = slices.Delete(*list, i, i+1)
		}
	}
	change("vSwitch", &spec.VSwitches, l.addVSwitch, l.removeVSwitch)
	if err == nil {
		change("instance type", &spec.InstanceTypes, l.addType, l.removeType)
	}
	return len(l.addVSwitch)+len(l.removeVSwitch)+len(l.addType)+len(l.removeType) > 0, err
}

// writeSpec sends a changed pool and says what came of it.
func (c *call) writeSpec(p *v1alpha1.NodePool, change func(*v1alpha1.NodePool), dry bool) error {
	opts := []client.PatchOption{fieldOwner}
	if dry {
		opts = append(opts, client.DryRunAll)
	}
	next, err := c.patchPool(p, change, nil, opts...)
	switch {
	case err != nil:
		return apiError(err, p.Name+" was not changed")
	case dry:
		c.say("%s would be accepted. Nothing was changed.", p.Name)
		return nil
	case next.Generation == p.Generation && next.ResourceVersion == p.ResourceVersion:
		c.say("%s is so already. Nothing was changed.", p.Name)
	default:
		c.say("Accepted: %s is changed. Settings of machines hold for those created from now on.", p.Name)
	}
	return c.emitIfMachine(next)
}

// editByHand opens the pool in an editor and sends what was changed there.
func (c *call) editByHand(p *v1alpha1.NodePool, dry bool) error {
	editor := orElse(c.Env("VISUAL"), c.Env("EDITOR"))
	if editor == "" {
		return badInput(p.Name+" was not changed", "no flag says what to change, and neither VISUAL nor EDITOR names an editor", fmt.Sprintf("`poolkeeper pool edit %s --help`", p.Name), "or set EDITOR")
	}
	before, err := editable(p)
	if err != nil {
		return err
	}
	after, file, err := c.edit(editor, before)
	if err != nil {
		return err
	}
	if bytes.Equal(before, after) {
		c.say("%s is so already. Nothing was changed.", p.Name)
		return os.Remove(file)
	}
	if err := c.writeText(p, after, dry); err != nil {
		e := apiError(err, p.Name+" was not changed")
		e.Next = append(e.Next, "your text is kept in "+file)
		return e
	}
	return os.Remove(file)
}

// writeText sends a pool as a person wrote it.
func (c *call) writeText(p *v1alpha1.NodePool, text []byte, dry bool) error {
	u, err := parsePool(text, "your text")
	if err != nil {
		return err
	}
	next := &v1alpha1.NodePool{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, next, true); err != nil {
		return badInput(p.Name+" was not changed", err.Error())
	}
	if next.Name != p.Name {
		return badInput(p.Name+" was not changed", "a pool cannot be renamed", fmt.Sprintf("create another: `poolkeeper pool create %s --help`", next.Name))
	}
	return c.writeSpec(p, func(p *v1alpha1.NodePool) { p.Spec = *next.Spec.DeepCopy() }, dry)
}

// editable is a pool as a person edits it: its name and its spec.
func editable(p *v1alpha1.NodePool) ([]byte, error) {
	q := p.DeepCopy()
	q.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("NodePool"))
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(q)
	if err != nil {
		return nil, fmt.Errorf("write pool %s: %w", p.Name, err)
	}
	u := unstructured.Unstructured{Object: m}
	small := map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(), "metadata": map[string]any{"name": p.Name}, "spec": m["spec"]}
	b, err := yaml.Marshal(small)
	if err != nil {
		return nil, fmt.Errorf("write pool %s: %w", p.Name, err)
	}
	return b, nil
}

// edit lets a person edit a text; the file is left for the caller to remove.
func (c *call) edit(editor string, text []byte) (after []byte, file string, err error) {
	f, err := os.CreateTemp("", "poolkeeper-*.yaml")
	if err != nil {
		return nil, "", fmt.Errorf("make a file to edit: %w", err)
	}
	file = f.Name()
	if _, err = f.Write(text); err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, file, fmt.Errorf("write %s: %w", file, err)
	}
	words := strings.Fields(editor)
	cmd := exec.CommandContext(c.ctx, words[0], append(words[1:], file)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.In, c.Out, c.Err
	if err := cmd.Run(); err != nil {
		return nil, file, badInput("nothing was changed", fmt.Sprintf("the editor %s ended with: %v", words[0], err), "your text is kept in "+file)
	}
	after, err = os.ReadFile(file)
	return after, file, err
}
