package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// unpack reads an archive into texts by name.
func unpack(t *testing.T, b []byte) map[string]string {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "poolkeeper-support/")] = string(text)
	}
}

// secrets are in objects of the bundle's world, each where it could slip out.
var secrets = []string{"hunter2", "swordfish", "abcdef0123456789", "topsecret"}

func bundleWorld(t *testing.T) *world {
	w := newWorld(t)
	w.load("story.yaml")
	for _, step := range parse(t, `
- {kind: NodePool, metadata: {name: web, annotations: {kubectl.kubernetes.io/last-applied-configuration: 'beforeJoin: hunter2'}}, spec: {userData: {beforeJoin: 'echo hunter2', afterJoin: 'echo swordfish'}}}
- {kind: ScalingGroup, metadata: {name: web}, spec: {userData: {beforeJoin: 'echo hunter2'}}}
- {kind: Instance, metadata: {name: i-0b1}, spec: {joinKey: abcdef0123456789}}
- {apiVersion: v1, kind: Secret, metadata: {name: web-a8, namespace: poolkeeper-system}, stringData: {user-data: topsecret}}
- {apiVersion: v1, kind: Node, metadata: {name: i-0b1, labels: {poolkeeper.io/pool: web}}}
- {apiVersion: v1, kind: Node, metadata: {name: of-someone-else}}
- {apiVersion: v1, kind: Event, metadata: {name: e1, namespace: default}, involvedObject: {apiVersion: poolkeeper.io/v1alpha1, kind: NodePool, name: web}, message: theirs}
- {apiVersion: v1, kind: Event, metadata: {name: e2, namespace: default}, involvedObject: {apiVersion: v1, kind: Pod, name: web}, message: others}
`) {
		w.apply(step)
	}
	return w
}

// TestBundleHoldsNoSecret: what could hold one is left out and named; what
// belongs to another pool, another owner or another time is not in it.
func TestBundleHoldsNoSecret(t *testing.T) {
	w := bundleWorld(t)
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	told := w.run("poolkeeper support-bundle --pool web --since 1h -f "+file, typing{})
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, told)
	}
	files := unpack(t, b)
	all := ""
	for _, text := range files {
		all += text
	}
	for _, s := range secrets {
		if strings.Contains(all, s) {
			t.Errorf("the archive holds %q", s)
		}
	}
	for name, want := range map[string]string{
		"nodepools.yaml": "[left out: 12 bytes]", "instances.yaml": "i-0b1", "nodes.yaml": "i-0b1", "scalingactivities.yaml": "web-a7",
		"clustertasks.yaml": "web-8f3c12-g7", "doctor.yaml": "web has 15 of 20 nodes", "version.txt": "v0.0.0-test", "scalinggroups.yaml": "web",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s does not hold %q:\n%s", name, want, files[name])
		}
		if !strings.Contains(told, "took  "+name) {
			t.Errorf("not told: %s\n%s", name, told)
		}
	}
	for name, not := range map[string]string{
		"nodepools.yaml": "batch", "instances.yaml": "i-odd", "nodes.yaml": "of-someone-else", "events.yaml": "others", "clustertasks.yaml": "gpu-",
	} {
		if strings.Contains(files[name], not) {
			t.Errorf("%s holds %q", name, not)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if !strings.Contains(told, "left  Secrets") || !strings.Contains(told, "exit 0") {
		t.Errorf("told:\n%s", told)
	}
	if again := w.run("poolkeeper support-bundle -f "+file, typing{}); !strings.Contains(again, "is there already") || !strings.Contains(again, "exit 2") {
		t.Errorf("written over:\n%s", again)
	}
}

// TestBundleOfPart: what may not be read is left out and said; a time cuts
// history only.
func TestBundleOfPart(t *testing.T) {
	w := bundleWorld(t)
	w.deny["list ScalingActivityList"] = forbiddenBy("list", "ScalingActivity", "")
	w.now = w.now.Add(48 * time.Hour)
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	told := w.run("poolkeeper support-bundle --since 1h -f "+file, typing{})
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, told)
	}
	files := unpack(t, b)
	if _, ok := files["scalingactivities.yaml"]; ok || !strings.Contains(told, "left  scalingactivities.yaml: ") {
		t.Errorf("told:\n%s", told)
	}
	if strings.Contains(files["clustertasks.yaml"], "gpu-91aa77-g3") || !strings.Contains(files["nodepools.yaml"], "gpu") {
		t.Errorf("cut wrongly:\n%s", files["clustertasks.yaml"])
	}
}

// TestManPages: every command has a page; none begins a line with a request
// that is not one of ours.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t)
	if told := w.run("poolkeeper man --dir "+dir, typing{}); !strings.Contains(told, "exit 0") {
		t.Fatal(told)
	}
	known := []string{".TH ", ".SH ", ".B ", ".TP", ".nf", ".fi"}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		b, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
		}
		if !strings.Contains(string(b), ".SH NAME\n") {
			t.Errorf("%s has no name in:\n%s", c.CommandPath(), b)
		}
		for _, line := range strings.Split(string(b), "\n") {
			ours := line == "" || (line[0] != '.' && line[0] != '\'')
			for _, k := range known {
				ours = ours || strings.HasPrefix(line, k)
			}
			if !ours {
				t.Errorf("%s: request %q", c.CommandPath(), line)
			}
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(New(Options{}))
	one := w.run("poolkeeper man pool scale", typing{})
	if !strings.Contains(one, `.B \-\-expected\-nodes`) || !strings.Contains(one, "exit 0") {
		t.Errorf("page of pool scale:\n%s", one)
	}
}
