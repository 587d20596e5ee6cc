package scenario

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// audited reads the controllers' logs: every call that may have changed something
// in the cloud has its line, with why, what, result and the cloud's request ID,
// and what an activity asked for says who wished it.
func audited(t *testing.T, worlds []*world) {
	lines, asked := map[string]int{}, 0
	for _, w := range worlds {
		asked += w.audited(t, lines)
	}
	for _, action := range []string{"RunInstances", "DeleteInstances"} {
		if lines[action] == 0 {
			t.Errorf("the audit has no line of %s: %v", action, lines)
		}
	}
	if asked == 0 {
		t.Error("the audit says of no call who wished it")
	}
}

// audited counts the lines of each action of one region, and returns how many say
// who wished it.
func (w *world) audited(t *testing.T, lines map[string]int) (asked int) {
	log, err := os.ReadFile(filepath.Join(w.dir, "region", "logs", "controller.log"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		var m struct {
			Logger, Action, Cause, Result, Code, RequestID string
			What                                           map[string]string
		}
		if json.Unmarshal([]byte(line), &m) != nil || m.Logger != "audit" {
			continue
		}
		lines[m.Action]++
		if m.Action == "" || m.Cause == "" || m.Result == "" || len(m.What) == 0 || (m.Result == "Done") != (m.Code == "") || m.Result == "Done" && m.RequestID == "" {
			t.Errorf("the audit leaves something out: %s", line)
		}
		if m.Action == "RunInstances" && !strings.HasPrefix(m.Cause, "activity ") {
			t.Errorf("the audit does not say what instances were created for: %s", line)
		}
		if strings.Contains(m.Cause, " by ") {
			asked++
		}
	}
	return asked
}
