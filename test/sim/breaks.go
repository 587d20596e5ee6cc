package sim

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/poolkeeper/poolkeeper/internal/controller"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

// Breaks leave rules of the protocol out, by standing between the controllers
// and what they reach; the tests hold them, the product has no part in them.
// The zero value breaks nothing.
type Breaks struct {
	// Cloud and Client stand before the provider and the writing client, Live
	// before live reads; each is made once for each process.
	Cloud  func(controller.Provider) controller.Provider
	Client func(client.Client) client.Client
	Live   func(live client.Reader, cache client.Client) client.Reader
	// NoMargin leaves clocks a millisecond of margin.
	NoMargin bool
	// NoPods hides every pod from drains.
	NoPods bool
}

func (b *Breaks) cloud(c controller.Provider) controller.Provider {
	if b.Cloud != nil {
		return b.Cloud(c)
	}
	return c
}

func (b *Breaks) client(c client.Client) client.Client {
	if b.Client != nil {
		return b.Client(c)
	}
	return c
}

func (b *Breaks) waits(s wait.Settings) wait.Settings {
	if b.NoMargin {
		s.ClockMargin = time.Millisecond
	}
	return s
}

func (b *Breaks) live(live client.Reader, cache client.Client) client.Reader {
	if b.Live != nil {
		return b.Live(live, cache)
	}
	return live
}
