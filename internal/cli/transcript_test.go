package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestTranscripts runs command lines against a cluster of the test and compares
// every byte that they write. Lines on stderr are marked with "! ", the escape
// character with <esc>. -rewrite writes what is so now.
func TestTranscripts(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // texts that an editor leaves behind
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			w := newWorld(t)
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
				w.t = t
				return w.command(t, d)
			})
		})
	}
}

// command carries out one block of a transcript.
func (w *world) command(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	switch d.Cmd {
	case "fresh":
		*w = *newWorld(t)
		for _, a := range d.CmdArgs {
			w.load(a.Vals[0])
		}
	case "objects":
		for _, step := range parse(t, d.Input) {
			w.apply(step)
		}
	case "script":
		w.script, w.on = parse(t, d.Input), "ClusterTask"
		if d.HasArg("on") {
			d.ScanArgs(t, "on", &w.on)
		}
	case "meddle":
		for _, step := range parse(t, d.Input) {
			w.meddle = append(w.meddle, step...)
		}
	case "deny":
		var verb, kind string
		d.ScanArgs(t, "verb", &verb)
		d.ScanArgs(t, "kind", &kind)
		w.deny[verb+" "+kind] = forbiddenBy(verb, kind, strings.TrimSpace(d.Input))
	case "lacks":
		w.lacks = strings.TrimSpace(d.Input)
	case "cloud":
		w.market = newSold(t, d.Input)
	case "run":
		return w.typed(d)
	default:
		t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
	}
	return ""
}

// typed runs the command line of a block: its first line; the rest is stdin.
func (w *world) typed(d *datadriven.TestData) string {
	how := typing{terminal: d.HasArg("terminal"), env: map[string]string{}}
	line, stdin, _ := strings.Cut(d.Input, "\n")
	how.stdin = stdin + "\n"
	for _, a := range d.CmdArgs {
		if a.Key != "terminal" {
			how.env[a.Key] = a.Vals[0]
		}
	}
	return w.run(line, how)
}

// forbiddenBy is a refusal as the API server words it: by RBAC, or by an
// admission policy where a text is given.
func forbiddenBy(verb, kind, policy string) error {
	resource := strings.ToLower(kind) + "s"
	resource = strings.Replace(resource, "/scales", "s/scale", 1)
	text := `User "alice" cannot ` + verb + ` resource "` + resource + `" in API group "poolkeeper.io" at the cluster scope`
	if policy != "" {
		text = `ValidatingAdmissionPolicy 'pools' with binding 'pools' denied request: ` + policy
	}
	return apierrors.NewForbidden(schema.GroupResource{Group: "poolkeeper.io", Resource: resource}, "web", errorText(text))
}

// errorText is an error that is only a text.
type errorText string

func (e errorText) Error() string { return string(e) }
