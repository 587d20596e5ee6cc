package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// editByHand opens the pool in an editor and sends what was changed there.
func (c *call) editByHand(p *v1alpha1.NodePool, f editFlags) error {
	editor := cmp.Or(c.Env("VISUAL"), c.Env("EDITOR"))
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
	if err := c.writeText(p, after, f); err != nil {
		e := apiError(err, p.Name+" was not changed")
		e.Next = append(e.Next, "your text is kept in "+file)
		return e
	}
	return os.Remove(file)
}

// writeText sends a pool as a person wrote it.
func (c *call) writeText(p *v1alpha1.NodePool, text []byte, f editFlags) error {
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
	wished := p.DeepCopy()
	wished.Spec = next.Spec
	return c.writeSpec(p, wished, f)
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
