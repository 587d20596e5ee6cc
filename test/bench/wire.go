package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
)

const (
	asJSON     = "application/json"
	asProtobuf = "application/vnd.kubernetes.protobuf"
	asMerge    = "application/strategic-merge-patch+json"
)

// conn is one connection of one bare machine: HTTP/1.1, one request at a time,
// no goroutine of its own.
type conn struct {
	net.Conn
	reader *bufio.Reader
	host   string
	header http.Header
}

func dial(ctx context.Context, address string, config *tls.Config, token string) (*conn, error) {
	d := tls.Dialer{Config: config}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	if t, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(t); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	k := &conn{Conn: c, reader: bufio.NewReader(c), host: address, header: http.Header{}}
	if token != "" {
		k.header.Set("Authorization", "Bearer "+token)
	}
	return k, nil
}

// send sends one request and returns when its answer has begun. Where the API
// server has no room, it asks again after a second, as any client does.
func (c *conn) send(method, where, contentType string, body []byte) (*http.Response, error) {
	req, err := http.NewRequest(method, "https://"+c.host+where, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = c.header.Clone()
	req.Header.Set("Accept", asJSON)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if contentType == asProtobuf {
		req.Header.Set("Accept", asProtobuf)
	}
	if err := req.Write(c); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, where, err)
	}
	resp, err := http.ReadResponse(c.reader, req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, where, err)
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		_, err := io.Copy(io.Discard, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, where, err)
		}
		<-time.After(time.Second)
		return c.send(method, where, contentType, body)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return nil, fmt.Errorf("%s %s: %s: %s", method, where, resp.Status, text)
	}
	return resp, nil
}

// call sends one request and reads the whole answer.
func (c *conn) call(method, where, contentType string, body []byte) ([]byte, error) {
	resp, err := c.send(method, where, contentType, body)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(resp.Body)
	return b, errors.Join(err, resp.Body.Close())
}

// watch reads the changes of one object until one of them is the wanted one.
// The connection is of no use afterwards.
func (c *conn) watch(where string, wanted func(json.RawMessage) (bool, error)) error {
	resp, err := c.send(http.MethodGet, where, "", nil)
	if err != nil {
		return err
	}
	for d := json.NewDecoder(resp.Body); ; {
		var e struct{ Object json.RawMessage }
		if err := d.Decode(&e); err != nil {
			return fmt.Errorf("watch %s: %w", where, err)
		}
		if ok, err := wanted(e.Object); ok || err != nil {
			return err
		}
	}
}

type message interface{ Marshal() ([]byte, error) }

// encode writes an object in the API server's protobuf form.
func encode(apiVersion, kind string, o message) ([]byte, error) {
	raw, err := o.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	u := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: apiVersion, Kind: kind}, Raw: raw}
	b, err := u.Marshal()
	return append([]byte("k8s\x00"), b...), err
}

func decode(b []byte, o interface{ Unmarshal([]byte) error }) error {
	b, ok := bytes.CutPrefix(b, []byte("k8s\x00"))
	if !ok {
		return errors.New("decode answer: it is not protobuf")
	}
	var u runtime.Unknown
	if err := u.Unmarshal(b); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return o.Unmarshal(u.Raw)
}

// machineTime bounds one join of a bare machine.
const machineTime = time.Minute
