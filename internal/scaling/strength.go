package scaling

// The words for the elastic strength of a group.
const (
	Strong = "Strong"
	Medium = "Medium"
	Weak   = "Weak"
)

// Strength is the outlook of a group: Weak where no resource pool gives
// anything, Strong where pools in two zones or more do, Medium otherwise.
func Strength(s Snapshot) string {
	zones := map[string]bool{}
	for _, p := range s.Pools {
		if !p.SoldOut && p.Constraint == "" && p.FreeAddresses != 0 {
			zones[p.Zone] = true
		}
	}
	switch len(zones) {
	case 0:
		return Weak
	case 1:
		return Medium
	}
	return Strong
}
