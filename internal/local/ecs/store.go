package ecs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

var (
	bucketInstances = []byte("instances")
	bucketTokens    = []byte("tokens")
	bucketUserData  = []byte("user-data")
	bucketDisks     = []byte("disks")
)

// Store keeps the region and the machines' disks in one file. What a write has
// returned for survives a kill.
type Store struct {
	db *bbolt.DB
	mu sync.Mutex
	// shared user data by key, so that the instances of a batch hold one copy.
	shared map[string][]byte
}

// OpenStore opens or makes the file.
func OpenStore(path string) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 2 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, b := range [][]byte{bucketInstances, bucketTokens, bucketUserData, bucketDisks} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", path, err)
	}
	return &Store{db: db, shared: map[string][]byte{}}, nil
}

// Close ends the use of the file.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) load() ([]*Instance, map[string]*tokenEntry, error) {
	var list []*Instance
	tokens := map[string]*tokenEntry{}
	err := s.db.View(func(tx *bbolt.Tx) error {
		err := tx.Bucket(bucketInstances).ForEach(func(_, v []byte) error {
			i := &Instance{}
			list = append(list, i)
			return json.Unmarshal(v, i)
		})
		if err != nil {
			return err
		}
		return tx.Bucket(bucketTokens).ForEach(func(k, v []byte) error {
			t := &tokenEntry{}
			tokens[string(k)] = t
			return json.Unmarshal(v, t)
		})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read state: %w", err)
	}
	return list, tokens, nil
}

// change is one transaction: instances to write and to delete, tokens, user
// data.
type change struct {
	put      []*Instance
	remove   []string
	tokens   map[string]*tokenEntry
	forget   []string
	userData []byte
}

func (s *Store) write(c change) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketInstances)
		for _, i := range c.put {
			raw, err := json.Marshal(i)
			if err != nil {
				return err
			}
			if err := b.Put([]byte(i.ID), raw); err != nil {
				return err
			}
		}
		for _, id := range c.remove {
			if err := b.Delete([]byte(id)); err != nil {
				return err
			}
		}
		t := tx.Bucket(bucketTokens)
		for k, v := range c.tokens {
			raw, err := json.Marshal(v)
			if err != nil {
				return err
			}
			if err := t.Put([]byte(k), raw); err != nil {
				return err
			}
		}
		for _, k := range c.forget {
			if err := t.Delete([]byte(k)); err != nil {
				return err
			}
		}
		if len(c.userData) > 0 {
			return tx.Bucket(bucketUserData).Put([]byte(userDataKey(c.userData)), c.userData)
		}
		return nil
	})
}

func userDataKey(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// userData returns the shared bytes of a key.
func (s *Store) userData(key string) []byte {
	if key == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.shared[key]; ok {
		return b
	}
	var out []byte
	_ = s.db.View(func(tx *bbolt.Tx) error {
		out = append(out, tx.Bucket(bucketUserData).Get([]byte(key))...)
		return nil
	})
	s.shared[key] = out
	return out
}

// Read returns the whole disk of a machine.
func (s *Store) Read(id string) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketDisks).Bucket([]byte(id))
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			out[string(k)] = append([]byte{}, v...)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read disk of %s: %w", id, err)
	}
	return out, nil
}

// Write stores files of one machine in one step; a nil content deletes. Writes
// of several machines share a sync of the disk.
func (s *Store) Write(id string, files map[string][]byte) error {
	err := s.db.Batch(func(tx *bbolt.Tx) error {
		b, err := tx.Bucket(bucketDisks).CreateBucketIfNotExists([]byte(id))
		if err != nil {
			return err
		}
		for path, content := range files {
			if content == nil {
				err = b.Delete([]byte(path))
			} else {
				err = b.Put([]byte(path), content)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write disk of %s: %w", id, err)
	}
	return nil
}

// Destroy forgets the disk of a machine.
func (s *Store) Destroy(id string) error {
	return s.db.Batch(func(tx *bbolt.Tx) error {
		err := tx.Bucket(bucketDisks).DeleteBucket([]byte(id))
		if err != nil && tx.Bucket(bucketDisks).Bucket([]byte(id)) == nil {
			return nil
		}
		return err
	})
}
