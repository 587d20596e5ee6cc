package bootstrap

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// MaxExcerpt is the most of a console that a Report keeps. Unit: bytes.
const MaxExcerpt = 64 << 10

// Outcome says how far a step came.
type Outcome string

// The outcomes.
const (
	OutcomeOK      Outcome = "ok"
	OutcomeWaiting Outcome = "waiting"
	OutcomeSkipped Outcome = "skipped"
	OutcomeFailed  Outcome = "failed"
)

// Line is one line that a step wrote. Its detail is redacted.
type Line struct {
	Step     Step
	Outcome  Outcome
	Exit     int
	Duration time.Duration
	Detail   string
}

// Report is what a console says about the join of a machine. All text in it
// comes from the machine: redacted, bounded, not to be trusted.
type Report struct {
	// Last is the newest line; its step is where the machine is, or the step
	// before. Zero: the machine has said nothing.
	Last Line
	// Failed says that the machine has given up; Last is the failed step then.
	Failed bool
	// Joined says that the Node was Ready.
	Joined bool
	// Lines are all our lines, oldest first. At most 200.
	Lines []Line
	// Excerpt is the console around the newest line of ours. At most
	// MaxExcerpt bytes.
	Excerpt []byte
}

// At returns the step that the machine is at.
func (r Report) At() Step {
	if r.Failed || r.Last.Outcome == OutcomeWaiting || r.Last.Step == "" {
		return r.Last.Step
	}
	steps := Steps()
	for i, s := range steps {
		if s == r.Last.Step && i+1 < len(steps) {
			return steps[i+1]
		}
	}
	return r.Last.Step
}

// timedOut is the exit code of a command whose time was over.
const timedOut = 124

// Resetting says that a reset of MIG partitions is under way, or was only no
// longer waited for: it may yet end.
func (r Report) Resetting() bool {
	return r.Last.Step == StepMIGReset && (r.Last.Outcome == OutcomeWaiting || r.Last.Exit == timedOut)
}

const maxLines = 200

var lineShape = regexp.MustCompile(`cloud-init(?:\[[0-9]+\])?: poolkeeper step=([a-z-]{1,32}) outcome=(ok|waiting|skipped|failed)(?: exit=([0-9]{1,3}))?(?: duration=(-?[0-9]{1,12})ms)?(?: (.*))?$`)

// ParseLog reads a console (or a system log). It takes any bytes.
func ParseLog(console []byte) Report {
	var r Report
	end := len(console)
	for offset := 0; offset < len(console); {
		line := console[offset:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i]
		}
		next := offset + len(line) + 1
		if len(line) < 4096 {
			if l, ok := parseLine(line); ok {
				r.add(l)
				end = min(next, len(console))
			}
		}
		offset = next
	}
	r.Excerpt = excerpt(console, end)
	return r
}

func (r *Report) add(l Line) {
	r.Lines = append(r.Lines, l)
	if len(r.Lines) > maxLines {
		r.Lines = r.Lines[1:]
	}
	if l.Step == StepNetwork { // a new boot tells its story anew
		r.Failed, r.Joined = false, false
	}
	r.Last = l
	r.Failed = l.Outcome == OutcomeFailed
	r.Joined = r.Joined || l.Step == StepReady && l.Outcome == OutcomeOK
}

func parseLine(line []byte) (Line, bool) {
	m := lineShape.FindSubmatch(bytes.TrimRight(line, "\r"))
	if m == nil || !known(Step(m[1])) {
		return Line{}, false
	}
	exit, _ := strconv.Atoi(string(m[3]))
	ms, _ := strconv.ParseInt(string(m[4]), 10, 64)
	return Line{
		Step:     Step(m[1]),
		Outcome:  Outcome(m[2]),
		Exit:     exit,
		Duration: time.Duration(max(0, ms)) * time.Millisecond,
		Detail:   strings.ToValidUTF8(string(Redact(m[5])), "?"),
	}, true
}

func known(s Step) bool {
	for _, k := range Steps() {
		if s == k {
			return true
		}
	}
	return false
}

// excerpt keeps what was shown up to a little past our newest line. Redacting
// can lengthen a text, so the bound is taken last, at a line's start.
func excerpt(console []byte, end int) []byte {
	to := min(len(console), end+MaxExcerpt/8)
	from := max(0, to-MaxExcerpt)
	b := []byte(strings.ToValidUTF8(string(Redact(wholeLines(console[from:to], from > 0))), "?"))
	if len(b) > MaxExcerpt {
		b = wholeLines(b[len(b)-MaxExcerpt:], true)
	}
	return b
}

// wholeLines drops the torn first line of a cut text: half a secret is not
// recognised as one.
func wholeLines(b []byte, cut bool) []byte {
	if !cut {
		return b
	}
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[i+1:]
	}
	return nil
}

const hidden = "[hidden]"

// secrets are what is taken out, in this order; group 1 stays.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(?s)()-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`),
	regexp.MustCompile(`(?i)((?:authorization|proxy-authorization|x-aliyun-ecs-metadata-token)["']?\s*[:=]\s*)[^\r\n]+`),
	regexp.MustCompile(`(?i)(\bbearer\s+)\S+`),
	regexp.MustCompile(`()\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}`),
	regexp.MustCompile(`()\b(?:LTAI|STS\.)[A-Za-z0-9]{12,}`),
	regexp.MustCompile(`(?i)([\w.-]*(?:password|passwd|pwd|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key)[\w.-]*["']?\s*[:=]\s*)(?:"[^"\r\n]*"?|'[^'\r\n]*'?|[^\s,;&"']+)`),
	regexp.MustCompile(`(?i)(--?(?:password|passwd|token|secret)\s+)\S+`),
	regexp.MustCompile(`([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@`),
	regexp.MustCompile(`()\b[a-z0-9]{6}\.[a-z0-9]{16}\b`),
	regexp.MustCompile(`()[A-Za-z0-9+/_-]{64,}={0,2}`),
}

// Redact replaces what looks like a key, a token or a password. What is left is
// text of the machine all the same: bounded by the caller, not to be trusted.
func Redact(b []byte) []byte {
	for _, s := range secrets {
		if s.Match(b) {
			b = s.ReplaceAll(b, []byte("${1}"+hidden))
		}
	}
	return b
}
