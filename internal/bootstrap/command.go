package bootstrap

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"path"
	"strings"
)

// whatCame tells the person who typed the command how it ended. It ends the
// script, and with it the shell that reads it.
const whatCame = `code=$?
if [ $code = 0 ]; then
	echo 'This machine has joined its cluster.'
else
	echo "It did not join. What it did: grep cloud-init /var/log/messages" >&2
fi
exit $code
`

// Command returns one shell command, of one line, that makes a machine join
// which runs already: it does what the user data of a launch does, and is the
// same for all machines of a pool. It is typed as root, replaces no disk, and
// may be typed again. The proof is the machine's own, so it admits nobody.
func Command(s Settings) (string, error) {
	if err := s.Check(); err != nil {
		return "", fmt.Errorf("write join command of pool %s: %w", s.Pool, err)
	}
	parts, err := s.parts()
	if err != nil {
		return "", fmt.Errorf("write join command of pool %s: %w", s.Pool, err)
	}
	var b strings.Builder
	b.WriteString("umask 077\n")
	for _, p := range parts {
		fmt.Fprintf(&b, "mkdir -p %s\nbase64 -d >%s <<EOF\n%s\nEOF\nchmod %s %s\n", path.Dir(p.path), p.path,
			base64.StdEncoding.EncodeToString([]byte(p.content)), p.mode, p.path)
	}
	fmt.Fprintf(&b, "(%s)\n%s", runJoin, whatCame)
	packed, err := pack(b.String())
	if err != nil {
		return "", fmt.Errorf("write join command of pool %s: %w", s.Pool, err)
	}
	return "echo " + packed + " | base64 -d | gunzip | sh", nil
}

// pack makes a text short and one word. The same text gives the same word.
func pack(text string) (string, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}
