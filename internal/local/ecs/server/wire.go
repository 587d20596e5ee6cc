package server

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/signature"
)

// maxBody bounds a request. Unit: bytes.
const maxBody = 1 << 20

// Handler serves the vendor's API at /, the controls under /_local/.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.serveWire)
	mux.HandleFunc("GET /_local/healthz", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-s.hosted:
			_, _ = io.WriteString(w, "ok\n")
		default:
			http.Error(w, "starting", http.StatusServiceUnavailable)
		}
	})
	s.controls(mux)
	return mux
}

// serveWire answers one call of the vendor's API.
func (s *Server) serveWire(w http.ResponseWriter, r *http.Request) {
	requestID := newRequestID()
	w.Header().Set("x-acs-request-id", requestID)
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(cmp.Or(s.o.bodyTime, 30*time.Second)))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeError(w, r, requestID, &region.Error{Status: 400, Code: "RequestTooLarge", Message: "The request is too large or broke off."})
		return
	}
	_ = deadline.SetReadDeadline(time.Time{})
	req, err := s.verifier.Verify(r, body)
	if err != nil {
		var f *signature.Failure
		if !errors.As(err, &f) {
			f = &signature.Failure{Status: 400, Code: "InvalidRequest", Message: err.Error()}
		}
		writeError(w, r, requestID, &region.Error{Status: f.Status, Code: f.Code, Message: f.Message})
		return
	}
	c := region.Call{Action: req.Action, Version: req.Version, Params: req.Params, RequestID: requestID}
	account := 0
	if req.AccessKeyID == s.identity.other.AccessKeyID {
		account = 1
	}
	if !reads(c.Action) {
		s.changes[account].Add(1)
	}
	if account == 1 {
		s.answer(w, r, s.other.call(c), requestID, false)
		return
	}
	a, drop := s.call(c)
	s.answer(w, r, a, requestID, drop)
}

// answer writes what came of a call.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, a region.Answer, requestID string, drop bool) {
	switch {
	case drop:
		panic(http.ErrAbortHandler) // the way to close a connection without an answer
	case a.Err != nil:
		writeError(w, r, requestID, a.Err)
	default:
		writeJSON(w, http.StatusOK, a.Body)
	}
}

// call carries a call out, with the fault that it meets.
func (s *Server) call(c region.Call) (a region.Answer, drop bool) {
	var met region.Met
	err := s.settle(func() {
		if met = s.region.Meet(c); met.DelayBefore == 0 && !met.DropBefore {
			a = s.region.Do(c, met)
		}
	})
	time.Sleep(met.DelayBefore)
	if met.DropBefore {
		return a, true
	}
	if met.DelayBefore > 0 && err == nil {
		err = s.settle(func() { a = s.region.Do(c, met) })
	}
	time.Sleep(met.DelayAfter)
	if a.Token != "" {
		s.mu.Lock()
		s.region.Finish(a.Token)
		s.mu.Unlock()
	}
	if err != nil {
		return s.unwritten(err), false
	}
	if c, ok := a.Body.(*region.ConsoleOutput); ok {
		c.ConsoleOutput = base64.StdEncoding.EncodeToString(s.host.Console(c.InstanceId))
	}
	if met.After != nil {
		a = region.Answer{Err: met.After}
	}
	return a, met.DropAfter
}

// unwritten ends the process: memory is ahead of the disk.
func (s *Server) unwritten(err error) region.Answer {
	s.fail(err)
	return region.Answer{Err: &region.Error{Status: 500, Code: "InternalError", Message: "The request processing has failed due to some unknown error."}}
}

func writeError(w http.ResponseWriter, r *http.Request, requestID string, e *region.Error) {
	writeJSON(w, e.Status, struct{ RequestId, HostId, Code, Message, Recommend string }{
		requestID, r.Host, e.Code, e.Message, "poolkeeper fault " + e.Code})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// newRequestID is written as the vendor writes them.
func newRequestID() string { return strings.ToUpper(uuid()) }
