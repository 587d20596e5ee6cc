package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// programs keeps parsed scripts for all machines.
var programs = shared[*syntax.File]{most: 256}

// shell runs programs on one machine: its disk, its network, its services, and
// nothing of the host.
type shell struct {
	m *session

	mu         sync.Mutex
	background []context.CancelFunc // commands that write to a fifo: kill ends them
}

// environment is what scripts start with. The interpreter must not find its
// own fifos in a directory of the host, hence TMPDIR.
var environment = expand.ListEnviron("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "USER=root", "SHELL=/bin/sh", "LANG=C", "TMPDIR=/proc/none")

// errStopped ends a program on a machine that is powered off.
var errStopped = errors.New("the machine was powered off")

// run interprets a script until it ends and returns its exit code.
func (s *shell) run(ctx context.Context, script []byte, params []string, stdin io.Reader, out, errOut io.Writer, env expand.Environ) int {
	program, err := programs.get(script, parse)
	if err != nil {
		fmt.Fprintf(errOut, "sh: %v\n", err)
		return 2
	}
	r, err := interp.New(
		interp.Env(env), interp.Dir("/"), interp.StdIO(stdin, out, errOut), interp.Params(append([]string{"--"}, params...)...),
		interp.CallHandler(s.call),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return s.exec }),
		interp.OpenHandler(s.open), interp.StatHandler(s.stat), interp.AccessHandler(s.access), interp.ReadDirHandler2(s.readDir),
	)
	if err != nil {
		fmt.Fprintf(errOut, "sh: %v\n", err)
		return 2
	}
	err = r.Run(ctx, program)
	var code interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	if ctx.Err() == nil {
		fmt.Fprintf(errOut, "sh: %v\n", err)
	}
	return 1
}

// parse reads a script and refuses what would touch the host.
func parse(script []byte) (*syntax.File, error) {
	lang := syntax.LangPOSIX
	if line, _, _ := bytes.Cut(script, []byte("\n")); bytes.HasPrefix(line, []byte("#!")) && bytes.Contains(line, []byte("bash")) {
		lang = syntax.LangBash
	}
	f, err := syntax.NewParser(syntax.Variant(lang)).Parse(bytes.NewReader(script), "")
	if err != nil {
		return nil, err
	}
	syntax.Walk(f, func(n syntax.Node) bool {
		if _, ok := n.(*syntax.ProcSubst); ok && err == nil {
			err = errors.New("process substitution: not supported on a simulated machine")
		}
		return err == nil
	})
	return f, err
}

// call stands before builtins too: those that would look at the host are
// turned into ones that do not.
func (s *shell) call(ctx context.Context, args []string) ([]string, error) {
	switch args[0] {
	case "umask", "ulimit", "hash":
		return []string{"true"}, nil
	case ".", "source":
		return s.sourced(ctx, args)
	case "eval":
		if _, err := parse([]byte("#!bash\n" + strings.Join(args[1:], " "))); err != nil {
			return []string{"__error", err.Error()}, nil
		}
	case "command", "type":
		if len(args) > 1 && (args[0] == "type" || args[1] == "-v") {
			return append([]string{"__which"}, args[len(args)-1]), nil
		}
	}
	return args, nil
}

// sourced turns "." into an eval of the file.
func (s *shell) sourced(ctx context.Context, args []string) ([]string, error) {
	if len(args) < 2 {
		return []string{"__error", ".: filename argument required"}, nil
	}
	b, err := s.m.disk().read(absolute(interp.HandlerCtx(ctx).Dir, args[1]))
	if err == nil {
		_, err = parse(append([]byte("#!bash\n"), b...))
	}
	if err != nil {
		return []string{"__error", ".: " + err.Error()}, nil
	}
	return []string{"eval", string(b)}, nil
}

func absolute(dir, name string) string {
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
	}
	return path.Clean(name)
}

func (s *shell) open(ctx context.Context, name string, flag int, mode os.FileMode) (io.ReadWriteCloser, error) {
	name = absolute(interp.HandlerCtx(ctx).Dir, name)
	switch name {
	case "/dev/null":
		return nowhere{}, nil
	case "/dev/console", "/dev/ttyS0", "/dev/kmsg":
		return opened{&s.m.console}, nil
	case "/dev/stdout", "/dev/stderr":
		return opened{&s.m.console}, nil
	}
	return s.m.disk().open(name, flag, mode)
}

func (s *shell) stat(ctx context.Context, name string, _ bool) (fs.FileInfo, error) {
	name = absolute(interp.HandlerCtx(ctx).Dir, name)
	if strings.HasPrefix(name, "/dev/") {
		return info{name: name, mode: fs.ModeDevice | fs.ModeCharDevice | 0o666}, nil
	}
	return s.m.disk().stat(name)
}

func (s *shell) access(ctx context.Context, name string, mode interp.AccessMode) error {
	i, err := s.stat(ctx, name, true)
	if err == nil && mode&interp.AccessExec != 0 && !i.IsDir() && i.Mode()&0o111 == 0 {
		return fs.ErrPermission
	}
	return err
}

func (s *shell) readDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	return s.m.disk().list(absolute(interp.HandlerCtx(ctx).Dir, name))
}

// process is one command that runs.
type process struct {
	*shell
	args []string
	dir  string
	in   io.Reader // nil: nothing
	out  io.Writer
	err  io.Writer
	env  expand.Environ
}

// command is a program that machines have. It returns its exit code.
type command func(ctx context.Context, p *process) int

// exec runs every command that is not a builtin.
func (s *shell) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	p := &process{shell: s, args: args, dir: hc.Dir, in: hc.Stdin, out: hc.Stdout, err: hc.Stderr, env: hc.Env}
	if w, ok := hc.Stdout.(fifoWriter); ok {
		var done func()
		ctx, done = s.endWithReader(ctx, w.q)
		defer done()
	}
	code := p.start(ctx)
	if s.m.ctx.Err() != nil {
		return errStopped
	}
	if code != 0 {
		return interp.ExitStatus(uint8(code))
	}
	return nil
}

// endWithReader ends a command that writes to a fifo when whoever reads it is
// gone, which a broken pipe would tell, or when the script kills it.
func (s *shell) endWithReader(ctx context.Context, q *fifo) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.background = append(s.background, cancel)
	s.mu.Unlock()
	go func() {
		select {
		case <-q.readerClosed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// kill ends the background commands of this shell.
func (s *shell) kill() {
	s.mu.Lock()
	list := s.background
	s.background = nil
	s.mu.Unlock()
	for _, cancel := range list {
		cancel()
	}
}

// telling are the commands that a fault of a step never breaks, because the
// script tells its story with them.
var telling = []string{"logger", "date", "tail", "tr", "cat", "sleep", "kill", "rm", "mkfifo", "mkdir", "grep", "sync", "test"}

// silence is how long a connection is tried that a fault of a step blocks.
const silence = 2 * time.Second

// start finds a command and runs it.
func (p *process) start(ctx context.Context) int {
	name := p.args[0]
	if step := p.m.spec.Faults.StopAtStep; step != "" && p.env.Get("step").String() == step && !slices.Contains(telling, name) {
		if name == "curl" { // what it would reach stays silent
			p.m.pause(ctx, silence)
			fmt.Fprintln(p.err, "curl: (28) Connection timed out")
			return 28
		}
		fmt.Fprintf(p.err, "%s: Input/output error\n", name)
		return 5
	}
	if c := commands[name]; c != nil {
		return c(ctx, p)
	}
	if c := commands[path.Base(name)]; c != nil && systemPath(name) {
		return c(ctx, p)
	}
	if strings.Contains(name, "/") {
		return p.script(ctx, absolute(p.dir, name))
	}
	for _, dir := range []string{"/usr/local/bin/", "/usr/bin/", "/bin/"} {
		if _, err := p.m.disk().read(dir + name); err == nil {
			return p.script(ctx, dir+name)
		}
	}
	fmt.Fprintf(p.err, "sh: %s: not found\n", name)
	return 127
}

func systemPath(name string) bool {
	return slices.Contains([]string{"/bin", "/sbin", "/usr/bin", "/usr/sbin"}, path.Dir(name))
}

// script runs an executable file of the machine.
func (p *process) script(ctx context.Context, name string) int {
	b, err := p.m.disk().read(name)
	if err != nil {
		fmt.Fprintf(p.err, "sh: %s: not found\n", name)
		return 127
	}
	if i, err := p.m.disk().stat(name); err != nil || i.Mode()&0o111 == 0 {
		fmt.Fprintf(p.err, "sh: %s: Permission denied\n", name)
		return 126
	}
	if line, _, _ := bytes.Cut(b, []byte("\n")); bytes.HasPrefix(line, []byte("#!")) && !bytes.HasSuffix(bytes.Fields(line)[0], []byte("sh")) && !bytes.HasSuffix(line, []byte("sh")) {
		fmt.Fprintf(p.err, "sh: %s: %s: not found\n", name, bytes.TrimPrefix(line, []byte("#!")))
		return 127
	}
	return p.run(ctx, b, p.args[1:], p.in, p.out, p.err, exported(p.env))
}

// exported is the environment that a new program gets.
func exported(env expand.Environ) expand.Environ {
	var list []string
	env.Each(func(name string, v expand.Variable) bool {
		if v.Exported {
			list = append(list, name+"="+v.String())
		}
		return true
	})
	return expand.ListEnviron(list...)
}
