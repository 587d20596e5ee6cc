package reach

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// bench is a watch with a clock of its own and an API server that answers as
// told.
type bench struct {
	*Watch
	t        time.Time
	answer   error
	reported []Trouble
}

func newBench() *bench {
	b := &bench{t: time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)}
	b.Watch = New(Options{Ask: func(context.Context) error { return b.answer }, Every: time.Second, Patience: time.Second, Quiet: 10 * time.Second,
		Now: func() time.Time { return b.t }, Report: func(t Trouble) { b.reported = append(b.reported, t) }})
	return b
}

func (b *bench) after(d time.Duration, answer error) {
	b.t, b.answer = b.t.Add(d), answer
	b.look(context.Background())
}

// call is a call of ours that is answered with a status, or not at all.
func (b *bench) call(t *testing.T, path string, status int) {
	t.Helper()
	b.told(t, path, status, "")
}

// told is a call that is answered with a text, which its caller must get whole.
func (b *bench) told(t *testing.T, path string, status int, text string) {
	t.Helper()
	rt := b.Transport(tripper(func(*http.Request) (*http.Response, error) {
		if status == 0 {
			return nil, errors.New("connection refused")
		}
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(text))}, nil
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := rt.RoundTrip(req); err == nil {
		if got, err := io.ReadAll(answer.Body); err != nil || string(got) != text {
			t.Errorf("the caller got %q, %v", got, err)
		}
		_ = answer.Body.Close()
	}
}

// An API server that has just started refuses with 429 while it reads a kind
// into its cache: nobody sends too much then.
func TestStartingIsNoThrottling(t *testing.T) {
	b := newBench()
	b.after(0, nil)
	b.told(t, "/apis/poolkeeper.io/v1alpha1/instances", http.StatusTooManyRequests, `{"kind":"Status","message":"storage is (re)initializing","code":429}`)
	if now, is := b.Now(); is {
		t.Fatalf("it is starting, and we say %+v", now)
	}
	b.after(time.Second, nil)
	b.told(t, "/apis/poolkeeper.io/v1alpha1/instances", http.StatusTooManyRequests, `{"kind":"Status","message":"Too many requests, please try again later.","code":429}`)
	if now, is := b.Now(); !is || now.Code != fault.APIServerTooManyRequests {
		t.Errorf("refused for sending too much: %+v", now)
	}
}

// A server that is away is told with from when to when; the time counts from
// the first call that failed.
func TestAway(t *testing.T) {
	b := newBench()
	b.after(0, nil)
	b.call(t, "/api/v1/nodes", 0)
	if _, is := b.Now(); is {
		t.Fatal("one call that failed is no trouble")
	}
	from := b.t
	b.after(3*time.Second, errors.New("connection refused"))
	b.after(3*time.Second, errors.New("connection refused"))
	now, is := b.Now()
	if !is || now.Code != fault.APIServerInternalError || !now.From.Equal(from) || now.Message != "connection refused" || len(b.reported) != 1 {
		t.Fatalf("now %+v, reported %+v", now, b.reported)
	}
	b.after(3*time.Second, nil)
	if _, is := b.Now(); is || len(b.All()) != 1 || !b.All()[0].To.Equal(b.t) || len(b.reported) != 2 {
		t.Errorf("afterwards %+v, reported %+v", b.All(), b.reported)
	}
}

// A call that failed, and a server that answers all the same, are no trouble.
func TestOneFailureIsNone(t *testing.T) {
	b := newBench()
	b.call(t, "/api/v1/nodes", 503)
	b.after(time.Second, nil)
	b.call(t, "/api/v1/nodes", 200)
	if len(b.All()) != 0 {
		t.Errorf("%+v", b.All())
	}
}

// Being asked for fewer requests is told at once, and is over when nobody was
// asked for a while. A disruption budget answers 429 too, and is no trouble.
func TestThrottled(t *testing.T) {
	b := newBench()
	b.call(t, "/api/v1/namespaces/a/pods/b/eviction", 429)
	if len(b.All()) != 0 {
		t.Fatalf("a budget is a trouble: %+v", b.All())
	}
	b.call(t, "/apis/poolkeeper.io/v1alpha1/instances", 429)
	if now, is := b.Now(); !is || now.Code != fault.APIServerTooManyRequests {
		t.Fatalf("now %+v", now)
	}
	b.after(5*time.Second, nil)
	if _, is := b.Now(); !is {
		t.Fatal("over too soon")
	}
	b.after(time.Second, apierrors.NewTooManyRequests("too many", 1))
	b.after(8*time.Second, nil)
	if _, is := b.Now(); !is {
		t.Fatal("over although our own call was refused")
	}
	b.after(8*time.Second, nil)
	if _, is := b.Now(); is || len(b.All()) != 1 {
		t.Errorf("all %+v", b.All())
	}
}

// Whatever call is answered first ends it.
func TestAnAnswerToAnyCallEndsIt(t *testing.T) {
	b := newBench()
	b.after(0, errors.New("connection refused"))
	b.call(t, "/api/v1/nodes", 500)
	if _, is := b.Now(); !is {
		t.Fatal("over while calls fail")
	}
	b.call(t, "/api/v1/nodes", 404)
	if _, is := b.Now(); is {
		t.Error("it goes on")
	}
}

// A server that throttles and then is gone is two troubles, one after the other.
func TestOneAfterTheOther(t *testing.T) {
	b := newBench()
	b.after(0, apierrors.NewTooManyRequests("too many", 1))
	b.after(time.Second, errors.New("connection refused"))
	b.after(time.Second, nil)
	all := b.All()
	if len(all) != 2 || all[0].Code != fault.APIServerTooManyRequests || all[1].Code != fault.APIServerInternalError || all[0].To.After(all[1].From) {
		t.Errorf("%+v", all)
	}
}

func TestOnlySoManyAreRemembered(t *testing.T) {
	b := newBench()
	for range 2 * kept {
		b.after(time.Second, errors.New("away"))
		b.after(time.Second, nil)
	}
	if n := len(b.All()); n != kept {
		t.Errorf("%d remembered", n)
	}
}
