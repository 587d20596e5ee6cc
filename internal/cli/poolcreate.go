package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/edits"
)

const createHelp = `Create a node pool, from a file or from flags.

A file holds a NodePool as kubectl takes it; spec.expectedNodes has to be written
out, 0 too. From flags, --vswitch, --instance-type, --image and --security-group
are needed.

` + edits.HookHelp

// createFlags are the flags of `pool create` beyond the settings.
type createFlags struct {
	file             string
	expected         int64
	vSwitches, types []string
	hooks            edits.Hooks
	dryRun           bool
	waitFlags
}

func (a *app) poolCreate() *cobra.Command {
	var f createFlags
	var s settings
	cmd := &cobra.Command{
		Use: "create [POOL]", Short: "Create a node pool", Long: createHelp,
		Example: "  poolkeeper pool create -f web.yaml --wait\n  poolkeeper pool create web --expected-nodes 4 --vswitch vsw-a,vsw-b --instance-type ecs.g7.xlarge --image img-1 --security-group sg-1",
		Args:    cobra.ArbitraryArgs,
		RunE: a.run(func(c *call, args []string) error {
			u, err := c.newPool(args, &f, &s)
			if err != nil {
				return err
			}
			return c.createPool(u, f)
		}),
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "filename", "f", "", "`file` with a NodePool; - is stdin")
	fl.Int64Var(&f.expected, "expected-nodes", 0, "how many nodes the pool is to have")
	fl.StringSliceVar(&f.vSwitches, "vswitch", nil, "`vSwitches`, in priority order")
	fl.StringSliceVar(&f.types, "instance-type", nil, "instance `types`, in priority order")
	fl.BoolVar(&f.dryRun, "dry-run", false, "let the cluster check it, change nothing")
	f.hooks.Add(fl)
	s.add(fl)
	f.add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("hook", edits.Complete)
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml", "json")
	return cmd
}

// newPool makes the object that is to be created.
func (c *call) newPool(args []string, f *createFlags, s *settings) (*unstructured.Unstructured, error) {
	if f.file != "" {
		return c.poolFromFile(f.file)
	}
	if len(args) != 1 {
		return nil, badInput("no pool was created", "it needs a name, or a file", "`poolkeeper pool create NAME --vswitch ... --instance-type ... --image ... --security-group ...`", "`poolkeeper pool create -f FILE`")
	}
	if f.expected < 0 || f.expected > mostNodes {
		return nil, badInput("no pool was created", fmt.Sprintf("expected nodes %d is not within 0 to %d", f.expected, mostNodes))
	}
	p := &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: args[0]}}
	p.Spec.ExpectedNodes, p.Spec.MaxNodes = int32(f.expected), s.max
	p.Spec.VSwitches, p.Spec.InstanceTypes = f.vSwitches, f.types
	p.Spec.SystemDisk = v1alpha1.Disk{Category: "cloud_essd", SizeGiB: 40}
	if _, err := s.apply(c.cmd, &p.Spec); err != nil {
		return nil, err
	}
	if _, err := f.hooks.Apply("no pool was created", &p.Spec); err != nil {
		return nil, err
	}
	p.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("NodePool"))
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(p)
	if err != nil {
		return nil, fmt.Errorf("write pool %s: %w", p.Name, err)
	}
	delete(m, "status")
	dropEmpty(m)
	return &unstructured.Unstructured{Object: m}, nil
}

// dropEmpty takes empty texts and empty objects out, so that the cluster's
// defaults take their place.
func dropEmpty(m map[string]any) {
	for k, v := range m {
		if child, ok := v.(map[string]any); ok {
			dropEmpty(child)
			if len(child) == 0 {
				delete(m, k)
			}
		}
		if v == "" || v == nil {
			delete(m, k)
		}
	}
}

// poolFromFile reads a NodePool; the number must be written out, or a forgotten
// line would empty a pool.
func (c *call) poolFromFile(name string) (*unstructured.Unstructured, error) {
	var b []byte
	var err error
	if name == "-" {
		name = "the text on stdin"
		b, err = io.ReadAll(io.LimitReader(c.In, 1<<20))
	} else {
		b, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, badInput("no pool was created", err.Error(), "name a file that can be read: -f FILE")
	}
	return parsePool(b, name)
}

// parsePool checks that a text holds one NodePool with its number written out.
func parsePool(b []byte, name string) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict(b, &u.Object); err != nil {
		return nil, badInput(name+" was not accepted", err.Error(), "`kubectl explain nodepool.spec` tells the fields")
	}
	if u.GetKind() != "NodePool" || u.GroupVersionKind().Group != v1alpha1.GroupVersion.Group {
		return nil, badInput(name+" was not accepted", fmt.Sprintf("it holds %q, not one NodePool of %s", u.GetKind(), v1alpha1.GroupVersion), "`poolkeeper pool get POOL --raw` shows one")
	}
	if _, ok, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "expectedNodes"); !ok {
		return nil, badInput(name+" was not accepted", "spec.expectedNodes is missing; it has no default and is written out at 0 too", "add expectedNodes: N under spec")
	}
	return u, nil
}

// typed reads an object as the pool that it says it is.
func typed(u *unstructured.Unstructured) (*v1alpha1.NodePool, error) {
	b, err := u.MarshalJSON()
	if err != nil {
		return nil, err
	}
	p := &v1alpha1.NodePool{}
	var e *json.UnmarshalTypeError
	if err := json.Unmarshal(b, p); errors.As(err, &e) {
		return nil, fmt.Errorf("%s cannot be a %s", e.Field, e.Value)
	} else if err != nil {
		return nil, err
	}
	return p, nil
}

// createPool sends it and says what came of it.
func (c *call) createPool(u *unstructured.Unstructured, f createFlags) error {
	opts := []client.CreateOption{fieldOwner, client.FieldValidation(metav1.FieldValidationStrict)}
	if f.dryRun {
		opts = append(opts, client.DryRunAll)
	}
	name := u.GetName()
	wished, err := typed(u)
	if err != nil {
		return badInput(fmt.Sprintf("node pool %s was not created", name), err.Error(), "`kubectl explain nodepool.spec` tells the fields")
	}
	if err := c.checkSettings(fmt.Sprintf("node pool %s was not created", name), &wished.Spec.LaunchSettings, nil); err != nil {
		return err
	}
	c.warnDrain(wished)
	if err := c.Create(c.ctx, u, opts...); err != nil {
		e := apiError(err, fmt.Sprintf("node pool %s was not created", name))
		switch {
		case apierrors.IsAlreadyExists(err):
			e.Cause = "the name is taken"
			e.Next = []string{"choose another name", fmt.Sprintf("or change that one: `poolkeeper pool edit %s`", name)}
		case len(e.Next) == 0:
			e.Next = []string{"put that right and repeat the command", "what a field takes: `kubectl explain nodepool.spec`, `poolkeeper pool create --help`"}
		}
		return e
	}
	if f.dryRun {
		c.say("%s would be accepted. Nothing was changed.", name)
		return nil
	}
	p := &v1alpha1.NodePool{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, p); err != nil {
		return fmt.Errorf("read pool %s: %w", name, err)
	}
	c.say("Created: %s, %s expected.", p.Name, plural(int(p.Spec.ExpectedNodes), "node"))
	if !f.wait {
		c.hint("Follow it: poolkeeper pool watch %s", p.Name)
		return c.emitIfMachine(p)
	}
	h := follow{call: c, pool: p.Name, poolUID: p.UID, generation: p.Generation, wanted: p.Spec.ExpectedNodes, timeout: f.timeout}
	return h.run()
}
