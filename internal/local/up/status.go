package up

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"text/tabwriter"
	"time"
)

// Status is what a region looks like now.
type Status struct {
	// Dir is the state directory.
	Dir string `json:"dir"`
	// State is "absent", "stopped", "starting" or "running".
	State string `json:"state"`
	// Ready is true when all children answer that they are.
	Ready bool `json:"ready"`
	// Holder is the process that runs it, where one does.
	Holder *Holder `json:"holder,omitempty"`
	// Region is what the directory remembers.
	Region *Region `json:"region,omitempty"`
	// Children in the order of their start.
	Children []ChildStatus `json:"children,omitempty"`
	// Trouble is what the API server was asked for, where it was.
	Trouble *Trouble `json:"trouble,omitempty"`
}

// ChildStatus is one process of a region.
type ChildStatus struct {
	// Name of the child, as people read it.
	Name string `json:"name"`
	// PID is 0 while it is not running.
	PID int `json:"pid"`
	// Address it listens on.
	Address string `json:"address"`
	// Ready is true when it just answered so.
	Ready bool `json:"ready"`
	// Restarts since the region was started, and how it ended last.
	Restarts int    `json:"restarts"`
	LastExit string `json:"lastExit,omitempty"`
	// Since is when it was started last.
	Since time.Time `json:"since"`
}

// published is what the region writes down for others while it runs.
type published struct {
	Ready    bool          `json:"ready"`
	Children []ChildStatus `json:"children"`
	Trouble  Trouble       `json:"trouble,omitzero"`
}

func statusFile(dir string) string { return filepath.Join(dir, "status.json") }

func (r *region) addChild(c *child) {
	r.mu.Lock()
	r.children = append(r.children, c)
	r.mu.Unlock()
}

func (r *region) setTrouble(t Trouble) {
	r.mu.Lock()
	r.trouble = t
	r.mu.Unlock()
	r.publish()
}

func (r *region) setReady() {
	r.mu.Lock()
	r.isReady = true
	r.mu.Unlock()
	r.publish()
}

// publish writes down which processes there are. Where it cannot, `local
// status` says less; nothing else depends on it.
func (r *region) publish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := published{Ready: r.isReady, Trouble: r.trouble}
	for _, c := range r.children {
		c.mu.Lock()
		p.Children = append(p.Children, ChildStatus{
			Name: c.name, PID: c.pid, Restarts: c.restarts, LastExit: c.lastExit,
			Since: c.since.Truncate(time.Second), Address: r.address(c.name),
		})
		c.mu.Unlock()
	}
	if text, err := json.Marshal(p); err == nil {
		_ = writeFile(statusFile(r.o.Dir), text, 0o600)
	}
}

func (r Region) address(name string) string {
	return map[string]string{planeName: r.apiServer(), cloudName: r.cloud(), controllerName: r.health()}[name]
}

// ReadStatus looks at a region, its servers included.
func ReadStatus(ctx context.Context, dir string) (Status, error) {
	s := Status{Dir: dir, State: "absent"}
	reg, err := ReadRegion(dir)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.Region, s.State = &reg, "stopped"
	h, held, err := holder(dir)
	if err != nil || !held {
		return s, err
	}
	s.Holder, s.State = &h, "starting"
	p, err := readPublished(dir)
	if err != nil {
		return s, err
	}
	s.Children = p.Children
	if p.Trouble.Kind != "" {
		s.Trouble = &p.Trouble
	}
	if p.Ready {
		s.State = "running"
	}
	s.probe(ctx, reg)
	return s, nil
}

// readPublished reads what a region wrote down last; nothing where it has not yet.
func readPublished(dir string) (published, error) {
	var p published
	text, err := os.ReadFile(statusFile(dir))
	if err != nil {
		return p, nil
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("read %s: %w", statusFile(dir), err)
	}
	return p, nil
}

// probe asks all servers at once.
func (s *Status) probe(ctx context.Context, reg Region) {
	probes := map[string]func(context.Context) error{
		planeName: probePlane(s.Dir, reg), cloudName: probeCloud(reg), controllerName: probeController(reg),
	}
	var wg sync.WaitGroup
	for i := range s.Children {
		c := &s.Children[i]
		if ask, ok := probes[c.Name]; ok && c.PID != 0 {
			wg.Go(func() { c.Ready = ask(ctx) == nil })
		}
	}
	wg.Wait()
	s.Ready = s.State == "running"
	for _, c := range s.Children {
		s.Ready = s.Ready && c.Ready
	}
}

// Write prints the status for people.
func (s Status) Write(w io.Writer, now time.Time) {
	if s.Region == nil {
		fmt.Fprintf(w, "There is no local region in %s.\n", short(s.Dir))
		return
	}
	fmt.Fprintf(w, "Local region in %s: %s", short(s.Dir), s.State)
	if s.Holder != nil {
		fmt.Fprintf(w, ", process %d since %s, build %s", s.Holder.PID, s.Holder.Since.Local().Format(time.DateTime), s.Holder.Version)
	}
	fmt.Fprintf(w, "\nPorts %d to %d, at most %d nodes.\n", s.Region.PortBase, s.Region.PortBase+Ports-1, s.Region.MaxNodes)
	if s.Trouble != nil {
		fmt.Fprintf(w, "As asked, %s; `poolkeeper local apiserver back` ends it.\n", s.Trouble)
	}
	if len(s.Children) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tREADY\tPID\tADDRESS\tAGE\tRESTARTS\tLAST END")
	for _, c := range s.Children {
		ready, last := "no", c.LastExit
		if c.Ready {
			ready = "yes"
		}
		if last == "" {
			last = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%d\t%s\n", c.Name, ready, c.PID, c.Address, now.Sub(c.Since).Truncate(time.Second), c.Restarts, last)
	}
	_ = t.Flush()
}

// Problem is nil for a region that is ready; else it says what it lacks.
func (s Status) Problem() *Error {
	switch {
	case s.Ready:
		return nil
	case s.Holder == nil:
		return &Error{
			Code: CodeUnreachable, What: "the local region does not run", Cause: "it is " + s.State,
			Next: []string{"`poolkeeper local up" + dirFlag(s.Dir) + "`"},
		}
	}
	e := &Error{Code: CodeUnreachable, What: "the local region is not ready", Cause: "it is " + s.State}
	for _, c := range s.Children {
		if !c.Ready {
			e.Cause = c.Name + " does not answer"
		}
	}
	if s.Trouble != nil {
		e.Cause, e.Next = fmt.Sprintf("as asked, %s", s.Trouble), []string{"wait, or `poolkeeper local apiserver back" + dirFlag(s.Dir) + "`"}
		return e
	}
	e.Next = []string{"look again in a moment, or see " + filepath.Join(s.Dir, "logs")}
	return e
}
