package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// stopTime bounds how long the API server may take to end. What it answered is
// in etcd by then.
const stopTime = 8 * time.Second

// serve starts the components in order, says when they are ready, and runs
// until the context ends or one of them does. etcd ends last.
func serve(ctx context.Context, o options) error {
	s, err := openState(o)
	if err != nil {
		return err
	}
	defer s.close()
	store, err := startEtcd(s, o.noSync)
	if err != nil {
		return err
	}
	defer store.Close()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	apiEnded := make(chan error, 1)
	go func() {
		apiEnded <- runAPIServer(serving, s)
		cancel(errors.New("the API server ended"))
	}()

	if err = s.waitReady(ctx); err == nil {
		err = s.publish(ctx)
	}
	if err == nil {
		go func() { cancel(runControllerManager(ctx, s, o.grace)) }()
		go func() { cancel(runScheduler(ctx, s)) }()
		fmt.Printf("ready %s\n", s.url())
		<-ctx.Done()
	}
	return errors.Join(ended(ctx, err), stop(stopServing, apiEnded))
}

// ended is why the context is over: nil where a signal ended it.
func ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// stop ends the API server and waits for it, but not for ever.
func stop(stopServing func(), apiEnded <-chan error) error {
	stopServing()
	select {
	case err := <-apiEnded:
		return err
	case <-time.After(stopTime):
		return nil
	}
}
