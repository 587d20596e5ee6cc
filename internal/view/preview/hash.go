package preview

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// hash names a plan by what it would do, and by the settings it was made of.
// Words, times and the order of what is only told take no part: two looks at a
// world that did not move give the same.
func (v *Plan) hash(p *v1alpha1.NodePool, g *v1alpha1.ScalingGroup) string {
	facts := struct {
		Pool                 string
		Generation, Settings int64
		From, To             int32
		Known                bool
		Drop, Create         int32
		Ask                  [][5]string
		CallBack, Out        []string
		Kept, Blocked        []string
	}{
		Pool: string(p.UID), Generation: p.Generation, From: v.From, To: v.To, Known: v.Known,
		Drop: v.Drop, Create: v.Create, CallBack: v.CallBack, Blocked: v.blocked,
	}
	if g != nil {
		facts.Settings = g.Spec.SettingsGeneration
	}
	for _, c := range v.Candidates {
		price := ""
		if c.Price != nil {
			price = c.Price.PerHour
		}
		facts.Ask = append(facts.Ask, [5]string{c.VSwitch, c.InstanceType, c.Billing, price, strconv.Itoa(int(c.Amount))})
	}
	for _, l := range v.Release {
		facts.Out = append(facts.Out, "release "+l.Instance)
	}
	for _, l := range v.TakeOut {
		facts.Out = append(facts.Out, "take out "+l.Instance)
	}
	for _, l := range v.Kept {
		facts.Kept = append(facts.Kept, l.Instance)
	}
	b, err := json.Marshal(facts)
	if err != nil { // plain values: cannot be
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:3])
}
