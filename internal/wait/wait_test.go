package wait

import (
	"reflect"
	"testing"
	"time"
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
