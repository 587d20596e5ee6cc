package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

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
