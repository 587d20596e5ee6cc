package scaling

import "testing"

// What is no amount counts as not known; an amount is written so that it is
// read as the same.
func FuzzMicros(f *testing.F) {
	for _, s := range []string{"0.125", "-1", "1e9", "NaN", "Inf", "0x1p-2", "", "999999999.9999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := Micros(s)
		if m < 0 || m > 1e15 {
			t.Fatalf("%q is %d millionths", s, m)
		}
		if again := Micros(Decimal(m)); again != m {
			t.Errorf("%q is %d, written %q, read as %d", s, m, Decimal(m), again)
		}
	})
}
