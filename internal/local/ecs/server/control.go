package server

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// Said is what a control answers: what it changed, or why it did not.
type Said struct {
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Exec is a command on one machine, and ExecResult what came of it.
type Exec struct {
	Argv []string `json:"argv"`
}

// ExecResult is the output of a command and its exit code.
type ExecResult struct {
	Output   []byte `json:"output"`
	ExitCode int    `json:"exitCode"`
}

// controls adds the paths under /_local/ that need the control token.
func (s *Server) controls(mux *http.ServeMux) {
	handle := func(pattern string, h http.HandlerFunc) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" /_local/"+path, s.trusted(h))
	}
	handle("POST stock", control(s, (*region.Region).SetStock))
	handle("POST quota", control(s, (*region.Region).SetQuota))
	handle("POST balance", control(s, (*region.Region).SetBalance))
	handle("POST type", control(s, (*region.Region).SetAuthorized))
	handle("POST kms", control(s, (*region.Region).SetKMS))
	handle("POST role", control(s, (*region.Region).SetRole))
	handle("POST permission", control(s, (*region.Region).SetDenied))
	handle("POST security-group", control(s, (*region.Region).SetRule))
	handle("POST vswitch", control(s, (*region.Region).SetFree))
	handle("POST faults", control(s, (*region.Region).AddFault))
	handle("POST instances", control(s, func(r *region.Region, m region.Make) (string, error) { return r.MakeInstances(m, newRequestID()) }))
	handle("GET faults", look(s, (*region.Region).Faults))
	handle("GET accounts", look(s, s.accounts))
	handle("GET instances", look(s, (*region.Region).List))
	handle("DELETE faults/{id}", s.removeFault)
	handle("POST instances/{id}/exec", s.exec)
	handle("GET instances/{id}/log", s.log)
	handle("POST instances/{id}/{verb}", s.controlInstance)
	handle("GET scenario", s.getScenario)
	handle("PUT scenario", s.putScenario)
}

// trusted lets only those pass who hold the control token.
func (s *Server) trusted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(given), []byte(s.identity.token)) != 1 {
			writeJSON(w, http.StatusUnauthorized, Said{Error: "the control token is missing or not that of this local cloud"})
			return
		}
		h.ServeHTTP(w, r)
	})
}

// control reads one change strictly and carries it out.
func control[T any](s *Server, do func(*region.Region, T) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var change T
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		d.DisallowUnknownFields()
		if err := d.Decode(&change); err != nil {
			writeJSON(w, http.StatusBadRequest, Said{Error: "read change: " + err.Error()})
			return
		}
		s.say(w, func() (string, error) { return do(s.region, change) })
	}
}

// say carries a change out and tells what it did, once that is on disk.
func (s *Server) say(w http.ResponseWriter, do func() (string, error)) {
	var text string
	var err error
	if stored := s.settle(func() { text, err = do() }); stored != nil {
		s.fail(stored)
		writeJSON(w, http.StatusInternalServerError, Said{Error: stored.Error()})
		return
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, Said{Error: err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, Said{Message: text})
}

// look answers what the region tells.
func look[T any](s *Server, at func(*region.Region) T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var v T
		if err := s.settle(func() { v = at(s.region) }); err != nil {
			writeJSON(w, http.StatusInternalServerError, Said{Error: err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, v)
	}
}

func (s *Server) removeFault(w http.ResponseWriter, r *http.Request) {
	s.say(w, func() (string, error) { return s.region.RemoveFault(r.PathValue("id")) })
}

func (s *Server) controlInstance(w http.ResponseWriter, r *http.Request) {
	in := r.URL.Query().Get("in")
	if r.PathValue("verb") != "expire" || in == "" {
		s.say(w, func() (string, error) { return s.region.Control(r.PathValue("id"), r.PathValue("verb")) })
		return
	}
	s.say(w, func() (string, error) {
		d, err := time.ParseDuration(in)
		if err != nil || d < 0 {
			return "", fmt.Errorf("expire instance: %q is not a time such as 48h", in)
		}
		return s.region.ExpireIn(r.PathValue("id"), d)
	})
}

func (s *Server) exec(w http.ResponseWriter, r *http.Request) {
	var e Exec
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&e); err != nil || len(e.Argv) == 0 {
		writeJSON(w, http.StatusBadRequest, Said{Error: "run command: name one"})
		return
	}
	output, code, err := s.host.Exec(r.Context(), r.PathValue("id"), e.Argv)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, Said{Error: fmt.Sprintf("run command on %s: %v", r.PathValue("id"), err)})
		return
	}
	writeJSON(w, http.StatusOK, ExecResult{output, code})
}

func (s *Server) log(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write(s.host.Console(r.PathValue("id")))
}

func (s *Server) getScenario(w http.ResponseWriter, _ *http.Request) {
	var sc scenario.Scenario
	_ = s.settle(func() { sc = s.region.Scenario() })
	b, err := yaml.Marshal(sc)
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, Said{Error: err.Error()})
		return
	}
	_, _ = w.Write(b)
}

func (s *Server) putScenario(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if _, err := io.Copy(&b, http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		writeJSON(w, http.StatusBadRequest, Said{Error: "read scenario: " + err.Error()})
		return
	}
	o := s.o
	o.Scenario = b.Bytes()
	sc, _, err := readScenario(o)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, Said{Error: err.Error()})
		return
	}
	s.say(w, func() (string, error) { return s.region.Apply(sc) })
}
