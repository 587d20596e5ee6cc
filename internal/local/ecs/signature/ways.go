package signature

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the vendor's first signature is HMAC-SHA1
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const acs3 = "ACS3-HMAC-SHA256"

func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

// readRPC reads the signature that stands among the parameters.
func readRPC(method string, params map[string]string) (*signed, error) {
	for _, name := range []string{"AccessKeyId", "Signature", "SignatureNonce", "Timestamp", "SignatureMethod", "SignatureVersion"} {
		if params[name] == "" {
			return nil, missing(name)
		}
	}
	if params["SignatureMethod"] != "HMAC-SHA1" || params["SignatureVersion"] != "1.0" {
		return nil, fail(400, "InvalidSignatureMethod", "Only HMAC-SHA1 in version 1.0 and ACS3-HMAC-SHA256 are understood.")
	}
	return &signed{key: params["AccessKeyId"], nonce: params["SignatureNonce"], stamp: params["Timestamp"], given: params["Signature"],
		compute: func(secret string) (string, string) {
			text := method + "&%2F&" + escape(canonicalQuery(params, "Signature"))
			h := hmac.New(sha1.New, []byte(secret+"&"))
			h.Write([]byte(text))
			return base64.StdEncoding.EncodeToString(h.Sum(nil)), text
		}}, nil
}

// canonicalQuery writes parameters sorted and escaped, all but one.
func canonicalQuery(params map[string]string, without string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(params)) {
		if k == without {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(escape(k))
		b.WriteByte('=')
		b.WriteString(escape(params[k]))
	}
	return b.String()
}

// escape is percent-encoding as in RFC 3986.
func escape(s string) string {
	s = url.QueryEscape(s)
	return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(s)
}

// signedAlways are headers that a good ACS3 signature covers.
var signedAlways = []string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}

// readACS3 reads the signature of the Authorization header.
func readACS3(r *http.Request, body []byte) (*signed, error) {
	fields := map[string]string{}
	for _, part := range strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), acs3), ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[k] = v
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[name] == "" {
			return nil, missing("Authorization." + name)
		}
	}
	headers := strings.Split(fields["SignedHeaders"], ";")
	for _, name := range signedAlways {
		if header(r, name) == "" || !slices.Contains(headers, name) {
			return nil, missing(name)
		}
	}
	sum := sha256.Sum256(body)
	if !equal(hex.EncodeToString(sum[:]), header(r, "x-acs-content-sha256")) {
		return nil, fail(400, "SignatureDoesNotMatch", "The x-acs-content-sha256 header is not the hash of the body.")
	}
	return &signed{key: fields["Credential"], nonce: header(r, "x-acs-signature-nonce"), stamp: header(r, "x-acs-date"), given: fields["Signature"],
		compute: func(secret string) (string, string) { return computeACS3(r, headers, secret) }}, nil
}

func computeACS3(r *http.Request, headers []string, secret string) (signature, text string) {
	var b strings.Builder
	for _, name := range headers {
		b.WriteString(name + ":" + header(r, name) + "\n")
	}
	query := map[string]string{}
	for k, v := range r.URL.Query() {
		query[k] = v[0]
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	request := strings.Join([]string{r.Method, path, canonicalQuery(query, ""), b.String(), strings.Join(headers, ";"),
		header(r, "x-acs-content-sha256")}, "\n")
	sum := sha256.Sum256([]byte(request))
	text = acs3 + "\n" + hex.EncodeToString(sum[:])
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil)), text
}

func header(r *http.Request, name string) string {
	if name == "host" {
		return r.Host
	}
	return strings.TrimSpace(strings.Join(r.Header.Values(name), ","))
}
