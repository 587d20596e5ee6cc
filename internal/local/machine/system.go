package machine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	openAppend   = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	openTruncate = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
)

var errEOF = io.EOF

// date knows -u and formats of the letters that scripts use.
func date(_ context.Context, p *process) int {
	now := p.m.host.Now().UTC()
	format := "%a %b %e %H:%M:%S UTC %Y"
	for _, a := range p.args[1:] {
		switch {
		case strings.HasPrefix(a, "+"):
			format = a[1:]
		case a != "-u":
			return p.usage(a)
		}
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		if format[i] == '3' && i+1 < len(format) && format[i+1] == 'N' {
			i++
			fmt.Fprintf(&b, "%03d", now.Nanosecond()/1e6)
			continue
		}
		layout, ok := map[byte]string{'F': "2006-01-02", 'T': "15:04:05", 'H': "15", 'M': "04", 'S': "05", 'Y': "2006", 'm': "01",
			'd': "02", 'e': "_2", 'a': "Mon", 'b': "Jan", 'Z': "UTC"}[format[i]]
		switch {
		case format[i] == 's':
			b.WriteString(strconv.FormatInt(now.Unix(), 10))
		case format[i] == 'N':
			fmt.Fprintf(&b, "%09d", now.Nanosecond())
		case ok:
			b.WriteString(now.Format(layout))
		default:
			b.WriteByte(format[i])
		}
	}
	fmt.Fprintln(p.out, b.String())
	return 0
}

// logger writes to the system log, and with -s to standard error.
func logger(_ context.Context, p *process) int {
	tag, echo := "root", false
	args := p.args[1:]
	for ; len(args) > 0 && strings.HasPrefix(args[0], "-"); args = args[1:] {
		switch {
		case args[0] == "-s":
			echo = true
		case args[0] == "-t" && len(args) > 1:
			args = args[1:]
			tag = args[0]
		case args[0] == "-p" && len(args) > 1:
			args = args[1:]
		default:
			return p.usage(args[0])
		}
	}
	text := strings.Join(args, " ")
	stamp := p.m.host.Now().UTC().Format(time.Stamp)
	p.m.disk().appendTo(pathMessages, []byte(stamp+" "+p.m.spec.ID+" "+tag+": "+text+"\n"), maxLog)
	if echo {
		fmt.Fprintf(p.err, "<13>%s %s: %s\n", stamp, tag, text)
	}
	return 0
}

func hostname(_ context.Context, p *process) int {
	name := p.m.spec.HostName
	if name == "" {
		name = p.m.spec.ID
	}
	fmt.Fprintln(p.out, name)
	return 0
}

func uname(_ context.Context, p *process) int {
	out := "Linux"
	if len(p.args) > 1 && p.args[1] == "-m" {
		out = "x86_64"
	} else if len(p.args) > 1 && p.args[1] == "-r" {
		out = kernelVersion
	}
	fmt.Fprintln(p.out, out)
	return 0
}

func identity(_ context.Context, p *process) int {
	if len(p.args) > 1 && p.args[1] == "-u" {
		fmt.Fprintln(p.out, 0)
		return 0
	}
	fmt.Fprintln(p.out, "uid=0(root) gid=0(root) groups=0(root)")
	return 0
}

func basename(_ context.Context, p *process) int {
	if len(p.args) < 2 {
		return p.fail(1, "missing operand")
	}
	if p.args[0] == "dirname" {
		fmt.Fprintln(p.out, path.Dir(p.args[1]))
		return 0
	}
	fmt.Fprintln(p.out, path.Base(p.args[1]))
	return 0
}

func syncDisk(_ context.Context, p *process) int {
	if err := p.m.flush(); err != nil {
		return p.fail(1, "error syncing: %s", err)
	}
	return 0
}

// countOf reads -n N or -c N; default 10 lines.
func (p *process) countOf() (lines, n int, names []string, bad string) {
	lines, n = 1, 10
	for args := p.args[1:]; len(args) > 0; args = args[1:] {
		switch a := args[0]; {
		case (a == "-n" || a == "-c") && len(args) > 1:
			if a == "-c" {
				lines = 0
			}
			args = args[1:]
			n, _ = strconv.Atoi(args[0])
		case len(a) > 1 && a[0] == '-':
			return 0, 0, nil, a
		default:
			names = append(names, a)
		}
	}
	return lines, max(0, n), names, ""
}

func tail(_ context.Context, p *process) int {
	lines, n, names, bad := p.countOf()
	if bad != "" {
		return p.usage(bad)
	}
	contents, code := p.inputs(names)
	b := bytes.Join(contents, nil)
	if lines == 0 {
		p.out.Write(b[max(0, len(b)-n):])
		return code
	}
	all := slices.Collect(bytes.Lines(b))
	p.out.Write(bytes.Join(all[max(0, len(all)-n):], nil))
	return code
}

func head(_ context.Context, p *process) int {
	lines, n, names, bad := p.countOf()
	if bad != "" {
		return p.usage(bad)
	}
	contents, code := p.inputs(names)
	b := bytes.Join(contents, nil)
	if lines == 0 {
		p.out.Write(b[:min(len(b), n)])
		return code
	}
	all := slices.Collect(bytes.Lines(b))
	p.out.Write(bytes.Join(all[:min(len(all), n)], nil))
	return code
}

func sortLines(_ context.Context, p *process) int {
	_, names, bad := p.operands("")
	if bad != "" {
		return p.usage(bad)
	}
	contents, code := p.inputs(names)
	all := slices.Collect(bytes.Lines(bytes.Join(contents, []byte("\n"))))
	slices.SortFunc(all, bytes.Compare)
	p.out.Write(bytes.Join(all, nil))
	return code
}

func wc(_ context.Context, p *process) int {
	options, names, bad := p.operands("lc")
	if bad != "" {
		return p.usage(bad)
	}
	contents, code := p.inputs(names)
	b := bytes.Join(contents, nil)
	if strings.Contains(options, "c") {
		fmt.Fprintln(p.out, len(b))
		return code
	}
	fmt.Fprintln(p.out, bytes.Count(b, []byte("\n")))
	return code
}

func tee(_ context.Context, p *process) int {
	options, names, bad := p.operands("a")
	if bad != "" {
		return p.usage(bad)
	}
	b, err := p.input("-")
	if err != nil {
		return p.fail(1, "%s", cause(err))
	}
	for _, n := range names {
		if options == "" {
			p.m.disk().write(p.path(n), b, 0o644)
		} else {
			p.m.disk().appendTo(p.path(n), b, maxFile)
		}
	}
	p.out.Write(b)
	return 0
}

// translate is tr with two sets of single characters, or -d with one.
func translate(_ context.Context, p *process) int {
	options, sets, bad := p.operands("d")
	if bad != "" || len(sets) == 0 || (options == "") != (len(sets) == 2) {
		return p.fail(1, "unsupported operands")
	}
	b, err := p.input("-")
	if err != nil {
		return p.fail(1, "%s", cause(err))
	}
	from := []rune(expandSet(sets[0]))
	var to []rune
	if options == "" {
		to = []rune(expandSet(sets[1]))
	}
	out := strings.Map(func(r rune) rune {
		i := slices.Index(from, r)
		switch {
		case i < 0:
			return r
		case options != "" || len(to) == 0:
			return -1
		}
		return to[min(i, len(to)-1)]
	}, string(b))
	io.WriteString(p.out, out)
	return 0
}

// expandSet knows \n, \t, \r and ranges.
func expandSet(s string) string {
	s = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\\`, `\`).Replace(s)
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if i+2 < len(s) && s[i+1] == '-' && s[i] < s[i+2] {
			for c := s[i]; c <= s[i+2]; c++ {
				b.WriteByte(c)
			}
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// nvidiaSMI answers about MIG on GPU machines and resets it.
func nvidiaSMI(ctx context.Context, p *process) int {
	if !strings.Contains(p.m.spec.InstanceType, "gn") {
		fmt.Fprintln(p.err, "sh: nvidia-smi: not found")
		return 127
	}
	switch strings.Join(p.args[1:], " ") {
	case "--query-gpu=mig.mode.current --format=csv,noheader":
		state := "Disabled"
		if p.m.migEnabled() {
			state = "Enabled"
		}
		fmt.Fprintln(p.out, state)
	case "mig -dci", "mig -dgi":
		fmt.Fprintln(p.out, "Successfully destroyed")
	case "-mig 0":
		if !p.m.resetMIG(ctx) {
			return 143
		}
		fmt.Fprintln(p.out, "Disabled MIG Mode")
	default:
		return p.fail(2, "Option %s is not recognized", strings.Join(p.args[1:], " "))
	}
	return 0
}

func kubeletVersion(_ context.Context, p *process) int {
	if len(p.args) == 2 && p.args[1] == "--version" {
		fmt.Fprintln(p.out, "Kubernetes "+p.m.host.KubeletVersion)
		return 0
	}
	return p.fail(1, "start it by systemctl")
}

// systemctl knows the units containerd, which runs, and kubelet.
func systemctl(_ context.Context, p *process) int {
	var words []string
	now := false
	for _, a := range p.args[1:] {
		switch {
		case a == "--now":
			now = true
		case !strings.HasPrefix(a, "-"):
			words = append(words, a)
		}
	}
	if len(words) == 1 && words[0] == "daemon-reload" {
		return 0
	}
	if len(words) != 2 {
		return p.fail(1, "Unknown operation %s.", strings.Join(words, " "))
	}
	switch unit := strings.TrimSuffix(words[1], ".service"); unit {
	case "containerd":
		return 0
	case "kubelet":
		return p.kubeletUnit(words[0], now)
	default:
		return p.fail(5, "Unit %s.service could not be found.", unit)
	}
}

func (p *process) kubeletUnit(verb string, now bool) int {
	switch verb {
	case "enable":
		p.m.disk().write(pathKubeletEnabled, []byte("[Unit]\nDescription=kubelet\n"), 0o644)
	case "disable":
		p.m.disk().remove(pathKubeletEnabled, false)
	case "is-active":
		if p.m.kubeletRuns() {
			fmt.Fprintln(p.out, "active")
			return 0
		}
		fmt.Fprintln(p.out, "inactive")
		return 3
	case "is-enabled":
		if _, err := p.m.disk().read(pathKubeletEnabled); err != nil {
			return 1
		}
		return 0
	}
	switch {
	case verb == "stop", verb == "restart", verb == "disable" && now:
		p.m.stopKubelet()
	}
	switch {
	case verb == "start", verb == "restart", verb == "enable" && now:
		if err := p.m.startKubelet(); err != nil {
			fmt.Fprintf(p.m.log("kubelet"), "%v\n", err)
			return p.fail(1, "Job for kubelet.service failed: %v", err)
		}
	}
	return 0
}
