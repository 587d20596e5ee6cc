package process

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"syscall"
	"testing"
)

func TestFreePortsSkipsThoseInUse(t *testing.T) {
	base, err := FreePorts(4)
	if err != nil {
		t.Fatal(err)
	}
	last, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+3))
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	if free(base, 4) {
		t.Error("the last of four is in use, and the four are said to be free")
	}
	if again, err := FreePorts(4); err != nil || again == base {
		t.Errorf("found %d again (%v)", again, err)
	}
	if three, err := FreePorts(3); err != nil || three != base {
		t.Errorf("the three before it: %d (%v), want %d", three, err, base)
	}
}

func TestWhatIsStartedHasAGroupOfItsOwn(t *testing.T) {
	s := NewStarter()
	defer close(s)
	cmd := exec.Command("sleep", "60")
	if err := s.Start(cmd); err != nil {
		t.Fatal(err)
	}
	group, err := syscall.Getpgid(cmd.Process.Pid)
	if err != nil || group != cmd.Process.Pid {
		t.Errorf("its group is %d (%v), want its own, %d", group, err, cmd.Process.Pid)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err := s.Start(exec.Command("/no/such/program")); err == nil {
		t.Error("a program that does not exist was started")
	}
}

func TestAskWantsThe200(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	transport := &http.Transport{DisableKeepAlives: true}
	if err := Ask(context.Background(), transport, server.URL); err != nil {
		t.Error(err)
	}
	status = http.StatusServiceUnavailable
	if err := Ask(context.Background(), transport, server.URL); err == nil {
		t.Error("503 counts as ready")
	}
	server.Close()
	if err := Ask(context.Background(), transport, server.URL); err == nil {
		t.Error("nobody answers, and that counts as ready")
	}
}
