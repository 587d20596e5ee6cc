package view

import (
	"fmt"
	"sort"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// Activity is a scaling activity as people and scripts see it.
type Activity struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Pool       string `json:"pool"`
	Group      string `json:"group"`
	Number     int64  `json:"number"`
	Status     string `json:"status"`
	State      string `json:"state"`
	Cause      string `json:"cause"`
	Summary    string `json:"summary"`
	// Before and Wanted are the counted and the desired number when it was
	// decided. Unit: instances.
	Before    int32      `json:"before"`
	Wanted    int32      `json:"wanted"`
	Create    int32      `json:"create,omitempty"`
	Created   int32      `json:"created,omitempty"`
	Pieces    []Piece    `json:"pieces,omitempty"`
	Release   []Leaving  `json:"release,omitempty"`
	TakeOut   []Leaving  `json:"takeOut,omitempty"`
	BringIn   []string   `json:"bringIn,omitempty"`
	LeftOut   []Leaving  `json:"leftOut,omitempty"`
	Code      string     `json:"code,omitempty"`
	Message   string     `json:"message,omitempty"`
	StartTime *time.Time `json:"startTime,omitempty"`
	EndTime   *time.Time `json:"endTime,omitempty"`
	Took      string     `json:"took,omitempty"`
	AsOf      AsOf       `json:"asOf"`

	tone Tone
}

// Piece is one request of an activity to the cloud.
type Piece struct {
	VSwitch       string     `json:"vSwitch"`
	Zone          string     `json:"zone,omitempty"`
	InstanceType  string     `json:"instanceType"`
	Billing       string     `json:"billing"`
	Amount        int32      `json:"amount"`
	Status        string     `json:"status"`
	Sends         int32      `json:"sends"`
	Instances     []string   `json:"instances,omitempty"`
	Code          string     `json:"code,omitempty"`
	Message       string     `json:"message,omitempty"`
	RequestID     string     `json:"requestId,omitempty"`
	FirstSendTime *time.Time `json:"firstSendTime,omitempty"`
	ResolvedTime  *time.Time `json:"resolvedTime,omitempty"`
}

// Leaving is one instance that an activity names, and why.
type Leaving struct {
	Instance string `json:"instance"`
	Reason   string `json:"reason,omitempty"`
}

// NewActivity makes the view of a scaling activity.
func NewActivity(a *v1alpha1.ScalingActivity, now time.Time) Activity {
	s, st := &a.Spec, &a.Status
	v := Activity{
		APIVersion: APIVersion, Kind: "Activity", Name: a.Name, Pool: s.Pool, Group: s.Group, Number: s.Number,
		Status: ActivityWord(st.State), State: string(st.State), Cause: s.Cause, Summary: ActivitySentence(a),
		Before: s.Before, Wanted: s.Wanted, Create: s.Create, Created: st.Created, BringIn: s.BringIn,
		Code: st.Code, Message: st.Message, StartTime: utc(st.StartTime), EndTime: utc(st.EndTime),
		Took: activityTook(st, now), AsOf: AsOf{API: now.UTC()}, tone: activityTone(st.State),
	}
	for _, p := range st.Pieces {
		v.Pieces = append(v.Pieces, newPiece(p, s.Candidates))
	}
	for _, l := range s.Release {
		v.Release = append(v.Release, Leaving{Instance: l.Instance, Reason: l.Reason})
	}
	for _, l := range s.TakeOut {
		v.TakeOut = append(v.TakeOut, Leaving{Instance: l.Instance, Reason: l.Reason})
	}
	for _, l := range st.LeftOut {
		v.LeftOut = append(v.LeftOut, Leaving{Instance: l.Instance, Reason: l.Reason})
	}
	return v
}

func newPiece(p v1alpha1.Piece, candidates []v1alpha1.Candidate) Piece {
	v := Piece{
		Amount: p.Amount, Status: PieceWord(p), Sends: p.Sends, Instances: p.Instances,
		Code: p.Code, Message: p.Message, RequestID: p.RequestID,
		FirstSendTime: utcMicro(p.FirstSendTime), ResolvedTime: utc(p.ResolvedTime),
	}
	if int(p.Candidate) < len(candidates) && p.Candidate >= 0 {
		c := candidates[p.Candidate]
		v.VSwitch, v.Zone, v.InstanceType, v.Billing = c.VSwitch, c.Zone, c.InstanceType, BillingWord(c.ChargeType)
	}
	return v
}

func activityTook(st *v1alpha1.ScalingActivityStatus, now time.Time) string {
	if st.StartTime == nil {
		return ""
	}
	if st.EndTime != nil {
		now = st.EndTime.Time
	}
	return Took(now.Sub(st.StartTime.Time))
}

func utcMicro(t *metav1.MicroTime) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// SortActivities puts the newest first.
func SortActivities(list []Activity) {
	sort.SliceStable(list, func(i, j int) bool {
		a, b := list[i].StartTime, list[j].StartTime
		if a != nil && b != nil && !a.Equal(*b) {
			return a.After(*b)
		}
		if list[i].Group != list[j].Group {
			return list[i].Group < list[j].Group
		}
		return list[i].Number > list[j].Number
	})
}

// Result is what an activity came to, in a few words.
func (v Activity) Result() string {
	var got string
	if v.Create > 0 {
		got = fmt.Sprintf("%d of %d created", v.Created, v.Create)
	}
	leaving := int32(len(v.Release) + len(v.TakeOut))
	if leaving > 0 {
		got = joinNonEmpty(", ", got, fmt.Sprintf("%d to go", leaving))
	}
	if n := len(v.BringIn); n > 0 {
		got = joinNonEmpty(", ", got, fmt.Sprintf("%d brought in", n))
	}
	if n := len(v.LeftOut); n > 0 {
		got = joinNonEmpty(", ", got, fmt.Sprintf("%d left out", n))
	}
	return got
}

// ActivityTable is a list of activities as a table.
func ActivityTable(list []Activity, clock Clock) Table {
	t := Table{Columns: []Column{
		{Name: "STARTED"}, {Name: "ACTIVITY"}, {Name: "STATUS"}, {Name: "CAUSE"}, {Name: "RESULT"}, {Name: "CODE"},
		{Name: "POOL", Wide: true}, {Name: "TOOK"},
	}}
	for _, v := range list {
		started := "-"
		if v.StartTime != nil {
			started = clock.At(*v.StartTime)
		}
		t.Rows = append(t.Rows, []Cell{
			text(started), text(v.Name), {Text: v.Status, Tone: v.tone}, text(v.Cause), text(v.Result()), text(v.Code),
			text(v.Pool), text(v.Took),
		})
	}
	return t
}

// PieceTable is the requests of an activity as a table.
func PieceTable(list []Piece) Table {
	t := Table{Columns: []Column{
		{Name: "ZONE"}, {Name: "VSWITCH"}, {Name: "TYPE"}, {Name: "BILLING", Wide: true}, {Name: "ASKED"}, {Name: "GOT"},
		{Name: "STATUS"}, {Name: "CODE"}, {Name: "REQUEST"},
	}}
	for _, p := range list {
		t.Rows = append(t.Rows, []Cell{
			text(p.Zone), text(p.VSwitch), text(p.InstanceType), text(p.Billing), text(fmt.Sprint(p.Amount)),
			text(fmt.Sprint(len(p.Instances))), text(p.Status), text(p.Code), text(p.RequestID),
		})
	}
	return t
}
