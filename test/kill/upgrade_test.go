//go:build upgrade

package kill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/config"
)

const (
	// exchanges is how often one version takes the place of the other.
	exchanges = 24
	// besideMost is how long the two versions run beside each other at most.
	besideMost = 4 * time.Second
)

// version is one of the two: its program and its manifests.
type version struct{ name, program, manifests string }

// apply puts its manifests into the cluster as docs/operations.md says: all of
// them for an upgrade; those of an older version without its definitions, which
// know less than what is stored.
func (v version) apply(ctx context.Context, r *region, definitions bool) error {
	bin := filepath.Dir(r.plane.args[0])
	for _, folder := range config.Folders {
		if folder == "crd" && !definitions {
			continue
		}
		c := exec.CommandContext(ctx, filepath.Join(bin, "kubectl"), "--kubeconfig", r.path("admin.kubeconfig"),
			"apply", "--server-side", "--force-conflicts", "--field-manager=poolkeeper", "-f", filepath.Join(v.manifests, folder))
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("apply %s of %s: %w\n%s", folder, v.name, err, out)
		}
	}
	return nil
}

// A released version is replaced by this one and comes back, again and again,
// while the pool scales: killed, or both at work for a while. Each time the pool
// comes to exactly its number (I13). OLD=… is a folder with the program and the
// manifests of the released one, SEED=… plays the same again.
func TestUpgrade(t *testing.T) {
	old, seed := os.Getenv("OLD"), chooseSeed(t)
	if old == "" {
		t.Fatal("this test needs a released version: type `make upgrade FROM=…`")
	}
	t.Logf("play it again: SEED=%d make upgrade FROM=…", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	bin := programs(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	of := [2]version{
		{"the released version", filepath.Join(old, "poolkeeper"), filepath.Join(old, "config")},
		{"this version", filepath.Join(bin, "poolkeeper"), filepath.Join(root, "config")},
	}
	r := startRegion(t, func(r *region) {
		r.controllerPath = of[0].program
		r.apply = func(ctx context.Context) error { return of[0].apply(ctx, r, true) }
	})
	r.createPool(t)
	r.scaleAndSettle(t, low)
	r.protectOne(t)
	size := low
	for n := range exchanges {
		to := of[(n+1)%2]
		first, last := low+random.IntN(2*high), low+random.IntN(2*high)
		wait, beside := time.Duration(random.Int64N(int64(2*time.Second))), time.Duration(0)
		if random.IntN(2) == 0 {
			beside = time.Duration(random.Int64N(int64(besideMost)))
		}
		story := fmt.Sprintf("%d: %d, %d, %d; after %s comes %s, beside the other for %s", n+1, size, first, last, wait.Round(time.Millisecond), to.name, beside.Round(time.Millisecond))
		if !t.Run(story, func(t *testing.T) {
			created, released := r.books.count()
			r.mustScale(t, first)
			<-time.After(wait)
			// The first upgrade brings the definitions of this version, which stay.
			if err := to.apply(t.Context(), r, n%2 == 0); err != nil {
				t.Fatal(err)
			}
			r.exchange(t, to.program, beside)
			r.mustScale(t, last)
			w, missing := r.rest(t.Context(), last, func() bool { return true })
			if missing != "" {
				t.Fatalf("the pool did not come to rest within %s: %s\n%s", r.patience, missing, r.story(w))
			}
			for _, wrong := range r.wrong(w) {
				t.Error(wrong)
			}
			if c, d := r.books.count(); c-created-(d-released) != last-size {
				t.Errorf("from %d to %d with %d created and %d released", size, last, c-created, d-released)
			}
		}) {
			t.Fatal("stopped at the first exchange that failed")
		}
		size = last
	}
	r.checkOrphans(t)
	r.checkProcesses(t)
}

func (r *region) mustScale(t *testing.T, n int) {
	t.Helper()
	if err := r.scale(t.Context(), int32(n)); err != nil {
		t.Fatal(err)
	}
}

// exchange lets another program do the controller's work: it runs beside it for
// a while, or in its place.
func (r *region) exchange(t *testing.T, program string, beside time.Duration) {
	t.Helper()
	p := r.controller
	args := slices.Clone(p.args)
	args[0] = program
	var second *exec.Cmd
	if beside > 0 {
		log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		second = exec.Command(args[0], args[1:]...)
		second.Env, second.Stdout, second.Stderr = append([]string{"PATH=" + os.Getenv("PATH")}, p.env...), log, log
		if err := starter().Start(second); err != nil {
			t.Fatal(err)
		}
		<-time.After(beside)
	}
	p.mu.Lock()
	p.args = args
	p.mu.Unlock()
	p.kill()
	if second != nil {
		_ = second.Process.Kill()
		if err := second.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the second controller ended by itself: %v", err)
		}
	}
}
