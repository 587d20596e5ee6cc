// Package reach knows whether the API server answers. In comes the outcome of
// every call of ours, and of one small call of its own at an interval; out go
// the troubles there are and were: with a code, from when to when. It changes
// nothing, and decides nothing about instances.
package reach

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Trouble is one time in which the API server did not serve us as it should.
type Trouble struct {
	// Code is that of the catalogue: it cannot be reached or fails, or it asks
	// for fewer requests.
	Code fault.Code
	// From when to when; To is zero while it lasts.
	From, To time.Time
	// Message is what was answered, or why nothing was.
	Message string
}

// Options of a Watch. All are needed.
type Options struct {
	// Ask makes one small call.
	Ask func(ctx context.Context) error
	// Every is the time between two calls of our own, and Patience how long one
	// may take.
	Every, Patience time.Duration
	// Quiet is how long nobody may have been refused before throttling is over.
	Quiet time.Duration
	Now   func() time.Time
	// Report is told when a trouble begins and when it ends.
	Report func(Trouble)
}

// kept is how many troubles that have ended are remembered.
const kept = 20

// Watch knows whether the API server answers.
type Watch struct {
	o    Options
	wake chan struct{}

	mu      sync.Mutex
	now     *Trouble
	past    []Trouble
	refused time.Time // when somebody was last asked for fewer requests
	failing time.Time // since when calls fail; zero: the last one did not
}

// New makes a watch. It looks only while Start runs.
func New(o Options) *Watch {
	return &Watch{o: o, wake: make(chan struct{}, 1)}
}

// Now is the trouble there is; false where there is none.
func (w *Watch) Now() (Trouble, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now == nil {
		return Trouble{}, false
	}
	return *w.now, true
}

// All are the troubles that were, oldest first, and the one there is.
func (w *Watch) All() []Trouble {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := append([]Trouble(nil), w.past...)
	if w.now != nil {
		out = append(out, *w.now)
	}
	return out
}

// Start looks until the context ends.
func (w *Watch) Start(ctx context.Context) error {
	tick := time.NewTicker(w.o.Every)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-w.wake:
		}
	}
}

// NeedLeaderElection is false: every replica has its own way to the API server.
func (w *Watch) NeedLeaderElection() bool { return false }

// look makes one call and concludes.
func (w *Watch) look(ctx context.Context) {
	began := w.o.Now()
	asked, cancel := context.WithTimeout(ctx, w.o.Patience)
	err := w.o.Ask(asked)
	cancel()
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s", w.o.Patience)
	}
	w.conclude(began, err)
}

// conclude takes in what our own call met.
func (w *Watch) conclude(began time.Time, err error) {
	w.mu.Lock()
	if !w.failing.IsZero() && w.failing.Before(began) {
		began = w.failing
	}
	now := w.o.Now()
	switch {
	case apierrors.IsTooManyRequests(err):
		w.refused = now
		w.begin(Trouble{Code: fault.APIServerTooManyRequests, From: began, Message: err.Error()})
	case err != nil:
		w.begin(Trouble{Code: fault.APIServerInternalError, From: began, Message: err.Error()})
	case w.now != nil && w.now.Code == fault.APIServerTooManyRequests && now.Sub(w.refused) < w.o.Quiet:
	default:
		w.failing = time.Time{}
		w.end(now)
	}
	w.mu.Unlock()
}

// begin takes a trouble for the one there is; another one that was, ends.
func (w *Watch) begin(t Trouble) {
	if w.now != nil && w.now.Code == t.Code {
		return
	}
	w.end(t.From)
	t.Message = cut(t.Message)
	w.now = &t
	w.o.Report(t)
}

func (w *Watch) end(at time.Time) {
	if w.now == nil {
		return
	}
	t := *w.now
	if t.To = at; t.To.Before(t.From) {
		t.To = t.From
	}
	w.now = nil
	w.past = append(w.past, t)
	w.past = w.past[max(len(w.past)-kept, 0):]
	w.o.Report(t)
}

// saw takes in what another call of ours met. That one is refused is a trouble
// at once, and that one is answered ends one; that one fails only makes us look
// ourselves, as does a server that is starting.
func (w *Watch) saw(req *http.Request, answer *http.Response, err error, starting bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.o.Now()
	switch {
	case err != nil && req.Context().Err() != nil: // we gave it up ourselves
	case err != nil, starting, answer.StatusCode >= http.StatusInternalServerError:
		if w.failing.IsZero() {
			w.failing = now
		}
		select {
		case w.wake <- struct{}{}:
		default:
		}
	case answer.StatusCode == http.StatusTooManyRequests && !strings.HasSuffix(req.URL.Path, "/eviction"):
		w.refused = now
		if w.now == nil {
			w.begin(Trouble{Code: fault.APIServerTooManyRequests, From: now, Message: "429 to " + req.Method + " " + req.URL.Path})
		}
	case w.now != nil && w.now.Code == fault.APIServerInternalError: // it answers
		w.failing = time.Time{}
		w.end(now)
	}
}

// Transport lets a watch see the outcome of every call.
func (w *Watch) Transport(next http.RoundTripper) http.RoundTripper {
	return tripper(func(req *http.Request) (*http.Response, error) {
		answer, err := next.RoundTrip(req)
		w.saw(req, answer, err, answer != nil && answer.StatusCode == http.StatusTooManyRequests && starting(answer))
		return answer, err
	})
}

// starting says whether a refusal is only that of an API server that still reads
// a kind into its cache, as it does for moments after its start and after a
// definition came: it answers 429 then, and nobody sends too much.
func starting(refusal *http.Response) bool {
	const most = 4 << 10
	head, _ := io.ReadAll(io.LimitReader(refusal.Body, most))
	refusal.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), refusal.Body), refusal.Body}
	return bytes.Contains(head, []byte("storage is (re)initializing"))
}

type tripper func(*http.Request) (*http.Response, error)

func (t tripper) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func cut(s string) string {
	const most = 500
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-3], "") + "..."
}
