package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// commands are the programs of the image. Each knows the options that scripts
// of this kind use and refuses others, so that a script never runs on by
// accident.
var commands map[string]command

func init() {
	commands = map[string]command{
		"__error": func(_ context.Context, p *process) int { return p.fail(1, "%s", strings.Join(p.args[1:], " ")) },
		"__which": which, "which": which,
		"base64": base64Command, "basename": basename, "cat": cat, "chmod": chmod, "chown": succeed, "cp": copyFile,
		"curl": curl, "date": date, "dirname": basename, "env": envCommand, "false": fails, "grep": grep, "head": head,
		"hostname": hostname, "id": identity, "kill": kill, "kubelet": kubeletVersion, "logger": logger, "ls": ls, "mkdir": mkdir,
		"mkfifo": mkfifo, "mv": move, "nvidia-smi": nvidiaSMI, "openssl": openssl, "rm": remove, "sed": sed, "sh": sh, "bash": sh,
		"sha256sum": sha256sum, "sleep": sleep, "sort": sortLines, "sync": syncDisk, "systemctl": systemctl, "tail": tail, "tee": tee,
		"timeout": timeout, "touch": touch, "tr": translate, "true": succeed, "uname": uname, "wc": wc,
	}
}

func (p *process) fail(code int, format string, a ...any) int {
	fmt.Fprintf(p.err, "%s: %s\n", p.args[0], fmt.Sprintf(format, a...))
	return code
}

func (p *process) usage(what string) int {
	return p.fail(2, "unrecognized option '%s'", what)
}

// cause is an error as the C library words it.
func cause(err error) string {
	var pathErr *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "No such file or directory"
	case errors.Is(err, fs.ErrPermission):
		return "Permission denied"
	case errors.Is(err, fs.ErrExist):
		return "File exists"
	case errors.As(err, &pathErr):
		return pathErr.Err.Error()
	}
	return err.Error()
}

func (p *process) path(name string) string { return absolute(p.dir, name) }

// input reads a file by its name, a fifo to its end, "-" standard input.
func (p *process) input(name string) ([]byte, error) {
	if name == "-" {
		if p.in == nil {
			return nil, nil
		}
		return io.ReadAll(io.LimitReader(p.in, maxFile))
	}
	name = p.path(name)
	if q := p.m.disk().fifo(name); q != nil {
		return io.ReadAll(fifoReader{q})
	}
	if name == "/dev/null" {
		return nil, nil
	}
	return p.m.disk().read(name)
}

// inputs reads all files, or standard input without any, and reports those
// that cannot be read.
func (p *process) inputs(names []string) (contents [][]byte, code int) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, n := range names {
		b, err := p.input(n)
		if err != nil {
			code = p.fail(1, "%s: %s", n, cause(err))
			continue
		}
		contents = append(contents, b)
	}
	return contents, code
}

func succeed(context.Context, *process) int { return 0 }
func fails(context.Context, *process) int   { return 1 }

func which(_ context.Context, p *process) int {
	name := p.args[1]
	if commands[name] != nil {
		fmt.Fprintln(p.out, "/usr/bin/"+name)
		return 0
	}
	if i, err := p.m.disk().stat("/usr/local/bin/" + name); err == nil && !i.IsDir() {
		fmt.Fprintln(p.out, "/usr/local/bin/"+name)
		return 0
	}
	return 1
}

func cat(_ context.Context, p *process) int {
	contents, code := p.inputs(p.args[1:])
	for _, c := range contents {
		if _, err := p.out.Write(c); err != nil {
			return p.fail(1, "write error: %s", cause(err))
		}
	}
	return code
}

func base64Command(_ context.Context, p *process) int {
	decode, names := false, []string{}
	for args := p.args[1:]; len(args) > 0; args = args[1:] {
		switch a := args[0]; {
		case a == "-d" || a == "--decode":
			decode = true
		case a == "-w" && len(args) > 1:
			args = args[1:]
		case a == "-w0":
		case strings.HasPrefix(a, "-") && a != "-":
			return p.usage(a)
		default:
			names = append(names, a)
		}
	}
	contents, code := p.inputs(names)
	text := bytes.Join(contents, nil)
	if !decode {
		io.WriteString(p.out, base64.StdEncoding.EncodeToString(text))
		return code
	}
	text = bytes.Join(bytes.Fields(text), nil)
	plain := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(plain, text)
	p.out.Write(plain[:n])
	if err != nil {
		return p.fail(1, "invalid input")
	}
	return code
}

func sha256sum(_ context.Context, p *process) int {
	check, quiet, names := false, false, []string{}
	for _, a := range p.args[1:] {
		switch {
		case a == "-c" || a == "--check":
			check = true
		case a == "--quiet" || a == "--status":
			quiet = true
		case strings.HasPrefix(a, "-") && a != "-":
			return p.usage(a)
		default:
			names = append(names, a)
		}
	}
	if check {
		return p.checkSums(names, quiet)
	}
	for _, n := range append(names, "-")[:max(1, len(names))] {
		b, err := p.input(n)
		if err != nil {
			return p.fail(1, "%s: %s", n, cause(err))
		}
		fmt.Fprintf(p.out, "%s  %s\n", sumOf(b), n)
	}
	return 0
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (p *process) checkSums(lists []string, quiet bool) int {
	contents, code := p.inputs(lists)
	checked := 0
	for line := range strings.Lines(string(bytes.Join(contents, nil))) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			continue
		}
		checked++
		b, err := p.input(name)
		switch {
		case err != nil:
			code = p.fail(1, "%s: %s", name, cause(err))
		case sumOf(b) != sum:
			fmt.Fprintf(p.out, "%s: FAILED\n", name)
			code = 1
		case !quiet:
			fmt.Fprintf(p.out, "%s: OK\n", name)
		}
	}
	if checked == 0 {
		return p.fail(1, "no properly formatted checksum lines found")
	}
	return code
}

// operands splits single-letter options from names. Options not in known are
// refused.
func (p *process) operands(known string) (options string, names []string, bad string) {
	for i, a := range p.args[1:] {
		if a == "--" {
			return options, append(names, p.args[i+2:]...), ""
		}
		if len(a) < 2 || a[0] != '-' {
			names = append(names, a)
			continue
		}
		for _, o := range a[1:] {
			if !strings.ContainsRune(known, o) {
				return "", nil, a
			}
		}
		options += a[1:]
	}
	return options, names, ""
}

func mkdir(_ context.Context, p *process) int {
	options, names, bad := p.operands("p")
	if bad != "" {
		return p.usage(bad)
	}
	for _, n := range names {
		_, err := p.m.disk().stat(p.path(n))
		if err == nil && options == "" {
			return p.fail(1, "cannot create directory '%s': File exists", n)
		}
		if err := p.m.disk().makeDir(p.path(n)); err != nil {
			return p.fail(1, "cannot create directory '%s': %s", n, cause(err))
		}
	}
	return 0
}

func mkfifo(_ context.Context, p *process) int {
	for _, n := range p.args[1:] {
		if err := p.m.disk().makeFifo(p.path(n)); err != nil {
			return p.fail(1, "cannot create fifo '%s': %s", n, cause(err))
		}
	}
	return 0
}

func chmod(_ context.Context, p *process) int {
	if len(p.args) < 3 {
		return p.fail(1, "missing operand")
	}
	mode, err := strconv.ParseUint(p.args[1], 8, 12)
	if p.args[1] == "+x" {
		mode, err = 0o755, nil
	}
	if err != nil {
		return p.fail(1, "invalid mode: '%s'", p.args[1])
	}
	for _, n := range p.args[2:] {
		if err := p.m.disk().chmod(p.path(n), fs.FileMode(mode)); err != nil {
			return p.fail(1, "cannot access '%s': %s", n, cause(err))
		}
	}
	return 0
}

func remove(_ context.Context, p *process) int {
	options, names, bad := p.operands("rRf")
	if bad != "" {
		return p.usage(bad)
	}
	for _, n := range names {
		err := p.m.disk().remove(p.path(n), strings.ContainsAny(options, "rR"))
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && strings.Contains(options, "f")) {
			return p.fail(1, "cannot remove '%s': %s", n, cause(err))
		}
	}
	return 0
}

// target is where a file is copied to.
func (p *process) target(from, to string) string {
	to = p.path(to)
	if i, err := p.m.disk().stat(to); err == nil && i.IsDir() {
		return path.Join(to, path.Base(from))
	}
	return to
}

func copyFile(_ context.Context, p *process) int {
	_, names, bad := p.operands("fpa")
	if bad != "" || len(names) != 2 {
		return p.usage(bad)
	}
	b, err := p.input(names[0])
	if err != nil {
		return p.fail(1, "cannot stat '%s': %s", names[0], cause(err))
	}
	mode := fs.FileMode(0o644)
	if i, err := p.m.disk().stat(p.path(names[0])); err == nil {
		mode = i.Mode()
	}
	p.m.disk().write(p.target(names[0], names[1]), b, mode)
	return 0
}

func move(ctx context.Context, p *process) int {
	if code := copyFile(ctx, p); code != 0 {
		return code
	}
	_, names, _ := p.operands("fpa")
	if err := p.m.disk().remove(p.path(names[0]), false); err != nil {
		return p.fail(1, "cannot remove '%s': %s", names[0], cause(err))
	}
	return 0
}

func touch(_ context.Context, p *process) int {
	for _, n := range p.args[1:] {
		f, err := p.m.disk().open(p.path(n), openAppend, 0o644)
		if err != nil {
			return p.fail(1, "cannot touch '%s': %s", n, cause(err))
		}
		f.Close()
	}
	return 0
}

func ls(_ context.Context, p *process) int {
	_, names, bad := p.operands("1laA")
	if bad != "" {
		return p.usage(bad)
	}
	if len(names) == 0 {
		names = []string{p.dir}
	}
	for _, n := range names {
		i, err := p.m.disk().stat(p.path(n))
		if err != nil {
			return p.fail(2, "cannot access '%s': %s", n, cause(err))
		}
		if !i.IsDir() {
			fmt.Fprintln(p.out, n)
			continue
		}
		entries, _ := p.m.disk().list(p.path(n))
		for _, e := range entries {
			fmt.Fprintln(p.out, e.Name())
		}
	}
	return 0
}

func sleep(ctx context.Context, p *process) int {
	var total time.Duration
	for _, a := range p.args[1:] {
		d, err := span(a)
		if err != nil {
			return p.fail(1, "invalid time interval '%s'", a)
		}
		total += d
	}
	if !p.m.pause(ctx, total) {
		return 143
	}
	return 0
}

// span reads 1.5, 2s, 3m or 1h.
func span(text string) (time.Duration, error) {
	unit := time.Second
	if text != "" {
		if u, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[text[len(text)-1]]; ok {
			unit, text = u, text[:len(text)-1]
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n > 1e6 {
		return 0, errors.New("invalid time interval")
	}
	return time.Duration(n * float64(unit)), nil
}

func timeout(ctx context.Context, p *process) int {
	if len(p.args) < 3 {
		return p.fail(125, "missing operand")
	}
	d, err := span(p.args[1])
	if err != nil {
		return p.fail(125, "invalid time interval '%s'", p.args[1])
	}
	inner, cancel := context.WithTimeout(ctx, p.m.host.scaled(d))
	defer cancel()
	q := *p
	q.args = p.args[2:]
	code := q.start(inner)
	if inner.Err() != nil && ctx.Err() == nil {
		return 124
	}
	return code
}

func kill(_ context.Context, p *process) int {
	if slices.ContainsFunc(p.args[1:], func(a string) bool { return strings.HasPrefix(a, "g") }) {
		p.shell.kill()
		return 0
	}
	return p.fail(1, "no such process")
}

func sh(ctx context.Context, p *process) int {
	args := p.args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && !strings.Contains(args[0], "c") {
		args = args[1:]
	}
	switch {
	case len(args) > 1 && strings.HasPrefix(args[0], "-"):
		return p.run(ctx, []byte(args[1]), args[min(3, len(args)):], p.in, p.out, p.err, exported(p.env))
	case len(args) == 0:
		return p.fail(2, "no script")
	}
	b, err := p.m.disk().read(p.path(args[0]))
	if err != nil {
		return p.fail(2, "0: cannot open %s: %s", args[0], cause(err))
	}
	return p.run(ctx, b, args[1:], p.in, p.out, p.err, exported(p.env))
}

func envCommand(ctx context.Context, p *process) int {
	if len(p.args) == 1 {
		return 0
	}
	q := *p
	q.args = p.args[1:]
	return q.start(ctx)
}
