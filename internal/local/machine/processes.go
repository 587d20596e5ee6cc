package machine

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
		b, err := p.input("-")
		if err != nil {
			return p.fail(2, "cannot read standard input: %s", cause(err))
		}
		return p.run(ctx, b, nil, nil, p.out, p.err, exported(p.env))
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
