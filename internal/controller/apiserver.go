package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/poolkeeper/poolkeeper/internal/controller/clustertask"
	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/metrics"
	"github.com/poolkeeper/poolkeeper/internal/reach"
)

// patience is the least that the API server is given to answer a small call,
// whatever waits are divided by: networks do not become faster with them.
const patience = 2 * time.Second

// watchAPIServer sees the outcome of every call over a configuration, and asks
// by itself on a way of its own.
func (w *wiring) watchAPIServer(cfg *rest.Config) error {
	own, err := kubernetes.NewForConfig(rest.CopyConfig(cfg))
	if err != nil {
		return fmt.Errorf("set up client: %w", err)
	}
	w.reach = reach.New(reach.Options{
		Ask: func(ctx context.Context) error {
			return own.Discovery().RESTClient().Get().AbsPath("/readyz").MaxRetries(0).Do(ctx).Error()
		},
		Every: w.waits.APIServer, Patience: max(w.waits.APIServer, patience), Quiet: max(w.waits.Quiet, patience), Now: time.Now, Report: w.apiServer,
	})
	cfg.Wrap(w.reach.Transport)
	return nil
}

// apiServer tells operators of a trouble of the API server that begins or ends,
// and has the open tasks tell people.
func (w *wiring) apiServer(t reach.Trouble) {
	row, log := fault.Lookup(t.Code), w.mgr.GetLogger().WithValues("fault", string(t.Code), "from", t.From.UTC())
	if t.To.IsZero() {
		metrics.APIServerTrouble.WithLabelValues(string(t.Code)).Set(1)
		log.Info(row.Cause, "message", t.Message, "solution", row.Solution)
	} else {
		metrics.APIServerTrouble.WithLabelValues(string(t.Code)).Set(0)
		metrics.APIServerTroubleSeconds.WithLabelValues(string(t.Code)).Add(t.To.Sub(t.From).Seconds())
		log.Info("the API server serves as usual again", "to", t.To.UTC())
	}
	if w.tasks != nil {
		w.tasks.Poke()
	}
}

// troubles are the troubles of the API server as tasks tell them.
func (w *wiring) troubles() []clustertask.Trouble {
	var out []clustertask.Trouble
	for _, t := range w.reach.All() {
		out = append(out, clustertask.Trouble{Code: t.Code, From: t.From, To: t.To, Message: t.Message})
	}
	return out
}

// notReady says why the controller cannot do its work now; nil where it can.
func (w *wiring) notReady() error {
	var errs []error
	if t, is := w.reach.Now(); is && t.Code == fault.APIServerInternalError {
		row := fault.Lookup(t.Code)
		errs = append(errs, fmt.Errorf("%s since %s: %s (%s); nothing is created or released meanwhile; %s",
			t.Code, t.From.UTC().Format(time.TimeOnly+" UTC"), row.Cause, t.Message, row.Solution))
	}
	if w.sweeper.Latest() == nil {
		errs = append(errs, errors.Join(errors.New("the cloud was not read yet"), w.sweeper.Err()))
	}
	return errors.Join(errs...)
}

// serveHealth answers /healthz while the process lives, and /readyz with why it
// is not ready, in words.
func (w *wiring) serveHealth() error {
	if w.HealthAddress == "" || w.HealthAddress == "0" {
		return nil
	}
	listener, err := net.Listen("tcp", w.HealthAddress)
	if err != nil {
		return fmt.Errorf("serve health: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "ok\n") })
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) {
		if err := w.notReady(); err != nil {
			http.Error(rw, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(rw, "ok\n")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	return w.mgr.Add(&manager.Server{Name: "health", Server: server, Listener: listener})
}
