package bootstrap

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const boot = `[    0.000000] Linux version 5.10
<13>Nov 24 05:23:03 cloud-init: poolkeeper step=network outcome=ok exit=0 duration=12ms instance=i-1
<13>Nov 24 05:23:04 cloud-init: poolkeeper step=reach-apiserver outcome=waiting host=10.0.0.5 port=6443 error="curl: (28) timed out"
`

func TestParseLog(t *testing.T) {
	cases := map[string]struct {
		console string
		want    Line
		at      Step
		failed  bool
		joined  bool
	}{
		"nothing said": {"", Line{}, "", false, false},
		"between":      {boot[:strings.Index(boot, "<13>Nov 24 05:23:04")], Line{StepNetwork, OutcomeOK, 0, 12 * time.Millisecond, "instance=i-1"}, StepReach, false, false},
		"waiting":      {boot, Line{StepReach, OutcomeWaiting, 0, 0, `host=10.0.0.5 port=6443 error="curl: (28) timed out"`}, StepReach, false, false},
		"failed": {boot + "cloud-init: poolkeeper step=reach-apiserver outcome=failed exit=28 duration=240000ms host=10.0.0.5 port=6443\r\nlogin:",
			Line{StepReach, OutcomeFailed, 28, 4 * time.Minute, "host=10.0.0.5 port=6443"}, StepReach, true, false},
		"joined": {boot + "cloud-init[812]: poolkeeper step=ready outcome=ok exit=0 duration=900ms node=i-1\n",
			Line{StepReady, OutcomeOK, 0, 900 * time.Millisecond, "node=i-1"}, StepPostUserData, false, true},
		"booted again": {boot + "cloud-init: poolkeeper step=join outcome=failed exit=1 duration=1ms x\ncloud-init: poolkeeper step=network outcome=ok exit=0 duration=1ms\n",
			Line{StepNetwork, OutcomeOK, 0, time.Millisecond, ""}, StepReach, false, false},
		"unknown step":    {"cloud-init: poolkeeper step=dance outcome=failed exit=1\n", Line{}, "", false, false},
		"a person's line": {"cloud-init: somebody says step=join outcome=failed exit=1\n", Line{}, "", false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := ParseLog([]byte(tc.console))
			if r.Last != tc.want || r.At() != tc.at || r.Failed != tc.failed || r.Joined != tc.joined {
				t.Fatalf("ParseLog = %+v at %s, want %+v at %s", r, r.At(), tc.want, tc.at)
			}
			if string(r.Excerpt) != tc.console {
				t.Fatalf("excerpt = %q", r.Excerpt)
			}
		})
	}
}

func TestExcerptIsBounded(t *testing.T) {
	noise := strings.Repeat("some line of a kernel\n", 20000)
	last := "cloud-init: poolkeeper step=join outcome=failed exit=1 duration=1ms x\n"
	r := ParseLog([]byte(noise + last + noise))
	if len(r.Excerpt) > MaxExcerpt || !bytes.Contains(r.Excerpt, []byte(last)) || !r.Failed {
		t.Fatalf("excerpt of %d bytes", len(r.Excerpt))
	}
	r = ParseLog([]byte(strings.Repeat(last, 10000)))
	if len(r.Lines) != maxLines {
		t.Fatalf("%d lines kept", len(r.Lines))
	}
}

func TestRedact(t *testing.T) {
	secret := "s3cr3tValue"
	jwt := "eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJhdWQiOlsiaHR0cHMiXX0.c2lnbmF0dXJl"
	cases := map[string]struct{ text, gone, stays string }{
		"join credential":   {"Authorization: Bearer " + jwt + " x", jwt, "Authorization: "},
		"bearer":            {"curl -H 'bearer " + secret + "'", secret, "curl"},
		"bare token":        {"token is " + jwt + " ok", jwt, " ok"},
		"metadata token":    {"X-aliyun-ecs-metadata-token: " + secret + "\nnext", secret, "next"},
		"private key":       {"a\n-----BEGIN EC PRIVATE KEY-----\n" + secret + "\n-----END EC PRIVATE KEY-----\nb", secret, "\nb"},
		"cut private key":   {"a\n-----BEGIN PRIVATE KEY-----\n" + secret, secret, "a\n"},
		"password":          {"DB_PASSWORD=" + secret + " PORT=1", secret, "PORT=1"},
		"quoted password":   {`password: "two ` + secret + `" next`, secret, " next"},
		"JSON":              {`{"accessKeySecret":"` + secret + `","a":1}`, secret, `"a":1`},
		"flag":              {"login --token " + secret + " --x", secret, "--x"},
		"access key":        {"id LTAI5tAbCdEfGhIjKlMnOp end", "LTAI5tAbCdEfGhIjKlMnOp", " end"},
		"bootstrap token":   {"join abcdef.0123456789abcdef now", "0123456789abcdef", " now"},
		"URL":               {"git clone https://bob:" + secret + "@host/x", secret, "host/x"},
		"long base64":       {"blob " + strings.Repeat("QUJD", 30) + " end", "QUJDQUJD", " end"},
		"nothing to redact": {"host=10.0.0.5 port=6443 error=\"curl: (7) refused\"", "\x00", "host=10.0.0.5 port=6443 error=\"curl: (7) refused\""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := string(Redact([]byte(tc.text)))
			if strings.Contains(got, tc.gone) || !strings.Contains(got, tc.stays) {
				t.Fatalf("Redact(%q) = %q", tc.text, got)
			}
			r := ParseLog([]byte("cloud-init: poolkeeper step=join outcome=failed exit=1 " + strings.ReplaceAll(tc.text, "\n", " ") + "\n" + tc.text))
			if strings.Contains(string(r.Excerpt), tc.gone) || strings.Contains(r.Last.Detail, tc.gone) {
				t.Fatalf("report tells the secret: %q %q", r.Last.Detail, r.Excerpt)
			}
		})
	}
}

func FuzzParseLog(f *testing.F) {
	f.Add([]byte(boot))
	f.Add([]byte("cloud-init: poolkeeper step=join outcome=failed exit=999 duration=-1ms \xff\xfe"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := ParseLog(b)
		if len(r.Excerpt) > MaxExcerpt || !utf8.Valid(r.Excerpt) || !utf8.ValidString(r.Last.Detail) || len(r.Lines) > maxLines {
			t.Fatalf("unbounded or not text: %d bytes", len(r.Excerpt))
		}
	})
}
