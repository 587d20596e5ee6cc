package sim

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/controller"
)

// directed are histories that always show what one rule is for, which a seed
// seldom does. Each is told why by what is violated where the rule is left out.
var directed = map[string]struct {
	script func(*world) *stage
	breaks Breaks
	want   string
}{
	"every live read is answered from the cache (rules 2, 10, 13, 18)": {unseenPiece, Breaks{Live: func(_ client.Reader, cache client.Client) client.Reader { return cache }}, "I8"},
	"a failed list is believed to be empty (rule 15)":                  {listsFail, Breaks{Cloud: func(c controller.Provider) controller.Provider { return &failedIsEmpty{c} }}, "I1"},
	"uncertain pieces do not count as coming (rule 8)":                 {unknownAnswer, readers(nothingComes), "I1"},
	"uncertain pieces are settled at once (rule 8)":                    {arrivesLate, Breaks{Client: shift(longAgo)}, "I1"},
	"a refusal proves that nothing was done (rule 6)":                  {unknownAnswer, Breaks{Client: func(c client.Client) client.Client { return &refusalProves{c} }}, "I1"},
	"a piece is sent after its window (rule 7)":                        {neverArrives, Breaks{Client: shift(justNow)}, "I16"},
	"a request is put on the wire however late (rule 5)":               {slowWire, Breaks{Cloud: func(c controller.Provider) controller.Provider { return &anyTime{c} }}, "I16"},
	"one is called back whose release is under way (rule 10)":          {mindChanges, Breaks{Live: func(live client.Reader, _ client.Client) client.Reader { return &liveChanged{live, nothingSent} }}, "I4"},
	"released without a look by id (rule 11)":                          {takenWhileDraining, Breaks{Cloud: func(c controller.Provider) controller.Provider { return &alwaysOurs{c} }}, "I4"},
	"a mark stands on one that is kept (rule 11)":                      {takenWhileDraining, Breaks{Client: func(c client.Client) client.Client { return &marksStand{c} }}, "I8"},
	"taken out without a hold (rule 13)":                               {chosenMeanwhile, Breaks{Client: func(c client.Client) client.Client { return &unheld{c} }}, "I8"},
	"the entry is taken back without the number (rule 13)":             {drainStops, Breaks{Client: func(c client.Client) client.Client { return &entryAlone{c} }}, "I8"},
	"missing tags of one brought in are believed at once (rule 17)":    {untaggedLate, Breaks{Client: func(c client.Client) client.Client { return &listsChanged{c, tagsSure} }}, "I5"},
	"one that no look has shown counts as too many (rule 3)":           {comesBackLate, readers(allSeen), "I8"},
	"an activity with an uncertain piece is not kept (rule 9)":         {unknownAnswer, after(uncertainGoes), "I1"},
	"the record of one taken out is not kept (rule 14)":                {untaggedNever, after(removedGoes), "I4"},
	"one list counts as two (rule 16)":                                 {blinks, Breaks{Cloud: func(c controller.Provider) controller.Provider { return &listsTwice{Provider: c} }}, "I5"},
	"credentials are never compared (rule 19)":                         {otherAccount, Breaks{Cloud: func(c controller.Provider) controller.Provider { return &anyAccount{c} }}, "I15"},
	"whatever has our tags is ours (rule 18)":                          {tagsCopied, Breaks{Client: func(c client.Client) client.Client { return &allOurs{c} }}, "I4"},
	"a request is approved with somebody else's proof (S1)":            {forged, Breaks{Client: func(c client.Client) client.Client { return &anybodysProof{c, map[string][]byte{}} }}, "S1"},
	"a key that stands is believed of the cache (S1)":                  {approvedLate, Breaks{Client: func(c client.Client) client.Client { return &keyStands{c} }}, "S1"},
	"a key is written under no version (S1)":                           {keyTooLate, Breaks{Client: func(c client.Client) client.Client { return &anyVersion{c} }}, "S1"},
	"gone without a look by id (rule 16)":                              {hidden, Breaks{Cloud: func(c controller.Provider) controller.Provider { return &noLook{Provider: c} }}, "I5"},
	"most Nodes that are not Ready freeze nothing (I6)":                {mostDark, Breaks{Client: func(c client.Client) client.Client { return &listsChanged{c, noneDark} }}, "I6"},
	"a misused join credential is not replaced (S3)":                   {flooded, Breaks{Client: func(c client.Client) client.Client { return &neverReplaced{c} }}, "S3"},
	"a forged request is answered (S3)":                                {flooded, Breaks{Client: func(c client.Client) client.Client { return &deniesForged{c} }}, "S3"},
	"clocks are left no margin (rule 20)":                              {clockJumps, Breaks{NoMargin: true}, "I5"},
	"a Node is matched by its name alone (I12)":                        {namedAlike, Breaks{Client: func(c client.Client) client.Client { return &byNameAlone{c} }}, "I12"},
	"one that was shown is never hidden again (rule 16)":               {hiddenAgain, readers(seenLongAgo), "I5"},
	"what has no record is collected (rule 18)":                        {tagsCopied, collector(), "I4"},
}

// schedules is how many orders of who goes on each directed history is played
// in.
const schedules = 3

// Each directed history keeps every promise, and with its rule left out breaks
// one, whoever goes on first.
func TestADirectedHistoryShowsWhatItsRuleIsFor(t *testing.T) {
	for name, d := range directed {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(schedules) {
				if r := Run(seed, Options{script: d.script}); len(r.Violations) > 0 {
					t.Fatalf("schedule %d, with the rule: %s\n%s", seed, r.Violations[0], r.Story())
				}
				r := Run(seed, Options{script: d.script, Breaks: &d.breaks})
				if !slices.ContainsFunc(r.Violations, func(v string) bool { return strings.HasPrefix(v, d.want+":") }) {
					t.Fatalf("schedule %d, without the rule: %q, want one of %s\n%s", seed, r.Violations, d.want, r.Story())
				}
			}
		})
	}
}

// failedIsEmpty takes a list that failed for one that shows nothing.
type failedIsEmpty struct{ controller.Provider }

func (c *failedIsEmpty) List(ctx context.Context) ([]cloud.Instance, error) {
	list, err := c.Provider.List(ctx)
	if err != nil {
		return nil, nil
	}
	return list, nil
}

// longAgo and justNow move the first send of a piece.
func longAgo(p *api.Piece) {
	if p.State == api.PieceUncertain {
		at := metav1.NewMicroTime(p.FirstSendTime.Add(-2 * time.Hour))
		p.FirstSendTime = &at
	}
}

func justNow(p *api.Piece) {
	if p.State == api.PieceAnnounced && p.LastSendTime != nil {
		p.FirstSendTime = p.LastSendTime
	}
}
