package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// sed knows -n, -i and the commands s, p and d, with an expression before them.
func sed(_ context.Context, p *process) int {
	var scripts, names []string
	silent, inPlace, extended := false, false, false
	for args := p.args[1:]; len(args) > 0; args = args[1:] {
		switch a := args[0]; {
		case a == "-n":
			silent = true
		case a == "-i":
			inPlace = true
		case a == "-E" || a == "-r":
			extended = true
		case a == "-e" && len(args) > 1:
			args = args[1:]
			scripts = append(scripts, args[0])
		case strings.HasPrefix(a, "-") && a != "-":
			return p.usage(a)
		default:
			names = append(names, a)
		}
	}
	if len(scripts) == 0 && len(names) > 0 {
		scripts, names = names[:1], names[1:]
	}
	var edits []edit
	for _, s := range scripts {
		e, err := parseEdit(s, extended)
		if err != nil {
			return p.fail(1, "-e expression: %s", err)
		}
		edits = append(edits, e)
	}
	if !inPlace {
		contents, code := p.inputs(names)
		p.out.Write(applyEdits(bytes.Join(contents, nil), edits, silent))
		return code
	}
	for _, n := range names {
		b, err := p.input(n)
		if err != nil {
			return p.fail(2, "can't read %s: %s", n, cause(err))
		}
		p.m.disk().write(p.path(n), applyEdits(b, edits, silent), 0o644)
	}
	return 0
}

// edit is one command of sed.
type edit struct {
	where  *regexp.Regexp // nil: every line
	action byte
	find   *regexp.Regexp
	with   []byte
	global bool
	print  bool
}

func parseEdit(s string, extended bool) (edit, error) {
	var e edit
	var err error
	if strings.HasPrefix(s, "/") {
		parts := splitAt(s[1:], '/')
		if len(parts) != 2 {
			return e, errors.New("unterminated address regex")
		}
		if e.where, err = expression(parts[0], extended); err != nil {
			return e, err
		}
		s = parts[1]
	}
	if s == "p" || s == "d" {
		e.action = s[0]
		return e, nil
	}
	if len(s) < 4 || s[0] != 's' {
		return e, fmt.Errorf("unknown command: '%s'", s)
	}
	parts := splitAt(s[2:], s[1])
	if len(parts) != 3 || strings.Trim(parts[2], "gp") != "" {
		return e, errors.New("unknown option to 's'")
	}
	e.action, e.global, e.print = 's', strings.Contains(parts[2], "g"), strings.Contains(parts[2], "p")
	e.with = replacement(parts[1])
	e.find, err = expression(parts[0], extended)
	return e, err
}

// splitAt splits at a delimiter that is not escaped.
func splitAt(s string, delimiter byte) []string {
	var parts []string
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == delimiter:
			i++
			b.WriteByte(delimiter)
		case s[i] == '\\' && i+1 < len(s):
			b.WriteString(s[i : i+2])
			i++
		case s[i] == delimiter:
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	return append(parts, b.String())
}

// replacement turns \1 and & into what package regexp expands.
func replacement(s string) []byte {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9':
			i++
			b.WriteString("${" + string(s[i]) + "}")
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '&':
			b.WriteString("${0}")
		case s[i] == '$':
			b.WriteString("$$")
		default:
			b.WriteByte(s[i])
		}
	}
	return []byte(b.String())
}

func applyEdits(text []byte, edits []edit, silent bool) []byte {
	var out bytes.Buffer
lines:
	for line := range bytes.Lines(text) {
		line, end := bytes.TrimSuffix(line, []byte("\n")), line[len(bytes.TrimSuffix(line, []byte("\n"))):]
		for _, e := range edits {
			if e.where != nil && !e.where.Match(line) {
				continue
			}
			switch e.action {
			case 'd':
				continue lines
			case 'p':
				out.Write(line)
				out.WriteByte('\n')
			case 's':
				line = e.substitute(line, &out)
			}
		}
		if !silent {
			out.Write(line)
			out.Write(end)
		}
	}
	return out.Bytes()
}

func (e edit) substitute(line []byte, out *bytes.Buffer) []byte {
	m := e.find.FindSubmatchIndex(line)
	if m == nil {
		return line
	}
	if e.global {
		line = e.find.ReplaceAll(line, e.with)
	} else {
		next := append([]byte{}, line[:m[0]]...)
		next = e.find.Expand(next, e.with, line, m)
		line = append(next, line[m[1]:]...)
	}
	if e.print {
		out.Write(line)
		out.WriteByte('\n')
	}
	return line
}
