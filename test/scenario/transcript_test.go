package scenario

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestTranscripts plays every transcript of testdata in a few regions, and checks
// the invariants after each. -rewrite writes what is so now.
func TestTranscripts(t *testing.T) { play(t, agreed) }

// agreed are the transcripts that hold.
const agreed = "testdata/*.txt"

// play runs the transcripts that a pattern names, and then what is true of a
// region after all of them.
func play(t *testing.T, pattern string) {
	worlds, all := tell(t, pattern, regions)
	if len(worlds) == 0 { // no transcript was chosen
		worlds = append(worlds, newWorld(t))
	}
	t.Run("secrets", func(t *testing.T) { each(t, worlds, (*world).secrets) })
	t.Run("listeners", func(t *testing.T) { each(t, worlds, (*world).listeners) })
	t.Run("audit", func(t *testing.T) { audited(t, worlds) })
	told := pattern == agreed && all && !t.Failed() // one that broke off used not every right
	t.Run("rights of the controller", func(t *testing.T) { rights(t, worlds, told) })
}

// each checks something of every region.
func each(t *testing.T, worlds []*world, check func(*world, *testing.T)) {
	for n, w := range worlds {
		t.Run(fmt.Sprintf("region %d", n+1), func(t *testing.T) {
			t.Parallel()
			check(w, t)
		})
	}
}

// regions is how many regions tell transcripts at a time. One alone leaves two
// cores idle for two thirds of its time: it waits.
const regions = 3

// tell runs the transcripts that a pattern names in at most so many regions, each
// of which takes the next one when it is through with its last; a region is
// started for its first. It returns the regions, which end with the test; all is
// true where no transcript was left out.
func tell(t *testing.T, pattern string, most int) (worlds []*world, all bool) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	next := make(chan string, len(files))
	for _, file := range files {
		next <- file
	}
	close(next)
	var told atomic.Int64
	worlds = make([]*world, most)
	var wg sync.WaitGroup
	for n := range worlds {
		wg.Go(func() {
			for file := range next {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(one *testing.T) {
					told.Add(1)
					if worlds[n] == nil {
						worlds[n] = newWorld(t)
					}
					worlds[n].plays(one, file)
				})
			}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(worlds, func(w *world) bool { return w == nil }), int(told.Load()) == len(files)
}

// plays is one transcript: told, its invariants checked, cleared up.
func (w *world) plays(t *testing.T, file string) {
	s := &story{world: w, names: newNames(), kept: map[string]string{}, freed: map[string]bool{}}
	began := time.Now()
	defer s.end(t)
	datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string { return s.block(t, d) })
	s.check(t)
	t.Logf("told in %.1f s", time.Since(began).Seconds())
}

// story is one transcript while it is told.
type story struct {
	*world
	*names
	kept  map[string]string // what is kept, and by what
	freed map[string]bool   // what was let go of, and is still kept for now
	ours  map[string]bool   // what had a record when the pools were deleted
}

// block carries out one block of a transcript.
//
//	run [sort]     type each line; what it writes follows, and its exit code where that is not 0
//	run blind      the same without a look at the API server, which is away
//	wait [limit=D] until all lines hold at once
//	tick           until the next second begins: the API server's times are whole seconds
//	check          the invariants hold now
func (s *story) block(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	switch d.Cmd {
	case "run":
		return s.run(t, d)
	case "wait":
		return s.wait(t, d)
	case "tick":
		now := time.Now()
		<-time.After(now.Truncate(time.Second).Add(1050 * time.Millisecond).Sub(now))
		return ""
	case "check":
		s.check(t)
		return ""
	}
	t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
	return ""
}

// run types the lines of a block. A line that ends with a backslash goes on in
// the next one, and a here-document belongs to the line that opens it.
func (s *story) run(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	text := ""
	all := commands(d.Input)
	for _, line := range all {
		if len(all) > 1 {
			text += "$ " + line
		}
		blind := d.HasArg("blind")
		if !blind {
			s.look(t)
		}
		real, err := s.typed(line)
		if err != nil {
			t.Fatalf("%s: %v, after:\n%s", d.Pos, err, text)
		}
		out, err := s.shell(t.Context(), real)
		s.let(line)
		if !blind {
			s.look(t)
		}
		out = s.seen(out, s.dir)
		if strings.HasPrefix(line, "kubectl get ") && !strings.ContainsAny(line, "|") && !strings.Contains(line, "--sort-by") {
			out = byNumber(out)
		}
		if d.HasArg("sort") {
			lines := strings.SplitAfter(out, "\n")
			slices.Sort(lines[min(1, len(lines)):])
			out = strings.Join(lines, "")
		}
		text += out
		if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // exactly what exec returns
			text += fmt.Sprintf("exit %d\n", exit.ExitCode())
		} else if err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
	}
	return text
}

// commands splits a block into what is typed at once.
func commands(input string) []string {
	var all []string
	end := ""
	for line := range strings.Lines(input) {
		switch {
		case end != "" || (len(all) > 0 && strings.HasSuffix(all[len(all)-1], "\\\n")):
			all[len(all)-1] += strings.TrimSuffix(line, "\n") + "\n"
			if strings.TrimSpace(line) == end {
				end = ""
			}
		case strings.TrimSpace(line) != "":
			all = append(all, strings.TrimSuffix(line, "\n")+"\n")
			if _, word, ok := strings.Cut(line, "<<"); ok {
				end = strings.Trim(strings.Fields(word)[0], `'"`)
			}
		}
	}
	return all
}

// wait waits for what the lines of a block say, and writes nothing.
func (s *story) wait(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	limit := waitLimit
	if d.HasArg("limit") {
		var text string
		d.ScanArgs(t, "limit", &text)
		var err error
		if limit, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
	}
	lines := slices.Collect(strings.Lines(d.Input))
	for _, line := range lines {
		if _, err := parseCondition(strings.TrimSpace(line)); err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
	}
	if err := s.await(t.Context(), lines, limit); err != nil {
		t.Errorf("%s: %s", d.Pos, s.seen(err.Error(), s.dir))
		s.tell(t)
		t.FailNow()
	}
	s.look(t)
	return ""
}

// tell logs what a person would look at when something did not come.
func (s *story) tell(t *testing.T) {
	t.Helper()
	for _, line := range []string{
		`for p in $(kubectl get nodepools -o name); do poolkeeper why ${p#*/}; kubectl get $p -o jsonpath='{.status.word}{"\n"}{range .status.conditions[*]}{.type}={.status} {.message}{"\n"}{end}'; done`,
		"kubectl get instances -o wide", "kubectl get scalingactivities",
		"kubectl get clustertasks --sort-by=.metadata.creationTimestamp --no-headers | tail -n 5",
		"kubectl get nodes", "poolkeeper local instance list", "poolkeeper local fault list",
	} {
		out, _ := s.shell(t.Context(), line)
		t.Logf("$ %s\n%s", line, s.seen(out, s.dir))
	}
}
