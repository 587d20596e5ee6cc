package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Disks are kept file by file, apart from each other, also over an end.
func TestDisks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	s := open(t, path)
	for id, files := range map[string]map[string][]byte{"i-1": {"/a": []byte("1"), "/b": []byte("2")}, "i-10": {"/a": []byte("3")}, "i-2": {"/x": {}}} {
		if err := s.Write(id, files); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Write("i-1", map[string][]byte{"/a": nil, "/c": []byte("4")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Destroy("i-2"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	defer s.Close()
	files, err := s.Read("i-1")
	if d := cmp.Diff(map[string][]byte{"/b": []byte("2"), "/c": []byte("4")}, files); d != "" || err != nil {
		t.Error(d, err)
	}
	ids, err := s.Machines()
	if d := cmp.Diff([]string{"i-1", "i-10"}, ids); d != "" || err != nil {
		t.Error(d, err)
	}
}

// One process holds the file; the second is told so.
func TestOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	s := open(t, path)
	defer s.Close()
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "another process holds it") {
		t.Errorf("the second open: %v", err)
	}
}

// Records of many goroutines are all there, in the order of each, and what
// belongs behind a write comes in the order of the writes.
func TestOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	s := open(t, path)
	var behind atomic.Int64
	var mu sync.Mutex
	var order []int64
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			for n := range 50 {
				mu.Lock()
				at := int64(len(order))
				order = append(order, at)
				ticket := s.Put([]region.Record{{Bucket: "instances", Key: fmt.Sprint("i-", k), Value: fmt.Append(nil, n)}}, func() {
					if !behind.CompareAndSwap(at, at+1) {
						t.Errorf("write %d came after %d others", at, behind.Load())
					}
				})
				mu.Unlock()
				if err := ticket.Wait(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	defer s.Close()
	got, err := s.Load()
	if err != nil || len(got["instances"]) != 8 {
		t.Fatalf("%v, %v", got, err)
	}
	for id, v := range got["instances"] {
		if string(v) != "49" {
			t.Errorf("%s holds %s", id, v)
		}
	}
	if err := s.Put([]region.Record{{Bucket: "instances", Key: "", Value: []byte("x")}}, nil).Wait(); err == nil {
		t.Error("a write that cannot be is no error")
	}
	if err := s.Write("i-1", map[string][]byte{"/a": nil}); err == nil {
		t.Error("after a failed write the store goes on")
	}
}
