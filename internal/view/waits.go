package view

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// ActivityWaits says what keeps an open activity from going on: a request that
// the cloud has not answered for good, or that could not be sent, with how often
// it was tried and when it is tried next. Nil where nothing keeps it. Times in
// the sentence are UTC.
func ActivityWaits(a *v1alpha1.ScalingActivity, now time.Time) *v1alpha1.Why {
	st := &a.Status
	if st.Done {
		return nil
	}
	if st.Code != "" {
		return &v1alpha1.Why{Code: st.Code, Next: "it is tried again",
			Sentence: fmt.Sprintf("activity %s waits: %s", a.Name, orDefault(trimPoint(st.Message), fault.Lookup(fault.Code(st.Code)).Cause))}
	}
	n := len(st.Pieces)
	if n == 0 || st.Pieces[n-1].State != v1alpha1.PieceAnnounced || st.Pieces[n-1].Code == "" {
		return nil
	}
	return requestWaits(a, &st.Pieces[n-1], now)
}

// requestWaits tells of a request that is sent again and again.
func requestWaits(a *v1alpha1.ScalingActivity, p *v1alpha1.Piece, now time.Time) *v1alpha1.Why {
	w := &v1alpha1.Why{Code: p.Code, Next: "its turn or its answer is waited for"}
	if p.NextSendTime != nil {
		w.Next, w.NextTime = "the same request is sent again", &metav1.Time{Time: p.NextSendTime.Truncate(time.Second)}
	}
	what := fmt.Sprint(p.Amount)
	if int(p.Candidate) < len(a.Spec.Candidates) {
		c := &a.Spec.Candidates[p.Candidate]
		what += " " + c.InstanceType + " in " + c.VSwitch
	}
	since := ""
	if p.FirstSendTime != nil {
		w.SinceTime = &metav1.Time{Time: p.FirstSendTime.Truncate(time.Second)}
		since = " since " + Clock{Now: now}.At(w.SinceTime.Time)
	}
	w.Sentence = fmt.Sprintf("%s: activity %s has asked for %s%s, %s", putOff(fault.Code(p.Code)), a.Name, what, since, count(p.Sends, "time"))
	if m := trimPoint(p.Message); m != "" {
		w.Sentence += "; the last answer was: " + m
	}
	return w
}

// putOff is in a few words what becomes of a request that is not yet answered
// for good.
func putOff(c fault.Code) string {
	switch c {
	case fault.CloudNoAnswer:
		return "the cloud does not answer"
	case fault.CloudUnreachable, fault.CloudNotSent, fault.CredentialsMissing:
		return "the request does not reach the cloud"
	}
	return "the cloud puts the request off"
}
