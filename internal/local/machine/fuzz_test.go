package machine

import (
	"path"
	"strings"
	"testing"
)

// User data is taken or refused. What is taken writes files at whole paths,
// bounded in size and without special bits, and runs commands that are there.
func FuzzUserData(f *testing.F) {
	f.Add([]byte("#!/bin/sh\necho hello\n"))
	f.Add([]byte("#cloud-config\nwrite_files:\n- path: /etc/x\n  permissions: '0600'\n  encoding: b64\n  content: aGVsbG8=\nruncmd:\n- - sh\n  - -c\n  - echo\n- ls\n"))
	f.Add([]byte("#cloud-config\nwrite_files:\n- path: /etc/../../x\n  append: true\n  permissions: 07777\n  encoding: gz+b64\n  content: H4sIAAAAAAAA\n"))
	f.Add([]byte("#cloud-config\nruncmd: [[], 3, {a: b}]\n"))
	f.Add([]byte("Content-Type: multipart/mixed\n"))
	f.Fuzz(func(t *testing.T, userData []byte) {
		c, err := readConfig(userData)
		if err != nil {
			return
		}
		for name, w := range c.files {
			if !path.IsAbs(name) || path.Clean(name) != name || strings.Contains(name, "..") && path.Base(name) == ".." {
				t.Errorf("it writes at %q", name)
			}
			if len(w.data) > maxFile+len(userData) || w.mode&^0o777 != 0 {
				t.Errorf("%s: %d bytes, mode %o", name, len(w.data), w.mode)
			}
		}
		for _, argv := range c.runs {
			if len(argv) == 0 {
				t.Error("it runs nothing")
			}
		}
	})
}
