package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// expressions keeps compiled patterns for all machines.
var expressions = shared[*regexp.Regexp]{most: 1024, of: map[[sha256.Size]byte]*regexp.Regexp{}}

// expression compiles a basic regular expression of POSIX, or an extended one.
func expression(pattern string, extended bool) (*regexp.Regexp, error) {
	if !extended {
		pattern = fromBasic(pattern)
	}
	return expressions.get([]byte(pattern), func(b []byte) (*regexp.Regexp, error) { return regexp.Compile(string(b)) })
}

// fromBasic turns a basic expression, where ( { | + ? are plain and their
// escaped forms are not, into the other kind.
func fromBasic(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '[':
			end := closing(p, i)
			b.WriteString(p[i:end])
			i = end - 1
		case c == '\\' && i+1 < len(p) && strings.IndexByte("(){}|+?", p[i+1]) >= 0:
			i++
			b.WriteByte(p[i])
		case c == '\\' && i+1 < len(p):
			b.WriteString(p[i : i+2])
			i++
		case strings.IndexByte("(){}|+?", c) >= 0, c == '*' && (i == 0 || i == 1 && p[0] == '^'):
			b.WriteString(`\` + string(c))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// closing returns the end of a bracket expression that starts at i.
func closing(p string, i int) int {
	j := i + 1
	if j < len(p) && p[j] == '^' {
		j++
	}
	if j < len(p) && p[j] == ']' {
		j++
	}
	for j < len(p) && p[j] != ']' {
		j++
	}
	return min(j+1, len(p))
}

// grepping is one call of grep.
type grepping struct {
	patterns             []*regexp.Regexp
	only, invert, quiet  bool
	count, most          int
	justCount, numbering bool
	names                []string
}

func grep(_ context.Context, p *process) int {
	g, err := p.grepOptions()
	if err != nil {
		return p.fail(2, "%s", err)
	}
	names := g.names
	if len(names) == 0 {
		names = []string{"-"}
	}
	code := 1
	for _, n := range names {
		r, err := p.reader(n)
		if err != nil {
			p.fail(2, "%s: %s", n, cause(err))
			code = 2
			continue
		}
		found, err := g.search(r, p.out)
		r.Close()
		if err != nil {
			return 2
		}
		if found && code == 1 {
			code = 0
		}
	}
	if g.justCount {
		fmt.Fprintln(p.out, g.count)
	}
	return code
}

func (p *process) grepOptions() (*grepping, error) {
	g := &grepping{most: -1}
	var patterns []string
	extended, fixed, fold := false, false, false
	args := p.args[1:]
	for ; len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-'; args = args[1:] {
		if args[0] == "--" {
			args = args[1:]
			break
		}
		for i, o := range args[0][1:] {
			switch o {
			case 'o':
				g.only = true
			case 'v':
				g.invert = true
			case 'q', 's':
				g.quiet = g.quiet || o == 'q'
			case 'c':
				g.justCount = true
			case 'n':
				g.numbering = true
			case 'E':
				extended = true
			case 'F':
				fixed = true
			case 'i':
				fold = true
			case 'e', 'm':
				value := args[0][i+2:]
				if value == "" && len(args) > 1 {
					args = args[1:]
					value = args[0]
				}
				if o == 'e' {
					patterns = append(patterns, value)
				} else if n, err := strconv.Atoi(value); err == nil {
					g.most = n
				} else {
					return nil, errors.New("invalid max count")
				}
				goto next
			default:
				return nil, fmt.Errorf("unrecognized option '%s'", args[0])
			}
		}
	next:
	}
	if len(patterns) == 0 {
		if len(args) == 0 {
			return nil, errors.New("no pattern")
		}
		patterns, args = args[:1], args[1:]
	}
	g.names = args
	return g, g.compile(patterns, extended, fixed, fold)
}

func (g *grepping) compile(patterns []string, extended, fixed, fold bool) error {
	for _, p := range patterns {
		if fixed {
			p, extended = regexp.QuoteMeta(p), true
		} else if !extended {
			p = fromBasic(p)
		}
		if fold {
			p = "(?i)" + p
		}
		re, err := expression(p, true)
		if err != nil {
			return err
		}
		g.patterns = append(g.patterns, re)
	}
	return nil
}

// reader opens a file, a fifo or standard input for reading as it comes.
func (p *process) reader(name string) (io.ReadCloser, error) {
	if name == "-" && p.in != nil {
		return io.NopCloser(p.in), nil
	}
	if q := p.m.disk().fifo(p.path(name)); q != nil {
		return fifoReader{q}, nil
	}
	b, err := p.input(name)
	return io.NopCloser(bytes.NewReader(b)), err
}

// search reads line by line, so that it ends at the last wanted match even if
// the input does not.
func (g *grepping) search(r io.Reader, out io.Writer) (found bool, err error) {
	var rest []byte
	buf := make([]byte, 16<<10)
	number := 0
	for {
		n, err := r.Read(buf)
		rest = append(rest, buf[:n]...)
		for {
			i := bytes.IndexByte(rest, '\n')
			line := rest[:max(i, 0)]
			if i < 0 {
				if err == nil || len(rest) == 0 {
					break
				}
				line, i = rest, len(rest)-1
			}
			number++
			if g.line(line, number, out) {
				found = true
				if g.most--; g.most == 0 || g.quiet {
					return true, nil
				}
			}
			rest = rest[i+1:]
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return found, err
		}
		if len(rest) > maxFile {
			return found, errNoSpace
		}
	}
}

func (g *grepping) line(line []byte, number int, out io.Writer) bool {
	var spans [][]int
	for _, re := range g.patterns {
		if g.only && !g.invert {
			spans = append(spans, re.FindAllIndex(line, -1)...)
		} else if re.Match(line) {
			spans = append(spans, nil)
			break
		}
	}
	if (len(spans) > 0) == g.invert {
		return false
	}
	g.count++
	if g.quiet || g.justCount {
		return true
	}
	prefix := ""
	if g.numbering {
		prefix = strconv.Itoa(number) + ":"
	}
	if !g.only {
		fmt.Fprintf(out, "%s%s\n", prefix, line)
		return true
	}
	slices.SortFunc(spans, func(a, b []int) int { return a[0] - b[0] })
	end := -1
	for _, s := range spans {
		if s[0] >= end && s[1] > s[0] {
			fmt.Fprintf(out, "%s%s\n", prefix, line[s[0]:s[1]])
			end = s[1]
		}
	}
	return true
}

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
