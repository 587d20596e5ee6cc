package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/poolkeeper/poolkeeper/internal/controller/clustertask"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/reach"
	"github.com/poolkeeper/poolkeeper/internal/sweep"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// patience is the least that the API server is given to answer a small call,
// whatever waits are divided by: networks do not become faster with them.
const patience = 2 * time.Second

// apiServer is how we stand with the API server. Its fields are set before its
// watch starts.
type apiServer struct {
	watch *reach.Watch
	log   logr.Logger
	// changed is called when a trouble begins or ends.
	changed func()
}

// observe sees the outcome of every call over a configuration, and asks by
// itself on a way of its own.
func (a *apiServer) observe(cfg *rest.Config, w wait.Settings) error {
	own, err := kubernetes.NewForConfig(rest.CopyConfig(cfg))
	if err != nil {
		return fmt.Errorf("set up client: %w", err)
	}
	a.log, a.changed = logr.Discard(), func() {}
	a.watch = reach.New(reach.Options{
		Ask: func(ctx context.Context) error {
			return own.Discovery().RESTClient().Get().AbsPath("/readyz").MaxRetries(0).Do(ctx).Error()
		},
		Every: w.APIServer, Patience: max(w.APIServer, patience), Quiet: max(w.Quiet, patience), Now: time.Now, Report: a.report,
	})
	cfg.Wrap(a.watch.Transport)
	return nil
}

// report tells operators of a trouble that begins or ends, and has the open
// tasks tell people.
func (a *apiServer) report(t reach.Trouble) {
	row, log := fault.Lookup(t.Code), a.log.WithValues("fault", string(t.Code), "from", t.From.UTC())
	if t.To.IsZero() {
		metrics.APIServerTrouble.WithLabelValues(string(t.Code)).Set(1)
		log.Info(row.Cause, "message", t.Message, "solution", row.Advice(nil))
	} else {
		metrics.APIServerTrouble.WithLabelValues(string(t.Code)).Set(0)
		metrics.APIServerTroubleSeconds.WithLabelValues(string(t.Code)).Add(t.To.Sub(t.From).Seconds())
		log.Info("the API server serves as usual again", "to", t.To.UTC())
	}
	a.changed()
}

// troubles are those of late, as tasks tell them.
func (a *apiServer) troubles() []clustertask.Trouble {
	var out []clustertask.Trouble
	for _, t := range a.watch.All() {
		out = append(out, clustertask.Trouble{Code: t.Code, From: t.From, To: t.To, Message: t.Message})
	}
	return out
}

// away says why nothing can be done over the API server now; nil where it can.
func (a *apiServer) away() error {
	t, is := a.watch.Now()
	if !is || t.Code != fault.APIServerInternalError {
		return nil
	}
	row := fault.Lookup(t.Code)
	return fmt.Errorf("%s since %s: %s (%s); nothing is created or released meanwhile; %s",
		t.Code, t.From.UTC().Format(time.TimeOnly+" UTC"), row.Cause, t.Message, row.Advice(nil))
}

// unread says that the cloud was not read yet; nil where it was.
func unread(s *sweep.Sweeper) error {
	if s.Latest() == nil {
		return errors.Join(errors.New("the cloud was not read yet"), s.Err())
	}
	return nil
}

// serveHealth answers /healthz while the process lives, and /readyz with why it
// is not ready, in words. The address "0" or none serves neither.
func serveHealth(mgr ctrl.Manager, address string, notReady func() error) error {
	if address == "" || address == "0" {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serve health: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "ok\n") })
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) {
		if err := notReady(); err != nil {
			http.Error(rw, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(rw, "ok\n")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	return mgr.Add(&manager.Server{Name: "health", Server: server, Listener: listener})
}
