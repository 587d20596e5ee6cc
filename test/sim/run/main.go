// Command run plays histories of the simulation. In comes how long to play, or
// one seed; out comes a line on record for the range of seeds that was played,
// with its version and what was violated, or the story of the one. It plays on
// all cores, never plays a seed twice that is on record, and passes nothing
// that breaks a promise.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/test/sim"
)

func main() {
	seed := flag.String("seed", "", "play this seed only, and print its story")
	all := flag.Bool("all", false, "print all of its history, reads too")
	last := flag.Duration("for", 10*time.Minute, "how long to play")
	record := flag.String("record", "test/sim/record.txt", "where to add what came of it")
	flag.Parse()
	sim.KeepGarbage()
	var err error
	if *seed != "" {
		err = one(*seed, *all)
	} else {
		err = many(*last, *record)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// one plays one seed and prints it.
func one(text string, all bool) error {
	var seed uint64
	if _, err := fmt.Sscan(text, &seed); err != nil {
		return fmt.Errorf("read seed %q: %w", text, err)
	}
	r := sim.Run(seed, sim.Options{})
	if all {
		fmt.Print(r.History())
	} else {
		fmt.Print(r.Story())
	}
	fmt.Printf("seed %d: %d events, history %s\n", seed, r.Events, r.Hash())
	if len(r.Violations) > 0 {
		return fmt.Errorf("seed %d: %s", seed, strings.Join(r.Violations, "; "))
	}
	return nil
}

// tally is what came of a range of seeds.
type tally struct {
	mu     sync.Mutex
	next   uint64
	seeds  int
	events int
	broken []string
}

// many plays seeds that the record does not have, one after another.
func many(last time.Duration, record string) error {
	first, err := unplayed(record)
	if err != nil {
		return err
	}
	t := &tally{next: first}
	end := time.Now().Add(last)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for time.Now().Before(end) {
				t.play()
			}
		})
	}
	wg.Wait()
	line := fmt.Sprintf("%s %s seeds %d-%d events %d violations %d %s", time.Now().UTC().Format(time.DateOnly), version(), first, t.next-1, t.events,
		len(t.broken), strings.Join(t.broken, " "))
	fmt.Println(strings.TrimSpace(line))
	if err := add(record, strings.TrimSpace(line)); err != nil {
		return err
	}
	if len(t.broken) > 0 {
		return fmt.Errorf("%d of %d seeds break a promise; play one again: make sim SEED=%s", len(t.broken), t.seeds, t.broken[0])
	}
	return nil
}

func (t *tally) play() {
	t.mu.Lock()
	seed := t.next
	t.next++
	t.mu.Unlock()
	r := sim.Run(seed, sim.Options{})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seeds++
	t.events += r.Events
	if len(r.Violations) > 0 {
		t.broken = append(t.broken, fmt.Sprint(seed))
		fmt.Printf("seed %d: %.300s\n", seed, r.Violations[0])
	}
}

// unplayed is the first seed that the record does not have.
func unplayed(record string) (uint64, error) {
	f, err := os.Open(record)
	if os.IsNotExist(err) {
		return 1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read record: %w", err)
	}
	defer f.Close()
	next := uint64(1)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var day, version string
		var from, to uint64
		if n, _ := fmt.Sscanf(lines.Text(), "%s %s seeds %d-%d", &day, &version, &from, &to); n == 4 {
			next = max(next, to+1)
		}
	}
	return next, nil
}

func add(record, line string) error {
	f, err := os.OpenFile(record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

// version names the code that is played.
func version() string {
	out, err := exec.Command("git", "describe", "--tags", "--always", "--dirty=-modified").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
