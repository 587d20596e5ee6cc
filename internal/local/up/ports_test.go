package up

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAProgramIsNamedInFull(t *testing.T) {
	for name, c := range map[string]struct{ words, kept, want string }{
		"a path":              {"/opt/bin/poolkeeper-plane\x00--etcd\x00/var/x", "poolkeeper-plan", "poolkeeper-plane"},
		"a name alone":        {"poolkeeper-plane\x00", "poolkeeper-plan", "poolkeeper-plane"},
		"no words":            {"", "kworker/0:1\n", "kworker/0:1"},
		"neither can be read": {"", "", ""},
		"a blank in its path": {"/opt/my programs/server\x00", "server", "server"},
	} {
		t.Run(name, func(t *testing.T) {
			proc := t.TempDir()
			for file, text := range map[string]string{"cmdline": c.words, "comm": c.kept} {
				if text == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(proc, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := programOf(proc); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
