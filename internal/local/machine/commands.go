package machine

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
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
		"curl": curl, "date": date, "dirname": basename, "env": envCommand, "false": fails, "grep": grep, "gunzip": gunzip, "head": head,
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

// gunzip reads standard input, as the end of a pipe.
func gunzip(_ context.Context, p *process) int {
	if len(p.args) > 1 {
		return p.usage(p.args[1])
	}
	packed, err := p.input("-")
	if err != nil {
		return p.fail(1, "stdin: %s", cause(err))
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return p.fail(1, "stdin: not in gzip format")
	}
	if _, err := io.Copy(p.out, io.LimitReader(r, maxFile)); err != nil {
		return p.fail(1, "stdin: %s", cause(err))
	}
	return 0
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
