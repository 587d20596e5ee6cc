package join

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	api "github.com/poolkeeper/poolkeeper/api/v1alpha1"
)

// line is the queue of the controller with one worker, which looks at a request
// when the test says so.
type line struct {
	*bench
	queue priorityqueue.PriorityQueue[reconcile.Request]
	turns handler.EventHandler
}

func newLine(t *testing.T) *line {
	b := newBench(t)
	b.r.Forged = 1 << 30 // the credential is not replaced: the flood goes on
	l := &line{bench: b, queue: priorityqueue.New[reconcile.Request]("join-test"), turns: b.r.inTurn()}
	t.Cleanup(l.queue.ShutDown)
	return l
}

// comes files a request and tells the queue.
func (l *line) comes(csr *certificatesv1.CertificateSigningRequest) {
	l.Helper()
	if err := l.Create(l.Context(), csr); err != nil {
		l.Fatal(err)
	}
	l.turns.Create(l.Context(), event.CreateEvent{Object: csr}, l.queue)
}

// waits until everything that came stands in the queue.
func (l *line) stands(n int) {
	l.Helper()
	for end := time.Now().Add(time.Minute); l.queue.Len() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			l.Fatalf("%d requests stand in the queue, want %d", l.queue.Len(), n)
		}
	}
}

// next looks at the next request and names it.
func (l *line) next() string {
	l.Helper()
	item, _ := l.queue.Get()
	defer l.queue.Done(item)
	l.look(item.Name)
	return item.Name
}

// A thousand forged requests of one pool stand in the queue, and more come in
// with each that is looked at: a join of another pool waits for no more than the
// share of one pool, and a second pool that is flooded for one share more.
func TestAFloodDelaysAnotherPoolByItsShareOnly(t *testing.T) {
	for _, floods := range []int{0, 1, 3} {
		t.Run(fmt.Sprintf("%d pools flooded", floods), func(t *testing.T) {
			l := newLine(t)
			stranger := newIdentities(t)
			forged := aMachine(t, "i-9").files(t, stranger, "flooded", "x")
			n := 0
			flood := func() {
				for p := range floods {
					n++
					csr := forged.DeepCopy()
					csr.Name = fmt.Sprintf("f%d", n)
					csr.Spec.Username = requester + fmt.Sprintf("flooded-%d", p)
					l.comes(csr)
				}
			}
			for range 300 {
				flood()
			}
			l.record("i-1", nil)
			l.comes(aMachine(t, "i-1").files(t, l.region, "web", "join"))
			l.stands(n + 1)
			before := 0
			for l.next() != "join" {
				before++
				flood()
			}
			if got := l.answer("join"); got != "Approved" {
				t.Fatalf("answer: %q", got)
			}
			t.Logf("%d forged requests stood in the queue, %d were looked at before the join", n, before)
			if before > share*floods {
				t.Errorf("%d forged requests were looked at before the join, want at most %d", before, share*floods)
			}
		})
	}
}

// What is decided or gone gives its place back; nothing is kept of it.
func TestADecidedRequestGivesItsPlaceBack(t *testing.T) {
	l := newLine(t)
	l.record("i-1", nil)
	m := aMachine(t, "i-1")
	stranger := newIdentities(t)
	for n := range 3 * share {
		l.comes(m.files(t, stranger, "web", fmt.Sprintf("f%d", n)))
	}
	l.comes(m.files(t, l.region, "web", "join"))
	l.comes(m.files(t, stranger, "web", "deleted"))
	for range 3*share + 1 {
		l.stands(1)
		l.next()
	}
	if len(l.r.memory.undecided) != 1 {
		t.Fatalf("undecided: %v", l.r.memory.undecided)
	}
	approved := &certificatesv1.CertificateSigningRequest{}
	if err := l.Get(l.Context(), client.ObjectKey{Name: "join"}, approved); err != nil || !decided(approved) {
		t.Fatalf("the join of the flooded pool itself: %+v, %v", approved.Status, err)
	}
	l.turns.Update(l.Context(), event.UpdateEvent{ObjectOld: approved, ObjectNew: approved}, l.queue)
	l.stands(0)
	gone := &certificatesv1.CertificateSigningRequest{}
	gone.Name = "deleted"
	l.turns.Delete(l.Context(), event.DeleteEvent{Object: gone}, l.queue)
	if m := &l.r.memory; len(m.undecided)+len(m.pools) != 0 {
		t.Errorf("kept: %v %v", m.undecided, m.pools)
	}
	if i := (&api.Instance{}); l.Get(l.Context(), client.ObjectKey{Name: "i-1"}, i) != nil || i.Spec.JoinKey == "" {
		t.Error("the key was not recorded")
	}
}

// fails looks at a request, and wants an error.
func (b *bench) fails(name string) {
	b.Helper()
	if _, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: name}}); err == nil {
		b.Fatalf("the look at %s did not fail", name)
	}
}

// Three forged requests that cannot be deleted are looked at again and again: they
// stay three, which are borne.
func TestAForgedRequestIsCountedOnce(t *testing.T) {
	b := newBench(t)
	stranger := newIdentities(t)
	down := true
	b.r.Client = interceptor.NewClient(b.WithWatch, interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if down {
				return errors.New("the API server is down")
			}
			return c.Delete(ctx, o, opts...)
		},
	})
	for n := range 3 {
		if err := b.Create(t.Context(), aMachine(t, "i-1").files(t, stranger, "web", fmt.Sprintf("f%d", n))); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		for n := range 3 {
			b.fails(fmt.Sprintf("f%d", n))
		}
	}
	down = false
	for n := range 3 {
		b.look(fmt.Sprintf("f%d", n))
	}
	if len(b.replacer.pools) != 0 || len(b.r.memory.requests) != 0 {
		t.Fatalf("replaced %v, kept %v", b.replacer.pools, b.r.memory.requests)
	}
	b.file(aMachine(t, "i-1").files(t, stranger, "web", "f3"))
	if len(b.replacer.pools) != 1 {
		t.Fatal("the fourth within a minute is one too many")
	}
}

// A replacement that failed is tried again with the next look, however long the
// API server was down, and is not made twice.
func TestAReplacementThatFailedIsTriedAgain(t *testing.T) {
	b := newBench(t)
	stranger := newIdentities(t)
	b.r.Replacer = broken{}
	for n := range 3 {
		b.file(aMachine(t, "i-1").files(t, stranger, "web", fmt.Sprintf("f%d", n)))
	}
	for _, name := range []string{"f3", "f4"} {
		if err := b.Create(t.Context(), aMachine(t, "i-1").files(t, stranger, "web", name)); err != nil {
			t.Fatal(err)
		}
		b.fails(name)
	}
	b.clock.T = b.clock.T.Add(5 * time.Minute)
	b.r.Replacer = b.replacer
	b.look("f4")
	b.look("f3")
	if len(b.replacer.pools) != 1 || b.answer("f3") != "gone" || b.answer("f4") != "gone" {
		t.Fatalf("replaced %v, f3 %s, f4 %s", b.replacer.pools, b.answer("f3"), b.answer("f4"))
	}
}

// broken replaces nothing.
type broken struct{}

func (broken) Replace(context.Context, string) error { return errors.New("the API server is down") }
