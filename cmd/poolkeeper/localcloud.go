package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/server"
	"github.com/poolkeeper/poolkeeper/internal/local/machine"
)

// localCloud is the command line of the local cloud.
type localCloud struct {
	server.Options
	listen, apiServer, scenario, clock string
}

// newLocalCloudCommand serves a local cloud with simulated machines. People
// never type it: `poolkeeper local up` starts it as a child.
func newLocalCloudCommand() *cobra.Command {
	var o localCloud
	c := &cobra.Command{Use: "cloud", Short: "Serve the local cloud (started by `poolkeeper local up`)", Hidden: true,
		Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return o.run(ctx)
		}}
	f := c.Flags()
	f.StringVar(&o.Dir, "dir", "", "directory of the state")
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "loopback address to listen on")
	f.StringVar(&o.Region, "region", "cn-local", "name of the region")
	f.IntVar(&o.MaxNodes, "max-nodes", 500, "most instances at one time")
	f.StringVar(&o.apiServer, "api-server", "", "address of the API server that machines join, for the log")
	f.StringVar(&o.scenario, "scenario", "", "scenario file to read over the built-in one")
	f.Float64Var(&o.TimeFactor, "time-factor", 1, "divide every wait of cloud and machines by this")
	f.StringVar(&o.clock, "clock-offset-file", "", "file that says by how much the cloud's clock is off, as in -2s, for tests; its machines keep the time")
	_ = c.MarkFlagRequired("dir")
	return c
}

func (o *localCloud) run(ctx context.Context) error {
	host, _, err := net.SplitHostPort(o.listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("listen on %s: the local cloud serves loopback only", o.listen)
	}
	if o.TimeFactor < 1 || o.MaxNodes < 1 {
		return errors.New("start local cloud: --time-factor and --max-nodes are at least 1")
	}
	if o.scenario != "" {
		if o.Scenario, err = os.ReadFile(o.scenario); err != nil {
			return fmt.Errorf("read scenario: %w", err)
		}
	}
	if o.clock != "" {
		o.Now = offsetClock(o.clock)
	}
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	lazyCollector()
	s, err := server.Open(o.Options)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on %s: %w", o.listen, err), s.Close())
	}
	machines := machine.NewSimulator(machine.SimulatorOptions{Cloud: s, Disks: s.Disks(), Logger: logr.FromSlogHandler(o.Log.Handler()), TimeFactor: o.TimeFactor})
	o.Log.Info("local cloud serves", "address", listener.Addr().String(), "maxNodes", o.MaxNodes, "timeFactor", o.TimeFactor, "apiServer", o.apiServer)
	err = s.Run(ctx, listener, machines)
	machines.Close()
	return errors.Join(err, s.Close())
}
