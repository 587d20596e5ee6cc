package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cli/bundle"
	"github.com/poolkeeper/poolkeeper/internal/cli/reply"
)

const bundleHelp = `Put what helps others to find a fault into one archive: our objects, their Nodes
and events, what doctor finds and the version. It lists what it took and what it
left out. Secrets, user data and keys are never in it, nor pods; look through it
before you pass it on all the same: it names instances, addresses and labels.`

// bundleFlags say what goes into the archive.
type bundleFlags struct {
	pool, file string
	since      time.Duration
}

func (a *app) bundleCommand() *cobra.Command {
	var f bundleFlags
	cmd := &cobra.Command{
		Use: "support-bundle", Short: "Put what helps to find a fault into one archive, without secrets", Long: bundleHelp, Args: noArgs,
		Example: "  poolkeeper support-bundle\n  poolkeeper support-bundle --pool demo --since 24h -f demo.tar.gz",
		RunE:    a.run(func(c *call, _ []string) error { return c.bundle(f) }),
	}
	fl := cmd.Flags()
	fl.StringVar(&f.pool, "pool", "", "only this `pool`")
	fl.DurationVar(&f.since, "since", 0, "only tasks, activities and events of this time")
	fl.StringVarP(&f.file, "filename", "f", "", "`file` to write, - for the output (default: poolkeeper-support-TIME.tar.gz)")
	a.completePoolFlag(cmd, "pool")
	return cmd
}

func (c *call) bundle(f bundleFlags) error {
	if f.pool != "" {
		if _, err := c.getPool(f.pool); err != nil {
			return err
		}
	}
	members, left, err := c.members(f)
	if err != nil {
		return err
	}
	name := cmp.Or(f.file, "poolkeeper-support-"+c.clock.Now.UTC().Format("20060102-150405")+".tar.gz")
	out, told := io.Writer(c.Out), c.Err
	if name != "-" {
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			e := badInput("no archive was written", err.Error(), "name another file: `poolkeeper support-bundle -f FILE`")
			if errors.Is(err, fs.ErrExist) {
				e.Cause = name + " is there already, and nothing is written over"
			}
			return e
		}
		defer file.Close()
		out, told = file, c.Out
	}
	if err := bundle.Write(out, members, c.clock.Now); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if c.machine() {
		return nil
	}
	for _, m := range members {
		fmt.Fprintf(told, "took  %-22s %s\n", m.Name, m.Note)
	}
	for _, l := range left {
		fmt.Fprintf(told, "left  %s\n", l)
	}
	if name != "-" {
		fmt.Fprintf(told, "Written: %s\n", name)
	}
	return nil
}

// members reads what goes in; left is what does not, and why.
func (c *call) members(f bundleFlags) (all []bundle.Member, left []string, err error) {
	all = append(all, bundle.Member{Name: "version.txt", Data: []byte(c.Version + "\n"), Note: c.Version})
	for _, k := range bundled {
		m, err := c.gather(k, f)
		if e := reply.Unreachable(err); e != nil {
			return nil, nil, e
		}
		if err != nil {
			left = append(left, fmt.Sprintf("%s: %s", k.file, reply.Text(err)))
			continue
		}
		all = append(all, m)
	}
	found := c.findings()
	b, err := yaml.Marshal(found)
	if err != nil {
		return nil, nil, fmt.Errorf("write findings: %w", err)
	}
	all = append(all, bundle.Member{Name: "doctor.yaml", Data: b, Note: plural(len(found), "finding")})
	return all, append(left,
		"Secrets and what they hold: requests, join credentials",
		"user data of machines, before and after joining",
		"pods, volumes and everything else of the cluster",
		"logs of the controller: kubectl -n poolkeeper-system logs deploy/poolkeeper-controller, or the directory of the local region"), nil
}

// bundleKind is a kind that goes in.
type bundleKind struct {
	file string
	list func() client.ObjectList
	// pool says which pool an object is of; without it an object is of all.
	pool func(o client.Object) string
	// history is cut by --since.
	history bool
	// keep is false for what is not ours.
	keep func(o client.Object) bool
}

// bundled are the kinds that go in.
var bundled = []bundleKind{
	{file: "nodepools.yaml", list: pools.list, pool: client.Object.GetName},
	{file: "scalinggroups.yaml", list: func() client.ObjectList { return &v1alpha1.ScalingGroupList{} },
		pool: func(o client.Object) string { return o.(*v1alpha1.ScalingGroup).Spec.Pool }},
	{file: "scalingactivities.yaml", list: activities.list, history: true,
		pool: func(o client.Object) string { return o.(*v1alpha1.ScalingActivity).Spec.Pool }},
	{file: "instances.yaml", list: instances.list, pool: func(o client.Object) string { return o.(*v1alpha1.Instance).Spec.Pool }},
	{file: "clustertasks.yaml", list: tasks.list, history: true, pool: func(o client.Object) string { return o.(*v1alpha1.ClusterTask).Spec.Pool }},
	{file: "nodes.yaml", list: func() client.ObjectList { return &corev1.NodeList{} },
		pool: func(o client.Object) string { return o.GetLabels()[v1alpha1.LabelPool] },
		keep: func(o client.Object) bool { return o.GetLabels()[v1alpha1.LabelPool] != "" }},
	{file: "events.yaml", list: func() client.ObjectList { return &corev1.EventList{} }, history: true,
		keep: func(o client.Object) bool {
			return strings.HasPrefix(o.(*corev1.Event).InvolvedObject.APIVersion, v1alpha1.GroupVersion.Group+"/")
		}},
}

// gather reads one kind.
func (c *call) gather(k bundleKind, f bundleFlags) (bundle.Member, error) {
	l := k.list()
	if err := c.List(c.ctx, l); err != nil {
		return bundle.Member{}, err
	}
	var items []any
	err := meta.EachListItem(l, func(ro runtime.Object) error {
		o := ro.(client.Object)
		switch {
		case k.keep != nil && !k.keep(o), f.pool != "" && k.pool != nil && k.pool(o) != f.pool,
			k.history && f.since > 0 && c.clock.Now.Sub(bundle.Latest(o)) > f.since:
			return nil
		}
		if gvk, err := apiutil.GVKForObject(o, c.Scheme()); err == nil {
			o.GetObjectKind().SetGroupVersionKind(gvk)
		}
		o.SetManagedFields(nil)
		bundle.LeaveOut(o)
		items = append(items, o)
		return nil
	})
	if err != nil {
		return bundle.Member{}, err
	}
	b, err := yaml.Marshal(one(true, items))
	return bundle.Member{Name: k.file, Data: b, Note: plural(len(items), "object")}, err
}
