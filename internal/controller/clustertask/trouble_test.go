package clustertask_test

import (
	"strings"
	"testing"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/clustertask"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// A trouble of the API server stands in the running task while it lasts, and
// once over with from when to when and what waited; what was over before the
// task began does not.
func TestTroublesOfTheAPIServerStandInTheTask(t *testing.T) {
	b := scaled(t, 8)
	from := b.clock.Now().Add(time.Minute)
	all := []clustertask.Trouble{
		{Code: fault.APIServerInternalError, From: from.Add(-time.Hour), To: from.Add(-50 * time.Minute), Message: "refused"},
		{Code: fault.APIServerTooManyRequests, From: from, Message: "429"},
	}
	b.r.Troubles = func() []clustertask.Trouble { return all }
	tell := func() []api.TaskEvent {
		b.clock.T = b.clock.T.Add(2 * time.Minute)
		b.looks("web-abcdef-g2", 2)
		return b.state("web-abcdef-g2", api.TaskRunning).Status.Events
	}
	events := tell()
	if len(events) != 1 || events[0].Code != string(fault.APIServerTooManyRequests) || !strings.Contains(events[0].Message, "waiting: 5 instances to create") {
		t.Fatalf("while it lasts: %+v", events)
	}
	all[1].To = from.Add(time.Minute)
	all = append(all, clustertask.Trouble{Code: fault.APIServerInternalError, From: from.Add(time.Minute), To: from.Add(2 * time.Minute), Message: "connection refused"})
	for range 2 { // told once
		events = tell()
	}
	if len(events) != 2 || !strings.Contains(events[0].Message, "what waited: 5 instances to create") || events[1].Code != string(fault.APIServerInternalError) ||
		!strings.Contains(events[1].Message, "from "+from.Add(time.Minute).UTC().Format("2006-01-02 15:04:05")) {
		t.Fatalf("afterwards: %+v", events)
	}
	causes := b.state("web-abcdef-g2", api.TaskRunning).Status.Causes
	if len(causes) != 2 || causes[0].Count != 1 || causes[0].Solution == "" {
		t.Errorf("causes: %+v", causes)
	}
}
