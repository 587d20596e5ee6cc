package up

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"
)

// format is the layout of a state directory. A newer build takes over an older
// layout; an older one refuses a newer.
const format = 1

// Region is what a state directory remembers about how it was started.
type Region struct {
	// Format of the state directory.
	Format int `json:"format"`
	// Version of the build that started it last.
	Version string `json:"version"`
	// PortBase is the API server's port.
	PortBase int `json:"portBase"`
	// MaxNodes is how many nodes it is made for, MostNodesEver the highest that
	// was, for nodes keep the times they were made with.
	MaxNodes      int `json:"maxNodes"`
	MostNodesEver int `json:"mostNodesEver"`
	// Scenario is the file of the local cloud's settings.
	Scenario string `json:"scenario,omitempty"`
	// TimeFactor divides every wait of the engine.
	TimeFactor float64 `json:"timeFactor"`
	// Ceilings are flags of the controller with their values.
	Ceilings map[string]string `json:"ceilings,omitempty"`
	// Sampled is true once the samples were created.
	Sampled bool `json:"sampled"`
	// CreatedTime is when the directory was first used.
	CreatedTime time.Time `json:"createdTime"`
}

func regionFile(dir string) string { return filepath.Join(dir, "region.json") }

// ReadRegion reads what a directory remembers; os.ErrNotExist where no region
// was ever started.
func ReadRegion(dir string) (Region, error) {
	var r Region
	text, err := os.ReadFile(regionFile(dir))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", regionFile(dir), err)
	}
	return r, nil
}

func (r Region) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(regionFile(dir), append(text, '\n'), 0o600)
}

// merge puts what was chosen now over what the directory remembers.
func merge(o Options) (now, before Region, err error) {
	before, err = ReadRegion(o.Dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		before, err = Region{}, nil
	case err != nil:
		return now, before, badInput("the local region was not started", err.Error(),
			fmt.Sprintf("`poolkeeper local reset%s` begins anew", dirFlag(o.Dir)))
	case before.Format > format:
		return now, before, badInput("the local region was not started",
			fmt.Sprintf("%s was made by a newer build (%s)", o.Dir, before.Version),
			"use that build, or begin anew: `poolkeeper local reset"+dirFlag(o.Dir)+"`")
	case o.PortBase != 0 && before.PortBase != 0 && o.PortBase != before.PortBase:
		return now, before, badInput("the local region was not started",
			fmt.Sprintf("this region lives at port %d, where its nodes know the API server; --port-base %d was asked", before.PortBase, o.PortBase),
			fmt.Sprintf("leave --port-base out, or begin anew: `poolkeeper local reset%s`", dirFlag(o.Dir)))
	}
	now = before
	now.Format, now.Version = format, o.Version
	now.PortBase = first(o.PortBase, before.PortBase, DefaultPortBase)
	now.MaxNodes = first(o.MaxNodes, before.MaxNodes, DefaultMaxNodes)
	now.MostNodesEver = max(before.MostNodesEver, now.MaxNodes)
	now.TimeFactor = first(o.TimeFactor, before.TimeFactor, 1)
	now.Scenario = first(o.Scenario, before.Scenario)
	if now.Ceilings = maps.Clone(before.Ceilings); len(o.Ceilings) > 0 && now.Ceilings == nil {
		now.Ceilings = map[string]string{}
	}
	maps.Copy(now.Ceilings, o.Ceilings)
	if now.CreatedTime.IsZero() {
		now.CreatedTime = time.Now().UTC().Truncate(time.Second)
	}
	return now, before, nil
}

// first gives the first value that is not zero.
func first[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}

// The addresses of a region's four servers.
func (r Region) apiServer() string { return fmt.Sprintf("127.0.0.1:%d", r.PortBase) }
func (r Region) cloud() string     { return fmt.Sprintf("127.0.0.1:%d", r.PortBase+1) }
func (r Region) metrics() string   { return fmt.Sprintf("127.0.0.1:%d", r.PortBase+2) }
func (r Region) health() string    { return fmt.Sprintf("127.0.0.1:%d", r.PortBase+3) }
func (r Region) ports() map[int]string {
	return map[int]string{
		r.PortBase: "the API server", r.PortBase + 1: "the local cloud",
		r.PortBase + 2: "the controller's metrics", r.PortBase + 3: "the controller's health",
	}
}

// dirFlag is the --dir that a command needs to find a directory, with a space
// before it; nothing for the default.
func dirFlag(dir string) string {
	if abs, err := filepath.Abs(DefaultDir()); err == nil && abs == dir {
		return ""
	}
	return " --dir " + quote(dir)
}
