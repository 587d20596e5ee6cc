package machine

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// transfer is one call of curl.
type transfer struct {
	url, method, output, writeOut string
	header                        http.Header
	body                          []byte
	hasBody                       bool
	fail, silent, showError       bool
	cacert, cert, key             string
	connect, most                 time.Duration
}

// curl knows the options that scripts of this kind use, and curl's exit codes.
func curl(ctx context.Context, p *process) int {
	t := &transfer{header: http.Header{"User-Agent": {"curl/7.88.1"}, "Accept": {"*/*"}}}
	if err := t.parse(p); err != nil {
		return t.report(p, err)
	}
	if t.most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.most)
		defer cancel()
	}
	return t.report(p, t.run(ctx, p))
}

func (t *transfer) report(p *process, err error) int {
	if err == nil {
		return 0
	}
	var n *netError
	if !errors.As(err, &n) {
		n = &netError{23, err.Error()}
	}
	if !t.silent || t.showError {
		fmt.Fprintf(p.err, "curl: (%d) %s\n", n.code, n.text)
	}
	return n.code
}

// withValue are the options that take a value, by their short names.
var withValue = map[string]string{"-X": "--request", "-H": "--header", "-o": "--output", "-d": "--data", "-A": "--user-agent",
	"-m": "--max-time", "-w": "--write-out", "-E": "--cert"}

func (t *transfer) parse(p *process) error {
	for args := p.args[1:]; len(args) > 0; args = args[1:] {
		a := args[0]
		switch {
		case len(a) < 2 || a[0] != '-':
			t.url = a
			continue
		case !strings.HasPrefix(a, "--") && withValue[a[:2]] != "":
			value := a[2:]
			a = withValue[a[:2]]
			if value != "" {
				if err := t.set(p, a, value); err != nil {
					return err
				}
				continue
			}
		case !strings.HasPrefix(a, "--"):
			if err := t.flags(a); err != nil {
				return err
			}
			continue
		}
		if ok, err := t.long(a); ok || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		if len(args) < 2 {
			return &netError{2, "option " + a + ": requires parameter"}
		}
		args = args[1:]
		if err := t.set(p, a, args[0]); err != nil {
			return err
		}
	}
	if t.url == "" {
		return &netError{2, "no URL specified"}
	}
	return nil
}

func (t *transfer) flags(a string) error {
	for _, f := range a[1:] {
		switch f {
		case 's':
			t.silent = true
		case 'S':
			t.showError = true
		case 'f':
			t.fail = true
		case 'N', 'L':
		default:
			return &netError{2, "option " + a + ": is unknown"}
		}
	}
	return nil
}

func (t *transfer) long(a string) (bool, error) {
	short, ok := map[string]string{"--silent": "-s", "--show-error": "-S", "--fail": "-f", "--no-buffer": "-N", "--location": "-L"}[a]
	if !ok {
		return false, nil
	}
	return true, t.flags(short)
}

func (t *transfer) set(p *process, option, value string) error {
	var err error
	switch option {
	case "--request":
		t.method = value
	case "--header":
		return t.addHeader(p, value)
	case "--output":
		t.output = value
	case "--user-agent":
		t.header.Set("User-Agent", value)
	case "--write-out":
		t.writeOut = value
	case "--cacert":
		t.cacert = value
	case "--cert":
		t.cert = value
	case "--key":
		t.key = value
	case "--connect-timeout":
		t.connect, err = span(value)
	case "--max-time":
		t.most, err = span(value)
	case "--data", "--data-raw", "--data-binary":
		return t.addData(p, option, value)
	default:
		return &netError{2, "option " + option + ": is unknown"}
	}
	if err != nil {
		return &netError{2, "option " + option + ": expected a number"}
	}
	return nil
}

func (t *transfer) addHeader(p *process, value string) error {
	lines := []string{value}
	if name, ok := strings.CutPrefix(value, "@"); ok {
		b, err := p.input(name)
		if err != nil {
			return &netError{26, "Failed to open " + name}
		}
		lines = strings.Split(strings.TrimRight(string(b), "\r\n"), "\n")
	}
	for _, l := range lines {
		name, v, ok := strings.Cut(l, ":")
		if ok {
			t.header.Set(name, strings.TrimSpace(v))
		}
	}
	return nil
}

func (t *transfer) addData(p *process, option, value string) error {
	data := []byte(value)
	if name, ok := strings.CutPrefix(value, "@"); ok && option != "--data-raw" {
		b, err := p.input(name)
		if err != nil {
			return &netError{26, "Failed to open " + name}
		}
		if data = b; option == "--data" {
			data = []byte(strings.NewReplacer("\r", "", "\n", "").Replace(string(b)))
		}
	}
	t.body, t.hasBody = append(t.body, data...), true
	if t.header.Get("Content-Type") == "" {
		t.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return nil
}

func (t *transfer) run(ctx context.Context, p *process) error {
	u, err := url.Parse(t.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return &netError{3, "URL rejected: " + t.url}
	}
	if t.method == "" {
		t.method = http.MethodGet
		if t.hasBody {
			t.method = http.MethodPost
		}
	}
	req := &http.Request{Method: t.method, URL: u, Host: u.Host, Header: t.header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if u.Host == metadataAddress {
		return t.metadata(p, req.WithContext(ctx))
	}
	to, err := t.target(p, u)
	if err != nil {
		return err
	}
	a, err := p.m.net.exchange(ctx, to, req, t.body)
	if err != nil {
		return err
	}
	whole := false
	defer func() { a.finish(whole) }()
	err = t.deliver(p, a.StatusCode, a.Body)
	whole = err == nil
	if err != nil && ctx.Err() != nil {
		return &netError{28, "Operation timed out"}
	}
	return err
}

// metadata asks the cloud from inside.
func (t *transfer) metadata(p *process, req *http.Request) error {
	req.RemoteAddr = net.JoinHostPort(p.m.spec.PrivateIP, "40000")
	req.RequestURI = req.URL.RequestURI()
	req.Body = io.NopCloser(bytes.NewReader(t.body))
	w := &recorder{header: http.Header{}, code: http.StatusOK}
	p.m.host.Cloud.Metadata(p.m.spec.ID).ServeHTTP(w, req)
	return t.deliver(p, w.code, &w.body)
}

// recorder keeps what the cloud answers.
type recorder struct {
	header http.Header
	code   int
	wrote  bool
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(code int) {
	if !r.wrote {
		r.code, r.wrote = code, true
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.wrote = true
	return r.body.Write(p)
}

var copying = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

func (t *transfer) target(p *process, u *url.URL) (target, error) {
	to := target{secure: u.Scheme == "https", address: u.Host, connect: t.connect}
	if to.connect == 0 {
		to.connect = 2 * time.Minute
	}
	if u.Port() == "" {
		to.address = net.JoinHostPort(u.Hostname(), map[bool]string{true: "443", false: "80"}[to.secure])
	}
	if t.cacert != "" {
		b, err := p.input(t.cacert)
		if err != nil {
			return to, &netError{77, "error setting certificate file: " + t.cacert}
		}
		to.authorities = b
	}
	if t.cert != "" {
		pair, err := p.keyPair(t.cert, t.key)
		if err != nil {
			return to, &netError{58, "could not load PEM client certificate from " + t.cert + ": " + err.Error()}
		}
		to.certificate, to.identity = pair, "curl:"+t.cert
	}
	return to, nil
}

func (p *process) keyPair(cert, key string) (*tls.Certificate, error) {
	certPEM, err := p.input(cert)
	if err != nil {
		return nil, err
	}
	keyPEM := certPEM
	if key != "" {
		if keyPEM, err = p.input(key); err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	return &pair, err
}

// deliver writes the answer where it was asked for, as it comes.
func (t *transfer) deliver(p *process, status int, body io.Reader) error {
	if t.writeOut != "" {
		defer func() {
			io.WriteString(p.out, strings.NewReplacer("%{http_code}", fmt.Sprint(status), `\n`, "\n").Replace(t.writeOut))
		}()
	}
	if t.fail && status >= 400 {
		io.Copy(io.Discard, io.LimitReader(body, maxFile))
		return &netError{22, fmt.Sprintf("The requested URL returned error: %d", status)}
	}
	var out io.Writer = p.out
	switch {
	case t.output == "/dev/null":
		out = io.Discard
	case t.output != "":
		f, err := p.m.disk().open(p.path(t.output), openTruncate, 0o600)
		if err != nil {
			return &netError{23, "Failure writing output to destination: " + cause(err)}
		}
		defer f.Close()
		out = f
	}
	buf := copying.Get().(*[]byte)
	defer copying.Put(buf)
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{body}, *buf); err != nil {
		return &netError{18, "transfer closed: " + err.Error()}
	}
	return nil
}
