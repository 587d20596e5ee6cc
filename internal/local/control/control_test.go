package control

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/cli"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/server"
	"github.com/poolkeeper/poolkeeper/internal/local/machine"
)

// rack is a Host whose machines do nothing but answer.
type rack struct{}

func (rack) Start(machine.Spec) error { return nil }
func (rack) Stop(string) error        { return nil }
func (rack) Release(string) error     { return nil }
func (rack) Console(id string) []byte { return []byte("console of " + id + "\n") }
func (rack) Exec(_ context.Context, _ string, argv []string) ([]byte, int, error) {
	if argv[0] == "false" {
		return []byte("no\n"), 1, nil
	}
	return []byte(strings.Join(argv, "|") + "\n"), 0, nil
}

// localRegion is the directory of a local region whose cloud runs, and its end.
func localRegion(t *testing.T) (dir string, stop func()) {
	t.Helper()
	dir = t.TempDir()
	s, err := server.Open(server.Options{Dir: filepath.Join(dir, "cloud")})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l, rack{}) }()
	<-s.Ready()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return dir, stop
}

// local runs `poolkeeper local ARGS`.
func local(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	root := &cobra.Command{Use: "local", SilenceErrors: true, SilenceUsage: true}
	root.PersistentFlags().StringP("output", "o", "table", "as the whole program has it")
	root.AddCommand(Commands(func() string { return dir })...)
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestCommands(t *testing.T) {
	dir, _ := localRegion(t)
	made, err := local(t, dir, "instance", "make", "--type", "ecs.g7.large", "--months", "1", "--tag", "poolkeeper.io/pool=web")
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(strings.TrimPrefix(made, "made "))
	file := filepath.Join(dir, "s.yaml")
	if err := os.WriteFile(file, []byte("keyPairs: [another-key]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"stock set cn-local-b ecs.g7.xlarge 2":                              "ecs.g7.xlarge in cn-local-b: 2 left, was plenty\n",
		"stock set cn-local-b ecs.r7.large not-offered":                     "ecs.r7.large in cn-local-b: not offered any more, was plenty left\n",
		"stock set cn-local-a cloud_essd plenty":                            "disk category cloud_essd in cn-local-a: plenty left, was plenty\n",
		"quota set ecs.g7.xlarge 4":                                         "quota of ecs.g7.xlarge: 4\n",
		"quota set cn-local-a none":                                         "quota of vCPUs in cn-local-a: none\n",
		"balance set --credit-used-up":                                      "balance: CNY 100000.00, credit used up: nothing is created\n",
		"type grant ecs.r8a.4xlarge":                                        "ecs.r8a.4xlarge: authorized\n",
		"kms off key-local":                                                 "KMS key key-local: disabled\n",
		"kms on service":                                                    "KMS: activated\n",
		"role revoke AliyunOOSLifecycleHook4CSRole":                         "role AliyunOOSLifecycleHook4CSRole: revoked\n",
		"permission revoke DescribePrice":                                   "permission for DescribePrice: revoked\n",
		"security-group deny sg-local --to 10.9.0.0/16 --port 443":          "security group sg-local: outbound TCP to 10.9.0.0/16 port 443: refused\n",
		"vswitch set vsw-c --free 7":                                        "vSwitch vsw-c: 7 addresses free, was 4092\n",
		"instance list":                                                     id,
		"instance exec " + id + " grep -c cloud-init /x":                    "grep|-c|cloud-init|/x\n",
		"instance exec " + id + " -- uname -a":                              "uname|-a\n",
		"instance log " + id:                                                "console of " + id + "\n",
		"instance take-out " + id:                                           "instance " + id + ": 1 tag poolkeeper.io/* taken off\n",
		"fault add RunInstances --code Throttling --times 2":                "RunInstances answers Throttling (400) before the effect, 2 times\n",
		"fault add --machine stop-at-step --step kubelet --probability 0.5": "new machines stop-at-step kubelet, always with probability 0.5\n",
		"fault add DescribeInstances --delay 1s --lost-connection --after":  "DescribeInstances waits 1s loses its connection after the effect, always\n",
		"scenario apply " + file:                                            "scenario applied: 3 zones, 3 vSwitches",
	} {
		got, err := local(t, dir, strings.Fields(line)...)
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
	if got, err := local(t, dir, "scenario", "show"); err != nil || !strings.Contains(got, "- another-key\n") {
		t.Errorf("the scenario is %s, %v", got, err)
	}
	if got, err := local(t, dir, "fault", "list"); err != nil || strings.Count(got, "\n") != 4 {
		t.Errorf("the faults are %s, %v", got, err)
	}
	if got, err := local(t, dir, "fault", "remove", "all"); err != nil || got != "3 faults removed\n" {
		t.Errorf("removed %s, %v", got, err)
	}
}

// Errors say what happened, why and what to type next, with an exit code.
func TestErrors(t *testing.T) {
	dir, stop := localRegion(t)
	for line, want := range map[string]int{
		"stock set cn-local-a ecs.g7.large many": cli.ExitInput,
		"stock set cn-local-x ecs.g7.large 1":    cli.ExitInput,
		"instance stop i-unknown":                cli.ExitNotFound,
		"fault remove f99":                       cli.ExitNotFound,
		"scenario apply no-such-file":            cli.ExitInput,
	} {
		_, err := local(t, dir, strings.Fields(line)...)
		expect(t, line, err, want)
	}
	_, err := local(t, dir, "instance", "exec", "i-any", "false")
	expect(t, "a command that ends badly", err, cli.ExitFailed)
	stop()
	_, err = local(t, dir, "fault", "list")
	expect(t, "stopped", err, cli.ExitUnreachable)
	_, err = local(t, t.TempDir(), "fault", "list")
	expect(t, "never started", err, cli.ExitUnreachable)
}

func expect(t *testing.T, what string, err error, wantCode int) {
	t.Helper()
	var e *cli.Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: %v", what, err)
	}
	if e.Code != wantCode || e.What == "" || e.Cause == "" || len(e.Next) == 0 {
		t.Errorf("%s: %+v", what, e)
	}
}
