package scaling

import (
	"fmt"
	"strconv"
	"strings"
)

// Micros reads a decimal number such as "0.125" as millionths. What is no such
// number counts as not known: 0.
func Micros(decimal string) int64 {
	f, err := strconv.ParseFloat(decimal, 64)
	if err != nil || f != f || f > 1e9 || f < 0 {
		return 0
	}
	return int64(f*1e6 + 0.5)
}

// Decimal writes millionths as a decimal number without trailing zeros.
func Decimal(micros int64) string {
	s := fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}
