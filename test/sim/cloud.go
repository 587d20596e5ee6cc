package sim

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
)

// timed gives the calls of a provider their time limits on the virtual clock.
type timed struct {
	controller.Provider
	p *process
}

// Create sends one request, within the time that its caller leaves it.
func (t *timed) Create(ctx context.Context, r cloud.Request) ([]string, error) {
	a := t.p.world.current
	if end, ok := ctx.Deadline(); ok {
		a.deadline = t.p.world.now.Add(time.Until(end).Round(time.Second))
		defer func() { a.deadline = time.Time{} }()
	}
	return t.Provider.Create(ctx, r)
}

// transport carries the provider's requests to the local cloud's logic.
type transport struct {
	p *process
	// other is true where calls are signed by another account.
	other bool
}

// errLost is a connection that ended before an answer came.
var errLost = errors.New("connection lost")

// RoundTrip hands control back, then carries one request or loses it.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	c := region.Call{Params: region.Params{}}
	for k, v := range req.Header {
		switch strings.ToLower(k) {
		case "x-acs-action":
			c.Action = v[0]
		case "x-acs-version":
			c.Version = v[0]
		}
	}
	for k := range form {
		c.Params[k] = form.Get(k)
	}
	w, a := t.p.world, t.p.world.current
	a.yield()
	if t.other {
		return w.answerElsewhere(t.p, c, req), nil
	}
	f := w.trouble.ofCloud(t.p, c)
	if f.wait > 0 {
		a.sleep(f.wait)
	}
	if !a.deadline.IsZero() && w.now.After(a.deadline) {
		return nil, context.DeadlineExceeded // it never was on the wire
	}
	if f.kind == unreachable {
		return nil, errors.New("no route to host")
	}
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	status, answer := w.exchange(t.p, c, f)
	if f.kind.loses() {
		return nil, errLost
	}
	t.p.sight.looked(w.now, c, status, answer)
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": []string{"application/json"}},
		Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)), Request: req}, nil
}

// exchange carries a call to the region as a fault lets it.
func (w *world) exchange(p *process, c region.Call, f cloudFault) (int, []byte) {
	var status int
	var answer []byte
	switch c.Action {
	case "RunInstances":
		w.check.sending(p, c)
	case "DeleteInstances":
		w.check.releaseCall(c)
	}
	switch f.kind {
	case lostBefore:
		w.tellCall(p, c, "is lost on the way")
		return 0, nil
	case refusedBefore:
		w.tellCall(p, c, "is answered "+f.code)
		return f.status, errorBody(f.code)
	case lateArrival:
		w.tellCall(p, c, fmt.Sprintf("is lost, and arrives %s later", f.late))
		w.at(w.now.Add(f.late), "", func() {
			last := w.lastMutation
			w.carry(p, c)
			w.lastMutation = last // it was sent long ago
		})
		return 0, nil
	}
	status, answer = w.carry(p, c)
	answer = w.unhidden(c, answer)
	switch f.kind {
	case lostAfter:
		w.tellCall(p, c, "is done, and its answer is lost")
	case twice:
		w.tellCall(p, c, "arrives a second time")
		w.carry(p, c)
	case refusedAfter:
		w.tellCall(p, c, "is done, and is answered "+f.code)
		return f.status, errorBody(f.code)
	case badList:
		answer = f.spoil(answer)
	}
	return status, answer
}

func errorBody(code string) []byte {
	b, _ := json.Marshal(map[string]string{"RequestId": "R", "Code": code, "Message": "trouble"})
	return b
}

// mutations are the calls whose course is part of the story.
var mutations = []string{"RunInstances", "DeleteInstances", "TagResources", "UntagResources"}

func mutates(c region.Call) bool { return slices.Contains(mutations, c.Action) }

func (w *world) tellCall(p *process, c region.Call, what string) {
	w.note(true, "cloud: %s of %s %s", describe(c), p.name, what)
}

// describe is a call in words.
func describe(c region.Call) string {
	switch c.Action {
	case "RunInstances":
		return fmt.Sprintf("RunInstances of %s in %s, token %.8s", c.Params["Amount"], c.Params["VSwitchId"], c.Params["ClientToken"])
	case "DeleteInstances":
		return "DeleteInstances " + strings.Join(numbered(c.Params, "InstanceId"), " ")
	case "TagResources", "UntagResources":
		return c.Action + " " + strings.Join(numbered(c.Params, "ResourceId"), " ")
	case "DescribeInstances":
		return "DescribeInstances " + c.Params["InstanceIds"]
	}
	return c.Action
}

func numbered(p region.Params, name string) []string {
	var out []string
	for n := 1; p[fmt.Sprintf("%s.%d", name, n)] != ""; n++ {
		out = append(out, p[fmt.Sprintf("%s.%d", name, n)])
	}
	return out
}

// carry lets the region answer one call, and looks at what it did.
func (w *world) carry(p *process, c region.Call) (int, []byte) {
	before := map[string]bool{}
	if mutates(c) {
		for _, i := range w.region.List() {
			before[i.ID] = true
		}
	}
	w.requests++
	c.RequestID = fmt.Sprintf("R-%d", w.requests)
	a := w.region.Do(c, w.region.Meet(c))
	w.region.Finish(a.Token)
	w.effects()
	w.cloudCalls++
	if a.Err != nil {
		w.note(mutates(c), "cloud: %s is refused: %s", describe(c), a.Err.Code)
		return a.Err.Status, errorBody(a.Err.Code)
	}
	if out, ok := a.Body.(*region.ConsoleOutput); ok {
		out.ConsoleOutput = base64.StdEncoding.EncodeToString([]byte("booting\n"))
	}
	b, err := json.Marshal(a.Body)
	if err != nil {
		w.violate("cloud", "%v", err)
	}
	if mutates(c) {
		w.mutated(c, before)
	} else {
		w.note(false, "cloud: %s for %s: %d bytes", describe(c), p.name, len(b))
	}
	return http.StatusOK, b
}

// mutated notes what a mutation did, and has it checked.
func (w *world) mutated(c region.Call, before map[string]bool) {
	switch c.Action {
	case "RunInstances":
		var made []string
		for _, i := range w.region.List() {
			if !before[i.ID] {
				made = append(made, i.ID)
			}
		}
		if len(made) == 0 {
			w.note(true, "cloud: %s is answered as before", describe(c))
			return
		}
		w.note(true, "cloud: %s makes %s", describe(c), strings.Join(made, " "))
		for _, id := range made {
			w.kubelet(id).pool, w.kubelet(id).secret = tagsOf(c.Params)[cloud.TagPool], w.userDataSecret(id)
		}
		w.hideLater(made)
		w.check.created(c, made)
	case "DeleteInstances":
		for _, id := range numbered(c.Params, "InstanceId") {
			w.releasing[id] = true
		}
		w.note(true, "cloud: %s is carried out", describe(c))
	default:
		w.note(true, "cloud: %s is carried out", describe(c))
	}
	w.lastMutation = w.now
	w.check.everything()
}
