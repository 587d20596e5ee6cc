package view

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/lifecycle"
)

// Two instances, created at 14:00 at 1.00 and 0.50; the first is a subscription
// of 0.555555 from 16:00 on.
func converted() (*v1alpha1.NodePool, []v1alpha1.Instance, func(int) time.Time) {
	at := func(hour int) time.Time { return time.Date(2026, 11, 24, hour, 0, 0, 0, time.UTC) }
	made := func(name, price string) v1alpha1.Instance {
		return v1alpha1.Instance{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(at(14))},
			Spec: v1alpha1.InstanceSpec{Pool: "web", Placement: v1alpha1.Placement{Zone: "a", InstanceType: "g7", ChargeType: v1alpha1.ChargePayAsYouGo, PricePerHour: price, Currency: "CNY"}}}
	}
	list := []v1alpha1.Instance{made("i-1", "1"), made("i-2", "0.5")}
	list[0].Status.ChargeType = v1alpha1.ChargeSubscription
	list[0].Status.Terms = []v1alpha1.BillingTerms{{SinceTime: metav1.NewTime(at(16)), ChargeType: v1alpha1.ChargeSubscription, PricePerHour: "0.555555", Currency: "CNY"}}
	return &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "web"}}, list, at
}

func TestTheBillGoesByTheTermsOfItsTime(t *testing.T) {
	p, list, at := converted()
	for name, c := range map[string]struct {
		by    string
		since time.Time
		until int
		want  string
	}{
		"before the conversion": {by: "instance", until: 15, want: `web: CNY 1.50/h
OF   INSTANCES  UNIT/H  PER HOUR  HOURS  AMOUNT  NOTE
i-1  1          1.00    1.00      1.00   1.00
i-2  1          0.50    0.50      1.00   0.50
In all 2.00 hours, CNY 1.50.
`},
		"after it, by instance": {by: "instance", until: 20, want: `web: CNY 1.056/h of which 0.556 already paid
OF   INSTANCES  UNIT/H  PER HOUR  HOURS  AMOUNT  NOTE
i-1  1          0.556   0.556     6.00   4.222   Pay-as-you-go 2.00 h x 1.00, Subscription 4.00 h x 0.556, already paid
i-2  1          0.50    0.50      6.00   3.00
In all 12.00 hours, CNY 7.222.
`},
		"after it, by billing": {by: "billing", until: 20, want: `web: CNY 1.056/h of which 0.556 already paid
OF             INSTANCES  UNIT/H  PER HOUR  HOURS  AMOUNT  NOTE
Pay-as-you-go  1          0.50    0.50      8.00   5.00
Subscription   1          0.556   0.556     4.00   2.222   already paid
In all 12.00 hours, CNY 7.222.
`},
		"from later on": {by: "instance", since: at(18), until: 20, want: `web: CNY 1.056/h of which 0.556 already paid
OF   INSTANCES  UNIT/H  PER HOUR  HOURS  AMOUNT  NOTE
i-1  1          0.556   0.556     2.00   1.111   already paid
i-2  1          0.50    0.50      2.00   1.00
In all 4.00 hours, CNY 2.111.
`},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := NewCost(p, list, c.by, Span{Since: c.since, Until: at(c.until)}, at(21))
			if err != nil {
				t.Fatal(err)
			}
			if got := v.Text(Style{}); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	if v := NewInstance(&list[0], Clock{Now: at(20)}); v.Price.PerHour != "0.556" || v.Spent != "4.22" {
		t.Errorf("the instance costs %s an hour and %s since", v.Price.PerHour, v.Spent)
	}
}

func TestABillThatCannotBeKnown(t *testing.T) {
	p, list, at := converted()
	list[0].Status.Terms[0].SpentBefore = "2.5"
	if _, err := NewCost(p, list, "", Span{Until: at(15)}, at(21)); err == nil || !strings.Contains(err.Error(), "i-1") || !errors.As(err, new(*lifecycle.UnknownTermsError)) {
		t.Errorf("a bill before what is known: %v", err)
	}
	v, err := NewCost(p, list, "instance", Span{Until: at(20)}, at(21))
	if err != nil || v.Lines[0].Amount != "4.722" {
		t.Errorf("%v, %+v", err, v.Lines)
	}
}

func TestAnUnknownPriceIsSaid(t *testing.T) {
	p, list, at := converted()
	list[0].Status.Terms[0].PricePerHour = ""
	v, err := NewCost(p, list, "instance", Span{Until: at(20)}, at(21))
	if err != nil || v.Unpriced != 1 || v.Instances != 2 || v.Amount != "5.00" || v.Price.PerHour != "0.50" {
		t.Errorf("%v, %+v", err, v)
	}
}
