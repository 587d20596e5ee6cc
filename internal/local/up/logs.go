package up

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// A log file has at most logSize bytes and logKeep older ones beside it.
const (
	logSize = 20 << 20
	logKeep = 3
)

// logFile is a bounded log. It begins anew at each start of the region.
type logFile struct {
	mu   sync.Mutex
	path string
	f    *os.File
	n    int64
	last []byte
}

func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	return l, l.rotate()
}

// rotate moves older files up by one number and begins a new one.
func (l *logFile) rotate() error {
	if l.f != nil {
		_ = l.f.Close()
	}
	for i := logKeep - 1; i >= 0; i-- {
		if err := os.Rename(l.numbered(i), l.numbered(i+1)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	l.f, l.n = f, 0
	return err
}

func (l *logFile) numbered(i int) string {
	if i == 0 {
		return l.path
	}
	return fmt.Sprintf("%s.%d", l.path, i)
}

// Write never fails towards a child: a full disk must not end it.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n+int64(len(p)) > logSize {
		if err := l.rotate(); err != nil {
			return len(p), nil
		}
	}
	n, _ := l.f.Write(p)
	l.n += int64(n)
	l.last = lastLine(append(l.last, p...))
	return len(p), nil
}

// lastLine keeps the last line that is not empty, and what follows it.
func lastLine(text []byte) []byte {
	const most = 4096
	if i := bytes.LastIndexByte(bytes.TrimRight(text, "\n"), '\n'); i >= 0 {
		text = text[i+1:]
	}
	return append([]byte(nil), text[max(0, len(text)-most):]...)
}

// Last is the last line that was written.
func (l *logFile) Last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.TrimSpace(l.last))
}

// Close ends the file; what is written later is lost.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}

// terminal writes whole lines from several writers.
type terminal struct {
	mu  sync.Mutex
	out io.Writer
}

func (t *terminal) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}
