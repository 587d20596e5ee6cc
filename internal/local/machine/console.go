package machine

import (
	"bytes"
	"sync"
)

// maxConsole is what a serial console keeps, and maxLog what the system log
// does. Unit: bytes.
const (
	maxConsole = 64 << 10
	maxLog     = 256 << 10
)

// console is a serial console: the newest maxConsole bytes.
type console struct {
	mu  sync.Mutex
	buf []byte
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf = append(c.buf, p...)
	if len(c.buf) > maxConsole {
		c.buf = bytes.Clone(c.buf[len(c.buf)-maxConsole*3/4:])
	}
	return len(p), nil
}

func (c *console) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.buf)
}

// opened is the console as a file that is open for writing.
type opened struct{ *console }

func (opened) Read([]byte) (int, error) { return 0, errNotDir }
func (opened) Close() error             { return nil }

// nowhere is /dev/null.
type nowhere struct{}

func (nowhere) Read([]byte) (int, error)    { return 0, errEOF }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Close() error                { return nil }
