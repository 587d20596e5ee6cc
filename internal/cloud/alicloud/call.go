package alicloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/aliyun/credentials-go/credentials"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// maxAnswer bounds what is read of one answer. Unit: bytes.
const maxAnswer = 64 << 20

// params are the parameters of one call, as they go on the wire.
type params map[string]string

// list sets one numbered parameter for each value: name.1, name.2, …
func (p params) list(name string, values []string) params {
	for i, v := range values {
		p[fmt.Sprintf("%s.%d", name, i+1)] = v
	}
	return p
}

// exchange is what happened to one send.
type exchange struct {
	// connected is set once bytes may have left.
	connected atomic.Bool
	answered  bool
	status    int
	body      []byte // within buffer
	buffer    *bytes.Buffer
}

// answers are the buffers that answers are read into: a page of instances is
// large, and one follows the other.
var answers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// end gives the buffer back; nothing of the answer is looked at after it.
func (x *exchange) end() {
	if x.buffer != nil {
		answers.Put(x.buffer)
		x.buffer, x.body = nil, nil
	}
}

type exchangeKey struct{}

// wireClient carries the SDK's requests. It reads each answer to its end, and
// notes whether bytes may have left.
type wireClient struct{ client *http.Client }

// Call carries one request; the SDK's own transport is not used.
func (w *wireClient) Call(r *http.Request, _ *http.Transport) (*http.Response, error) {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	if x == nil {
		return nil, errors.New("carry request: it was not made by a call")
	}
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { x.connected.Store(true) }}
	resp, err := w.client.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if x.buffer == nil {
		x.buffer = answers.Get().(*bytes.Buffer)
	}
	x.buffer.Reset()
	if _, err := x.buffer.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1)); err != nil {
		return nil, err
	}
	if x.buffer.Len() > maxAnswer {
		return nil, fmt.Errorf("read answer: it is over %d bytes", maxAnswer)
	}
	x.answered, x.status, x.body = true, resp.StatusCode, x.buffer.Bytes()
	resp.Body = io.NopCloser(bytes.NewReader(x.body))
	return resp, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// read makes a call that changes nothing, again and again where that may help.
func (p *Provider) read(ctx context.Context, call, product, action string, in params, out any) error {
	c := sending{call: call, product: product, action: action, limit: p.opts.ReadTimeout}
	for try := 1; ; try++ {
		key, err := p.key(call)
		if err == nil {
			err = p.send(ctx, c, key, in, out)
		}
		o := cloud.Classify(err)
		if err == nil || try >= p.opts.ReadTries || ctx.Err() != nil || (o != cloud.Throttled && o != cloud.Unknown) {
			return err
		}
		wait := fault.Backoff(p.opts.RetryFirst, p.opts.RetryMax, try, p.opts.Random())
		if p.opts.Sleep(ctx, wait) != nil {
			return err
		}
	}
}

// mutate makes a call that changes something, once, signed by the account that
// the context asks for or not at all.
func (p *Provider) mutate(ctx context.Context, call, action string, in params, out any) error {
	key, err := p.key(call)
	if err != nil {
		return err
	}
	if err := p.allow(ctx, call, key, cloud.AccountOf(ctx)); err != nil {
		return err
	}
	return p.send(ctx, sending{call: call, product: "ecs", action: action, limit: p.opts.MutationTimeout, mutates: true}, key, in, out)
}

// sending is what one send is about.
type sending struct {
	call, product, action string
	limit                 time.Duration
	mutates               bool
}

// send waits for its turn, then signs and sends one request and reads its
// answer.
func (p *Provider) send(ctx context.Context, c sending, key *credentials.CredentialModel, in params, out any) error {
	if err := p.gate(c.action).wait(ctx, p.opts.Sleep); err != nil {
		return cloud.Fail(c.call, cloud.NotSent, fault.New(fault.CloudNotSent, ""), err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	start := p.opts.Now()
	x := &exchange{}
	defer x.end()
	client := *p.clients[c.product]
	client.Credential = &fixed{key}
	_, err := client.CallApiWithCtx(context.WithValue(ctx, exchangeKey{}, x), c.params(), p.body(in), &dara.RuntimeOptions{})
	failed := judge(c, x, err)
	if failed == nil {
		if err := unmarshal(x.body, out); err != nil {
			failed = broken(c.call, "the answer is not JSON as expected")
		}
	}
	p.observe(c.action, start, failed)
	if c.mutates {
		p.audit(ctx, c.action, dara.StringValue(key.AccessKeyId), in, x.body, failed)
	}
	if failed != nil {
		return failed
	}
	return nil
}

func (p *Provider) observe(action string, start time.Time, failed *cloud.Error) {
	code := ""
	if failed != nil {
		code = string(failed.Fault.Code)
		if failed.Outcome == cloud.Throttled {
			p.gate(action).throttled(p.opts.Now(), p.opts.ThrottleWindow)
		}
	}
	if p.opts.Observe != nil {
		p.opts.Observe(action, p.opts.Now().Sub(start), code)
	}
}

func (c sending) params() *openapiutil.Params {
	return &openapiutil.Params{
		Action: dara.String(c.action), Version: dara.String(products[c.product]),
		Protocol: dara.String("HTTPS"), Method: dara.String("POST"), Pathname: dara.String("/"),
		AuthType: dara.String("AK"), Style: dara.String("RPC"),
		ReqBodyType: dara.String("formData"), BodyType: dara.String("binary"),
	}
}

// body puts every parameter into the form, so that none of them stands in a
// URL that something on the way may write down.
func (p *Provider) body(in params) *openapiutil.OpenApiRequest {
	form := make(map[string]any, len(in)+1)
	for k, v := range in {
		form[k] = v
	}
	if _, ok := form["RegionId"]; !ok {
		form["RegionId"] = p.opts.Region
	}
	return &openapiutil.OpenApiRequest{Body: form}
}

// judge tells what one send came to; nil is an answer of success.
func judge(c sending, x *exchange, err error) *cloud.Error {
	switch {
	case x.answered && x.status >= 200 && x.status < 300:
		return nil
	case x.answered:
		e := refusal(c.call, x.status, x.body)
		if e.Fault.Code == fault.ForbiddenRAM || e.Fault.Code == fault.NoPermission {
			e.Fault.Details = fault.Details{fault.DetailPermission: c.action}
		}
		return e
	case !x.connected.Load():
		f := fault.New(fault.CloudUnreachable, "")
		return cloud.Fail(c.call, cloud.NotSent, f, err)
	}
	return cloud.Fail(c.call, cloud.Unknown, fault.New(fault.CloudNoAnswer, ""), err)
}

// broken is the error of an answer that makes no sense: it proves nothing.
func broken(call, why string) *cloud.Error {
	return cloud.Fail(call, cloud.Unknown, fault.New(fault.CloudNoAnswer, why), nil)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func random() float64 { return rand.Float64() }
