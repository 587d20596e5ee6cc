package machine

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The errors that files give, with the texts that people know.
const (
	errIsDir   = syscall.EISDIR
	errNotDir  = syscall.ENOTDIR
	errNoSpace = syscall.ENOSPC
)

// info describes a file of a disk.
type info struct {
	name string
	size int64
	mode fs.FileMode
	time time.Time
}

func (i info) Name() string               { return path.Base(i.name) }
func (i info) Size() int64                { return i.size }
func (i info) Mode() fs.FileMode          { return i.mode }
func (i info) ModTime() time.Time         { return i.time }
func (i info) IsDir() bool                { return i.mode.IsDir() }
func (i info) Sys() any                   { return nil }
func (i info) Type() fs.FileMode          { return i.mode.Type() }
func (i info) Info() (fs.FileInfo, error) { return i, nil }

func (d *disk) stat(name string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.get(name); f != nil {
		return info{name, int64(len(f.data)), f.mode, f.time}, nil
	}
	if d.fifos[name] != nil {
		return info{name: name, mode: fs.ModeNamedPipe | 0o600}, nil
	}
	if d.isDir(name) {
		return info{name: name, mode: fs.ModeDir | 0o755}, nil
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
}

// list returns what is in a directory.
func (d *disk) list(dir string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isDir(dir) {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
	}
	prefix := strings.TrimSuffix(dir, "/") + "/"
	seen := map[string]fs.DirEntry{}
	add := func(name string, f *file) {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok || rest == "" {
			return
		}
		first, _, deeper := strings.Cut(rest, "/")
		switch {
		case deeper || f == nil:
			seen[first] = info{name: prefix + first, mode: fs.ModeDir | 0o755}
		default:
			seen[first] = info{prefix + first, int64(len(f.data)), f.mode, f.time}
		}
	}
	for _, n := range d.under(dir) {
		add(n, d.get(n))
	}
	for n := range d.dirs {
		add(n, nil)
	}
	for n := range systemDirs {
		add(n, nil)
	}
	entries := make([]fs.DirEntry, 0, len(seen))
	for _, e := range seen {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// fifo is a named pipe between two commands of one machine.
type fifo struct {
	mu           sync.Mutex
	cond         *sync.Cond
	buf          []byte
	writerClosed bool
	readerClosed chan struct{}
	closeOnce    sync.Once
}

func newFifo() *fifo {
	q := &fifo{readerClosed: make(chan struct{})}
	q.cond = sync.NewCond(&q.mu)
	return q
}

// hangUp ends both sides, as a machine that stops does.
func (q *fifo) hangUp() {
	q.mu.Lock()
	q.writerClosed = true
	q.mu.Unlock()
	q.cond.Broadcast()
	q.closeOnce.Do(func() { close(q.readerClosed) })
}

type fifoReader struct{ q *fifo }

func (r fifoReader) Read(p []byte) (int, error) {
	q := r.q
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.buf) == 0 && !q.writerClosed {
		q.cond.Wait()
	}
	if len(q.buf) == 0 {
		return 0, io.EOF
	}
	n := copy(p, q.buf)
	q.buf = q.buf[n:]
	return n, nil
}

func (r fifoReader) Write([]byte) (int, error) { return 0, fs.ErrInvalid }

func (r fifoReader) Close() error {
	r.q.closeOnce.Do(func() { close(r.q.readerClosed) })
	return nil
}

type fifoWriter struct{ q *fifo }

func (w fifoWriter) Write(p []byte) (int, error) {
	q := w.q
	select {
	case <-q.readerClosed:
		return 0, syscall.EPIPE
	default:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.buf)+len(p) > maxFile {
		return 0, errNoSpace
	}
	q.buf = append(q.buf, p...)
	q.cond.Broadcast()
	return len(p), nil
}

func (w fifoWriter) Read([]byte) (int, error) { return 0, fs.ErrInvalid }

func (w fifoWriter) Close() error {
	w.q.mu.Lock()
	w.q.writerClosed = true
	w.q.mu.Unlock()
	w.q.cond.Broadcast()
	return nil
}
