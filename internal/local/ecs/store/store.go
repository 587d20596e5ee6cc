// Package store keeps the records of a local cloud and the disks of its
// machines in one file that survives a kill -9.
//
// In come records and files; what a call has returned for is on disk. Calls
// of many goroutines share one write to the disk, in the order in which they
// came. It never looks into what it keeps.
package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
)

var bucketDisks = []byte("disks")

// Store is one open file.
type Store struct {
	db   *bolt.DB
	mu   sync.Mutex
	more *sync.Cond
	next []*Ticket
	last *Ticket
	shut bool
	done chan struct{}
	err  error
}

// Ticket is one write under way.
type Ticket struct {
	apply func(*bolt.Tx) error
	then  func()
	done  chan struct{}
	err   error
}

// Wait returns when the write is on disk, with the error that kept it off.
func (t *Ticket) Wait() error {
	if t == nil {
		return nil
	}
	<-t.done
	return t.err
}

// Open opens the file, or makes it. One process can hold it at a time.
func Open(path string) (*Store, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType, NoFreelistSync: true})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open state of local cloud in %s: another process holds it", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open state of local cloud in %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range append(region.Buckets(), string(bucketDisks)) {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare state of local cloud in %s: %w", path, err), db.Close())
	}
	s := &Store{db: db, done: make(chan struct{})}
	s.more = sync.NewCond(&s.mu)
	go s.write()
	return s, nil
}

// Close writes what was queued and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	s.shut = true
	s.mu.Unlock()
	s.more.Signal()
	<-s.done
	return s.db.Close()
}

// Load returns all records, bucket by bucket.
func (s *Store) Load() (map[string]map[string][]byte, error) {
	out := map[string]map[string][]byte{}
	err := s.db.View(func(tx *bolt.Tx) error {
		for _, name := range region.Buckets() {
			m := map[string][]byte{}
			out[name] = m
			if err := tx.Bucket([]byte(name)).ForEach(func(k, v []byte) error {
				m[string(k)] = bytes.Clone(v)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read state of local cloud: %w", err)
	}
	return out, nil
}

// Put queues records, which are stored together or not at all. Then is called
// when they are, in the order of the calls of Put; it must not wait.
func (s *Store) Put(records []region.Record, then func()) *Ticket {
	return s.queue(func(tx *bolt.Tx) error {
		for _, r := range records {
			b := tx.Bucket([]byte(r.Bucket))
			var err error
			if r.Value == nil {
				err = b.Delete([]byte(r.Key))
			} else {
				err = b.Put([]byte(r.Key), r.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, then)
}

// Last returns the newest write that is under way, nil where none is.
func (s *Store) Last() *Ticket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *Store) queue(apply func(*bolt.Tx) error, then func()) *Ticket {
	t := &Ticket{apply: apply, then: then, done: make(chan struct{})}
	s.mu.Lock()
	if s.shut || s.err != nil {
		t.err = errors.Join(errors.New("the state of the local cloud is closed"), s.err)
		close(t.done)
	} else {
		s.next = append(s.next, t)
		s.last = t
	}
	s.mu.Unlock()
	s.more.Signal()
	return t
}

// write takes all that is queued into one transaction, again and again. After
// a failure nothing is written any more: what is in memory is ahead of the
// disk, and the process has to start anew.
func (s *Store) write() {
	defer close(s.done)
	for {
		s.mu.Lock()
		for len(s.next) == 0 && !s.shut {
			s.more.Wait()
		}
		batch := s.next
		s.next = nil
		s.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		err := s.commit(batch)
		s.mu.Lock()
		if err != nil {
			s.err = err
			batch, s.next = append(batch, s.next...), nil
		}
		if len(s.next) == 0 {
			s.last = nil
		}
		s.mu.Unlock()
		for _, t := range batch {
			if t.err = err; err == nil && t.then != nil {
				t.then()
			}
			close(t.done)
		}
	}
}

func (s *Store) commit(batch []*Ticket) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		for _, t := range batch {
			if err := t.apply(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write state of local cloud to %s: %w", s.db.Path(), err)
	}
	return nil
}

// diskKey is machine and path; a zero byte is in neither.
func diskKey(id, path string) []byte { return []byte(id + "\x00" + path) }

// Read returns the whole disk of a machine: path to content.
func (s *Store) Read(id string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := s.db.View(func(tx *bolt.Tx) error {
		prefix := diskKey(id, "")
		c := tx.Bucket(bucketDisks).Cursor()
		for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			files[string(k[len(prefix):])] = bytes.Clone(v)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read disk of %s: %w", id, err)
	}
	return files, nil
}

// Write stores files of one machine in one step; a nil content deletes.
func (s *Store) Write(id string, files map[string][]byte) error {
	err := s.queue(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketDisks)
		for path, content := range files {
			var err error
			if content == nil {
				err = b.Delete(diskKey(id, path))
			} else {
				err = b.Put(diskKey(id, path), content)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, nil).Wait()
	if err != nil {
		return fmt.Errorf("write disk of %s: %w", id, err)
	}
	return nil
}

// Destroy forgets the disk of a machine.
func (s *Store) Destroy(id string) error {
	err := s.queue(func(tx *bolt.Tx) error {
		prefix := diskKey(id, "")
		b := tx.Bucket(bucketDisks)
		var keys [][]byte
		c := b.Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			keys = append(keys, bytes.Clone(k))
		}
		for _, k := range keys {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		return nil
	}, nil).Wait()
	if err != nil {
		return fmt.Errorf("destroy disk of %s: %w", id, err)
	}
	return nil
}

// Machines names the machines that have a disk.
func (s *Store) Machines() ([]string, error) {
	var out []string
	err := s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketDisks).Cursor()
		for k, _ := c.First(); k != nil; {
			id, _, _ := strings.Cut(string(k), "\x00")
			out = append(out, id)
			k, _ = c.Seek([]byte(id + "\x01"))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list disks: %w", err)
	}
	return out, nil
}
