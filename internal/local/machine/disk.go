package machine

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// pathDeleted is the file that keeps which files of the first layer are gone.
const pathDeleted = "/.deleted"

// maxFile bounds one file of a machine. Unit: bytes.
const maxFile = 4 << 20

// file is one regular file of a disk.
type file struct {
	data []byte
	mode fs.FileMode
	time time.Time
}

// disk is the file system of one machine: a first layer that machines of one
// launch share and never change, and what this machine wrote over it. Only the
// second is stored. Directories are there when something is in them or they
// were made.
type disk struct {
	mu    sync.Mutex
	now   func() time.Time
	first map[string]*file
	over  map[string]*file // nil: deleted
	dirs  map[string]bool
	fifos map[string]*fifo
	dirty map[string]bool
}

func newDisk(now func() time.Time) *disk {
	return &disk{now: now, over: map[string]*file{}, dirs: map[string]bool{}, fifos: map[string]*fifo{}, dirty: map[string]bool{}}
}

// load puts stored files on an empty disk.
func (d *disk) load(stored map[string][]byte) {
	for name, data := range stored {
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(data, []byte("#!")) {
			mode = 0o755
		}
		d.over[name] = &file{data: data, mode: mode}
	}
	if gone := d.over[pathDeleted]; gone != nil {
		for name := range strings.Lines(string(gone.data)) {
			d.over[strings.TrimSuffix(name, "\n")] = nil
		}
		delete(d.over, pathDeleted)
	}
}

// volatile says whether a path is in memory only, as /run and /tmp are.
func volatile(name string) bool {
	return strings.HasPrefix(name, "/run/") || strings.HasPrefix(name, "/tmp/") || strings.HasPrefix(name, "/dev/")
}

// changes returns what is to be stored and takes it as stored.
func (d *disk) changes() map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string][]byte{}
	gone := false
	for name := range d.dirty {
		f := d.over[name]
		if f == nil {
			gone = gone || d.first[name] != nil
			out[name] = nil
			continue
		}
		out[name] = append([]byte{}, f.data...) // nil would delete
	}
	clear(d.dirty)
	if gone {
		var list strings.Builder
		for _, name := range slices.Sorted(maps.Keys(d.over)) {
			if d.over[name] == nil && !volatile(name) {
				list.WriteString(name + "\n")
			}
		}
		out[pathDeleted] = []byte(list.String())
	}
	return out
}

// inMemoryOnly says whether something would be lost if the disk were read
// again from where it is stored.
func (d *disk) inMemoryOnly() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.dirty) > 0 {
		return true
	}
	for name, f := range d.over {
		if f != nil && volatile(name) {
			return true
		}
	}
	return false
}

func (d *disk) get(name string) *file {
	if f, ok := d.over[name]; ok {
		return f
	}
	return d.first[name]
}

// read returns the content of a file. The caller does not change it.
func (d *disk) read(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.get(name); f != nil {
		return f.data, nil
	}
	if d.isDir(name) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errIsDir}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// write replaces a file. It keeps the mode of one that is there.
func (d *disk) write(name string, data []byte, mode fs.FileMode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.get(name); f != nil {
		mode = f.mode
	}
	d.put(name, &file{data: data, mode: mode, time: d.now()})
}

func (d *disk) put(name string, f *file) {
	d.over[name] = f
	if !volatile(name) {
		d.dirty[name] = true
	}
}

// appendTo adds to a file, and drops its older half when it outgrows a bound.
func (d *disk) appendTo(name string, data []byte, bound int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := &file{mode: 0o644, time: d.now()}
	if f := d.get(name); f != nil {
		next.mode = f.mode
		next.data = append(next.data, f.data...)
	}
	next.data = append(next.data, data...)
	if len(next.data) > bound {
		cut := next.data[len(next.data)-bound/2:]
		next.data = cut[bytes.IndexByte(cut, '\n')+1:]
	}
	d.put(name, next)
}

func (d *disk) chmod(name string, mode fs.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.get(name)
	if f == nil {
		if d.isDir(name) {
			return nil
		}
		return &fs.PathError{Op: "chmod", Path: name, Err: fs.ErrNotExist}
	}
	d.put(name, &file{data: f.data, mode: mode, time: f.time})
	return nil
}

// remove deletes a file, and a directory with all in it if asked.
func (d *disk) remove(name string, recursive bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.fifos[name]; q != nil {
		delete(d.fifos, name)
		return nil
	}
	if d.get(name) != nil {
		d.drop(name)
		return nil
	}
	if !d.isDir(name) {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if !recursive {
		return &fs.PathError{Op: "remove", Path: name, Err: errIsDir}
	}
	for _, n := range d.under(name) {
		d.drop(n)
	}
	for _, m := range []map[string]bool{d.dirs} {
		maps.DeleteFunc(m, func(n string, _ bool) bool { return n == name || strings.HasPrefix(n, name+"/") })
	}
	maps.DeleteFunc(d.fifos, func(n string, _ *fifo) bool { return strings.HasPrefix(n, name+"/") })
	return nil
}

func (d *disk) drop(name string) {
	if d.first[name] == nil && volatile(name) {
		delete(d.over, name)
		return
	}
	d.put(name, nil)
}

// under lists the files below a directory.
func (d *disk) under(dir string) []string {
	prefix := strings.TrimSuffix(dir, "/") + "/"
	var names []string
	for n := range d.over {
		if strings.HasPrefix(n, prefix) && d.over[n] != nil {
			names = append(names, n)
		}
	}
	for n := range d.first {
		if _, changed := d.over[n]; !changed && strings.HasPrefix(n, prefix) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// systemDirs are directories that any image has.
var systemDirs = map[string]bool{"/": true, "/bin": true, "/dev": true, "/etc": true, "/etc/systemd": true, "/etc/systemd/system": true,
	"/proc": true, "/root": true, "/run": true, "/sbin": true, "/sys": true, "/tmp": true, "/usr": true, "/usr/bin": true,
	"/usr/local": true, "/usr/local/bin": true, "/usr/sbin": true, "/var": true, "/var/lib": true, "/var/log": true}

func (d *disk) isDir(name string) bool {
	return systemDirs[name] || d.dirs[name] || len(d.under(name)) > 0
}

// makeDir makes a directory and those above it.
func (d *disk) makeDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := name; n != "/" && n != "."; n = path.Dir(n) {
		if d.get(n) != nil {
			return &fs.PathError{Op: "mkdir", Path: n, Err: errNotDir}
		}
		d.dirs[n] = true
	}
	return nil
}

func (d *disk) makeFifo(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fifos[name] != nil || d.get(name) != nil {
		return &fs.PathError{Op: "mkfifo", Path: name, Err: fs.ErrExist}
	}
	d.fifos[name] = newFifo()
	return nil
}

func (d *disk) fifo(name string) *fifo {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fifos[name]
}

// open serves redirections of the shell.
func (d *disk) open(name string, flag int, mode fs.FileMode) (io.ReadWriteCloser, error) {
	if q := d.fifo(name); q != nil {
		if flag&os.O_WRONLY != 0 {
			return fifoWriter{q}, nil
		}
		return fifoReader{q}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.get(name)
	switch {
	case f == nil && d.isDir(name):
		return nil, &fs.PathError{Op: "open", Path: name, Err: errIsDir}
	case f == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case f == nil && !d.isDir(path.Dir(name)):
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case flag&os.O_WRONLY == 0:
		return &handle{disk: d, name: name, r: bytes.NewReader(f.data)}, nil
	}
	next := &file{mode: mode, time: d.now()}
	if f != nil {
		next.mode = f.mode
		if flag&os.O_TRUNC == 0 {
			next.data = slices.Clone(f.data)
		}
	}
	d.put(name, next)
	return &handle{disk: d, name: name, w: next}, nil
}

// handle is one open file.
type handle struct {
	disk *disk
	name string
	r    *bytes.Reader
	w    *file
}

func (h *handle) Read(p []byte) (int, error) {
	if h.r == nil {
		return 0, fs.ErrInvalid
	}
	return h.r.Read(p)
}

func (h *handle) Write(p []byte) (int, error) {
	if h.w == nil {
		return 0, fs.ErrInvalid
	}
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if len(h.w.data)+len(p) > maxFile {
		return 0, errNoSpace
	}
	// Stored and read content is never changed in place: a new array when
	// there is no room, otherwise bytes behind every earlier view.
	h.w.data = append(h.w.data, p...)
	if h.disk.over[h.name] == h.w && !volatile(h.name) {
		h.disk.dirty[h.name] = true
	}
	return len(p), nil
}

func (h *handle) Close() error { return nil }

// mark takes changes as not stored again.
func (d *disk) mark(changes map[string][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range changes {
		if name != pathDeleted {
			d.dirty[name] = true
		}
	}
}
