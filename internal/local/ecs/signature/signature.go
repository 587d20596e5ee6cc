// Package signature verifies who signed a request in the vendor's two ways:
// RPC v1 (HMAC-SHA1 over the parameters) and ACS3-HMAC-SHA256 (headers).
//
// In comes an HTTP request with its body; out come action, version and
// parameters, or the vendor's refusal. It keeps the nonces of the window in
// which a request is good, and never looks at what is asked.
package signature

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Request is a request whose signature is good.
type Request struct {
	Action, Version string
	// AccessKeyID signed it.
	AccessKeyID string
	Params      map[string]string
}

// Failure is the vendor's refusal.
type Failure struct {
	Status        int
	Code, Message string
}

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

func fail(status int, code, format string, args ...any) *Failure {
	return &Failure{status, code, fmt.Sprintf(format, args...)}
}

func missing(name string) *Failure {
	return fail(400, "MissingParameter", "The input parameter %q that is mandatory for processing this request is not supplied.", name)
}

// Verifier checks requests against the access keys that it is told of.
type Verifier struct {
	// Secret returns the secret of an access key.
	Secret func(accessKeyID string) (string, bool)
	Now    func() time.Time
	// Window is how far the time of a request may be off, either way.
	Window time.Duration

	mu          sync.Mutex
	seen, older map[string]struct{}
	turned      time.Time
}

// signed is what both ways have in common.
type signed struct {
	key, nonce, stamp string
	given             string
	compute           func(secret string) (signature, text string)
}

// Verify checks a request. An error is a *Failure.
func (v *Verifier) Verify(r *http.Request, body []byte) (*Request, error) {
	params, err := parameters(r, body)
	if err != nil {
		return nil, err
	}
	out := &Request{Action: params["Action"], Version: params["Version"], Params: params}
	var s *signed
	if strings.HasPrefix(r.Header.Get("Authorization"), acs3) {
		out.Action, out.Version = first(r.Header.Get("x-acs-action"), out.Action), first(r.Header.Get("x-acs-version"), out.Version)
		s, err = readACS3(r, body)
	} else {
		s, err = readRPC(r.Method, params)
	}
	if err != nil {
		return nil, err
	}
	if out.Action == "" {
		return nil, missing("Action")
	}
	if out.Version == "" {
		return nil, missing("Version")
	}
	out.AccessKeyID = s.key
	return out, v.check(s)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// check returns an error, never a nil *Failure in one.
func (v *Verifier) check(s *signed) error {
	secret, ok := v.Secret(s.key)
	if !ok {
		return fail(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
	}
	at, err := time.Parse("2006-01-02T15:04:05Z", s.stamp)
	if err != nil {
		return fail(400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.")
	}
	now := v.Now()
	if off := now.Sub(at); off > v.Window || off < -v.Window {
		return fail(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
	}
	want, text := s.compute(secret)
	if !equal(want, s.given) {
		return fail(400, "SignatureDoesNotMatch",
			"Specified signature is not matched with our calculation. server string to sign is:%s", text)
	}
	if !v.fresh(s.key+"/"+s.nonce, now) {
		return fail(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
	}
	return nil
}

// fresh remembers a nonce for at least the time in which it could come again.
// Two generations are kept; each lasts two windows.
func (v *Verifier) fresh(nonce string, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen == nil || now.Sub(v.turned) > 2*v.Window {
		v.older, v.seen, v.turned = v.seen, map[string]struct{}{}, now
	}
	if _, ok := v.seen[nonce]; ok {
		return false
	}
	if _, ok := v.older[nonce]; ok {
		return false
	}
	v.seen[nonce] = struct{}{}
	return true
}

// parameters reads query and form.
func parameters(r *http.Request, body []byte) (map[string]string, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fail(400, "InvalidParameter", "The query is not well formed.")
	}
	params := make(map[string]string, len(query)+8)
	for k, v := range query {
		params[k] = v[0]
	}
	if r.Method != http.MethodPost || len(body) == 0 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return params, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fail(400, "InvalidParameter", "The form is not well formed.")
	}
	for k, v := range form {
		params[k] = v[0]
	}
	return params, nil
}
