package machine

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

// metadataAddress is where the cloud answers a machine from inside.
const metadataAddress = "100.100.100.200"

// netError is a failed exchange as curl counts and words it.
type netError struct {
	code int
	text string
}

func (e *netError) Error() string { return e.text }

// target is whom a machine talks to, and as whom.
type target struct {
	secure      bool
	address     string // host:port
	authorities []byte // PEM; empty: those of the image, which trust nobody
	certificate *tls.Certificate
	identity    string // tells connections of different certificates apart
	connect     time.Duration
}

func (t target) key() string {
	return fmt.Sprint(t.secure, t.address, t.identity, len(t.authorities))
}

// network is what a machine has of connections. Each is its own; nothing is
// shared with other machines, and an idle one has no goroutine and no buffer.
type network struct {
	m    *session
	mu   sync.Mutex
	idle map[string]net.Conn
	off  bool
}

var pools = shared[*x509.CertPool]{most: 64}

func authorities(pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if len(pem) > 0 && !pool.AppendCertsFromPEM(pem) {
		return nil, &netError{77, "error setting certificate verify locations"}
	}
	return pool, nil
}

func (n *network) take(key string) net.Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.idle[key]
	delete(n.idle, key)
	return c
}

func (n *network) put(key string, c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.off || n.idle[key] != nil {
		c.Close()
		return
	}
	if n.idle == nil {
		n.idle = map[string]net.Conn{}
	}
	n.idle[key] = c
}

func (n *network) closeIdle() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, c := range n.idle {
		if k := n.m.runningKubelet(); k == nil || k.to.key() != key {
			c.Close()
			delete(n.idle, key)
		}
	}
}

func (n *network) closeAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.off = true
	for _, c := range n.idle {
		c.Close()
	}
	n.idle = nil
}

// dial opens a connection, if the cloud's network lets the machine.
func (n *network) dial(ctx context.Context, t target) (net.Conn, error) {
	host, port, _ := net.SplitHostPort(t.address)
	refused := func(why string) error {
		return &netError{7, fmt.Sprintf("Failed to connect to %s port %s: %s", host, port, why)}
	}
	late := &netError{28, fmt.Sprintf("Failed to connect to %s port %s: Connection timed out", host, port)}
	if err := n.m.host.Cloud.Reach(n.m.spec.ID, t.address); err != nil {
		if !strings.Contains(err.Error(), "timed out") {
			return nil, refused(err.Error())
		}
		n.m.pause(ctx, t.connect)
		return nil, late
	}
	select {
	case n.m.host.dials <- struct{}{}:
		defer func() { <-n.m.host.dials }()
	case <-ctx.Done():
		return nil, late
	}
	ctx, cancel := context.WithTimeout(ctx, max(t.connect, time.Second))
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", t.address)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return nil, &netError{6, "Could not resolve host: " + host}
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, refused("Connection refused")
	case err != nil && ctx.Err() != nil:
		return nil, late
	case err != nil:
		return nil, refused(err.Error())
	case !t.secure:
		return conn, nil
	}
	return t.handshake(ctx, conn, host)
}

func (t target) handshake(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	pool, err := pools.get(t.authorities, authorities)
	if err != nil {
		conn.Close()
		return nil, err
	}
	// One curve: a hybrid exchange would double what each of thousands of
	// handshakes costs both sides, and nothing here outlives the region.
	config := &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		CurvePreferences: []tls.CurveID{tls.X25519}}
	if t.certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return t.certificate, nil }
	}
	c := tls.Client(conn, config)
	err = c.HandshakeContext(ctx)
	var untrusted *tls.CertificateVerificationError
	switch {
	case err == nil:
		return c, nil
	case errors.As(err, &untrusted):
		err = &netError{60, "SSL certificate problem: " + untrusted.Err.Error()}
	case ctx.Err() != nil:
		err = &netError{28, "SSL connection timeout"}
	default:
		err = &netError{35, "TLS connect error: " + err.Error()}
	}
	conn.Close()
	return nil, err
}

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 8<<10) }}

// answer is a response whose connection is given back when it is closed.
type answer struct {
	*http.Response
	net    *network
	key    string
	conn   net.Conn
	reader *bufio.Reader
	stop   func() bool
}

// finish gives the connection back if the whole answer was read.
func (a *answer) finish(whole bool) {
	alive := a.stop() // false: the exchange was called off
	if whole && alive && !a.Close && a.reader.Buffered() == 0 {
		a.conn.SetDeadline(time.Time{})
		a.net.put(a.key, a.conn)
	} else {
		a.conn.Close()
	}
	a.reader.Reset(nil)
	readers.Put(a.reader)
}

// exchange sends a request and returns when the answer has begun. A connection
// that the other side closed meanwhile is replaced.
func (n *network) exchange(ctx context.Context, t target, req *http.Request, body []byte) (*answer, error) {
	key := t.key()
	if conn := n.take(key); conn != nil {
		a, err := n.send(ctx, key, conn, req, body)
		if err == nil || ctx.Err() != nil {
			return a, err
		}
	}
	conn, err := n.dial(ctx, t)
	if err != nil {
		return nil, err
	}
	return n.send(ctx, key, conn, req, body)
}

func (n *network) send(ctx context.Context, key string, conn net.Conn, req *http.Request, body []byte) (*answer, error) {
	a := &answer{net: n, key: key, conn: conn, reader: readers.Get().(*bufio.Reader)}
	a.stop = context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	a.reader.Reset(conn)
	if body != nil {
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		req.ContentLength = int64(len(body))
	}
	w := bufio.NewWriterSize(conn, 4<<10)
	err := req.Write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		a.Response, err = http.ReadResponse(a.reader, req)
	}
	if err == nil {
		return a, nil
	}
	a.stop()
	conn.Close()
	a.reader.Reset(nil)
	readers.Put(a.reader)
	switch {
	case ctx.Err() != nil:
		return nil, &netError{28, "Operation timed out"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &netError{52, "Empty reply from server"}
	}
	return nil, &netError{56, "Recv failure: " + err.Error()}
}

// closeAllIdle closes what is idle, as after a change of certificate.
func (n *network) closeAllIdle() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.idle {
		c.Close()
	}
	clear(n.idle)
}
