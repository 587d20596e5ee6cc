package machine

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"
)

// cloudConfig is what cloud-init makes of user data. Machines with the same
// user data share one; nobody changes it.
type cloudConfig struct {
	files map[string]*file
	runs  [][]string
}

// rawConfig is the part of cloud-config that is carried out. Users, packages
// and the rest are the image's affair and are passed over.
type rawConfig struct {
	WriteFiles []struct {
		Path        string `json:"path"`
		Content     string `json:"content"`
		Encoding    string `json:"encoding"`
		Permissions any    `json:"permissions"`
		Append      bool   `json:"append"`
	} `json:"write_files"`
	RunCmd []any `json:"runcmd"`
}

// readConfig reads user data as cloud-init would. A plain script is one too.
func readConfig(userData []byte) (*cloudConfig, error) {
	if bytes.HasPrefix(userData, []byte("#!")) {
		const name = "/var/lib/cloud/instance/scripts/part-001"
		return &cloudConfig{files: map[string]*file{name: {data: userData, mode: 0o700}}, runs: [][]string{{name}}}, nil
	}
	if !bytes.HasPrefix(userData, []byte("#cloud-config")) {
		if len(bytes.TrimSpace(userData)) == 0 {
			return &cloudConfig{}, nil
		}
		return nil, errors.New("unhandled non-multipart (text/x-not-multipart) userdata")
	}
	var raw rawConfig
	if err := yaml.Unmarshal(userData, &raw); err != nil {
		return nil, fmt.Errorf("failed loading yaml blob: %w", err)
	}
	c := &cloudConfig{files: map[string]*file{}}
	for _, w := range raw.WriteFiles {
		content, err := decodeContent(w.Content, w.Encoding)
		if err != nil {
			return nil, fmt.Errorf("write_files %s: %w", w.Path, err)
		}
		if !path.IsAbs(w.Path) {
			return nil, fmt.Errorf("write_files %q: no absolute path", w.Path)
		}
		name := path.Clean(w.Path)
		if old := c.files[name]; w.Append && old != nil {
			content = append(bytes.Clone(old.data), content...)
		}
		c.files[name] = &file{data: content, mode: permissions(w.Permissions)}
	}
	for _, r := range raw.RunCmd {
		argv, err := runArguments(r)
		if err != nil {
			return nil, err
		}
		c.runs = append(c.runs, argv)
	}
	return c, nil
}

func decodeContent(content, encoding string) ([]byte, error) {
	b := []byte(content)
	var err error
	if strings.Contains(encoding, "b64") || strings.Contains(encoding, "base64") {
		if b, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), "")); err != nil {
			return nil, err
		}
	}
	if strings.HasPrefix(encoding, "gz") {
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(io.LimitReader(r, maxFile))
	}
	return b, nil
}

func permissions(v any) fs.FileMode {
	n, err := strconv.ParseUint(strings.TrimPrefix(fmt.Sprint(v), "0o"), 8, 12)
	if err != nil {
		return 0o644
	}
	return fs.FileMode(n) & fs.ModePerm
}

func runArguments(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{"sh", "-c", v}, nil
	case []any:
		argv := make([]string, len(v))
		for i, a := range v {
			argv[i] = fmt.Sprint(a)
		}
		if len(argv) > 0 {
			return argv, nil
		}
	}
	return nil, fmt.Errorf("runcmd: %v is neither a text nor a list", v)
}

// shared keeps what was read, by its hash, for the machines of a launch. It is
// emptied when it holds most entries, which are cheap to make again.
type shared[T any] struct {
	mu   sync.Mutex
	most int
	of   map[[sha256.Size]byte]T
}

func (c *shared[T]) get(content []byte, read func([]byte) (T, error)) (T, error) {
	key := sha256.Sum256(content)
	c.mu.Lock()
	v, ok := c.of[key]
	c.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := read(content)
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil || len(c.of) >= c.most {
		c.of = map[[sha256.Size]byte]T{}
	}
	c.of[key] = v
	return v, nil
}
