package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A request that is too large, or that never ends, is answered and forgotten.
func TestARequestIsBoundedInSizeAndTime(t *testing.T) {
	b := &bench{T: t, dir: t.TempDir()}
	b.start(Options{Scenario: []byte(fast), MaxNodes: 10, bodyTime: 200 * time.Millisecond})
	t.Cleanup(func() { b.stop() })
	host := strings.TrimPrefix(b.url, "http://")
	for what, sends := range map[string]struct {
		length int
		body   string
	}{
		"one that is too large":  {maxBody + 1, strings.Repeat("x", maxBody+1)},
		"one that never arrives": {1000, "only the beginning"},
	} {
		t.Run(what, func(t *testing.T) {
			c, err := net.Dial("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n", host, sends.length)
			go func() { _, _ = io.WriteString(c, sends.body) }()
			answer, err := io.ReadAll(c) // ends when the server closes the connection
			if err != nil && !strings.Contains(err.Error(), "reset") {
				t.Fatalf("%v after %q", err, answer)
			}
			if status, _, _ := strings.Cut(string(answer), "\r\n"); status != fmt.Sprintf("HTTP/1.1 %d Bad Request", http.StatusBadRequest) || !strings.Contains(string(answer), "RequestTooLarge") {
				t.Errorf("answered %q", answer)
			}
		})
	}
}
