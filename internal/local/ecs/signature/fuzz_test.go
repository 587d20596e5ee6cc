package signature

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// Whatever a request is made of, without the secret it is refused, with one of
// the refusals of the wire.
func FuzzVerify(f *testing.F) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const stamp = "2026-03-01T12:00:00Z"
	f.Add("GET", "Action=DescribeRegions&Version=2014-05-26&AccessKeyId=key&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&SignatureNonce=n&Signature=x&Timestamp="+url.QueryEscape(stamp), "", "", stamp)
	f.Add("POST", "", "Action=RunInstances&Version=2014-05-26&AccessKeyId=key", "", stamp)
	f.Add("POST", "A=%zz", "B=;", "ACS3-HMAC-SHA256 Credential=key,SignedHeaders=host;x-acs-date,Signature=00", stamp)
	f.Add("GET", "", "", "ACS3-HMAC-SHA256 Credential=key,SignedHeaders=,Signature=", "")
	f.Fuzz(func(t *testing.T, method, query, body, authorization, date string) {
		v := &Verifier{Now: func() time.Time { return now }, Window: 15 * time.Minute,
			Secret: func(key string) (string, bool) { return "a secret that nobody was told", key == "key" }}
		r := &http.Request{Method: method, URL: &url.URL{Path: "/", RawQuery: query}, Host: "127.0.0.1:1", Header: http.Header{}}
		r.Header.Set("Authorization", authorization)
		r.Header.Set("x-acs-action", "RunInstances")
		r.Header.Set("x-acs-version", "2014-05-26")
		r.Header.Set("x-acs-date", date)
		r.Header.Set("x-acs-signature-nonce", "n")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req, err := v.Verify(r, []byte(body))
		var refused *Failure
		if !errors.As(err, &refused) || refused.Status < 400 || refused.Status > 499 || refused.Code == "" {
			t.Fatalf("a request without a signature got %+v, %v", req, err)
		}
		if bytes.Contains([]byte(err.Error()), []byte("nobody was told")) {
			t.Fatalf("the refusal tells the secret: %v", err)
		}
	})
}
