package wait

import (
	"reflect"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

func TestEveryWaitHasADefaultAndIsDivided(t *testing.T) {
	whole, tenth := reflect.ValueOf(Defaults()), reflect.ValueOf(Defaults().Divided(10))
	for i := range whole.NumField() {
		name := whole.Type().Field(i).Name
		if whole.Field(i).Int() <= 0 {
			t.Errorf("%s has no default", name)
		}
		want := max(whole.Field(i).Int()/10, int64(time.Millisecond))
		if got := tenth.Field(i).Int(); got != want {
			t.Errorf("%s divided by 10 = %v, want %v", name, time.Duration(got), time.Duration(want))
		}
	}
}

func TestAFactorOfOneChangesNothing(t *testing.T) {
	for _, by := range []float64{1, 0, -3} {
		if Defaults().Divided(by) != Defaults() {
			t.Errorf("divided by %v, the waits changed", by)
		}
	}
}

func TestTheCatalogueIsDividedToo(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		code  fault.Code
		by    float64
		tries int
		want  time.Duration
	}{
		"no stock is remembered for 5 minutes":          {fault.NoStock, 1, 1, 5 * time.Minute},
		"a tenth of it where waits are a tenth":         {fault.NoStock, 10, 1, 30 * time.Second},
		"a quota is remembered twice as long":           {fault.ElasticQuota, 100, 1, 6 * time.Second},
		"what only an edit mends is rechecked":          {fault.ForbiddenRAM, 1, 1, 30 * time.Minute},
		"a backoff grows to its longest and no further": {fault.ServiceUnavailable, 1, 99, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := Defaults().Divided(c.by).Faults().Wait(fault.Lookup(c.code).Retry, c.tries, now, 0.999999999)
			if !ok || c.want-got > c.want/1000 || got > c.want {
				t.Errorf("wait = %v, %v, want %v", got, ok, c.want)
			}
		})
	}
}

func TestASummaryOfManyIsWrittenLessOften(t *testing.T) {
	s := Defaults()
	for n, want := range map[int]time.Duration{0: time.Second, 500: 1500 * time.Millisecond, 2000: 3 * time.Second, 100_000: 5 * time.Second} {
		if got := s.Summary(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestWhatPoolsNameForHooksIsDividedToo(t *testing.T) {
	for by, want := range map[float64]time.Duration{1: 90 * time.Second, 60: 1500 * time.Millisecond} {
		if got := Defaults().Divided(by).Hook(90); got != want {
			t.Errorf("90 seconds divided by %v = %v, want %v", by, got, want)
		}
	}
}
