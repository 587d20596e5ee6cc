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
