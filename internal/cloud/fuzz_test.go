package cloud

import "testing"

// A price is read or refused; what was read is written so that it is read as
// the same.
func FuzzParsePrice(f *testing.F) {
	for _, s := range []string{"0.125", "-0.0000004", "1e9", "NaN", "+Inf", "0x1p-2", "1_0", "", "999999999.9999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePrice(s, "CNY")
		if err != nil {
			return
		}
		if again, err := ParsePrice(p.Decimal(), "CNY"); err != nil || again != p {
			t.Errorf("%q is %+v, written %q, read as %+v (%v)", s, p, p.Decimal(), again, err)
		}
	})
}
