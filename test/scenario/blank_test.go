package scenario

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// blank is a word in capitals that stands for a value in a command, and theirs
// are those that only the person can fill.
var (
	blank  = regexp.MustCompile(`poolkeeper [^;()|]*?\b(ACTION|AMOUNT|CATEGORY|COUNT|GIB|HOOK|ID|INSTANCE|KEY|N|NAME|NODE|POOL|PRICE|ROLE|TEXT|TYPE|VSWITCH|ZONE)\b`)
	theirs = regexp.MustCompile(`--reason TEXT$|--expected-nodes N$|node attach INSTANCE$|node rejoin NODE$|instance adopt INSTANCE$`)
)

// What people are told to type has no blank that we could have filled, but for
// what "fault get" says of no case in particular.
func TestNoTranscriptShowsABlank(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	whole, err2 := filepath.Glob("testdata/whole/*.txt")
	if err != nil || err2 != nil || len(files) == 0 || len(whole) == 0 {
		t.Fatalf("no transcripts: %v %v", err, err2)
	}
	for _, file := range append(files, whole...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		general := false
		for n, line := range strings.Split(string(text), "\n") {
			general = strings.HasPrefix(line, "Solution  ") || general && strings.HasPrefix(line, "   ")
			if shown := blank.FindString(line); shown != "" && !strings.HasPrefix(line, "$ ") && !general && !theirs.MatchString(shown) {
				t.Errorf("%s:%d: %s", file, n+1, shown)
			}
		}
	}
}
