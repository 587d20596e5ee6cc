package lifecycle

import (
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"
)

var created = time.Date(2026, 11, 24, 14, 0, 0, 0, time.UTC)

// hour is so many hours after the creation.
func hour(n float64) time.Time { return created.Add(time.Duration(n * float64(time.Hour))) }

func paid(by, price string, since float64) Terms {
	return Terms{Since: hour(since), ChargeType: by, Price: price, Currency: "CNY"}
}

// total and hours of stretches.
func total(list []Stretch) (cost, hours *big.Rat) {
	cost, hours = new(big.Rat), new(big.Rat)
	for _, s := range list {
		hours.Add(hours, s.Hours)
		if s.Cost != nil {
			cost.Add(cost, s.Cost)
		}
	}
	return cost, hours
}

// The old price until the conversion, the new one after it, and nothing else.
func TestTheBillOfWhatWasConvertedIsExact(t *testing.T) {
	b := Billing{Created: paid("PayAsYouGo", "1.25", 0)}
	b.Later = b.Convert(paid("Subscription", "0.555555", 2))
	b.Later = b.Convert(paid("PayAsYouGo", "1.5", 12))
	for name, c := range map[string]struct {
		since, until time.Time
		want         string // cost, hours, billed at the end
	}{
		"before it was there":          {until: hour(-1), want: "0.000000 0.0000 none"},
		"before the conversion":        {until: hour(1), want: "1.250000 1.0000 PayAsYouGo 1.25"},
		"at the conversion":            {until: hour(2), want: "2.500000 2.0000 Subscription 0.555555"},
		"one second later":             {until: hour(2).Add(time.Second), want: "2.500154 2.0003 Subscription 0.555555"},
		"after it":                     {until: hour(6), want: "4.722220 6.0000 Subscription 0.555555"},
		"after it was converted back":  {until: hour(14), want: "11.055550 14.0000 PayAsYouGo 1.5"},
		"from amid the first terms on": {since: hour(1), until: hour(4), want: "2.361110 3.0000 Subscription 0.555555"},
		"from amid the last":           {since: hour(13), until: hour(14), want: "1.500000 1.0000 PayAsYouGo 1.5"},
		"no time at all":               {since: hour(13), until: hour(13), want: "0.000000 0.0000 PayAsYouGo 1.5"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := b.Over(c.since, c.until)
			if err != nil {
				t.Fatal(err)
			}
			at := "none"
			if n := len(list); n > 0 {
				at = list[n-1].ChargeType + " " + list[n-1].Price
			}
			cost, hours := total(list)
			if got := fmt.Sprintf("%s %s %s", cost.FloatString(6), hours.FloatString(4), at); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	if cost, ok := b.Cost(hour(6)); !ok || cost.FloatString(6) != "4.722220" {
		t.Errorf("since its creation it cost %v, %v", cost, ok)
	}
}

// However often it is converted, its record stays small, and the sum exact.
func TestTermsAreBounded(t *testing.T) {
	b, want := Billing{Created: paid("PayAsYouGo", "1", 0)}, new(big.Rat)
	for n := 1; n <= 30; n++ {
		before, _ := new(big.Rat).SetString(b.Today().Price)
		want.Add(want, before)
		b.Later = b.Convert(paid([]string{"PayAsYouGo", "Subscription"}[n%2], fmt.Sprint(n%2+1), float64(n)))
		if len(b.Later) > MostTerms {
			t.Fatalf("%d terms", len(b.Later))
		}
		if cost, ok := b.Cost(hour(float64(n))); !ok || cost.Cmp(want) != 0 {
			t.Fatalf("after %d conversions it cost %v, want %v", n, cost, want)
		}
	}
	known := b.Later[0].Since
	for name, span := range map[string][2]time.Time{
		"ends too early":     {{}, hour(3)},
		"begins too early":   {hour(3), hour(30)},
		"ends just too soon": {{}, known.Add(-time.Second)},
	} {
		if _, err := b.Over(span[0], span[1]); err == nil {
			t.Errorf("%s: a bill was made", name)
		} else if u := (*UnknownTermsError)(nil); !errors.As(err, &u) || !u.Known.Equal(known) {
			t.Errorf("%s: %v, known from %v", name, err, known)
		}
	}
	for name, span := range map[string][2]time.Time{
		"from then on":         {known, hour(30)},
		"until then":           {{}, known},
		"before it was there":  {{}, hour(-1)},
		"from its creation on": {created, hour(30)},
		"from before that on":  {hour(-5), hour(30)},
	} {
		if _, err := b.Over(span[0], span[1]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTermsBeginAfterThoseBefore(t *testing.T) {
	b := Billing{Created: paid("PayAsYouGo", "1", 0)}
	if later := b.Convert(paid("Subscription", "2", -1)); !later[0].Since.Equal(created) {
		t.Errorf("they begin at %s, before it was there", later[0].Since)
	}
}

func TestAnUnknownPriceIsNoPriceOfNothing(t *testing.T) {
	b := Billing{Created: paid("PayAsYouGo", "1", 0)}
	b.Later = b.Convert(paid("Subscription", "", 1))
	list, err := b.Over(time.Time{}, hour(2))
	if err != nil || len(list) != 2 || list[0].Cost == nil || list[1].Cost != nil {
		t.Errorf("%+v, %v", list, err)
	}
	if cost, ok := b.Cost(hour(2)); ok {
		t.Errorf("it cost %v", cost)
	}
	if cost, ok := b.Cost(hour(0.5)); !ok || cost.FloatString(1) != "0.5" {
		t.Errorf("before that it cost %v, %v", cost, ok)
	}
}
