package scalinggroup_test

import (
	"testing"
	"time"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/internal/controller/scalinggroup"
)

// One record alone that was lost is not made again where a piece names it.
func TestALostRecordThatAPieceNamesIsNotMadeAgain(t *testing.T) {
	b := newBench(t, nil)
	b.up()
	a, i := b.activities()[0], b.instances()[0]
	b.guarded.Tagged = []scalinggroup.Tagged{{Name: i.Name, ActivityUID: string(a.UID)}}
	before := len(b.activities())
	i.Finalizers = nil
	if err := b.Update(t.Context(), &i); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), &i); err != nil {
		t.Fatal(err)
	}
	b.later(time.Minute)
	if n := len(b.activities()); n != before {
		t.Fatalf("%d activities more", n-before)
	}
	b.says(b.condition(api.ConditionFrozen).Message, "1 instance carries our tags", "poolkeeper pool adopt web --all")
}
