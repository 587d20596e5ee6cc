package ecs

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync"
	"time"
)

// maxBody bounds a request. Unit: bytes.
const maxBody = 1 << 20

// skew is how far a request's clock may be off.
const skew = 15 * time.Minute

// wireError is the vendor's error body with its HTTP status.
type wireError struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *wireError) Error() string { return e.Code + ": " + e.Message }

func refuse(status int, code, format string, a ...any) *wireError {
	return &wireError{Status: status, Code: code, Message: fmt.Sprintf(format, a...)}
}

func missing(name string) *wireError {
	return refuse(400, "MissingParameter", "The input parameter %q that is mandatory for processing this request is not supplied.", name)
}

// Server is the region's front: it checks signatures and hands parameters to
// actions.
type Server struct {
	Region    *Region
	KeyID     string
	KeySecret string
	Control   http.Handler

	mu     sync.Mutex
	nonces map[string]time.Time
	swept  time.Time
}

// ServeHTTP answers one request of the wire, or of the controls under /_local/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_local/") {
		s.Control.ServeHTTP(w, r)
		return
	}
	id := requestID()
	answer, refused := s.serve(r)
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.Header().Set("x-acs-request-id", id)
	if refused != nil {
		w.WriteHeader(refused.Status)
		_ = json.NewEncoder(w).Encode(map[string]string{"RequestId": id, "HostId": r.Host, "Code": refused.Code, "Message": refused.Message,
			"Recommend": "https://api.alibabacloud.com/troubleshoot?q=" + url.QueryEscape(refused.Code)})
		return
	}
	answer["RequestId"] = id
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *Server) serve(r *http.Request) (object, *wireError) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, refuse(413, "RequestEntityTooLarge", "The request is larger than %d bytes.", maxBody)
	}
	query, form := r.URL.Query(), url.Values{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if form, err = url.ParseQuery(string(body)); err != nil {
			return nil, refuse(400, "InvalidParameter", "The body is not a form.")
		}
	}
	all := params{}
	for _, v := range []url.Values{query, form} {
		for k := range v {
			all[k] = v.Get(k)
		}
	}
	action, version := all["Action"], all["Version"]
	var refused *wireError
	if strings.HasPrefix(r.Header.Get("Authorization"), "ACS3-HMAC-SHA256") {
		action, version = r.Header.Get("x-acs-action"), r.Header.Get("x-acs-version")
		refused = s.verify3(r, query, body)
	} else {
		refused = s.verify1(r.Method, all)
	}
	if refused != nil {
		return nil, refused
	}
	do, ok := actions[version+" "+action]
	if !ok {
		return nil, refuse(404, "InvalidAction.NotFound", "The specified action %s of version %s is not found.", action, version)
	}
	return do(s.Region, all)
}

// verify1 checks an RPC signature (HMAC-SHA1, version 1.0).
func (s *Server) verify1(method string, p params) *wireError {
	for _, name := range []string{"AccessKeyId", "Signature", "SignatureNonce", "Timestamp"} {
		if p[name] == "" {
			return missing(name)
		}
	}
	keys := make([]string, 0, len(p))
	for k := range p {
		if k != "Signature" {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	parts := make([]string, 0, len(keys))
	for _, k := range keys {
		parts = append(parts, encode(k)+"="+encode(p[k]))
	}
	text := method + "&%2F&" + encode(strings.Join(parts, "&"))
	mac := hmac.New(sha1.New, []byte(s.KeySecret+"&"))
	mac.Write([]byte(text))
	if p["AccessKeyId"] != s.KeyID {
		return refuse(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
	}
	if !hmac.Equal([]byte(base64.StdEncoding.EncodeToString(mac.Sum(nil))), []byte(p["Signature"])) {
		return refuse(400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation. server string to sign is:%s", text)
	}
	return s.fresh(p["Timestamp"], p["SignatureNonce"])
}

// verify3 checks an ACS3-HMAC-SHA256 signature.
func (s *Server) verify3(r *http.Request, query url.Values, body []byte) *wireError {
	parts := map[string]string{}
	for _, f := range strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "ACS3-HMAC-SHA256 "), ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		parts[k] = v
	}
	if parts["Credential"] != s.KeyID {
		return refuse(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if sent := r.Header.Get("x-acs-content-sha256"); sent != "" && sent != hash {
		return refuse(400, "InvalidParameter", "The body is not that of x-acs-content-sha256.")
	}
	var headers strings.Builder
	for _, name := range strings.Split(parts["SignedHeaders"], ";") {
		v := r.Header.Get(name)
		if name == "host" {
			v = r.Host
		}
		headers.WriteString(name + ":" + strings.TrimSpace(v) + "\n")
	}
	keys := make([]string, 0, len(query))
	for k := range query {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	pairs := make([]string, 0, len(keys))
	for _, k := range keys {
		pairs = append(pairs, encode(k)+"="+encode(query.Get(k)))
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	canonical := strings.Join([]string{r.Method, path, strings.Join(pairs, "&"), headers.String(), parts["SignedHeaders"], hash}, "\n")
	digest := sha256.Sum256([]byte(canonical))
	text := "ACS3-HMAC-SHA256\n" + hex.EncodeToString(digest[:])
	mac := hmac.New(sha256.New, []byte(s.KeySecret))
	mac.Write([]byte(text))
	if !hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(parts["Signature"])) {
		return refuse(400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation. server string to sign is:%s", text)
	}
	return s.fresh(r.Header.Get("x-acs-date"), r.Header.Get("x-acs-signature-nonce"))
}

// fresh refuses a clock that is off and a nonce that was seen.
func (s *Server) fresh(timestamp, nonce string) *wireError {
	t, err := time.Parse("2006-01-02T15:04:05Z", timestamp)
	now := s.Region.Now()
	if err != nil || t.Sub(now).Abs() > skew {
		return refuse(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
	}
	if nonce == "" {
		return missing("SignatureNonce")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nonces == nil {
		s.nonces = map[string]time.Time{}
	}
	if _, seen := s.nonces[nonce]; seen {
		return refuse(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
	}
	s.nonces[nonce] = now
	if now.Sub(s.swept) > time.Minute {
		s.swept = now
		for n, at := range s.nonces {
			if now.Sub(at) > 2*skew {
				delete(s.nonces, n)
			}
		}
	}
	return nil
}

// encode is RFC 3986.
func encode(s string) string {
	return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(s))
}

func requestID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	h := strings.ToUpper(hex.EncodeToString(b))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// object is a JSON object of an answer, params what was asked.
type object = map[string]any
type params map[string]string
