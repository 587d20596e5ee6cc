package server

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/services/ecs"

	"go.uber.org/goleak"
)

// childDir makes this test program a local cloud that somebody may kill.
const childDir = "POOLKEEPER_TEST_LOCAL_CLOUD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := beCloud(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func beCloud(dir string) error {
	s, err := Open(Options{Dir: dir, Scenario: []byte(fast), MaxNodes: 20000})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return s.Run(context.Background(), l, newRack())
}

// child starts a local cloud as a process of its own.
func (b *bench) child() *exec.Cmd {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	c := exec.CommandContext(b.Context(), self)
	c.Env = append(os.Environ(), childDir+"="+b.dir)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	b.url = "http://" + strings.TrimSpace(line)
	return c
}

// A kill -9 at any moment: what was answered is there, a token tells the same
// ids as before, and nothing exists that no token knows.
func TestKill(t *testing.T) {
	b := &bench{T: t, dir: t.TempDir()}
	id, err := openIdentity(b.dir, "cn-local")
	if err != nil {
		t.Fatal(err)
	}
	answered := map[string][]string{}
	sent := 0
	for round := range 5 {
		c := b.child()
		client := func() *ecs.Client { return b.v1(id.credentials.AccessKeyID, id.credentials.AccessKeySecret) }
		var wg sync.WaitGroup
		var mu sync.Mutex
		enough := make(chan struct{}, 1000)
		for range 4 {
			cl := client()
			wg.Go(func() {
				for {
					mu.Lock()
					sent++
					token := fmt.Sprint("t-", sent)
					mu.Unlock()
					a, err := cl.RunInstances(launch(5, withToken(token)))
					if err != nil {
						return // the process is gone
					}
					mu.Lock()
					answered[token] = a.InstanceIdSets.InstanceIdSet
					mu.Unlock()
					enough <- struct{}{}
				}
			})
		}
		for range 5 * (round + 1) {
			<-enough
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		wg.Wait()
	}
	b.start(Options{MaxNodes: 20000})
	defer b.stop()
	all := map[string]bool{}
	for k := range sent {
		token := fmt.Sprint("t-", k+1)
		ids := b.run(launch(5, withToken(token)))
		if was := answered[token]; was != nil && !slices.Equal(was, ids) {
			t.Fatalf("%s: first %v, now %v", token, was, ids)
		}
		for _, id := range ids {
			all[id] = true
		}
	}
	if n := b.region.Len(); n != 5*sent || len(all) != n {
		t.Errorf("%d instances for %d tokens, %d of them told", n, sent, len(all))
	}
}
