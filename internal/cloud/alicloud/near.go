package alicloud

import (
	"sort"
	"strings"
)

// near sorts names of instance types: those of the same family first, then
// those of the same size, then by name; bare metal and accelerators, which cost
// many times as much, come last where they were not asked for.
func near(like string, names []string) []string {
	family, size := split(like)
	rank := func(n string) int {
		f, s := split(n)
		switch {
		case f == family:
			return 0
		case special(f) && !special(family):
			return 3
		case s == size:
			return 1
		}
		return 2
	}
	out := append([]string(nil), names...)
	sort.Slice(out, func(a, b int) bool {
		if rank(out[a]) != rank(out[b]) {
			return rank(out[a]) < rank(out[b])
		}
		return out[a] < out[b]
	})
	return out
}

// special says whether a family is bare metal or has accelerators.
func special(family string) bool {
	for _, p := range []string{"ecs.ebm", "ecs.scc", "ecs.gn", "ecs.vgn", "ecs.f"} {
		if strings.HasPrefix(family, p) {
			return true
		}
	}
	return false
}

// split cuts ecs.g7.xlarge into ecs.g7 and xlarge.
func split(name string) (family, size string) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return name, ""
	}
	return name[:i], name[i+1:]
}
