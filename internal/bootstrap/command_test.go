package bootstrap

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"strings"
	"testing"
)

// A machine that runs already is told the same as one that is launched: every
// part with its bytes and its mode, and the same beginning.
func TestCommandCarriesEveryPartOfTheUserData(t *testing.T) {
	s := sample()
	command, err := Command(s)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := Command(s)
	if command != again || strings.ContainsAny(command, "\n'\"") {
		t.Fatalf("no one line that may be typed again: %q", command)
	}
	word, ok := strings.CutPrefix(command, "echo ")
	word, rest, _ := strings.Cut(word, " ")
	if !ok || rest != "| base64 -d | gunzip | sh" {
		t.Fatalf("command: %.60s ... %s", command, rest)
	}
	packed, err := base64.StdEncoding.DecodeString(word)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	script, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := s.parts()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		for _, want := range []string{"base64 -d >" + p.path + " <<EOF\n" + base64.StdEncoding.EncodeToString([]byte(p.content)) + "\nEOF\n", "chmod " + p.mode + " " + p.path} {
			if !strings.Contains(string(script), want) {
				t.Errorf("part %s: %q is missing", p.path, want)
			}
		}
	}
	if !strings.Contains(string(script), runJoin) {
		t.Error("it does not begin the join as a launch does")
	}
	s.Pool = ""
	if _, err := Command(s); err == nil {
		t.Error("settings that are wrong were taken")
	}
}
