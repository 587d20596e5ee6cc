package fault

import (
	"fmt"
	"strings"
)

const pageHead = `# The failure catalogue

<!-- Generated from internal/fault. Run "make generate" after a change there. -->

Every failure that poolkeeper meets has one row here, and nothing else decides what to do about it. Show one with
` + "`poolkeeper fault get CODE`" + `. The cloud's own text is always shown unchanged beside the cause.

- **Speaks of**: what is held to be affected, and so what is not asked again for a while: the resource pool (an
  instance type in a zone, billed in one way), the instance type (alone, with the image, or with the disks), the
  vSwitch, the zone, the disks in a zone, the pool's settings (template), the account, one instance, the cluster, the
  group, or one request (piece).
- **Next**: what happens at once. "fall over" asks the next candidate, "stop" ends the activity because no other
  candidate can help, "same token" repeats the request so that it counts only once.
- **Again**: when it is tried again by itself.

A code that is in no row speaks of its resource pool, falls over, and is tried again after 5 minutes.
`

var pageSections = []struct {
	origin Origin
	title  string
}{
	{OriginPage, "Failures of scaling"},
	{OriginOurs, "Failures that poolkeeper finds"},
	{OriginWire, "Further answers of the cloud"},
}

// Page returns the whole catalogue as a page of Markdown.
func Page() string {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, s := range pageSections {
		fmt.Fprintf(&b, "\n## %s\n", s.title)
		for _, e := range catalogue {
			if e.Origin == s.origin {
				e.write(&b)
			}
		}
	}
	return b.String()
}

func (e Entry) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n", e.Code.title())
	if len(e.Also) > 0 {
		names := make([]string, len(e.Also))
		for i, c := range e.Also {
			names[i] = "`" + c.title() + "`"
		}
		fmt.Fprintf(b, "Also %s.\n\n", strings.Join(names, ", "))
	}
	fmt.Fprintf(b, "- Cause: %s.\n- Solution: %s.\n", e.Cause, e.General())
	for _, h := range e.Hints {
		fmt.Fprintf(b, "  Where known: %s.\n", h)
	}
	fmt.Fprintf(b, "- Raised by: %s.\n- Speaks of: %s. Next: %s. Again: %s.\n", e.RaisedBy, e.Scope, e.Next, e.Retry)
}

// title shows a variant in brackets.
func (c Code) title() string {
	if v := c.Variant(); v != "" {
		return c.Wire() + " (" + v + ")"
	}
	return string(c)
}
