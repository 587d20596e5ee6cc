// Package control holds the commands of `poolkeeper local` that change the
// local cloud while it runs, and the client of its controls.
//
// In come arguments and the directory of a local region; out goes a line that
// says what was changed. It decides nothing: the local cloud checks and keeps
// every change.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/cli"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/server"
)

// client talks to one local cloud.
type client struct {
	dir, address, token string
}

// open finds the local cloud of a region by the files that it writes.
func open(dir string) (*client, error) {
	c := &client{dir: dir}
	for name, to := range map[string]*string{server.AddressFile: &c.address, server.TokenFile: &c.token} {
		b, err := os.ReadFile(filepath.Join(dir, "cloud", name))
		if err != nil {
			return nil, &cli.Error{Code: cli.ExitUnreachable, What: "nothing was changed", Cause: "no local cloud has run in " + dir,
				Next: []string{"`poolkeeper local up`", "another directory: --dir"}, Err: err}
		}
		*to = strings.TrimSpace(string(b))
	}
	return c, nil
}

// call sends one request. The answer is the body; a refusal is an error.
func (c *client) call(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.address+"/_local/"+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask local cloud: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, c.away(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, c.away(err)
	}
	if answer.StatusCode == http.StatusOK {
		return b, nil
	}
	return nil, c.refused(answer.StatusCode, b)
}

func (c *client) away(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &cli.Error{Code: cli.ExitUnreachable, What: "cannot reach the local cloud at " + c.address,
		Cause: "the local region in " + c.dir + " is stopped, or its cloud is just starting", Next: []string{"`poolkeeper local status`", "`poolkeeper local up`"}, Err: err}
}

func (c *client) refused(status int, body []byte) error {
	var said server.Said
	if json.Unmarshal(body, &said) != nil || said.Error == "" {
		said.Error = fmt.Sprintf("the local cloud answers %d", status)
	}
	e := &cli.Error{Code: cli.ExitInput, What: "nothing was changed", Cause: said.Error, Next: []string{"`poolkeeper local scenario show` says what exists"}}
	if strings.Contains(said.Error, "none of this id") {
		e.Code, e.Next = cli.ExitNotFound, []string{"`poolkeeper local instance list`", "`poolkeeper local fault list`"}
	}
	if status == http.StatusInternalServerError {
		e.Code, e.Next = cli.ExitUnreachable, []string{"`poolkeeper local status`, and cloud.log in logs/ of " + c.dir}
	}
	if status == http.StatusUnauthorized {
		e.Code, e.Next = cli.ExitUnreachable, []string{"another local region listens there: `poolkeeper local status`"}
	}
	return e
}

// change sends one change and returns what the cloud says about it.
func (c *client) change(ctx context.Context, method, path string, change any) (string, error) {
	var body io.Reader
	if change != nil {
		b, err := json.Marshal(change)
		if err != nil {
			return "", fmt.Errorf("write change: %w", err)
		}
		body = bytes.NewReader(b)
	}
	b, err := c.call(ctx, method, path, body)
	if err != nil {
		return "", err
	}
	var said server.Said
	if err := json.Unmarshal(b, &said); err != nil {
		return "", fmt.Errorf("read answer of local cloud: %w", err)
	}
	return said.Message, nil
}
