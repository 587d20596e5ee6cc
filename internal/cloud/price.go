package cloud

import (
	"fmt"
	"strconv"
	"strings"
)

// Price is an amount of money per hour. The zero value is a price not known.
type Price struct {
	// Micros is the amount in millionths of the currency.
	Micros int64
	// Currency is CNY or USD; empty where the price is not known.
	Currency string
}

// Known tells whether there is a price.
func (p Price) Known() bool { return p.Currency != "" }

// Decimal returns the amount as a decimal number without trailing zeros, such
// as "0.9".
func (p Price) Decimal() string {
	whole, part := p.Micros/1e6, p.Micros%1e6
	sign := ""
	if p.Micros < 0 {
		sign, whole, part = "-", -whole, -part
	}
	s := fmt.Sprintf("%s%d.%06d", sign, whole, part)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// String returns amount and currency.
func (p Price) String() string {
	if !p.Known() {
		return "unknown"
	}
	return p.Decimal() + " " + p.Currency
}

// ParsePrice reads a decimal number such as "0.125", with an exponent perhaps.
// Digits beyond millionths are rounded.
func ParsePrice(decimal, currency string) (Price, error) {
	f, err := strconv.ParseFloat(decimal, 64)
	if err != nil || f != f || f > 1e9 || f < -1e9 {
		return Price{}, fmt.Errorf("read price %q: not a decimal number", decimal)
	}
	if f < 0 {
		return Price{Micros: int64(f*1e6 - 0.5), Currency: currency}, nil
	}
	return Price{Micros: int64(f*1e6 + 0.5), Currency: currency}, nil
}
