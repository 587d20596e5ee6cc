package lifecycle

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// now is the moment of every scenario; times are given as how long ago.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestScenarios reads testdata: a comment says the rule, then come the facts,
// then what is done.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("scenarios: %v, %v", files, err)
	}
	for _, path := range files {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "next":
				f := read(t, d.Input)
				return show(Next(f))
			case "states":
				f := read(t, d.Input)
				return fmt.Sprintf("%s, node %s, unhealthy %v\n", StateOf(f), NodeStateOf(f), Unhealthy(f))
			case "hooks":
				return showHooks(HooksOf(read(t, d.Input)))
			case "guard":
				return guarded(t, d.Input)
			}
			d.Fatalf(t, "no such command")
			return ""
		})
	}
}

// showHooks writes hooks, one a line.
func showHooks(list []Hook) string {
	if len(list) == 0 {
		return "none\n"
	}
	out := ""
	for _, h := range list {
		out += fmt.Sprintf("%s %s wait=%s", h.Name, h.Way, h.Wait)
		if h.Heartbeats > 0 {
			out += fmt.Sprintf(" heartbeats=%d", h.Heartbeats)
		}
		if h.Result == "" {
			out += fmt.Sprintf(": holds for %s, then %s\n", h.Until.Sub(now), h.Default)
			continue
		}
		out += fmt.Sprintf(": %s (%s)\n", h.Result, h.EndedBy)
	}
	return out
}

type words struct {
	t  *testing.T
	by map[string]string
}

func split(t *testing.T, line string) (kind string, w words) {
	kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	w = words{t: t, by: map[string]string{"": rest}}
	for _, f := range strings.Fields(rest) {
		k, v, ok := strings.Cut(f, "=")
		if !ok {
			v = "true"
		}
		w.by[k] = v
	}
	return kind, w
}

// name is the first word after the kind.
func (w words) name() string {
	name, _, _ := strings.Cut(w.by[""], " ")
	return name
}

func (w words) is(key string) bool { return w.by[key] != "" }

func (w words) number(key string) int {
	if w.by[key] == "" {
		return 0
	}
	n, err := strconv.Atoi(w.by[key])
	if err != nil {
		w.t.Fatalf("%s: %v", key, err)
	}
	return n
}

func (w words) span(key string) time.Duration {
	if w.by[key] == "" {
		return 0
	}
	d, err := time.ParseDuration(w.by[key])
	if err != nil {
		w.t.Fatalf("%s: %v", key, err)
	}
	return d
}

// ago is a time so long before now, zero where it is not given.
func (w words) ago(key string) time.Time {
	if w.by[key] == "" {
		return time.Time{}
	}
	return now.Add(-w.span(key))
}

func read(t *testing.T, input string) Facts {
	f := Facts{Now: now, Waits: wait.Defaults(), Record: Record{Origin: AutoCreated, Created: now.Add(-time.Hour)}}
	stated := false
	for _, line := range strings.Split(input, "\n") {
		kind, w := split(t, line)
		switch kind {
		case "":
		case "record":
			stated = w.is("state")
			readRecord(&f.Record, w)
		case "mark":
			f.Record.Mark = &Mark{Activity: "web-a1", Time: now.Add(-time.Minute), TakeOut: w.is("takeOut"), Task: w.by["task"], Drain: DrainMode(w.by["drain"]),
				Limit: w.span("limit"), Emptying: w.is("emptying"), ManageAttached: w.is("manageAttached")}
			if w.is("notBefore") {
				f.Record.Mark.NotBefore = now.Add(w.span("notBefore"))
			}
		case "sweep":
			f.Sweep = Sweep{Began: now.Add(-time.Second), Present: w.is("present"), Shown: readShown(w), Missed: w.number("missed"),
				Untagged: w.number("untagged"), Stopped: w.number("stopped"), Empty: w.number("empty"), Recorded: max(w.number("recorded"), 1)}
			f.Sweep.Ours = f.Sweep.Present && !w.is("untagged")
		case "look":
			f.Look = Look{Made: true, Found: w.is("found"), Shown: readShown(w)}
		case "node":
			f.Node = Node{Exists: true, Ready: w.is("ready"), Cordoned: w.is("cordoned") || w.is("ours"), CordonedByUs: w.is("ours"), Foreign: w.is("foreign")}
		case "log":
			f.Log = Log{Tried: w.ago("tried"), Failed: w.is("failed")}
		case "drain":
			f.Drain = Drain{Passed: w.ago("passed"), Drained: w.is("drained"), Left: w.number("left"), Blocked: w.by["blocked"]}
		case "hook":
			f.Hooks = append(f.Hooks, HookRule{Name: w.name(), Way: Way(w.by["way"]), Timeout: w.span("timeout"), Default: Result(w.by["default"])})
		case "held":
			h := Hook{Name: w.name(), Way: Way(w.by["way"]), Wait: w.by["wait"], Start: w.ago("since"), Until: now.Add(w.span("left")), Default: Result(w.by["default"]),
				Heartbeats: w.number("heartbeats"), Result: Result(w.by["result"]), EndedBy: EndedBy(w.by["by"])}
			if h.Result != "" {
				h.End = now
			}
			f.Record.Hooks = append(f.Record.Hooks, h)
		case "answer":
			f.Answers = append(f.Answers, Answer{Hook: w.name(), Wait: w.by["wait"], Result: Result(w.by["result"]), Heartbeats: w.number("heartbeats")})
		case "pool":
			f.PoolGoes = w.is("goes")
		case "hold":
			f.Hold = w.by[""]
		case "freeze":
			f.Freeze = Freeze{Releases: w.is("releases"), Replacements: w.is("replacements")}
		case "remembered":
			f.Remembered = true
		case "released":
			f.LastRelease = w.ago("ago")
		default:
			t.Fatalf("no such fact: %s", kind)
		}
	}
	if !stated { // as it was last written
		f.Record.State, f.Record.NodeState = StateOf(f), NodeStateOf(f)
	}
	return f
}

func readRecord(r *Record, w words) {
	r.Seen, r.Running, r.Joined, r.Failed, r.Rejoin = w.ago("seen"), w.ago("running"), w.ago("joined"), w.ago("failed"), w.ago("rejoin")
	if w.is("created") {
		r.Created = w.ago("created")
	}
	if r.Seen.IsZero() && !w.is("unseen") {
		r.Seen = r.Created
	}
	if w.is("origin") {
		r.Origin = Origin(w.by["origin"])
	}
	r.NeverRan = w.is("neverRan")
	r.JoinDeadline, r.Address, r.TagsSure, r.HeldBy = w.span("joinDeadline"), w.by["address"], w.is("tagsSure"), w.by["held"]
	r.DrainStopped, r.Disown = w.is("drainStopped"), w.is("disown")
	r.Protected, r.Standby, r.Expiry = w.is("protected"), w.is("standby"), w.ago("expired")
	r.Recalled = w.is("recalled")
	if r.DrainFor = w.by["drainFor"]; w.is("drainStart") && !w.is("drainFor") {
		r.DrainFor = "web-a1"
	}
	r.DrainStart, r.DrainEnd, r.ReleaseSent = w.ago("drainStart"), w.ago("drainEnd"), w.ago("releaseSent")
	r.State, r.NodeState = State(w.by["state"]), NodeState(w.by["nodeState"])
}

func readShown(w words) Shown {
	s := Shown{Ours: w.is("ours"), Status: Status(w.by["status"]), Address: w.by["address"], Subscription: w.is("subscription"), ReleaseProtected: w.is("releaseProtected")}
	if s.Status == "" {
		s.Status = CloudRunning
	}
	return s
}

func show(s Step) string {
	out := string(s.Kind)
	if s.Kind == DeleteRecord {
		out += " (" + string(s.Gone) + ")"
	}
	if s.Code != "" {
		out += " " + string(s.Code)
	}
	if !s.Until.IsZero() {
		out += " for " + s.Until.Sub(now).String()
	}
	if s.Reason != "" {
		out += ": " + s.Reason
	}
	return out + "\n"
}

// guarded reads members, one a line, so many alike as n says.
func guarded(t *testing.T, input string) string {
	was := map[string]Freeze{}
	var region []Member
	for _, line := range strings.Split(input, "\n") {
		kind, w := split(t, line)
		switch kind {
		case "was":
			was[w.by["pool"]] = Freeze{Releases: w.is("releases"), Replacements: w.is("replacements"), Ended: w.is("ended")}
		case "members":
			for n := range w.number("n") {
				region = append(region, Member{Name: fmt.Sprintf("i-%d-%d", len(region), n), Pool: w.by["pool"], Ran: !w.is("neverRan"), Decided: w.is("decided"),
					Missed: w.number("missed"), GoneByID: w.number("goneByID"), Confirmed: w.is("confirmed"), NotReady: w.is("notReady")})
			}
		}
	}
	got := Guard(region, was)
	out := ""
	for _, pool := range []string{"a", "b"} {
		if f, ok := got[pool]; ok && (f.Frozen() || f.Ended) {
			out += fmt.Sprintf("%s: releases %v, replacements %v, %d of %d missing, %d not ready\n", pool, f.Releases, f.Replacements, f.Missing, f.Of, f.NotReady)
		}
	}
	if out == "" {
		return "free\n"
	}
	return out
}
