package bootstrap

import (
	"crypto/sha256"
	_ "embed" // the join script
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

//go:embed join.sh
var joinScript string

// Where the parts of user data lie on the machine.
const (
	dirParts       = "/etc/poolkeeper/"
	pathCA         = dirParts + "ca.crt"
	pathCredential = dirParts + "credential"
	pathSettings   = dirParts + "settings"
	pathKubelet    = dirParts + "kubelet.json"
	pathChecksums  = dirParts + "checksums"
	partJoin       = "join.sh"
)

// runJoin checks the script parts and runs the join. A changed byte is a
// failed step of its own.
const runJoin = `cd /etc/poolkeeper && sha256sum -c checksums >/dev/null 2>&1 && exec sh /etc/poolkeeper/join.sh; ` +
	`logger -s -t cloud-init 'poolkeeper step=script outcome=failed exit=1 duration=0ms a script part is not as it was sent' 2>/dev/console; exit 1`

// part is one file that cloud-init writes.
type part struct {
	path, mode string
	content    string
}

// Render returns the user data of one launch: a cloud-config that writes the
// parts and runs the join. It is the same for all machines of the launch and
// at most MaxUserData bytes; otherwise a fault names the sizes of its parts.
func Render(s Settings) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("render user data of pool %s: %w", s.Pool, err)
	}
	parts, err := s.parts()
	if err != nil {
		return nil, fmt.Errorf("render user data of pool %s: %w", s.Pool, err)
	}
	var b strings.Builder
	b.WriteString("#cloud-config\nwrite_files:\n")
	for _, p := range parts {
		writePart(&b, p)
	}
	b.WriteString("runcmd:\n- - sh\n  - -c\n  - " + quoteYAML(runJoin) + "\n")
	if b.Len() > MaxUserData {
		f := fault.New(fault.RequestInvalid, fmt.Sprintf("shorten the pool's own scripts in userData: %d bytes are more than the %d that the cloud takes:%s",
			b.Len(), MaxUserData, sizes(parts)))
		return nil, fmt.Errorf("render user data of pool %s: %w", s.Pool, f)
	}
	return []byte(b.String()), nil
}

// parts returns the files in the order in which they are written.
func (s Settings) parts() ([]part, error) {
	kubelet, err := kubeletConfig(s)
	if err != nil {
		return nil, err
	}
	parts := []part{
		{pathSettings, "0600", s.shell()},
		{pathCA, "0644", strings.TrimRight(string(s.CA), "\n") + "\n"},
		{pathCredential, "0600", "Authorization: Bearer " + s.Token + "\n"},
		{pathKubelet, "0644", string(kubelet)},
		{dirParts + partJoin, "0700", joinScript},
	}
	scripts := []part{parts[len(parts)-1]}
	for _, u := range []struct {
		step Step
		text string
	}{{StepPreUserData, s.BeforeJoin}, {StepPostUserData, s.AfterJoin}} {
		if u.text != "" {
			p := part{dirParts + string(u.step), "0700", runnable(u.text)}
			parts, scripts = append(parts, p), append(scripts, p)
		}
	}
	var sums strings.Builder
	for _, p := range scripts {
		sum := sha256.Sum256([]byte(p.content))
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum[:]), strings.TrimPrefix(p.path, dirParts))
	}
	return append(parts, part{pathChecksums, "0644", sums.String()}), nil
}

// shell returns the settings as assignments that the script reads.
func (s Settings) shell() string {
	w := s.Waits.withDefaults()
	address, _ := endpoint(s.APIServer) // Check has seen it
	var b strings.Builder
	set := func(name, value string) {
		b.WriteString(name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'\n")
	}
	number := func(name string, n int64) { set(name, strconv.FormatInt(n, 10)) }
	set("CLUSTER", s.ClusterID)
	set("POOL", s.Pool)
	set("API_SERVER", address)
	set("LABELS", nodeLabels(s.Labels))
	set("SCHEDULABLE", strconv.FormatBool(!s.Unschedulable))
	set("KUBELET_URL", s.KubeletURL)
	set("KUBELET_SHA256", strings.ToLower(s.KubeletSHA256))
	number("ISSUED", unixOr(s.IssuedTime, 0)-300) // clocks of good machines differ by seconds
	number("EXPIRES", unixOr(s.ExpiryTime, 1<<40))
	number("JOIN_DEADLINE", seconds(w.JoinDeadline))
	number("MIG_LIMIT", seconds(w.MIGLimit))
	number("REACH_TRIES", int64(w.ReachTries))
	number("REACH_PAUSE", w.ReachPause.Milliseconds())
	number("RETRY_MIN", w.RetryMin.Milliseconds())
	number("RETRY_MAX", w.RetryMax.Milliseconds())
	number("CREDENTIAL_TRIES", int64(w.CredentialTries))
	number("WATCH_SECONDS", seconds(w.Watch))
	return b.String()
}

func unixOr(t time.Time, otherwise int64) int64 {
	if t.IsZero() {
		return otherwise
	}
	return t.Unix()
}

// seconds rounds up, to at least one.
func seconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}

// runnable gives a script without an interpreter line the system's shell.
func runnable(script string) string {
	if strings.HasPrefix(script, "#!") {
		return script
	}
	return "#!/bin/sh\n" + script
}

// writePart appends one entry of write_files, readable where YAML allows.
func writePart(b *strings.Builder, p part) {
	fmt.Fprintf(b, "- path: %s\n  permissions: '%s'\n", p.path, p.mode)
	if !literal(p.content) {
		b.WriteString("  encoding: b64\n  content: " + base64.StdEncoding.EncodeToString([]byte(p.content)) + "\n")
		return
	}
	b.WriteString("  content: |\n")
	for line := range strings.Lines(p.content) {
		if line != "\n" {
			b.WriteString("   ")
		}
		b.WriteString(line)
	}
}

// literal says whether a YAML block keeps the text byte for byte.
func literal(text string) bool {
	if !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") || strings.HasPrefix(text, " ") ||
		strings.HasPrefix(text, "\n") || strings.HasPrefix(text, "\t") || !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if r != '\n' && r != '\t' && (r < ' ' || r > '~') {
			return false
		}
	}
	return true
}

func quoteYAML(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func sizes(parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, " %s %d", strings.TrimPrefix(p.path, dirParts), len(p.content))
	}
	return b.String()
}
