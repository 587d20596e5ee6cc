package kill

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// call is one request of the controller, as a step of the table sees it.
type call struct {
	// action and form are those of a call of the cloud.
	action string
	form   url.Values
	// verb is the HTTP method of a call of the API server; kind, name and sub
	// are its resource (plural), its object and its subresource.
	verb, kind, name, sub string
	query                 url.Values
	body                  []byte
}

func (c *call) String() string {
	if c.action != "" {
		return c.action
	}
	s := c.verb + " " + c.kind
	for _, part := range []string{c.name, c.sub} {
		if part != "" {
			s += "/" + part
		}
	}
	return s
}

// sets is true where the body gives a field a value, in whatever form of
// update or patch.
func (c *call) sets(field string) bool {
	return (bytes.Contains(c.body, []byte(`"`+field+`"`)) && !bytes.Contains(c.body, []byte(`"`+field+`":null`))) ||
		bytes.Contains(c.body, []byte(`/`+field+`"`))
}

// readCall reads a request, its body to the end.
func readCall(r *http.Request) (*call, error) {
	c := &call{verb: r.Method, query: r.URL.Query()}
	if r.Body != nil {
		var err error
		if c.body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(c.body))
	}
	if c.action = r.Header.Get("x-acs-action"); c.action != "" {
		var err error
		c.form, err = url.ParseQuery(string(c.body))
		return c, err
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return c, nil
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	parts = append(parts, "", "")
	c.kind, c.name, c.sub = parts[0], parts[1], parts[2]
	return c, nil
}

// trap kills a process at the n-th call that matches, before the call has
// passed or after it has, and the call's answer never arrives.
type trap struct {
	match   func(*call) bool
	nth     int
	after   bool
	process *program

	seen   int
	at     string // the call, once it is sprung
	sprung chan struct{}
}

func (t *trap) spring(c *call) {
	t.process.kill()
	t.at = c.String()
	close(t.sprung)
}

// gate holds the one trap that is set.
type gate struct {
	mu   sync.Mutex
	trap *trap
}

func (g *gate) set(t *trap) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trap = t
}

// take gives the trap that a call springs.
func (g *gate) take(c *call) *trap {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.trap
	if t == nil || !t.match(c) {
		return nil
	}
	if t.seen++; t.seen < t.nth {
		return nil
	}
	g.trap = nil
	return t
}

// again sets a trap that a call took and did not spring, for the call was
// refused or its server was away.
func (g *gate) again(t *trap) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.seen--
	g.trap = t
}

// proxy stands between the controller and one server.
type proxy struct {
	gate   *gate
	pass   *httputil.ReverseProxy
	server *httptest.Server
	// cut keeps every call from passing, lossy drops one answer in three after
	// the call has passed.
	cut, lossy atomic.Bool
	calls      atomic.Int64
	asked      func(c *call)                          // told of each call that is about to pass; may be nil
	answer     func(c *call, status int, body []byte) // told of each answer that is read whole; may be nil
}

func newProxy(g *gate, to string, ca []byte, asked func(*call), answer func(*call, int, []byte)) (*proxy, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64}
	if ca != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &proxy{gate: g, asked: asked, answer: answer, pass: &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), // watches break with their server
		// The name that was asked for stays: signatures cover it.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
		},
		// A server that is away breaks the connection, it does not answer.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}, nil
}

// ServeHTTP passes a call on, or springs the trap that it meets.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := readCall(r)
	if err != nil || p.cut.Load() {
		panic(http.ErrAbortHandler)
	}
	n := p.calls.Add(1)
	t := p.gate.take(c)
	if t != nil && !t.after {
		t.spring(c)
		panic(http.ErrAbortHandler)
	}
	if p.asked != nil {
		p.asked(c)
	}
	lost := p.lossy.Load() && n%3 == 0 && c.query.Get("watch") == ""
	if t == nil && p.answer == nil && !lost {
		p.pass.ServeHTTP(w, r)
		return
	}
	whole := httptest.NewRecorder()
	defer func() {
		if t != nil && !closed(t.sprung) {
			p.gate.again(t)
		}
	}()
	p.pass.ServeHTTP(whole, r)
	if p.answer != nil {
		p.answer(c, whole.Code, whole.Body.Bytes())
	}
	if t != nil && whole.Code < http.StatusMultipleChoices {
		t.spring(c)
		panic(http.ErrAbortHandler)
	}
	if lost {
		panic(http.ErrAbortHandler)
	}
	for k, v := range whole.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(whole.Code)
	_, _ = w.Write(whole.Body.Bytes())
}

// serve serves the proxy until the test ends, and returns its address.
func (p *proxy) serve(t *testing.T, secure bool) (address string, ca []byte) {
	t.Helper()
	s := httptest.NewUnstartedServer(p)
	p.server = s
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	if secure {
		s.StartTLS()
		ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL, ca
}
