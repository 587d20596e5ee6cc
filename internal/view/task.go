package view

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// Task is a cluster task as people and scripts see it.
type Task struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Title      string `json:"title"`
	Type       string `json:"type"`
	Pool       string `json:"pool"`
	// Status is the state's word, State what machines compare.
	Status    string         `json:"status"`
	State     string         `json:"state"`
	Progress  string         `json:"progress,omitempty"`
	Summary   string         `json:"summary"`
	AskedBy   string         `json:"askedBy,omitempty"`
	From      int32          `json:"from"`
	To        int32          `json:"to"`
	Target    int32          `json:"target"`
	Counts    TaskCounts     `json:"counts"`
	Stages    []TaskStage    `json:"stages,omitempty"`
	Error     *TaskError     `json:"error,omitempty"`
	Causes    []TaskCause    `json:"causes,omitempty"`
	Instances []TaskInstance `json:"instances,omitempty"`
	Events    []TaskEvent    `json:"events,omitempty"`
	StartTime *time.Time     `json:"startTime,omitempty"`
	EndTime   *time.Time     `json:"endTime,omitempty"`
	Took      string         `json:"took,omitempty"`
	AsOf      AsOf           `json:"asOf"`

	tone    Tone
	created time.Time
}

// TaskCounts count what a task is about. Unit: instances.
type TaskCounts struct {
	Wanted   int32 `json:"wanted"`
	Created  int32 `json:"created"`
	Joined   int32 `json:"joined"`
	Failed   int32 `json:"failed"`
	Released int32 `json:"released"`
}

// TaskStage is one stage of a task.
type TaskStage struct {
	Name      string     `json:"name"`
	Status    string     `json:"status"`
	StartTime *time.Time `json:"startTime,omitempty"`
	EndTime   *time.Time `json:"endTime,omitempty"`
}

// TaskError is what ended a task.
type TaskError struct {
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
}

// TaskCause is one cause with its solution.
type TaskCause struct {
	Code      string `json:"code"`
	Cause     string `json:"cause"`
	Solution  string `json:"solution,omitempty"`
	Message   string `json:"message,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	Count     int32  `json:"count,omitempty"`
	Instance  string `json:"instance,omitempty"`
	Log       string `json:"log,omitempty"`
}

// TaskInstance is the result of one instance.
type TaskInstance struct {
	Instance string `json:"instance"`
	State    string `json:"state"`
	Message  string `json:"message,omitempty"`
}

// TaskEvent is something that happened while a task ran.
type TaskEvent struct {
	Time    time.Time `json:"time"`
	Code    string    `json:"code,omitempty"`
	Message string    `json:"message"`
}

// RunningTasks names the tasks of a pool that have not ended, oldest first.
func RunningTasks(p *v1alpha1.NodePool, list []v1alpha1.ClusterTask) []string {
	var run []*v1alpha1.ClusterTask
	for k := range list {
		if t := &list[k]; t.Spec.PoolUID == string(p.UID) && !TaskEnded(t.Status.State) {
			run = append(run, t)
		}
	}
	slices.SortFunc(run, func(a, b *v1alpha1.ClusterTask) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	var names []string
	for _, t := range run {
		names = append(names, t.Name)
	}
	return names
}

// NewTask makes the view of a task.
func NewTask(t *v1alpha1.ClusterTask, now time.Time) Task {
	st := &t.Status
	v := Task{
		APIVersion: APIVersion, Kind: "Task", Name: t.Name, Title: t.Spec.Title, Type: string(t.Spec.Type), Pool: t.Spec.Pool,
		Status: TaskWord(st.State), State: string(st.State), Progress: st.Progress, Summary: TaskSentence(t, now),
		AskedBy: AskedBy(t), From: t.Spec.From, To: t.Spec.To, Target: st.Target,
		Counts:    TaskCounts(st.Counts),
		StartTime: utc(st.StartTime), EndTime: utc(st.EndTime), Took: taskTook(t, now), AsOf: AsOf{API: now.UTC()},
		tone: taskTone(st.State), created: t.CreationTimestamp.Time,
	}
	if st.Error != nil {
		v.Error = &TaskError{Code: st.Error.Code, Message: st.Error.Message}
	}
	for _, s := range st.Stages {
		v.Stages = append(v.Stages, TaskStage{Name: s.Name, Status: TaskWord(s.State), StartTime: utc(s.StartTime), EndTime: utc(s.EndTime)})
	}
	for _, c := range st.Causes {
		v.Causes = append(v.Causes, TaskCause(c))
	}
	for _, i := range st.Instances {
		v.Instances = append(v.Instances, TaskInstance(i))
	}
	for _, e := range st.Events {
		v.Events = append(v.Events, TaskEvent{Time: e.Time.UTC(), Code: e.Code, Message: e.Message})
	}
	return v
}

// AskedBy says who asked for a task, as far as the cluster can know.
func AskedBy(t *v1alpha1.ClusterTask) string {
	if t.Spec.AskedBy != "" {
		return t.Spec.AskedBy
	}
	return t.Annotations[v1alpha1.AnnotationAskedBy]
}

func utc(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// SortTasks puts the newest first.
func SortTasks(list []Task) {
	sort.SliceStable(list, func(i, j int) bool {
		if !list[i].created.Equal(list[j].created) {
			return list[i].created.After(list[j].created)
		}
		return list[i].Name > list[j].Name
	})
}

// TaskTable is a list of tasks as a table.
func TaskTable(list []Task, clock Clock) Table {
	t := Table{Columns: []Column{
		{Name: "STATUS"}, {Name: "TASK"}, {Name: "TITLE"}, {Name: "POOL", Wide: true}, {Name: "ASKED BY", Wide: true},
		{Name: "PROGRESS"}, {Name: "CODE"}, {Name: "STARTED"}, {Name: "TOOK"},
	}}
	for _, v := range list {
		code, started := "", "-"
		if v.Error != nil {
			code = v.Error.Code
		}
		if v.StartTime != nil {
			started = clock.At(*v.StartTime)
		}
		t.Rows = append(t.Rows, []Cell{
			{Text: v.Status, Tone: v.tone}, text(v.Name), text(v.Title), text(v.Pool), text(v.AskedBy),
			text(v.Progress), text(code), text(started), text(v.Took),
		})
	}
	return t
}

// ReplacedText says that a newer request took the place of a task.
func ReplacedText(newer *v1alpha1.ClusterTask, clock Clock) string {
	by := AskedBy(newer)
	if by == "" {
		by = "nobody known"
	}
	return fmt.Sprintf("A newer request (%d -> %d by %s, %s) replaced this task.",
		newer.Spec.From, newer.Spec.To, by, clock.At(newer.CreationTimestamp.Time))
}
