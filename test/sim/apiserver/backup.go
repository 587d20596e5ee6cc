package apiserver

import (
	"maps"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Backup is what the store held at one moment. Its zero value is an empty store.
type Backup struct {
	version int64
	objects map[schema.GroupVersionKind]map[key]*stored
}

// Version is the newest resource version in it.
func (b Backup) Version() int64 { return b.version }

// Backup copies the store as it is now.
func (s *Server) Backup() Backup {
	b := Backup{version: s.version, objects: map[schema.GroupVersionKind]map[key]*stored{}}
	for gvk, sh := range s.kinds {
		b.objects[gvk] = maps.Clone(sh.objects)
	}
	return b
}

// Restore loses all that was stored and puts a backup in its place; resource
// versions go on from there. Nobody is told: a cache that followed the store is
// of no use any more, and whoever has one must begin anew.
func (s *Server) Restore(b Backup) {
	s.version = b.version
	for gvk, sh := range s.kinds {
		sh.objects, sh.log = map[key]*stored{}, nil
		maps.Copy(sh.objects, b.objects[gvk])
		for _, o := range sh.sorted() {
			sh.log = append(sh.log, Event{Kind: gvk, Version: s.version, Time: s.Now(), New: o})
		}
	}
}
