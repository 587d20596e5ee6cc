package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc: a hundredth of a second on Linux.
const tick = 10 * time.Millisecond

// cpuTime is what a process has used.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
	}
	return parseCPU(string(b))
}

// parseCPU reads user and system time of a line of /proc/PID/stat. The name in
// it may hold spaces and parentheses.
func parseCPU(line string) (time.Duration, error) {
	f := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(f) < 13 {
		return 0, errors.New("read CPU time: the line is too short")
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// memory is what a process has resident now, and the most it ever had. Unit:
// bytes.
func memory(pid int) (now, most float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return parseMemory(string(b))
}

func parseMemory(text string) (now, most float64, err error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "VmRSS:":
			now, err = strconv.ParseFloat(f[1], 64)
		case "VmHWM:":
			most, err = strconv.ParseFloat(f[1], 64)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("read memory: %w", err)
		}
	}
	return now * 1024, most * 1024, nil
}

// series are the samples of one look at metrics, by name with labels.
type series map[string]float64

// readMetrics asks a process for its metrics.
func readMetrics(ctx context.Context, url string) (series, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return parseMetrics(string(b)), nil
}

// parseMetrics reads the text form; timestamps are not expected.
func parseMetrics(text string) series {
	s := series{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			s[line[:i]] = v
		}
	}
	return s
}

// by sums the samples of one metric by the value of a label.
func (s series) by(metric, label string) map[string]float64 {
	sums := map[string]float64{}
	for name, v := range s {
		labels, ok := strings.CutPrefix(name, metric+"{")
		if !ok {
			continue
		}
		_, value, _ := strings.Cut(labels, label+`="`)
		value, _, _ = strings.Cut(value, `"`)
		sums[value] += v
	}
	return sums
}

// total sums all samples of one metric.
func (s series) total(metric string) float64 {
	sum := s[metric]
	for name, v := range s {
		if strings.HasPrefix(name, metric+"{") {
			sum += v
		}
	}
	return sum
}

// minus is what was added since an earlier look.
func (s series) minus(before series) series {
	d := series{}
	for name, v := range s {
		d[name] = v - before[name]
	}
	return d
}
