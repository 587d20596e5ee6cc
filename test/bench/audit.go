package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/config"
)

// request is one request of the API server's audit log.
type request struct {
	user, verb string
	// what is the resource, with its subresource after a slash.
	what, name string
	code       int
	began, end time.Time
}

// auditLine is the part of an audit event that is read.
type auditLine struct {
	Stage string
	Verb  string
	User  struct{ Username string }
	// ObjectRef is absent for URLs that name no object.
	ObjectRef      struct{ Resource, Subresource, Name string }
	RequestURI     string
	ResponseStatus struct{ Code int }
	Received       time.Time `json:"requestReceivedTimestamp"`
	At             time.Time `json:"stageTimestamp"`
}

// readAudit gives the requests that ended (watches: began) between two times,
// in the order in which they ended. The log is in parts, the current one being
// audit.log.
func readAudit(dir string, from, to time.Time) ([]request, error) {
	names, err := filepath.Glob(filepath.Join(dir, "audit", "*.log"))
	if err != nil {
		return nil, err
	}
	var all []request
	for _, name := range names {
		info, err := os.Stat(name)
		if errors.Is(err, os.ErrNotExist) || err == nil && info.ModTime().Before(from) {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
		some, err := parseAudit(f, from, to)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("read audit log %s: %w", name, err)
		}
		all = append(all, some...)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].end.Before(all[j].end) })
	return all, nil
}

func parseAudit(r io.Reader, from, to time.Time) ([]request, error) {
	var all []request
	for b := bufio.NewReaderSize(r, 1<<20); ; {
		line, err := b.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all, nil // a line without its end is being written
		}
		if err != nil {
			return nil, err
		}
		q, ok, err := parseAuditLine(line)
		if err != nil {
			return nil, err
		}
		if ok && !q.end.Before(from) && !q.end.After(to) {
			all = append(all, q)
		}
	}
}

// parseAuditLine reads one event; one of another stage than counts is passed
// over, so that each request counts once.
func parseAuditLine(line []byte) (request, bool, error) {
	if bytes.Contains(line, []byte(`"verb":"list"`)) && !bytes.Contains(line, []byte(config.ControllerUser)) {
		return request{}, false, nil // nobody asks about them
	}
	var l auditLine
	if err := json.Unmarshal(line, &l); err != nil {
		return request{}, false, err
	}
	counts := "ResponseComplete"
	if l.Verb == "watch" {
		counts = "ResponseStarted"
	}
	if l.Stage != counts && l.Stage != "Panic" {
		return request{}, false, nil
	}
	q := request{user: l.User.Username, verb: l.Verb, what: l.ObjectRef.Resource, name: l.ObjectRef.Name, code: l.ResponseStatus.Code, began: l.Received, end: l.At}
	if q.what == "" {
		q.what, _, _ = strings.Cut(l.RequestURI, "?")
	}
	if l.ObjectRef.Subresource != "" {
		q.what += "/" + l.ObjectRef.Subresource
	}
	return q, true, nil
}

// callCount is how often something was asked, and how often that was refused
// because somebody else had written meanwhile.
type callCount struct {
	Count     int `json:"count"`
	Conflicts int `json:"conflicts,omitempty"`
}

// controllerCalls counts what the controller asked, by verb and resource.
func controllerCalls(all []request) (total int, writes int, by map[string]callCount) {
	by = map[string]callCount{}
	for _, q := range all {
		if q.user != config.ControllerUser {
			continue
		}
		total++
		if q.verb != "get" && q.verb != "list" && q.verb != "watch" {
			writes++
		}
		c := by[q.verb+" "+q.what]
		c.Count++
		if q.code == 409 {
			c.Conflicts++
		}
		by[q.verb+" "+q.what] = c
	}
	return total, writes, by
}

// The steps from a wish to a Ready node, as the audit log shows their ends.
const (
	stepDecided    = "decided"    // the scaling activity is written
	stepCreated    = "created"    // the instance is recorded
	stepFiled      = "booted"     // its machine has filed a certificate request
	stepApproved   = "approved"   // by controller/join
	stepSigned     = "signed"     // by the control plane
	stepRegistered = "registered" // the machine has made its Node
	stepReady      = "ready"      // the Node is Ready, as the bench sees it
)

var steps = []string{stepDecided, stepCreated, stepFiled, stepApproved, stepSigned, stepRegistered}

// step says which step a request ends, if any.
func (q request) step() string {
	if q.code >= 300 {
		return ""
	}
	switch q.verb + " " + q.what {
	case "create scalingactivities":
		return stepDecided
	case "create instances":
		return stepCreated
	case "create certificatesigningrequests":
		return stepFiled
	case "update certificatesigningrequests/approval":
		return stepApproved
	case "update certificatesigningrequests/status":
		return stepSigned
	case "create nodes":
		return stepRegistered
	}
	return ""
}

// progress is when the first, the middle and the last of many got through one
// step. Unit: seconds from the request.
type progress struct {
	Step  string  `json:"step"`
	First float64 `json:"first"`
	Half  float64 `json:"half"`
	Last  float64 `json:"last"`
}

// stepTimes are the times at which each step was ended, in order.
func stepTimes(all []request, from time.Time) map[string][]float64 {
	times := map[string][]float64{}
	for _, q := range all {
		if s := q.step(); s != "" && !q.end.Before(from) {
			times[s] = append(times[s], q.end.Sub(from).Seconds())
		}
	}
	return times
}

// progressOf sums step times up.
func progressOf(times map[string][]float64) []progress {
	var out []progress
	for _, s := range append(steps[:len(steps):len(steps)], stepReady) {
		if t := times[s]; len(t) > 0 {
			sort.Float64s(t)
			out = append(out, progress{s, t[0], t[len(t)/2], t[len(t)-1]})
		}
	}
	return out
}
