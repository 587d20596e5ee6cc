package machine

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// After a kill of the local cloud a machine goes on as the node it was.
func TestGoesOnAfterKill(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("i-1", w.userData(w.settings()))
	w.start(spec)
	w.until("the node is ready, with a lease", func() bool {
		w.api.mu.Lock()
		held := w.api.leases["i-1"] != nil
		w.api.mu.Unlock()
		return held && ready(w.node("i-1")) && w.ended("i-1")
	})
	uid := w.node("i-1").UID
	w.restart()
	w.api.mu.Lock()
	filed, lease := len(w.api.requests), w.api.leases["i-1"].ResourceVersion
	w.api.mu.Unlock()
	w.start(spec)
	w.until("the lease is renewed", func() bool {
		w.api.mu.Lock()
		defer w.api.mu.Unlock()
		return w.api.leases["i-1"].ResourceVersion != lease
	})
	if n := w.node("i-1"); n.UID != uid || len(w.api.requests) != filed {
		t.Fatalf("node %s was %s, %d requests were %d", n.UID, uid, len(w.api.requests), filed)
	}
	// A node deleted meanwhile is not made again while the kubelet runs...
	w.api.mu.Lock()
	delete(w.api.nodes, "i-1")
	delete(w.api.leases, "i-1")
	seen := len(w.api.log)
	w.api.mu.Unlock()
	w.until("the kubelet has looked for its node", func() bool {
		w.api.mu.Lock()
		defer w.api.mu.Unlock()
		return slices.Contains(w.api.log[seen:], "system:node:i-1 GET /api/v1/nodes/i-1")
	})
	if w.node("i-1") != nil || w.api.leases["i-1"] != nil {
		t.Fatal("a deleted node came back by itself")
	}
	// ... but by one that starts.
	if out, code := w.execCode("i-1", "systemctl", "restart", "kubelet"); code != 0 {
		t.Fatal(out)
	}
	w.until("the node is there again", func() bool { return ready(w.node("i-1")) })
}

// Killed in the middle of its join, a machine files again with the same key.
func TestKilledWhileJoining(t *testing.T) {
	w := newWorld(t)
	w.api.silent = true
	spec := w.spec("i-1", w.userData(w.settings()))
	w.start(spec)
	w.until("it has filed", func() bool { w.api.mu.Lock(); defer w.api.mu.Unlock(); return len(w.api.requests) > 0 })
	key := w.disks.file("i-1", "/var/lib/kubelet/pki/poolkeeper.key")
	w.restart()
	w.api.mu.Lock()
	w.api.silent = false
	w.api.mu.Unlock()
	w.start(spec)
	w.until("the node is ready", func() bool { return ready(w.node("i-1")) && w.ended("i-1") })
	if got := w.disks.file("i-1", "/var/lib/kubelet/pki/poolkeeper.key"); got != key || key == "" {
		t.Fatal("the key is another one")
	}
}

// A request that waits for longer than a watch is looked at again, and filed again
// only where it is gone.
func TestAWaitingRequestIsNotFiledAgain(t *testing.T) {
	w := newWorld(t)
	w.api.silent = true
	s := w.settings()
	s.Waits.JoinDeadline, s.Waits.Watch = time.Minute, time.Second
	w.start(w.spec("i-1", w.userData(s)))
	looks := func(name string) int {
		w.api.mu.Lock()
		defer w.api.mu.Unlock()
		n := 0
		for _, line := range w.api.log {
			if line == "join GET "+pathRequests+"/"+name {
				n++
			}
		}
		return n
	}
	first := "poolkeeper-web-x0"
	w.until("it has looked twice", func() bool { return looks(first) > 1 })
	w.api.mu.Lock()
	filed := len(w.api.requests)
	delete(w.api.requests, first)
	w.api.requests["another"] = nil // keeps names apart
	w.api.mu.Unlock()
	if filed != 1 {
		t.Fatalf("%d requests while the first waits", filed)
	}
	second := "poolkeeper-web-x1"
	w.until("it files again what is gone, and looks at that", func() bool { return looks(second) > 0 })
	w.api.mu.Lock()
	w.api.silent = false
	w.api.mu.Unlock()
	w.api.decide(second)
	w.until("the node is ready", func() bool { return ready(w.node("i-1")) && w.ended("i-1") })
}

func TestStopAndRelease(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("i-1", w.userData(w.settings()))
	w.start(spec)
	w.until("the node is ready", func() bool { return ready(w.node("i-1")) && w.ended("i-1") })
	if err := w.host.Stop("i-1"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.host.Exec(context.Background(), "i-1", []string{"true"}); err == nil {
		t.Error("a stopped machine runs a command")
	}
	w.start(spec)
	w.until("it is up again", func() bool { return w.ended("i-1") && w.host.find("i-1").kubeletRuns() })
	if err := w.host.Release("i-1"); err != nil {
		t.Fatal(err)
	}
	if len(w.disks.of["i-1"]) != 0 || w.host.find("i-1") != nil {
		t.Error("something of the machine is left")
	}
	if err := w.host.Stop("i-1"); err == nil {
		t.Error("a released machine can be stopped")
	}
}

// Stop ends a machine that waits, at once.
func TestStopWhileWaiting(t *testing.T) {
	w := newWorld(t)
	w.api.silent = true
	w.start(w.spec("i-1", w.userData(w.settings())))
	w.until("it has filed", func() bool { w.api.mu.Lock(); defer w.api.mu.Unlock(); return len(w.api.requests) > 0 })
	if err := w.host.Stop("i-1"); err != nil {
		t.Fatal(err)
	}
}

func TestRenewsCertificate(t *testing.T) {
	w := newWorld(t)
	w.api.life = 4 * time.Second
	w.start(w.spec("i-1", w.userData(w.settings())))
	w.until("the node is ready", func() bool { return ready(w.node("i-1")) && w.ended("i-1") })
	before := w.disks.file("i-1", "/var/lib/kubelet/pki/kubelet-client-current.pem")
	w.api.mu.Lock()
	w.api.life = time.Hour
	w.api.mu.Unlock()
	w.until("the certificate is renewed", func() bool {
		return w.disks.file("i-1", "/var/lib/kubelet/pki/kubelet-client-current.pem") != before
	})
	if w.api.renewals != 1 {
		t.Errorf("%d renewals", w.api.renewals)
	}
}

// A machine has nothing of the host.
func TestNothingOfTheHost(t *testing.T) {
	w := newWorld(t)
	w.start(w.spec("i-1", nil))
	w.until("it is up", func() bool { return w.ended("i-1") })
	for _, script := range []string{
		"cat /etc/passwd", "ls /work", ". /etc/profile", "cat <(echo a)", "eval 'cat <(echo a)'", "go version", "/usr/bin/env go",
		"test -e /etc/passwd", "[ -d /home ]", "cd /home", "command -v python3", "cat < /etc/hostname", "cat /proc/none/sh-interp-1",
	} {
		if out, code := w.execCode("i-1", "sh", "-c", script); code == 0 {
			t.Errorf("%s: exit 0, %q", script, out)
		}
	}
}

func BenchmarkJoin(b *testing.B) {
	w := newWorld(b)
	data := w.userData(w.settings())
	i := 0
	for b.Loop() {
		id := fmt.Sprintf("i-%d", i)
		w.start(w.spec(id, data))
		<-w.host.find(id).done
		if !ready(w.node(id)) {
			b.Fatalf("console:\n%s", w.host.Console(id))
		}
		if err := w.host.Release(id); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
