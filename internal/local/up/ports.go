package up

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// portPatience is how long a start waits for ports that a killed region still
// gives back.
const portPatience = 3 * time.Second

// checkPorts finds out whether the region's ports are free.
func checkPorts(r Region, again bool, dir string) error {
	for port := r.PortBase; port < r.PortBase+Ports; port++ {
		err := waitFree(port)
		if err == nil {
			continue
		}
		cause := fmt.Sprintf("port %d (%s) is in use%s", port, r.ports()[port], whoListens(port))
		next := []string{fmt.Sprintf("choose other ports: `poolkeeper local up%s --port-base %d`", dirFlag(dir), r.PortBase+10)}
		if again {
			next = []string{"end that process: this region's nodes know the API server at its port",
				fmt.Sprintf("or begin anew elsewhere: `poolkeeper local reset%s`, then `poolkeeper local up%s --port-base %d`", dirFlag(dir), dirFlag(dir), r.PortBase+10)}
		}
		return badInput("the local region was not started", cause, next...)
	}
	return nil
}

func waitFree(port int) error {
	for end := time.Now().Add(portPatience); ; time.Sleep(50 * time.Millisecond) {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return l.Close()
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// whoListens names the process that listens on a port, as far as this user may
// see it: ", by process 12 (name)".
func whoListens(port int) string {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listeners(table, port, sockets)
	}
	if len(sockets) == 0 {
		return ""
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, f := range files {
		target, err := os.Readlink(f)
		if err != nil || !sockets[target] {
			continue
		}
		pid := strings.Split(f, "/")[2]
		return fmt.Sprintf(" by process %s (%s)", pid, programOf("/proc/"+pid))
	}
	return " by another user's process"
}

// programOf is the name of the program of a process, by its directory in /proc:
// that of its first word. The name that the kernel keeps is cut to 15 bytes; it
// is what is left where a process has no words.
func programOf(proc string) string {
	words, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
	if first, _, _ := strings.Cut(string(words), "\x00"); first != "" {
		return filepath.Base(first)
	}
	name, _ := os.ReadFile(filepath.Join(proc, "comm"))
	return strings.TrimSpace(string(name))
}

// listeners adds the sockets of one table of the kernel that listen on a port,
// named as the links of open files name them.
func listeners(table string, port int, sockets map[string]bool) {
	const listening, inode = "0A", 9
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) <= inode || fields[3] != listening {
			continue
		}
		_, hex, _ := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
			sockets["socket:["+fields[inode]+"]"] = true
		}
	}
}
