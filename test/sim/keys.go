package sim

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud/alicloud"
	"github.com/poolkeeper/poolkeeper/internal/controller"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// keys are the credentials of a process: those of the account that it began
// with, or for a while those of another one.
type keys struct {
	controller.Provider
	own, other controller.Provider
}

func (p *process) newKeys() *keys {
	own, err := alicloud.New(p.cloudOptions("id", &transport{p: p}))
	if err == nil {
		return &keys{Provider: own, own: own}
	}
	p.world.violate("start", "%v", err)
	return nil
}

func (p *process) cloudOptions(key string, by http.RoundTripper) alicloud.Options {
	return alicloud.Options{Region: p.world.regionID, Endpoint: "http://127.0.0.1:1", AccessKeyID: key, AccessKeySecret: "secret",
		Now: p.now, Sleep: p.sleep, Random: p.world.random.Float64, Transport: by}
}

// useKey changes the credentials under a process: to those of another account,
// or back.
func (p *process) useKey(other bool) {
	if other && p.keys.other == nil {
		provider, err := alicloud.New(p.cloudOptions("other", &transport{p: p, other: true}))
		if err != nil {
			p.world.violate("start", "%v", err)
			return
		}
		p.keys.other = provider
	}
	if p.keys.Provider = p.keys.own; other {
		p.keys.Provider = p.keys.other
	}
	p.world.note(true, "%s has credentials of another account: %v", p.name, other)
}

// elsewhere is the same region for another account, which has nothing there.
func (w *world) elsewhere() *region.Region {
	if w.foreign == nil {
		var err error
		w.foreign, err = region.New(region.Options{Scenario: scenario.Default(), Account: "2000000000000002", MaxNodes: 500,
			Now: func() time.Time { return w.now }, Random: rand.New(rand.NewPCG(1, 3))}, nil)
		if err != nil {
			w.violate("start", "%v", err)
		}
	}
	return w.foreign
}

// answerElsewhere answers a call that is signed by another account: nothing is
// ever changed there (I15).
func (w *world) answerElsewhere(p *process, c region.Call, req *http.Request) *http.Response {
	if mutates(c) {
		w.violate("I15", "%s of %s is signed by another account", describe(c), p.name)
	}
	c.RequestID = "R-elsewhere"
	a := w.elsewhere().Do(c, region.Met{})
	status, body := http.StatusOK, []byte{}
	if a.Err != nil {
		status, body = a.Err.Status, errorBody(a.Err.Code)
	} else if b, err := json.Marshal(a.Body); err == nil {
		body = b
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": []string{"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req}
}
